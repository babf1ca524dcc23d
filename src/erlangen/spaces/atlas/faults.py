"""What may be wrong with an atlas: charts that disagree where they overlap, or do not reach everywhere."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.geometry.derivative import partials
from erlangen.spaces.atlas.cover import Cover, Transition
from erlangen.spaces.atlas.nerve import Nerve
from erlangen.spaces.chart import Chart
from erlangen.spaces.probes import relative_to_axes

TOLERANCE = 1e-7  # relative
THIN = 1e-3  # of a box: less room than this needs too many steps


def expect_charts(charts: Sequence[Chart], transitions: Mapping[tuple[int, int], Transition]) -> None:
    """ValueError for what is no list of boxes with maps between them."""
    if not charts or any(chart.dim != charts[0].dim for chart in charts):
        raise ValueError(
            f"charts have dimensions {[c.dim for c in charts]}, expected one or more, all the same"
        )
    for a, chart in enumerate(charts):
        if any(period is not None for period in chart.periods) or any(b is None for b in chart.bounds):
            raise ValueError(
                f"chart {a} has the periods {chart.periods} and the bounds {chart.bounds}, expected a box: "
                "bounds= on each axis; what comes round is covered by several charts"
            )
    for a, b in transitions:
        if a == b or not {a, b} <= set(range(len(charts))):
            raise ValueError(
                f"a transition leads from chart {a} to chart {b}, expected two of 0 to {len(charts) - 1}"
            )
        if (b, a) not in transitions:
            raise ValueError(
                f"a transition leads from chart {a} to chart {b} and none back, expected both ways: give "
                f"({b}, {a}) as well"
            )


def faults(cover: Cover, nerve: Nerve) -> list[str]:
    """Every reason why the charts do not fit together."""
    found = [fault for a, b in sorted(cover.transitions) for fault in _of_transition(cover, a, b)]
    return found or [*_of_edges(cover), *_out_of_reach(cover, nerve)]


def _of_transition(cover: Cover, a: int, b: int) -> Iterator[str]:
    x = cover.probes(a).flatten(0, -2)
    y = cover.to(a, b, x)
    if y.shape != x.shape:
        yield (
            f"the transition from chart {a} to {b} gave shape {tuple(y.shape)} for {tuple(x.shape)}, "
            "expected the same"
        )
        return
    x = x[cover.inside(b, y)]
    if not len(x):
        yield (
            f"the transition from chart {a} to {b} leads nowhere: of {len(y)} points of chart {a} none comes "
            f"to lie within the bounds of chart {b}; expected an overlap, or no transition"
        )
        return
    yield from _of_metrics(cover, a, b, x)
    y = cover.to(a, b, x)
    off = (cover.to(b, a, y) - x).norm(dim=-1)
    if not bool((_apart(cover, a, cover.to(b, a, y), x) <= TOLERANCE).all()):
        yield (
            f"the transition from chart {b} to {a} does not undo that from {a} to {b}: {_worst(x, off)} "
            f"comes back {float(off.nan_to_num(math.inf).max()):.2g} away; expected the same point"
        )
    yield from _of_triples(cover, a, b, x, y)


def _of_metrics(cover: Cover, a: int, b: int, x: Tensor) -> Iterator[str]:
    y, J = partials(lambda x: cover.to(a, b, x), x)
    J, here, there = J.movedim(0, -1), cover.charts[a].metric(x), cover.charts[b].metric(y)
    off = relative_to_axes(J.mT @ there @ J - here, here)
    if not bool((off <= TOLERANCE).all()):
        yield (
            f"the metrics of charts {a} and {b} disagree where they overlap: at {_worst(x, off)} of chart "
            f"{a} by {float(off.max()):.2g}; the transition phi is no isometry, expected "
            f"J^T g_{b}(phi(x)) J = g_{a}(x) with J its derivative"
        )


def _of_triples(cover: Cover, a: int, b: int, x: Tensor, y: Tensor) -> Iterator[str]:
    for c in range(len(cover.charts)):
        if {(b, c), (a, c)} <= set(cover.transitions) and c not in (a, b):
            direct, around = cover.to(a, c, x), cover.to(b, c, y)
            inside = cover.inside(c, direct)
            off = torch.where(inside, (direct - around).norm(dim=-1), 0.0)
            if not bool((torch.where(inside, _apart(cover, c, direct, around), 0.0) <= TOLERANCE).all()):
                yield (
                    f"from chart {a} to {c} it matters whether the way leads over {b}: for {_worst(x, off)} "
                    f"by {float(off.nan_to_num(math.inf).max()):.2g}; expected one point"
                )


def _apart(cover: Cover, a: int, x: Float[Tensor, "k n"], y: Float[Tensor, "k n"]) -> Float[Tensor, "k"]:
    """How far apart coordinates in chart a are, relative to its box, or to themselves if they are larger."""
    chart = cover.charts[a]
    return ((x - y) / torch.maximum(chart.high - chart.low, x.abs())).abs().amax(-1)


def _of_edges(cover: Cover) -> Iterator[str]:
    for a in range(len(cover.charts)):
        for axis, pair in enumerate(cover.faces(a)):
            for end, x in zip(("lower", "upper"), pair, strict=True):
                held = cover.held(a, x)
                if bool(held.any()) and not bool(held.all()):
                    yield (
                        f"the {end} face of chart {a} across axis {axis} lies in other charts in part only, "
                        f"{_worst(x, ~held)} does not; expected an edge, which others cover, or a wall of "
                        "the space, which none does: other bounds="
                    )


def _out_of_reach(cover: Cover, nerve: Nerve) -> Iterator[str]:
    lost = sorted(set(range(len(cover.charts))) - set(nerve.tree))
    if lost:
        yield (
            f"no transitions lead from chart 0 to {lost}, expected one space: give each piece an atlas of "
            "its own"
        )
        return
    for a in range(len(cover.charts)):
        x = cover.at_home(a)
        if len(x) and float(cover.room(a, x).min()) < THIN:
            yield (
                f"the charts overlap too little: {_worst(x, -cover.room(a, x))} of chart {a} is at its edge "
                "and in no other chart farther from one; expected overlaps of some width: larger bounds="
            )


def _worst(x: Float[Tensor, "k n"], off: Float[Tensor, "k"] | Bool[Tensor, "k"]) -> list[float]:
    return [round(value, 3) for value in x[off.double().nan_to_num(math.inf).argmax()].tolist()]
