"""How an integral over a neighbourhood becomes a sum over samples."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch

from erlangen.domains.builders import Boundary, gather, weighted_sum
from erlangen.domains.refusals import expect_in_view
from erlangen.domains.resampling import Resampler, averaging
from erlangen.domains.sampling import Sampling
from erlangen.engines import Stencil, StencilEngine
from erlangen.engines.lines import BLUR, REACH
from erlangen.groups import Representation
from erlangen.kernels import KernelBasis, Polar

NODES = 8


class Quadrature(ABC):
    """The sums of one set of samples.

    Args:
        samples: those that give.
    """

    def __init__(self, samples: Sampling) -> None:
        self.samples = samples

    @abstractmethod
    def entries(self, at: Sampling, rings: Polar, turns: bool) -> Iterable[Stencil]:
        """What samples `at` see through a kernel of such rings, some rows at a time; how frames are turned
        only if `turns`, which scalars need not know."""

    def engine(self, basis: KernelBasis) -> StencilEngine:
        """The engine for kernels with a radius."""
        entries = self.entries(self.samples, basis.rings, basis.rho_in.name != "scalar")
        return StencilEngine(basis, entries, self.samples.shape)

    def means(self, coarse: Sampling, rho: Representation) -> Resampler:
        """Gaussian means about fewer samples, to which fields are brought down."""
        return Resampler(
            rho, averaging(self.samples, coarse.frames.flat, coarse.neighbour_distance / 2), coarse.shape
        )

    def coarser(self) -> "Callable[[Sampling], Quadrature]":
        """What makes the sums of the coarser samples."""
        return type(self)


class WeightedSum(Quadrature):
    """Over the samples in reach: ``sum_q w_q k(log_p q) f(q)``."""

    def __init__(self, samples: Sampling) -> None:
        super().__init__(samples)
        self._stencils: dict[tuple[float, bool], Stencil] = {}

    def entries(self, at: Sampling, rings: Polar, turns: bool) -> Iterable[Stencil]:
        radius = rings.radius
        found = self._stencils.get((radius, turns)) if at is self.samples else None
        if found is None:
            found = weighted_sum(self.samples, radius, at.frames.flat, turns)
            expect_in_view(self.samples.geometry, radius, found.row, found.rows)
            if at is self.samples:
                self._stencils[radius, turns] = found
        return [found]


class NodeQuadrature(Quadrature):
    r"""Over the same nodes v_j everywhere: ``sum_j a_j k(v_j) f(carry(s(p), v_j))``, fields interpolated.

    Down-sampling is such a sum as well, with a Gaussian for a kernel and divided by what is visible of it:
    constants stay, and so does the integral of a field but for quadrature, since geodesics keep dv dmu(p).

    Args:
        samples: those that give.
        nodes: how many along the radius, and as many directions.
        boundary: what nodes beyond an edge see: "zero"; "reflect" for the field mirrored at it; "renormalize"
            divides by the part of the disc that is visible, so that constants stay constants.
        pooling: the radius of the means that down-sampling takes, in the units of the space; None for 2.5
            distances of samples.
    """

    def __init__(
        self,
        samples: Sampling,
        nodes: int = NODES,
        boundary: Boundary = "zero",
        pooling: float | None = None,
    ) -> None:
        super().__init__(samples)
        if boundary not in ("zero", "reflect", "renormalize"):
            raise ValueError(f'boundary is {boundary!r}, expected "zero", "reflect" or "renormalize"')
        if pooling is not None and not pooling > 0:
            raise ValueError(f"pooling is {pooling}, expected a radius in the units of the space, or None")
        self.nodes: int = nodes
        self.boundary: Boundary = boundary
        side = _side(float(samples.weights.mean()), samples.geometry.dim)
        self.pooling = REACH * side if pooling is None else pooling

    def entries(self, at: Sampling, rings: Polar, turns: bool) -> Iterable[Stencil]:
        return self._gathered(at, rings.radius, rings.shoulder, turns)

    def means(self, coarse: Sampling, rho: Representation) -> Resampler:
        return Resampler(rho, self._gaussian(coarse, rho.name != "scalar"), coarse.shape)

    def coarser(self) -> Callable[[Sampling], Quadrature]:
        return partial(NodeQuadrature, nodes=self.nodes, boundary=self.boundary, pooling=2 * self.pooling)

    def _gathered(self, at: Sampling, radius: float, shoulder: float, turns: bool) -> Iterator[Stencil]:
        """Along the frames before `turns`, so that other frames do not change the nodes."""
        u = at.unturned.flat
        turned = None if at.turns is None else at.turns.flatten(0, -3)
        options = {"shoulder": shoulder, "boundary": self.boundary, "turned": turned}
        return gather(self.samples, radius, u, turns, self.nodes, **options)

    def _gaussian(self, at: Sampling, turns: bool) -> Iterator[Stencil]:
        """Entries of Gaussian means, which sum to one."""
        width = BLUR / REACH * self.pooling
        for s in self._gathered(at, self.pooling, 0.0, turns):
            a = s.a * torch.exp(-s.v.square().sum(-1) / (2 * width**2))[s.node]
            total = a.new_zeros(s.rows).index_add(0, s.row, a)
            yield replace(s, a=a / total[s.row])


def _side(volume: float, n: int) -> float:
    """The side of a cube; twice as long for ``2^n volume``, bit for bit."""
    mantissa, exponent = math.frexp(volume)
    whole, rest = divmod(exponent, n)
    return math.ldexp((mantissa * 2**rest) ** (1 / n), whole)
