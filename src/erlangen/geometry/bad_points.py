"""What is no sampling of a space: points off it, twice, or not finite."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.geometry import Geometry

MOST = 256  # points that are tried where the way to each is solved for
AT_ONCE = 1 << 18  # points whose ways are held in memory
TOLERANCE = 1e-5  # single precision is good enough
CLOSE = 3e-7  # what is as close as single precision can tell is the same, relative to the largest coordinate


def expect_points(geometry: Geometry, points: Float[Tensor, "*space m"], once: bool) -> None:
    """ValueError for points that are not finite, lie off the space, or (if asked) are there twice."""
    p = points.flatten(0, -2)
    expect_finite(p)
    if once:
        _expect_once(geometry.home(p))
    if geometry.group is not None and geometry.group.dim >= geometry.dim:  # a smaller one reaches less
        _expect_reached(geometry, p)


def expect_finite(p: Float[Tensor, "k m"]) -> None:
    """ValueError for points that are not finite."""
    lost = ~p.isfinite().all(-1)
    if bool(lost.any()):
        raise ValueError(
            f"{int(lost.sum())} of {len(p)} points are not finite, the first at {int(lost.nonzero()[0])}; "
            "expected coordinates of points: leave those samples out"
        )


def _expect_once(p: Float[Tensor, "k m"]) -> None:
    size = p.abs().amax(0)
    size = torch.where(size > 0, size, 1.0)
    for shift in (0.0, 0.5):  # what one rounding keeps apart the other finds, mostly
        place = (p / (CLOSE * size) + shift).round()
        _, inverse, counts = torch.unique(place, dim=0, return_inverse=True, return_counts=True)
        if bool((counts > 1).any()):
            same = (inverse == counts.argmax()).nonzero().flatten()[:2].tolist()
            raise ValueError(
                f"points {same[0]} and {same[1]} are the same, expected each once; keep one, with the sum of "
                "their weights"
            )


def _expect_reached(geometry: Geometry, p: Float[Tensor, "k m"]) -> None:
    """By ``s(p) p0 = p`` with s(p) in the group; if that is solved for, at some points."""
    if not geometry.has_closed_section:
        length = p.norm(dim=-1)
        some = torch.linspace(0, len(p) - 1, min(MOST, len(p))).round().long()
        p = p[torch.cat([some, torch.stack([length.argmin(), length.argmax()])])]
    for part in p.split(AT_ONCE):
        _refuse_unreached(geometry, part)


def _refuse_unreached(geometry: Geometry, p: Float[Tensor, "k m"]) -> None:
    g = geometry.section(p)
    moved = geometry.act(g, geometry.frames(geometry.origin)).point
    off = (geometry.home(moved) - geometry.home(p)).abs().amax(-1)
    off = torch.maximum(off, geometry.group.defect(g)) / (1 + p.square().sum(-1))  # type: ignore[union-attr]
    if not bool((off <= TOLERANCE).all()):
        worst = p[~(off <= TOLERANCE)][0]
        text = ", ".join(f"{x:.3g}" for x in worst[:9].tolist())
        raise ValueError(
            f"({text}) is no point of {geometry}: no element of {geometry.group} moves the origin there; "
            "expected points on the space: bring them onto it"
        )
