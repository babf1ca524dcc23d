"""From some samples to others: averages down, interpolation up, with transport."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.domains.builders import weighted_sum
from erlangen.domains.sampling import Sampling
from erlangen.engines import Folded, SparseOperator, Stencil, StencilEngine
from erlangen.engines.lines import BLUR, REACH
from erlangen.engines.stencil import Operator
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Representation

EVEN = 1 - 1e-9  # distances that differ by less are the same


def reading(source: Sampling, u: Frame) -> Stencil:
    """``F(u) = sum_s w_s rho(h_s)^{-1} F(q_s)``: the source's own interpolation, at frames ``(k,)``."""
    index, weight, h = source.read(u)
    row = torch.arange(len(index)).repeat_interleave(index.shape[1])
    keep = weight.flatten() != 0
    v = weight.new_zeros(int(keep.sum()), source.geometry.dim)
    entries = index.flatten()[keep], v, h.flatten(0, 1)[keep], weight.flatten()[keep]
    return Stencil(row[keep], *entries, len(index), source.weights.numel())


def averaging(source: Sampling, u: Frame, distance: float) -> Stencil:
    """Gaussian means of the samples about frames ``(k,)``; `distance` is that of the samples."""
    s = weighted_sum(source, REACH * distance, u)
    a = source.weights.flatten()[s.column] * torch.exp(-s.v.square().sum(-1) / (2 * (BLUR * distance) ** 2))
    total = a.new_zeros(s.rows).index_add(0, s.row, a)
    return replace(s, a=a / total.clamp_min(torch.finfo(a.dtype).tiny)[s.row])


class Resampler:
    """Every channel by the same stencil: ``(batch, channel, [fibre,] *space)``, in and out.

    Args:
        rho: the type of the fields.
        stencil: the entries, or blocks of them.
        shape: the space axes of what the stencil gives.
        operator: as in `StencilEngine`.
        every: the step between the samples kept on the last axis; 1 keeps all.
    """

    def __init__(
        self,
        rho: Representation,
        stencil: Stencil | Iterable[Stencil],
        shape: tuple[int, ...],
        operator: Callable[[Folded], Operator] = SparseOperator,
        every: int = 1,
    ) -> None:
        self.engine = StencilEngine(_Constant(rho, rho), stencil, shape, operator)
        self.every = every

    def __call__(self, field: Tensor) -> Tensor:
        channels = field.shape[1]
        return self.engine.apply(field, field.new_ones(channels, 1, 1), groups=channels)[..., :: self.every]


@dataclass(frozen=True, eq=False)
class _Constant:
    """The kernel that is one everywhere."""

    rho_in: Representation
    rho_out: Representation

    @property
    def mix(self) -> Tensor:
        return torch.eye(self.rho_in.dim, dtype=torch.float64)[None, None]

    @property
    def smoothness(self) -> Tensor:
        return torch.ones(1, dtype=torch.float64)

    def scalars(self, v: Tensor) -> Tensor:
        return torch.ones_like(v[:, :1])


def thinned(
    geometry: Geometry, points: Float[Tensor, "n m"], weights: Float[Tensor, "n"]
) -> tuple[Int[Tensor, "k"], Float[Tensor, "k"]]:
    """One of every 2^dim samples, each the farthest from those before; weights go to the nearest."""
    return spread_out(geometry, points, weights, max(1, len(points) // 2**geometry.dim))


def spread_out(
    geometry: Geometry, points: Float[Tensor, "n m"], weights: Float[Tensor, "n"], count: int
) -> tuple[Int[Tensor, "count"], Float[Tensor, "count"]]:
    """So many samples, each the farthest from those before; the weights of all go to the nearest."""
    n, every = len(points), torch.arange(len(points))

    def distances(i: int) -> Tensor:
        return geometry.distance_nearby_of_pairs(points[i : i + 1], points, torch.zeros_like(every), every)

    chosen = [0]
    owner = torch.zeros(n, dtype=torch.long)
    distance = distances(0)
    while len(chosen) < count:
        farthest = int((distance >= EVEN * distance.max()).int().argmax())  # the first of those, on grids
        d = distances(farthest)
        closer = d < EVEN * distance
        owner, distance = torch.where(closer, len(chosen), owner), torch.where(closer, d, distance)
        chosen.append(farthest)
    return torch.tensor(chosen), weights.new_zeros(count).index_add(0, owner, weights)
