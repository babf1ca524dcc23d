"""Fibres: the samples of a structure group that a regular field has at each point."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Length, Rotations, check_fields
from erlangen.groups.structure import TOLERANCE, StructureGroup


class Fibre(ABC):
    r"""Samples ``h_0, ..., h_{N-1}`` of H, and the functions on H that they determine.

    A regular field has the value ``F(p, i) = F(s(p) h_i)`` at sample i.

    Attributes:
        elements: ``(N, n, n)``, the identity first.
        weight: the measure of one sample; 1 for a finite group, 2 pi / N for SO(2).
    """

    elements: Float[Tensor, "N n n"]
    weight: float

    @abstractmethod
    def interpolate(self, h: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch N"]:
        """Weights ``w`` with ``F(h) = sum_j w_j F(h_j)``."""

    @abstractmethod
    def finer(self, factor: float) -> "Fibre":
        """The fibre with `factor` times as many samples, rounded up (a finite group has no more)."""

    @abstractmethod
    def frequencies(self, band: int | None) -> list[tuple[int, Float[Tensor, "N N"]]]:
        """Each frequency up to `band` (None: all) with the projection on its functions."""

    def lowpass(self, band: int | None) -> Float[Tensor, "N N"]:
        """The projection on the functions of frequency at most `band`; None keeps all."""
        return torch.stack([projection for _, projection in self.frequencies(band)]).sum(0)

    @property
    def default_band(self) -> int | None:
        """The highest frequency that kernels use unless told; None for no limit."""
        return None

    @property
    def group_of_all_turns(self) -> StructureGroup | None:
        """The infinite group that turns functions below the default band exactly; None if there is none."""
        return None

    def __len__(self) -> int:
        return len(self.elements)

    def regular(self, h: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch N N"]:
        r"""The regular representation: ``(rho(h) F)(h_i) = F(h^{-1} h_i)``."""
        return self.interpolate(h.mT[..., None, :, :] @ self.elements)


def same_fibre(one: Fibre | None, other: Fibre | None) -> bool:
    """Whether two fibres have the same elements, in one order, and read functions alike between them."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    alike = one.default_band == other.default_band and one.elements.shape == other.elements.shape
    return alike and bool((one.elements - other.elements).abs().max() < math.sqrt(TOLERANCE))


@dataclass(frozen=True, eq=False)
class FiniteFibre(Fibre):
    """All elements of a finite structure group."""

    group: StructureGroup

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.group.is_finite:
            raise ValueError(
                f"{self.group} has infinitely many elements, expected a finite group; "
                "sample it with rotations=N"
            )
        object.__setattr__(self, "elements", self.group.components)
        object.__setattr__(self, "weight", 1.0)

    def interpolate(self, h: Tensor) -> Tensor:
        same = (h[..., None, :, :] - self.elements).abs().amax((-2, -1)) < math.sqrt(TOLERANCE)
        if not bool(same.any(-1).all()):
            raise ValueError(
                f"a frame is turned by an element outside of {self.group}, expected one of its "
                f"{len(self)} elements; name the larger group with symmetry="
            )
        return same.to(torch.float64)

    def finer(self, factor: float) -> "FiniteFibre":
        return self

    def frequencies(self, band: int | None) -> list[tuple[int, Tensor]]:
        return [(0, torch.eye(len(self), dtype=torch.float64))]


@dataclass(frozen=True, eq=False)
class CircleFibre(Fibre):
    r"""N equispaced turns of the plane, with or without the mirrors.

    Index ``s N + r`` is the element ``r^r m^s`` with r the turn by 2 pi / N and m: y -> -y. Between
    the samples a function is the trigonometric polynomial through them, so a turn by any angle is
    a Fourier phase, and a turn by 2 pi / N is a roll.

    Args:
        rotations: N.
        reflections: whether the mirrors belong to the fibre.
        length: the measure of the whole circle; None counts samples (weight 1).
    """

    rotations: Rotations
    reflections: bool = False
    length: Length | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        build = StructureGroup.dihedral if self.reflections else StructureGroup.cyclic
        object.__setattr__(self, "elements", build(self.rotations).components)
        weight = 1.0 if self.length is None else self.length / self.rotations
        object.__setattr__(self, "weight", weight)

    @property
    def default_band(self) -> int | None:
        # A function below the Nyquist frequency can be turned by any angle. The smallest finite groups have
        # nothing between their elements worth that price.
        is_all = self.length is not None
        return (self.rotations - 1) // 2 if is_all or self.rotations > 4 else None

    @property
    def group_of_all_turns(self) -> StructureGroup:
        build = StructureGroup.orthogonal if self.reflections else StructureGroup.special_orthogonal
        return build(2)

    def interpolate(self, h: Tensor) -> Tensor:
        (a, b), (c, d) = (row.unbind(-1) for row in h.to(torch.float64).unbind(-2))
        mirrored = a * d < b * c
        if not self.reflections and bool(mirrored.any()):
            raise ValueError(
                "a frame is mirrored, but this fibre holds turns only; build planes with reflections=True, "
                'other spaces with symmetry="isometries"'
            )
        size = torch.hypot(a, c)  # of r^r m^s the first column is a turn's
        cosine, sine = torch.where(size > 0, a / size, 1.0), torch.where(size > 0, c / size, 0.0)
        weights = torch.stack(_waves(cosine, sine, self.rotations // 2), -1) @ self._waves_there
        if not self.reflections:
            return weights
        sheets = torch.stack([~mirrored, mirrored], -1).to(torch.float64)  # (..., 2)
        return (sheets[..., :, None] * weights[..., None, :]).flatten(-2)

    @cached_property
    def _waves_there(self) -> Float[Tensor, "k N"]:
        """The waves at the samples, by the parts that they have in the samples' reproducing kernel."""
        most, angle = self.rotations // 2, self._angles
        shares = [self._share(0), *[self._share(m) for m in range(1, most + 1) for _ in "cs"]]
        waves = torch.stack(_waves(angle.cos(), angle.sin(), most))
        return waves * torch.tensor(shares, dtype=torch.float64)[:, None]

    def finer(self, factor: float) -> "CircleFibre":
        return CircleFibre(math.ceil(self.rotations * factor), self.reflections, self.length)

    def frequencies(self, band: int | None) -> list[tuple[int, Tensor]]:
        offset = self._angles[:, None] - self._angles
        most = self.rotations // 2
        copies = 2 if self.reflections else 1
        return [
            (m, torch.block_diag(*[self._wave(m, offset)] * copies))
            for m in range((most if band is None else min(band, most)) + 1)
        ]

    @property
    def _angles(self) -> Tensor:
        return 2 * math.pi * torch.arange(self.rotations, dtype=torch.float64) / self.rotations

    def _wave(self, m: int, angle: Tensor) -> Tensor:
        """The part of frequency m of the N samples' reproducing kernel, a cosine."""
        return torch.cos(m * angle) * self._share(m)

    def _share(self, m: int) -> float:
        """Of a frequency in the samples' reproducing kernel: more, where a sine stands beside the cosine."""
        return (1 if m == 0 or 2 * m == self.rotations else 2) / self.rotations


def _waves(cosine: Tensor, sine: Tensor, most: int) -> list[Tensor]:
    """``1, cos x, sin x, ..., cos mx, sin mx``, by the theorem of addition."""
    c, s = torch.ones_like(cosine), torch.zeros_like(cosine)
    waves = [c]
    for _ in range(most):
        c, s = c * cosine - s * sine, s * cosine + c * sine
        waves += [c, s]
    return waves
