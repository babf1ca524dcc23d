"""The spectral engine: harmonics in, a matrix for each degree, harmonics out."""

import torch
from torch import Tensor

from erlangen.engines.engine import Engine
from erlangen.engines.finer import Resolution
from erlangen.engines.table import Table
from erlangen.harmonics import (
    Frequencies,
    GlobalKernels,
    Harmonics,
    Transform,
    carried_over,
    precise,
    resampled,
)


class SpectralEngine(Engine):
    r"""``c^{n'}_lm = sum_n W^l_{n' n} c^n_lm`` on the sphere and on SO(3), for all types of fields.

    Args:
        kernels: the W^l.
        transform: the harmonics of the grid where fields come from.
        target: those of the grid where they go; None for the same.
    """

    def __init__(self, kernels: GlobalKernels, transform: Harmonics, target: Harmonics | None = None) -> None:
        self.kernels, self.transform, self.target = kernels, transform, target or transform
        self.transform.prepare(kernels.into)
        self.target.prepare(kernels.out)
        self.rho_in, self.rho_out = kernels.rho_in, kernels.rho_out
        self.power, self.smoothness = kernels.power, kernels.smoothness
        self.profiles = Table(kernels.profiles)
        # each entry of W is a coefficient, or two: where it is, and its sign
        real, imaginary = kernels.entries.real, kernels.entries.imag  # (e, n', n)
        self.places = [Table(part.abs().argmax(0)) for part in (real, imaginary)]
        self.signs = [Table(part.sum(0)) for part in (real, imaginary)]

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        with precise(field):
            return self._apply(field.to(coefficients.dtype), coefficients, groups)

    def _apply(self, field: Tensor, coefficients: Tensor, groups: int) -> Tensor:
        L = self.kernels.degrees
        c = self.transform.analyze(field, self.kernels.into)[:L, :L]  # (l, m, batch, channel, n)
        degrees, _, batch, channels, columns = c.shape
        W = self._matrices(coefficients, groups)
        x = c.reshape(degrees, -1, groups, channels // groups * columns)
        y = torch.matmul(x.transpose(1, 2), W).transpose(1, 2)  # (l, m batch, group, out n')
        y = y.reshape(degrees, degrees, batch, len(coefficients), -1)
        return carried_over(y, self.target, self.kernels.out)

    def _matrices(self, coefficients: Tensor, groups: int) -> Tensor:
        """W, ``(l, group, channel n, out n')``."""
        profiles = self.profiles.like(coefficients)
        w = coefficients.unflatten(2, (len(profiles), -1)).unflatten(0, (groups, -1))  # (g, o, c, r, e)
        u = torch.einsum("gocre,rl->lgoce", w, profiles)
        parts = [
            u[..., place.like(u)] * sign.like(u) for place, sign in zip(self.places, self.signs, strict=True)
        ]
        W = torch.complex(*parts)  # (l, g, o, c, n', n)
        return W.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(2, 3)


PIECE = 1 << 22  # values of a finer field that are worth having at once on a CPU


class FinerHarmonics(Resolution):
    """A finer grid, and a finer fibre, by harmonics of the same degrees and frequencies.

    Args:
        transform, frequencies: of the domain's own samples.
        finer, finer_frequencies: of more of them.
    """

    def __init__(
        self,
        transform: Harmonics,
        frequencies: Frequencies,
        finer: Transform,
        finer_frequencies: Frequencies,
    ) -> None:
        self.own, self.finer = (transform, frequencies), (finer, finer_frequencies)
        for harmonics, of in (self.own, self.finer):
            harmonics.prepare(of)

    def up(self, field: Tensor) -> Tensor:
        return resampled(field, *self.own, *self.finer)

    def down(self, field: Tensor) -> Tensor:
        return resampled(field, *self.finer, *self.own)

    def relu(self, field: Tensor) -> Tensor:
        """``down(relu(up(field)))``; on a CPU some of the batch at a time, for less memory."""
        if field.device.type != "cpu" or torch.compiler.is_compiling():
            return super().relu(field)
        harmonics, of = self.finer
        fields = field.shape[1] * (len(of.out) if of.has_axis else 1)
        size = max(1, PIECE // (fields * harmonics.parallels.theta.numel() * harmonics.parallels.longitudes))
        return torch.cat([super(FinerHarmonics, self).relu(part) for part in field.split(size)])
