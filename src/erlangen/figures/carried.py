"""What carrying does: a vector round a loop, a plane laid onto the sphere, a kernel round the strip."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erlangen.arguments import Count, Length, Pixels, checked
from erlangen.figures.canvas import ACCENT, INK, SECOND, save
from erlangen.figures.letter import letter
from erlangen.figures.scene import scene
from erlangen.figures.surfaces import Place, strip_embedding
from erlangen.geometry import Frame
from erlangen.spaces import Moebius, Sphere
from erlangen.spaces.sphere import WORLD
from erlangen.spaces.spherical.coordinates import on_sphere

Kernel = Callable[[Tensor], Tensor]


@checked
def parallel_transport(
    corners: Tensor | None = None,
    w: Tensor | None = None,
    *,
    pixels: Pixels = 800,
    interactive: bool = False,
    path: str | Path | None = None,
) -> Any:
    r"""A tangent vector of the sphere, carried along great circles from corner to corner and back.

    It comes back turned, by the area of what it went round: for an octant, by ``pi / 2``.

    Args:
        corners: ``(k, 3)`` on the unit sphere; None for an octant from the north pole.
        w: the vector at the first corner ``(3,)``; None for one along the first side.
        pixels: of the longer side of the sphere.
        interactive: a scene of pyvista, to turn with the mouse (``.show()``).
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
    vector = 0.42 * vector / vector.norm()
    canvas, view = scene(azimuth=40, elevation=30, pixels=pixels, interactive=interactive)
    view.surface(on_sphere, WORLD, (36, 18))
    t = torch.linspace(0, 1, 60).double()[:, None]
    sides = [sphere.exp(p[i].expand(60, -1), t * sphere.log(p[i], q[i])) for i in range(len(p))]
    view.area(torch.cat(sides), color=SECOND, alpha=0.13)
    start = vector
    for i, curve in enumerate(sides):
        side = sphere.log(p[i], q[i])
        view.curve(curve, color=INK, linewidth=1.6)
        for s in (0.0, 0.25, 0.5, 0.75) if i else (0.25, 0.5, 0.75):
            carried = sphere.parallel_transport(p[i], s * side, vector)
            view.arrow(sphere.exp(p[i], s * side), carried, color=SECOND, linewidth=1.7)
        vector = sphere.parallel_transport(p[i], side, vector)
    view.arrow(p[0], start, color=INK, linewidth=3.0, head=15)
    view.arrow(p[0], vector, color=ACCENT, linewidth=3.0, head=15)
    view.dots(p, color=INK)
    turned = math.degrees(math.acos(float((start @ vector / start.square().sum()).clamp(-1, 1))))
    view.finish(f"carried round the loop, the vector comes back turned by {turned:.0f}°")
    return canvas if path is None else save(canvas, path)


