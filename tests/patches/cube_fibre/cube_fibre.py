"""A fibre for volumes under all rotations: the 24 turns of a cube, which carry degree 1 on SO(3)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Count, check_fields
from erlangen.groups.families import cube
from erlangen.groups.fibre import Fibre
from erlangen.groups.structure import StructureGroup

ASIDE = torch.tensor([0.3, 0.7, 1.1], dtype=torch.float64)  # far from the turns of the cube


@dataclass(frozen=True, eq=False)
class CubeFibre(Fibre):
    r"""Samples of SO(3): the turns c of a cube, and ``c a`` for a few turns a.

    The mean over a cube's turns is the mean over SO(3) up to degree 3. So functions of degree ``l <= 1``,
    which are ``b + tr(B h)``, are turned by any rotation, by their reproducing kernel ``(1 + 3 tr h) / N``.
    What a function has beyond that is read at the nearest sample: turns of the cube are exact.

    Args:
        copies: the number of turns a, the identity among them.
    """

    copies: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)
        X = torch.linalg.cross(torch.eye(3).double(), ASIDE.expand(3, 3))
        aside = torch.matrix_exp(torch.arange(self.copies)[:, None, None] * X)
        object.__setattr__(self, "elements", (cube().components @ aside[:, None]).flatten(0, 1))
        object.__setattr__(self, "weight", 8 * math.pi**2 / len(self))

    @property
    def default_band(self) -> int:
        return 1

    @property
    def group_of_all_turns(self) -> StructureGroup:
        return StructureGroup.special_orthogonal(3)

    def interpolate(self, h: Tensor) -> Tensor:
        trace = torch.einsum("...ij,kij->...k", h, self.elements)
        nearest = trace.argmax(-1)
        beyond = torch.eye(len(self)).to(h) - self.lowpass(1)
        return (1 + 3 * trace) / len(self) + beyond[nearest]

    def finer(self, factor: float) -> "CubeFibre":
        return CubeFibre(math.ceil(self.copies * factor))

    def frequencies(self, band: int | None) -> list[tuple[int, Float[Tensor, "N N"]]]:
        mean = torch.full((len(self), len(self)), 1 / len(self), dtype=torch.float64)
        first = 3 * torch.einsum("iab,jab->ij", self.elements, self.elements) / len(self)
        rest = torch.eye(len(self)).double() - mean - first
        return [(0, mean), (1, first), (2, rest)][: None if band is None else band + 1]
