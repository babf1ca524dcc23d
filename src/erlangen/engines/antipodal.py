"""The cover engine of the projective plane: up to the sphere, what is done there, and down again."""

import torch
from torch import Tensor

from erlangen.engines.engine import Engine, Filters
from erlangen.engines.finer import Resolution
from erlangen.engines.spectral import SpectralEngine
from erlangen.engines.table import Table
from erlangen.harmonics import Antipodal, AntipodalKernels, HarmonicTransform


class Hemispheres:
    """Fields on the northern rings, as fields of the same values on all rings of the sphere.

    The antipode of ring j is ring J - 1 - j, half a turn further.

    Args:
        fields: their type.
    """

    def __init__(self, fields: Antipodal) -> None:
        self.fields = fields
        self.here, self.there = Table(fields.here), Table(fields.there)
        self.back = Table(fields.back)

    def up(self, field: Tensor) -> Tensor:
        """``(batch, channel, [d,] J / 2, K)`` to ``(batch, channel, [d',] J, K)``."""
        south = _across(_mixed(self.there.like(field), field, self.fields.rho.has_axis))
        return torch.cat([_mixed(self.here.like(field), field, self.fields.rho.has_axis), south], -2)

    def down(self, field: Tensor) -> Tensor:
        """The way back: where the two sides disagree, what they have in common."""
        half = field.shape[-2] // 2
        one, other = self.back.like(field).chunk(2, 1)
        axis = self.fields.rho.has_axis
        return _mixed(one, field[..., :half, :], axis) + _mixed(other, _across(field[..., half:, :]), axis)


class AntipodalEngine(Engine):
    r"""``(k * f)`` on RP^2 as the spectral engine's on the sphere, of the field that -1 leaves alone.

    Args:
        kernels: the kernels.
        transform: the harmonics of the sphere's grid, of which the northern half are the samples.
    """

    def __init__(self, kernels: AntipodalKernels, transform: HarmonicTransform) -> None:
        self.basis, self.inner = kernels, SpectralEngine(kernels.whole, transform)
        self.into, self.out = Hemispheres(kernels.into), Hemispheres(kernels.out)
        self.rho_in, self.rho_out = kernels.rho_in, kernels.rho_out
        self.power, self.smoothness = self.inner.power, self.inner.smoothness

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        lifted = self.into.up(field.to(coefficients.dtype))
        return self.out.down(self.inner.apply(lifted, coefficients, groups))

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        return self.inner.filters(coefficients, groups)

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        lifted = self.into.up(field.to(filters.tensors[0].dtype))
        return self.out.down(self.inner.filtered(lifted, filters, groups))


class AntipodalResolution(Resolution):
    """A finer grid of the projective plane, by that of the sphere.

    Args:
        inner: from the sphere's grid to a finer one.
        own, finer: the types of field on both.
    """

    def __init__(self, inner: Resolution, own: Antipodal, finer: Antipodal) -> None:
        self.inner, self.own, self.finer = inner, Hemispheres(own), Hemispheres(finer)

    def up(self, field: Tensor) -> Tensor:
        return self.finer.down(self.inner.up(self.own.up(field)))

    def down(self, field: Tensor) -> Tensor:
        return self.own.down(self.inner.down(self.finer.up(field)))


def _mixed(matrix: Tensor, field: Tensor, has_axis: bool) -> Tensor:
    return torch.einsum("ij,bcj...->bci...", matrix, field) if has_axis else matrix[0, 0] * field


def _across(field: Tensor) -> Tensor:
    """Each value at the antipode of its sample."""
    return field.flip(-2).roll(field.shape[-1] // 2, -1)