@checked
def exponential_map(
    p: Tensor | None = None,
    radius: Length = 1.2,
    *,
    pixels: Pixels = 800,
    interactive: bool = False,
    path: str | Path | None = None,
) -> Any:
    r"""The tangent plane at p, its circles and rays, and where ``exp_p`` lays them on the sphere.

    Args:
        p: a point of the unit sphere ``(3,)``; None for one near the north pole.
        radius: of the largest circle, below pi.
        pixels: of the longer side of the sphere.
        interactive: a scene of pyvista, to turn with the mouse (``.show()``).
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    sphere = Sphere()
    p = torch.tensor([0.12, 0.1, 1.0]) if p is None else p
    p = p.double() / p.double().norm()
    u = sphere.frames(p)
    canvas, view = scene(6.4, 7.4, azimuth=40, elevation=24, pixels=pixels, interactive=interactive)
    view.surface(on_sphere, WORLD, (36, 18))
    plane, angle = 1.85 * p, torch.linspace(0, 2 * math.pi, 121).double()
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    t = torch.linspace(0, radius, 60).double()[:, None]
    rays = [t * circle[i] for i in range(0, 120, 10)]
    rings = [radius * share * circle for share in (1 / 3, 2 / 3, 1.0)]
    view.area(plane + u.tangent(rings[2]), color="#efe7d6", alpha=0.8, zorder=1)
    for v, colour in [(ray, SECOND) for ray in rays] + [(ring, ACCENT) for ring in rings]:
        here = Frame(p.expand(len(v), -1), u.basis.expand(len(v), -1, -1))
        view.curve(plane + u.tangent(v), color=colour, linewidth=1.2)
        view.curve(sphere.carry(here, v).point, color=colour, linewidth=1.8)
    for v in rings[2][:-1:20]:
        drop = torch.stack([plane + u.tangent(v), sphere.carry(u, v).point])
        s = torch.linspace(0, 1, 40).double()[:, None]
        view.curve(drop[0] + s * (drop[1] - drop[0]), color=INK, linewidth=0.8, linestyle=":", hidden=0.0)
    view.dots(torch.stack([p, plane]), color=INK)
    up = torch.from_numpy(view.turn[:, 0])
    view.text(plane + 0.16 * up, "0", bbox=None, color=INK)
    view.text(p + 0.16 * up, "p", bbox=None, color=INK, style="italic")
    view.finish("the tangent plane at p, and where the exponential map lays it")
    return canvas if path is None else save(canvas, path)


@checked
def round_the_strip(
    kernel: Kernel | None = None,
    *,
    places: Count = 7,
    radius: Length = 0.45,
    embedding: Place = strip_embedding,
    pixels: Pixels = 900,
    interactive: bool = False,
    path: str | Path | None = None,
) -> Any:
    r"""A kernel carried once round the Möbius strip: it comes back mirrored, ``k(v_0, -v_1)``.

    Only kernels that the mirror leaves alone give a scalar layer there; any kernel gives a lifted one.

    Args:
        kernel: takes ``(..., 2)``, along and across, shown by dots where it is large; None for the letter F.
        places: how often it is shown on the way.
        radius: half its size on the strip of width 1 and length 2 pi.
        embedding: from the strip's coordinates to space.
        pixels: of the longer side of the strip.
        interactive: a scene of pyvista, to turn with the mouse (``.show()``).
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    strip = Moebius(2 * math.pi, 1.0)
    start = strip.frames(torch.tensor([1.1, 0.0], dtype=torch.float64))
    canvas, view = scene(9.6, 6.0, azimuth=-80, elevation=42, pixels=pixels, interactive=interactive)
    view.surface(embedding, [(0.0, 2 * math.pi), (-0.5, 0.5)], (48, 6))
    for i in range(places + 1):
        along = torch.tensor([2 * math.pi * i / places, 0.0], dtype=torch.float64)
        u = strip.carry(start, along)
        colour = ACCENT if i == places else INK if i == 0 else SECOND
        alpha = 0.75 if i in (0, places) else 0.9
        if kernel is None:
            view.area(_laid(embedding, strip, u, radius * letter()), color=colour, alpha=alpha)
        else:
            v = radius * _above_half(kernel)
            view.dots(_laid(embedding, strip, u, v), color=colour, s=14 if i == places else 8)
    words = (
        "once round the strip, the kernel comes back mirrored (black: as it sets out; red: as it comes back)"
    )
    view.finish(words)
    return canvas if path is None else save(canvas, path)


def _laid(embedding: Place, strip: Any, u: Frame, v: Tensor) -> Tensor:
    """Components v in the frame u, on the strip in space."""
    frames = Frame(u.point.expand(len(v), -1), u.basis.expand(len(v), -1, -1))
    return embedding(strip.carry(frames, v).point)


def _above_half(kernel: Kernel) -> Tensor:
    """Nodes where the kernel is at least half its maximum."""
    axis = torch.linspace(-1, 1, 21, dtype=torch.float64)
    v = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    k = kernel(v)
    return v[k >= k.max() / 2]
