"""Samples of a space: points with a measure, frames to look from, and a way to read between them."""

from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from erlangen.domains.interpolation import Interpolation
from erlangen.domains.local import LocalPolynomials, spacing
from erlangen.geometry import Frame, Geometry
from erlangen.shared import shared


class Sampling:
    r"""Where a space is sampled: what sums over samples need to know, whatever lives there.

    Args:
        geometry: the space.
        points: ``(*space, m)``, in float64.
        weights: ``(*space)``, the measure of each: ``int f dmu = sum_q w_q f(q)``.
        interpolation: how to read between the points; None for local polynomials of degree 3.
        frames: s(p), ``(*space)``; None for those of the geometry.
        turns: h(p), ``(*space, n, n)``: the frames are ``s(p) h(p)``; None leaves them.
    """

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space m"],
        weights: Float[Tensor, "*space"],
        interpolation: Interpolation | None = None,
        *,
        frames: Frame | None = None,
        turns: Float[Tensor, "*space n n"] | None = None,
    ) -> None:
        self.geometry, self.points, self.weights, self.turns = geometry, points, weights, turns
        self._interpolation, self._frames = interpolation, frames

    def __repr__(self) -> str:
        return f"samples of {self.geometry}, shape={self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the space axes."""
        return tuple(self.weights.shape)

    @cached_property
    @shared()
    def unturned(self) -> Frame:
        """The frames before `turns`, ``(*space)``."""
        return self.geometry.frames(self.points) if self._frames is None else self._frames

    @cached_property
    @shared()
    def frames(self) -> Frame:
        """The frames at the samples, ``(*space)``."""
        return self.unturned if self.turns is None else self.unturned.turn(self.turns)

    @cached_property
    @shared()
    def interpolation(self) -> Interpolation:
        """How to read a field between the samples."""
        return self._interpolation or LocalPolynomials(self.geometry, self.points.flatten(0, -2))

    @cached_property
    @shared()
    def is_uniform(self) -> bool:
        """Whether all samples weigh the same."""
        return bool((self.weights == self.weights.flatten()[0]).all())

    @property
    def neighbour_distance(self) -> float:
        """The usual distance of neighbouring samples."""
        return spacing(self.geometry, self.points.flatten(0, -2))

    def read(self, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        """`Interpolation.transported` from these samples to frames ``(k,)``."""
        return self.interpolation.transported(self.geometry, self.frames.flat, u)

    def part(self, index: tuple[Any, ...]) -> "Sampling":
        """Some of the samples, as tensors are indexed."""
        turns = None if self.turns is None else self.turns[index]
        frames = self.unturned.at(index)
        return Sampling(self.geometry, self.points[index], self.weights[index], frames=frames, turns=turns)
