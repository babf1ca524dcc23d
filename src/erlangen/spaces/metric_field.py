"""A metric in coordinates: in a box, continued beyond its edges, glued to itself, with its connection."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.geometry import Deck, Frame
from erlangen.geometry.derivative import Function
from erlangen.geometry.frame import broadcast
from erlangen.spaces.decks import DeckGroup
from erlangen.spaces.metric import along_levi_civita, inverse, levi_civita, riemann


class MetricField:
    r"""The metric ``g(x)`` of a box of coordinates.

    Beyond an edge it is continued as in a mirror; sides that a deck transformation joins are none.

    Args:
        function: ``(..., n)`` to ``(..., n, n)``; its method `christoffel`, if any, is its connection.
        dim: n.
        bounds, periods: of each axis; one of them or none.
        glue: by axis with a period, what turns the coordinates once round.
        connection: ``Gamma[l, i, k]`` of another metric connection than that of Levi-Civita.

    Attributes:
        low, high: ``(n,)``, the box; infinite where there is no end.
        decks: what glues it.
    """

    def __init__(
        self,
        function: Function,
        dim: int,
        bounds: Sequence[tuple[float, float] | None],
        periods: Sequence[float | None],
        glue: Mapping[int, Tensor],
        connection: Function | None,
    ) -> None:
        self.function, self.dim, self.bounds, self.periods = function, dim, bounds, periods
        self.connection = connection
        self._symbols = connection or getattr(function, "christoffel", None)
        edges = [
            b or ((0.0, p) if p else (-math.inf, math.inf)) for b, p in zip(bounds, periods, strict=True)
        ]
        self.low, self.high = torch.tensor(edges, dtype=torch.float64).T
        self._mirrors = torch.tensor([b or (-math.inf, math.inf) for b in bounds], dtype=torch.float64).T
        self._has_edges = any(b is not None for b in bounds)
        for axis, (b, p) in enumerate(zip(bounds, periods, strict=True)):
            if (b and p) or not self.low[axis] < self.high[axis]:
                raise ValueError(
                    f"axis {axis} has the period {p} and the bounds {b}, expected one of them at most, "
                    "and low < high"
                )
        one = torch.eye(dim, dtype=torch.float64)
        self.decks = DeckGroup(
            [Deck(glue.get(axis, one), p * one[axis]) for axis, p in enumerate(periods) if p]
        )

    @cached_property
    def origin(self) -> Float[Tensor, "n"]:
        """The middle of the box; zero on axes without an end."""
        middle = (self.low + self.high) / 2
        return torch.where(middle.isfinite(), middle, 0.0)

    # the metric, and its connection

    def __call__(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        """g(x), continued beyond the edges."""
        if not self._has_left(x):
            return self.raw(x)
        x, signs = self._mirrored(x)
        return signs[..., :, None] * self.raw(x) * signs[..., None, :]

    def raw(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        """What the given function says, beyond the edges too."""
        return self.function(x).to(x.dtype).expand(*x.shape[:-1], self.dim, self.dim)

    def christoffel(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n n"]:
        """``Gamma[l, i, k]``, with ``nabla_i d_k = Gamma[l, i, k] d_l``."""
        if self._symbols is None:
            return levi_civita(self, x)
        if not self._has_left(x):
            return self._symbols(x).to(x.dtype)
        x, signs = self._mirrored(x)
        return torch.einsum(
            "...lik,...l,...i,...k->...lik", self._symbols(x).to(x.dtype), signs, signs, signs
        )

    def along(
        self, x: Float[Tensor, "*batch n"], V: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch n n"]:
        """``Gamma[l, i, k] V^i``: what turns frames along V, ``E' = -along(x, V) E``."""
        if self._symbols is None:
            return along_levi_civita(self, x, V)
        Gamma = self.christoffel(x) if self._has_edges else self._symbols(x).to(x.dtype)
        return torch.einsum("...lik,...i->...lk", Gamma, V)

    def volume(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """The volume density ``sqrt(det g)`` of the coordinates."""
        return torch.linalg.det(self(x)).sqrt()

    def frames(self, x: Float[Tensor, "*batch n"]) -> Frame:
        """Orthonormal frames whose first axis is along the first coordinate; nan where there is no metric."""
        root, failed = torch.linalg.cholesky_ex(self(x))
        return Frame(x, torch.where(failed[..., None, None] > 0, math.nan, inverse(root).mT))

    def curvature(self, u: Frame) -> Float[Tensor, "*batch n n n n"]:
        """``R[i, j, a, b]``, component a of ``R(e_i, e_j) e_b`` in the frame u."""
        E, R = u.basis, riemann(self.christoffel, u.point)
        R = torch.einsum("...al,...lkij,...kb->...abij", inverse(E), R, E)
        return torch.einsum("...abij,...ic,...jd->...cdab", R, E, E)

    # the box, its edges and its gluing

    def _has_left(self, x: Tensor) -> bool:
        low, high = self._mirrors.to(x)
        return self._has_edges and bool(((x < low) | (x > high)).any())

    def _mirrored(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The point that mirrors on the edges show at x, and the signs of the axes there."""
        low, high = self._mirrors.to(x)
        width = high - low
        t = (x - low) - 2 * width * torch.floor((x - low) / (2 * width))  # in [0, 2 width)
        back = t > width
        inside = torch.where(back, low + 2 * width - t, low + t)
        free = torch.isinf(width)
        return torch.where(free, x, inside), torch.where(back & ~free, -1.0, 1.0).to(x)

    def reflected(self, u: Frame) -> Frame:
        """The frame of a walk that went beyond an edge, as that of one which the edge threw back."""
        point, signs = self._mirrored(u.point)
        return Frame(point, signs[..., :, None] * u.basis)

    def contains(self, x: Float[Tensor, "*batch n"]) -> Bool[Tensor, "*batch"]:
        """Whether a point lies between the edges."""
        low, high = self._mirrors.to(x)
        x = self.home(x)
        return ((x >= low) & (x <= high)).all(-1)

    def home(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """The point of the box that x is glued to."""
        return self.decks.home(Frame(x, x.new_zeros(self.dim, self.dim))).point

    def aligned(self, u: Frame, q: Float[Tensor, "*#batch n"]) -> tuple[Frame, Float[Tensor, "*batch n"]]:
        """The frame at home, and the nearest image of q there."""
        u, q = self.decks.home(u), self.home(q.to(u.point))
        return broadcast(u, self.decks.nearest_image(self(u.point), u.point, q))
