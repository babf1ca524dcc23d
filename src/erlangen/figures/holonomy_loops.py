"""Holonomy, drawn: frames carried round loops, and all the ways in which they come back."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.arguments import Pixels, Range, checked
from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, figure, save
from erlangen.figures.cell import about, draw_cell, ends
from erlangen.figures.drawn import Drawn
from erlangen.figures.scene import scene
from erlangen.geometry import Embedding, Frame, Geometry, Holonomy, Trip
from erlangen.geometry.derivative import partials
from erlangen.geometry.trips import circle, round_circles, round_circuit
from erlangen.groups.structure import turn

SIZES = (1.0, 0.8, 0.6, 0.5)  # of the circles
SHARE, LONGEST = 0.24, 4.0  # of the injectivity radius; where there is none, of lengths of the space
FAR = 1e3
DEEP = "#1f5068"
View = Any  # Drawn or Solid
INSIDE = 0.84  # the ring of mirrored ones
ON_THE_WAY = 8, 4  # frames that are shown, and on a small circle
SMALL = 0.1  # of the picture's size
FACING = 0.45


@checked
def holonomy_loops(
    space: Geometry | Holonomy,
    *,
    loops: Annotated[int, Range(0, 100)] = 3,
    embedding: Embedding | None = None,
    azimuth: float | None = None,
    elevation: float | None = None,
    pixels: Pixels = 800,
    interactive: bool = False,
    path: str | Path | None = None,
) -> Any:
    r"""Loops with a frame carried round each, and how it comes back; beside them the group of all that.

    The circuits round the space, each once, and some circles that can be contracted. The frame that sets
    out is black, the one that comes back red. On the right, where the group takes a vector (in three
    dimensions the axes): in grey the closure that `holonomy()` names, as dots what came back from its loops.

    Args:
        space: any geometry, or its ``holonomy()``.
        loops: the number of circles.
        embedding: where the picture puts the points; None for the space's own (surfaces in R^3, the disc of
            Poincaré) or the box of coordinates that it is glued from.
        azimuth, elevation: where the eye is, in degrees.
        pixels: of the longer side of a surface.
        interactive: the loops as a scene of pyvista, to turn with the mouse (``.show()``).
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.

    Raises:
        ValueError: for a space with more coordinates than a picture has, and no embedding.
    """
    H = space if isinstance(space, Holonomy) else space.holonomy()
    seen = embedding or H.geometry.embedding or _coordinates(H.geometry)
    eye = _eye(H.geometry, seen, azimuth, elevation)
    title = f"{_name(H.geometry)}: holonomy {H.name}"
    if interactive:
        canvas, view = scene(interactive=True, azimuth=eye[0], elevation=eye[1])
        draw_loops(view, H, seen, loops)
        view.finish(title)
    else:
        canvas, ((left, right),) = figure(1, 2, 10.4, 6.6, gridspec_kw={"width_ratios": [2.3, 1]})
        view = Drawn(left, *eye, pixels)
        draw_loops(view, H, seen, loops)
        view.finish()
        draw_group(right, H)
        canvas.set_size_inches(10.4, min(max(7.2 * view.aspect, 3.2), 7.6) + 0.5)
        canvas.suptitle(title, fontsize=13, color=INK)
    return canvas if path is None else save(canvas, path)


def draw_loops(view: View, H: Holonomy, seen: Embedding, loops: int) -> None:
    """The loops of `holonomy_loops`, on any scene."""
    geometry = H.geometry
    if seen.patch is not None:
        view.surface(seen.patch, seen.extent, (36, 12))
    for line in seen.outline:
        view.curve(line, color=MUTED, linewidth=1.2)
    rounds = [round_circuit(geometry, H.frame, circuit) for circuit in H.circuits]
    window = None
    if seen.patch is None and not seen.outline and geometry.cell is not None:
        window = ends(geometry.cell, geometry.origin)
        draw_cell(view, geometry.cell, *window)
    curved = H.from_loops > 0
    circles = _circles(view, H, seen, rounds, loops if curved else 1, window) if geometry.dim > 1 else []
    for i, trip in enumerate([*rounds, *circles]):
        _draw_trip(view, trip, seen, i)


def _draw_trip(view: View, trip: Trip, seen: Embedding, number: int) -> None:
    x, axes = _pushed(seen, trip.frames)
    view.seen(x)
    for piece in _pieces(x):
        view.curve(piece, color=SECOND, linewidth=2.0)
    scale = max(0.28 * _reach(x), 0.055 * view.size) / float(axes[0].norm(dim=0).max())
    _sector(view, trip, x[0], 0.8 * scale * axes[0])
    step = (len(x) - 1) // ON_THE_WAY[_reach(x) < SMALL * view.size]
    for i in range(step, len(x) - 1, step):
        _glyph(view, x[i], 0.8 * scale * axes[i], DEEP, 1.2)
    _glyph(view, x[0], 1.2 * scale * axes[0], INK, 2.4)
    _glyph(view, x[-1], 1.2 * scale * axes[-1], ACCENT, 2.4)
    view.dots(x[:1], color=INK, s=30)
    words = _words(trip)
    view.text(_beside(view, trip, x, seen, number), words, color=ACCENT, weight="bold")


def _beside(view: View, trip: Trip, x: Tensor, seen: Embedding, number: int) -> Tensor:
    """Where the words go: within a circle, or above a small one; towards the middle from a way round."""
    up, size = torch.from_numpy(view.turn[:, 1]), view.size
    if trip.centre is not None:
        centre = seen.place(trip.centre)
        side = 1 if float(centre @ up) < (view.low[1] + view.high[1]) / 2 else -1
        small = (SMALL if _words(trip) == "unchanged" or trip.turn.shape[-1] > 2 else 0.05) * size
        return centre + (_reach(x) < small) * side * (_reach(x) + 0.06 * size) * up
    quarter = len(x) // 4
    order = [quarter * (1 + 2 * (number % 2)), 2 * quarter, quarter, 3 * quarter]
    place = x[next((i for i in order if view.visible(x[i : i + 1])[0]), order[0])]
    if trip.turn.shape[-1] > 2:
        return place + 0.14 * size * torch.from_numpy(view.turn[:, 0])
    return place + (0.05 if place @ up < 0 else -0.05) * size * up


def _sector(view: View, trip: Trip, x: Tensor, axes: Tensor) -> None:
    """The turn of the first axis, on a surface."""
    if axes.shape[-1] != 2 or trip.is_mirrored or abs(trip.angle) < 1e-3:
        return
    t = torch.linspace(0, trip.angle, 24, dtype=torch.float64)
    arc = x + torch.stack([t.cos(), t.sin()], -1) @ axes.T
    view.area(torch.cat([x[None], arc]), color=ACCENT, alpha=0.3, zorder=4)


def _glyph(view: View, x: Tensor, axes: Tensor, colour: str, width: float) -> None:
    """A frame: its first axis long, the others short, so that mirrors show."""
    for i, axis in enumerate(axes.unbind(-1)):
        part = axis if i == 0 else 0.6 * axis
        if float(part.norm()) > 1e-9:
            view.arrow(x, part, color=colour, linewidth=width, head=10 if i == 0 else 7)


def _words(trip: Trip) -> str:
    if trip.is_mirrored:
        return "mirrored"
    degrees = math.degrees(trip.angle)
    if abs(degrees) < 0.05:
        return "unchanged"
    return f"{degrees:+.0f}°" if trip.turn.shape[-1] == 2 else f"turned by {degrees:.0f}°"


def _circles(
    view: View,
    H: Holonomy,
    seen: Embedding,
    rounds: Sequence[Trip],
    loops: int,
    window: tuple[Tensor, Tensor] | None,
) -> list[Trip]:
    """Circles that face the eye, each as far as may be from the others and from the circuits."""
    geometry = H.geometry
    radius = SHARE * min(geometry.injectivity_radius, LONGEST * geometry.length)
    points = _candidates(H, window, seen, radius)
    points = points[_facing(view, seen, geometry.frames(points))]
    if window is not None:
        points = points[((points > window[0]) & (points < window[1])).all(-1)]
    x = seen.place(points)
    taken = [p for trip in rounds for p in seen.place(trip.frames.point)[::6]] or list(
        x.mean(0, keepdim=True)
    )
    chosen: list[tuple[Frame, float]] = []
    towards = torch.from_numpy(view.middle + 3 * min(view.size, FAR) * view.eye)
    free = torch.ones(len(points), dtype=torch.bool)
    while len(chosen) < loops and bool(free.any()):
        i = int(torch.where(free, torch.cdist(x, torch.stack(taken)).amin(1), -1.0).argmax())
        free[i] = False
        u = _turned_to(towards, seen, geometry.frames(points[i : i + 1]))
        for size in SIZES[len(chosen) % len(SIZES) :]:
            r = torch.tensor([size * radius]).double()
            ring = circle(geometry, u, r, 24).point[0]
            around = seen.place(ring)
            inside = bool(geometry.contains(ring).all()) and len(_pieces(around)) == 1
            if window is not None:
                wide = points[i] + 1.5 * (ring - points[i])
                inside &= bool(((wide > window[0]) & (wide < window[1])).all())
            apart = float(torch.cdist(around, torch.stack(taken)).min()) > 0.2 * _reach(around)
            if inside and apart and bool(view.visible(around).all()):
                chosen.append((u.at(0), float(r)))
                taken += [*around, x[i]]
                break
    if not chosen:
        return []
    centres = Frame(*(torch.stack(parts) for parts in zip(*(u for u, _ in chosen), strict=True)))
    return round_circles(H.geometry, centres, torch.tensor([r for _, r in chosen]).double())


def _turned_to(towards: Tensor, seen: Embedding, u: Frame) -> Frame:
    """On a surface the frame whose first axis points to where it can be seen."""
    x, axes = _pushed(seen, u)
    if axes.shape[-1] != 2:
        return u
    a, b = (axes.mT @ (towards - x)[..., None])[..., 0].unbind(-1)
    return u.turn(turn(torch.atan2(b, a)))


def _candidates(H: Holonomy, window: Any, seen: Embedding, radius: float) -> Tensor:
    """Points all over the space or its window, or near the origin where the picture has no end."""
    draw = torch.Generator().manual_seed(0)
    if window is not None:
        low, high = window
        share = torch.rand(len(H.paths), len(low), generator=draw, dtype=torch.float64)
        points = low + share * (high - low)
        return points[H.geometry.contains(points)]
    if seen.patch is not None:
        return H.paths[:, -1]
    v = torch.randn(len(H.paths), H.geometry.dim, generator=draw, dtype=torch.float64)
    v = 1.6 * radius * v / v.norm(dim=-1, keepdim=True)
    u = Frame(H.frame.point.expand(len(v), -1), H.frame.basis.expand(len(v), -1, -1))
    return H.geometry.carry(u, v).point


def _facing(view: View, seen: Embedding, u: Frame) -> Tensor:
    """Which points the eye sees, and not from the side."""
    x, axes = _pushed(seen, u)
    front = torch.from_numpy(view.visible(x))
    if axes.shape[-1] != 2:
        return front
    normal = torch.linalg.cross(axes[..., 0], axes[..., 1])
    towards = (normal @ torch.from_numpy(view.eye)).abs() / normal.norm(dim=-1).clamp_min(1e-12)
    return front & (towards > FACING)


def _pushed(seen: Embedding, u: Frame) -> tuple[Tensor, Tensor]:
    """The points and axes of frames, in the picture's space: ``(k, 3)`` and ``(k, 3, n)``."""
    x, derivative = partials(seen.place, u.point)
    return x, derivative.movedim(0, -1) @ u.basis


