"""What kernels share whose samples on square lattices are solved for: polynomials, and how far they reach."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.kernels.rings import Polar

TAIL = 2  # how often kernels are differentiable at their radius, and once more


@dataclass(frozen=True)
class LatticeTaps(Polar):
    r"""Polar-separable functions on R^n that are made for the samples of a square lattice.

    ``R(r) = u^-n (r / u)^l (1 - r^2 / radius^2)^2 sum_a c_a T_a(2 r^2 / radius^2 - 1)``

    with the lattice's unit ``u = radius / count``, one sample for kernel_size = 2 count - 1. The family says
    which c.

    Args:
        n: the dimension.
        radius: the support, in the units of the space.
        count: the samples along the radius.
        degree: the highest l, at most; None for the family's own.

    Raises:
        ValueError: for more samples than are solved for, and for one.
    """

    degree: int | None = None
    name: ClassVar[str]
    most: ClassVar[int]  # samples along the radius: wider kernels are stretched

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 2:
            raise ValueError(f"rings is {self.count}, expected at least 2 samples along the radius of taps")
        if self.count > self.most:
            raise ValueError(
                f"taps are solved for kernels of at most {2 * self.most - 1} samples, not "
                f'{2 * self.count - 1}; give rings={self.most}, which stretches them, or take taps="rings"'
            )

    @classmethod
    def extent(
        cls, spacing: float, kernel_size: int | None, radius: float, count: int | None
    ) -> tuple[float, int]:
        """The radius and the count of a kernel on a lattice, of so many samples or of a radius.

        Raises:
            ValueError: for a count of more than the samples along the radius, or fewer than two.
        """
        if kernel_size is not None:  # the first samples beyond it are where it is zero
            radius = (kernel_size + 1) / 2 * spacing
        most = math.floor(radius / spacing + 1e-9)
        if count is None:
            count = most if kernel_size is not None else min(most, cls.most)
        if not 2 <= count <= most:
            raise ValueError(
                f'taps="{cls.name}" with rings={count} on a radius of {radius / spacing:.3g} samples, '
                f"expected at least 2, and at most {most}; take a larger kernel, or rings={max(most, 2)}"
            )
        return radius, count

    @property
    def unit(self) -> float:
        """The distance of samples that the taps are solved for."""
        return self.radius / self.count

    @property
    def shoulder(self) -> float:
        """None: kernels are smooth all through."""
        return 0.0

    @abstractmethod
    def polynomials(self, degree: int) -> Float[Tensor, "a j"]:
        """The c_a of the class's formula, for each j."""

    def profile(self, term: float, degree: int, r: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """R_{j,l}(r) for r of any shape."""
        c = self.polynomials(degree)[:, int(term)].to(r)
        x = (r / self.radius).clamp(max=1 - torch.finfo(r.dtype).eps)  # where acos has a slope
        T = torch.cos(2 * torch.acos(x)[..., None] * torch.arange(len(c), dtype=r.dtype, device=r.device))
        value = (T @ c) * (1 - x**2) ** TAIL * (x * self.count) ** degree
        return torch.where(r < self.radius, value, 0.0) * self.unit**-self.n


def shapes(r: np.ndarray, count: int, degree: int, many: int) -> np.ndarray:
    """The polynomials ``(r, a)`` of the formula, on the lattice of unit one."""
    square = (r / count) ** 2
    return (r**degree * (1 - square) ** TAIL)[:, None] * np.polynomial.chebyshev.chebvander(
        2 * square - 1, many - 1
    )
