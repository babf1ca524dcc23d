"""A look at a chart before it is used: is it a metric, how far do geodesics go, where does it curve."""

import itertools
import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.geometry.derivative import partials
from erlangen.spaces.decks import image

if TYPE_CHECKING:
    from erlangen.spaces.chart import Chart

PROBES = 1024
WIDE = 3.0  # half of all probes of an axis without an end lie this close to zero
LEGS = 8


def probes(chart: "Chart", count: int = PROBES, seed: int = 0) -> Float[Tensor, "count n"]:
    """Points all over the chart: even where it ends or comes round, else more of them near zero."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(count, chart.dim, generator=generator, dtype=torch.float64)
    even = chart.low + t * (chart.high - chart.low)
    return torch.where(even.isfinite(), even, WIDE * torch.tan(0.97 * math.pi * (t - 0.5)))


def expect_metric(chart: "Chart") -> None:
    """ValueError for what is no metric, a gluing that does not keep it, a connection that does not."""
    x = probes(chart)
    g = chart._metric(x)
    n = chart.dim
    if g.shape[-2:] != (n, n) or g.dim() > 3:
        raise ValueError(
            f"the metric gave shape {tuple(g.shape)} for points {tuple(x.shape)}, expected (..., {n}, {n}) "
            f"for points (..., {n})"
        )
    g = g.expand(len(x), n, n).to(torch.float64)
    off = (g - g.mT).abs().amax((-2, -1))
    if not bool((off <= 1e-9 * g.abs().amax((-2, -1))).all()):
        raise ValueError(
            f"the metric is not symmetric at {_worst(x, off)}, where g_ij - g_ji is {float(off.max()):.2g}; "
            "expected g_ij = g_ji: give (g + g^T) / 2"
        )
    lowest = torch.linalg.eigvalsh(g)[:, 0]
    if not bool((lowest > 0).all()):
        raise ValueError(
            f"the metric is not positive definite at {_worst(x, -lowest)}, where its lowest eigenvalue is "
            f"{float(lowest.min()):.2g}; expected more than zero: bounds= leaves such points out"
        )
    for axis, period, A in chart.decks:
        shift = torch.zeros(n, dtype=torch.float64)
        shift[axis] = period
        along = A[:, axis] - torch.eye(n).to(A)[:, axis]
        off = (A.T @ chart._metric(x @ A.T + shift) @ A - g).abs().amax((-2, -1))
        if not bool((off <= 1e-7 * g.abs().amax((-2, -1))).all()) or float(along.abs().max()) > 1e-12:
            raise ValueError(
                f"the gluing of axis {axis} is no isometry: at {_worst(x, off)} the metric changes by "
                f"{float(off.max()):.2g}; expected A^T g(A x + period e) A = g(x), A e = e along that axis"
            )
    if chart._connection is not None:
        _expect_metric_connection(chart, x)


def _expect_metric_connection(chart: "Chart", x: Tensor) -> None:
    g, D = partials(chart.metric, x)
    Gamma = chart.christoffel(x)
    lower = torch.einsum("...lik,...lm->...imk", Gamma, g)
    off = (D.movedim(0, 1) - lower - lower.mT).abs().amax((-3, -2, -1))
    if not float(off.max()) <= 1e-7 * float(g.abs().max()):
        raise ValueError(
            f"the connection is not metric: at {_worst(x, off)} transport changes lengths, by "
            f"{float(off.max()):.2g}; expected d_i g_jk = Gamma_kij + Gamma_jik"
        )


def _worst(x: Tensor, off: Tensor) -> list[float]:
    return [round(value, 3) for value in x[off.nan_to_num(math.inf).argmax()].tolist()]


def straight_ways(chart: "Chart", count: int, seed: int) -> Float[Tensor, "count k n"]:
    """Straight lines from the origin to even probes, and to those where curvature is largest."""
    x = probes(chart, seed=seed)
    R = torch.linalg.vector_norm(_curvature(chart, x).flatten(1), dim=1)
    steepest = R.topk(count // 2).indices
    places = torch.cat([x[: count - len(steepest)], x[steepest]])
    t = torch.arange(1, LEGS + 1, dtype=torch.float64)[:, None] / LEGS
    return chart.origin + t * (places - chart.origin)[:, None]


def estimated_radius(chart: "Chart") -> float:
    r"""``min(pi / sqrt(K), length / 2)`` with the largest sectional curvature K (its bound) and the shortest
    way round the periods, both over probes: the theorem of Klingenberg, from samples."""
    x = probes(chart)
    K = float(_sectional(chart, x).max())
    radius = math.pi / math.sqrt(K) if K > 1e-9 else math.inf
    for copies in itertools.product((-1, 0, 1), repeat=len(chart.decks)):
        if any(copies):
            radius = min(radius, float(_way_round(chart, x, copies).min()) / 2)
    return radius


def _way_round(chart: "Chart", x: Tensor, copies: tuple[int, ...]) -> Tensor:
    """The lengths of the straight lines from x to its image."""
    end = x
    for deck, copy in reversed(list(zip(chart.decks, copies, strict=True))):
        end = image(deck, end, copy)
    t = (torch.arange(32, dtype=torch.float64)[:, None, None] + 0.5) / 32
    d = end - x
    g = chart.metric(x + t * d)
    return torch.einsum("pi,tpij,pj->tp", d, g, d).sqrt().mean(0)


def _curvature(chart: "Chart", x: Tensor) -> Tensor:
    """R in orthonormal frames, by Cholesky: fine where only its size matters."""
    E = torch.linalg.inv(torch.linalg.cholesky(chart.metric(x))).mT
    return chart.curvature(Frame(x, E))


def _sectional(chart: "Chart", x: Tensor) -> Tensor:
    """The largest eigenvalue of the curvature operator on bivectors, which bounds sectional curvature."""
    n = chart.dim
    if n == 1:
        return torch.zeros(1, dtype=torch.float64)
    R = _curvature(chart, x)
    i, j = torch.triu_indices(n, n, offset=1)
    operator = R[:, i[:, None], j[:, None], i, j]  # <R(e_i, e_j) e_l, e_k>
    return torch.linalg.eigvalsh((operator + operator.mT) / 2)[:, -1]