def _reach(x: Tensor) -> float:
    """Half the size of what is drawn."""
    longest = max(_pieces(x), key=len)
    return float((longest.amax(0) - longest.amin(0)).max()) / 2


def _pieces(x: Tensor) -> list[Tensor]:
    """The curve without its jumps, where it leaves the box and comes in again."""
    if len(x) < 3:
        return [x]
    steps = (x[1:] - x[:-1]).norm(dim=-1)
    jumps = (steps > 6 * steps.median() + 1e-9).nonzero().flatten() + 1
    return [piece for piece in torch.tensor_split(x, jumps.tolist()) if len(piece) > 1]


def _padded(p: Tensor) -> Tensor:
    """Coordinates as a point of space."""
    return F.pad(p, (0, 3 - p.shape[-1]))


def _coordinates(geometry: Geometry) -> Embedding:
    if geometry.ambient > 3:
        raise ValueError(
            f"points of {geometry} have {geometry.ambient} coordinates, expected at most 3 in a picture; "
            "give embedding=er.geometry.Embedding(place), with place from (..., m) to (..., 3)"
        )
    cell, origin = geometry.cell, geometry.origin
    return Embedding(_padded if cell is None else lambda p: _padded(about(cell, origin, p)))


def _eye(
    geometry: Geometry, seen: Embedding, azimuth: float | None, elevation: float | None
) -> tuple[float, float]:
    """From above onto what is flat."""
    flat = seen.patch is None and geometry.dim < 3
    usual = (-90.0, 90.0) if flat else (40.0, 32.0) if seen.patch else (-62.0, 18.0)
    return usual[0] if azimuth is None else azimuth, usual[1] if elevation is None else elevation


