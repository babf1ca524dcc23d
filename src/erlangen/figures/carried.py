"""What carrying does: a vector round a loop, a plane laid onto the sphere, a kernel round the strip."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erlangen.figures.canvas import ACCENT, INK, SECOND, save
from erlangen.figures.scene import Embedding, scene, sphere_embedding, strip_embedding
from erlangen.geometry import Frame
from erlangen.spaces import Moebius, Sphere

WORLD = [(-math.pi, math.pi), (-math.pi / 2, math.pi / 2)]
Kernel = Callable[[Tensor], Tensor]


def parallel_transport(
    corners: Tensor | None = None, w: Tensor | None = None, *, path: str | Path | None = None
) -> Any:
    r"""A tangent vector of the sphere, carried along great circles from corner to corner and back.

    It comes back turned, by the area of what it went round: for an octant, by ``pi / 2``.

    Args:
        corners: ``(k, 3)`` on the unit sphere; None for an octant from the north pole.
        w: the vector at the first corner ``(3,)``; None for one along the first side.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    sphere = Sphere()
    eye = torch.eye(3, dtype=torch.float64)
    p = torch.stack([eye[2], eye[0], eye[1]]) if corners is None else corners.double()
    p = p / p.norm(dim=-1, keepdim=True)
    q = p.roll(-1, 0)
    vector = sphere.log(p[0], q[0]) if w is None else w.double()
    vector = 0.45 * vector / vector.norm()
    canvas, view = scene(azimuth=40, elevation=30)
    view.surface(sphere_embedding, WORLD)
    start, t = vector, torch.linspace(0, 1, 60).double()[:, None]
    for i in range(len(p)):
        side = sphere.log(p[i], q[i])
        curve = sphere.exp(p[i].expand(60, -1), t * side)
        view.curve(1.004 * curve, curve, color=INK, linewidth=1.4)
        for s in (0.0, 0.25, 0.5, 0.75) if i else (0.25, 0.5, 0.75):
            there = sphere.exp(p[i], s * side)
            carried = sphere.parallel_transport(p[i], s * side, vector)
            view.arrow(1.01 * there, carried, color=SECOND, linewidth=1.5)
        vector = sphere.parallel_transport(p[i], side, vector)
    view.arrow(1.01 * p[0], start, color=SECOND, linewidth=2.6)
    view.arrow(1.01 * p[0], vector, color=ACCENT, linewidth=2.6)
    view.dots(1.01 * p, color=INK)
    turned = math.degrees(math.acos(float((start @ vector / start.square().sum()).clamp(-1, 1))))
    view.axis.set_title(f"carried round the loop, the vector comes back turned by {turned:.0f}°", fontsize=10)
    view.finish()
    return canvas if path is None else save(canvas, path)


def exponential_map(p: Tensor | None = None, radius: float = 1.2, *, path: str | Path | None = None) -> Any:
    r"""The tangent plane at p, its circles and rays, and where ``exp_p`` lays them on the sphere.

    Args:
        p: a point of the unit sphere ``(3,)``; None for one that faces the reader.
        radius: of the largest circle, below pi.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    sphere = Sphere()
    p = torch.tensor([0.25, 0.2, 1.0]) if p is None else p
    p = p.double() / p.double().norm()
    u = sphere.frames(p)
    canvas, view = scene(azimuth=40, elevation=16)
    view.surface(sphere_embedding, WORLD)
    lifted, angle = 0.5 * p, torch.linspace(0, 2 * math.pi, 121).double()
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    t = torch.linspace(0, radius, 60).double()[:, None]
    rays = [t * circle[i] for i in range(0, 120, 10)]
    rings = [radius * share * circle for share in (1 / 3, 2 / 3, 1.0)]
    for v, colour in [(ray, SECOND) for ray in rays] + [(ring, ACCENT) for ring in rings]:
        flat = p + lifted + u.tangent(v)
        view.curve(flat, color=colour, linewidth=1.0)
        point = sphere.carry(Frame(p.expand(len(v), -1), u.basis.expand(len(v), -1, -1)), v).point
        view.curve(1.004 * point, point, color=colour, linewidth=1.5)
    for v in rings[2][::30]:
        point = sphere.carry(u, v).point
        drop = torch.stack([p + lifted + u.tangent(v), point])
        view.curve(drop, point.expand(2, -1), color=INK, linewidth=0.7, linestyle=":")
    view.dots(torch.stack([1.004 * p, p + lifted]), color=INK)
    view.axis.set_title("the tangent plane at p, and where the exponential map lays it", fontsize=10)
    view.finish()
    return canvas if path is None else save(canvas, path)


def round_the_strip(
    kernel: Kernel | None = None,
    *,
    places: int = 7,
    radius: float = 0.42,
    embedding: Embedding = strip_embedding,
    path: str | Path | None = None,
) -> Any:
    r"""A kernel carried once round the Möbius strip: it comes back mirrored, ``k(v_0, -v_1)``.

    Only kernels that the mirror leaves alone give a scalar layer there; any kernel gives a lifted one.

    Args:
        kernel: takes ``(..., 2)``, along and across; None for the letter F, in dots.
        places: how often it is shown on the way.
        radius: half its size on the strip of width 1 and length 2 pi.
        embedding: from the strip's coordinates to space.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    strip = Moebius(2 * math.pi, 1.0)
    v = _letter() if kernel is None else _above_half(kernel)
    start = strip.frames(torch.tensor([math.pi / 2, 0.0], dtype=torch.float64))
    canvas, view = scene(7.4, 4.6, azimuth=-60, elevation=38)
    view.surface(embedding, [(0.0, 2 * math.pi), (-0.5, 0.5)], (120, 10))
    for i in range(places + 1):
        along = torch.tensor([2 * math.pi * i / places, 0.0], dtype=torch.float64)
        u = strip.carry(start, along)
        frames = Frame(u.point.expand(len(v), -1), u.basis.expand(len(v), -1, -1))
        colour = ACCENT if i == places else INK if i == 0 else SECOND
        view.dots(embedding(strip.carry(frames, radius * v).point), color=colour, s=9 if i == places else 5)
    view.axis.set_title("once round the strip, the kernel comes back mirrored", fontsize=10)
    view.finish(1.25)
    return canvas if path is None else save(canvas, path)


def _letter() -> Tensor:
    """The letter F, in dots of the unit square about 0."""
    t = torch.linspace(-0.8, 0.8, 17, dtype=torch.float64)
    stem = torch.stack([torch.full_like(t, -0.4), t], -1)
    bars = [
        torch.stack([torch.linspace(-0.4, end, 9, dtype=torch.float64), torch.full((9,), y).double()], -1)
        for end, y in ((0.6, 0.8), (0.35, 0.1))
    ]
    return torch.cat([stem, *bars])


def _above_half(kernel: Kernel) -> Tensor:
    """Nodes where the kernel is at least half its maximum."""
    axis = torch.linspace(-1, 1, 21, dtype=torch.float64)
    v = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    k = kernel(v)
    return v[k >= k.max() / 2]