def _name(geometry: Geometry) -> str:
    return re.sub(r", (H|n) = .*?(?= x |$)", "", repr(geometry))


def draw_group(axis: Any, H: Holonomy) -> None:
    """Where the group takes a vector, or three axes: all of it in grey, and what came back as dots."""
    n = H.structure.dim
    found = torch.cat([torch.eye(n).double()[None], H.turns, *(h[None] for h in H.circuit_turns)])
    flat = n == 2
    view = Drawn(axis, *((-90.0, 90.0) if flat else (35.0, 25.0)))
    t = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)
    circle = torch.stack([t.cos(), t.sin(), 0 * t], -1)
    rims = [circle, INSIDE * circle] if flat else [circle, circle[:, [2, 0, 1]], circle[:, [1, 2, 0]]]
    for rim in rims[: 1 + _has_mirrors(H)] if flat else rims:
        view.curve(rim, color=MUTED, linewidth=0.6)
    axes = torch.eye(n).double()[:, : min(3, n)] if n != 2 else torch.tensor([[0.8], [0.6]]).double()
    for axis_, own in zip(axes.T, (INK, SECOND, DEEP), strict=False):
        for h, colour, size, order in ((_everywhere(H), "#d8d2c6", 14, 2), (found, own, 16, 4)):
            x, mirrored = _padded((h @ axis_)[:, :3]), torch.linalg.det(h) < 0
            for part, shade, r in ((~mirrored, colour, 1.0), (mirrored, ACCENT, INSIDE if flat else 1.0)):
                if bool(part.any()):
                    view.dots(r * x[part], color=shade if order == 4 else colour, s=size, zorder=order)
        view.arrow(torch.zeros(3).double(), _padded(axis_[:3]), color=own, linewidth=1.6)
    words = "a vector" if flat else "the axes"
    more = "\n(red, inside: mirrored)" if _has_mirrors(H) and flat else ""
    name = "the trivial group" if H.name == "trivial" else H.name
    axis.set_title(f"where {name}\ntakes {words}{more}", fontsize=9.5, color=INK)
    view.finish(margin=0.06)


def _everywhere(H: Holonomy, count: int = 1500) -> Tensor:
    """Elements all over the group."""
    G = H.structure
    t = 25 * torch.rand(
        count, len(G.algebra), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    one = torch.matrix_exp(torch.einsum("ka,aij->kij", t, G.algebra)) if len(G.algebra) else G.components[:1]
    return (one[:, None] @ G.components).flatten(0, 1)


def _has_mirrors(H: Holonomy) -> bool:
    return bool((torch.linalg.det(H.structure.components) < 0).any())
