"""The spectral engine: harmonics in, a matrix for each degree, harmonics out."""

from abc import abstractmethod

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.engines.engine import Engine, Filters
from erlangen.engines.finer import SQUARE, Function, Resolution, at_more
from erlangen.engines.table import Table
from erlangen.harmonics import (
    Frequencies,
    GlobalKernels,
    HarmonicTransform,
    Transform,
    at_least_single,
    precise,
    resampled,
    synthesized_at,
)
from erlangen.operators import followed


class MatrixEngine(Engine):
    """Coefficients become complex matrices, at least of single precision; how these act, an engine says."""

    @abstractmethod
    def matrices(self, coefficients: Tensor, groups: int = 1) -> Tensor:
        """The complex matrices of some coefficients."""

    @abstractmethod
    def correlated(self, field: Tensor, W: Tensor) -> Tensor:
        """The field correlated with the kernels of these matrices."""

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        with precise(field):
            w = at_least_single(coefficients)
            return self.correlated(field.to(w.dtype), self.matrices(w, groups)).to(coefficients.dtype)

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        with precise(coefficients):
            W = self.matrices(at_least_single(coefficients), groups)
            return Filters((torch.view_as_real(W).to(coefficients.dtype),))

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        (parts,) = filters.tensors
        with precise(field):
            w = at_least_single(parts)
            return self.correlated(field.to(w.dtype), torch.view_as_complex(w)).to(parts.dtype)


class SpectralEngine(MatrixEngine):
    r"""``c^{n'}_lm = sum_n W^l_{n' n} c^n_lm`` on the sphere and on SO(3), for all types of fields.

    Args:
        kernels: the W^l.
        transform: the harmonics of the grid where fields come from.
        target: those of the grid where they go; None for the same.
    """

    def __init__(
        self, kernels: GlobalKernels, transform: HarmonicTransform, target: HarmonicTransform | None = None
    ) -> None:
        self.basis, self.transform, self.target = kernels, transform, target or transform
        self.transform.prepare(kernels.into)
        self.target.prepare(kernels.out)
        self.rho_in, self.rho_out = kernels.rho_in, kernels.rho_out
        self.power, self.smoothness = kernels.power, kernels.smoothness
        self.profiles = Table(kernels.profiles)
        # each entry of W is a coefficient, or two: where it is, and its sign
        real, imaginary = kernels.entries.real, kernels.entries.imag  # (e, n', n)
        self.places = [Table(part.abs().argmax(0)) for part in (real, imaginary)]
        self.signs = [Table(part.sum(0)) for part in (real, imaginary)]

    def correlated(self, field: Tensor, W: Tensor) -> Tensor:
        L = self.basis.degrees
        c = self.transform.analyze(field, self.basis.into)[:L, :L]
        return synthesized_at(self.mixed(c, W), self.target, self.basis.out)

    def mixed(
        self, c: Complex[Tensor, "l m batch channel n"], W: Complex[Tensor, "l group a b"]
    ) -> Complex[Tensor, "l m batch out k"]:
        """The harmonics of the result, by `matrices`."""
        degrees, _, batch, channels, columns = c.shape
        groups, k = W.shape[1], len(self.basis.out.columns)
        x = c.reshape(degrees, degrees * batch, groups, channels // groups * columns)
        y = torch.matmul(x.transpose(1, 2), W).transpose(1, 2)  # (l, m batch, group, out n')
        return y.reshape(degrees, degrees, batch, groups * y.shape[3] // k, k)

    def matrices(self, coefficients: Tensor, groups: int = 1) -> Complex[Tensor, "l group a b"]:
        """W, ``(l, group, channel n, out n')``."""
        profiles = self.profiles.like(coefficients)
        w = coefficients.unflatten(2, (len(profiles), -1)).unflatten(0, (groups, -1))  # (g, o, c, r, e)
        u = torch.einsum("gocre,rl->lgoce", w, profiles)
        parts = [
            u[..., place.like(u)] * sign.like(u) for place, sign in zip(self.places, self.signs, strict=True)
        ]
        W = torch.complex(*parts)  # (l, g, o, c, n', n)
        return W.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(2, 3)


class FinerHarmonics(Resolution):
    """A finer grid, and a finer fibre, by harmonics of the same degrees and frequencies.

    Args:
        transform, frequencies: of the domain's own samples.
        finer, finer_frequencies: of more of them.
    """

    def __init__(
        self,
        transform: HarmonicTransform,
        frequencies: Frequencies,
        finer: Transform,
        finer_frequencies: Frequencies,
    ) -> None:
        self.own, self.finer = (transform, frequencies), (finer, finer_frequencies)
        transform.prepare(frequencies)
        finer.prepare(finer_frequencies)

    def up(self, field: Tensor) -> Tensor:
        return resampled(field, *self.own, *self.finer)

    def down(self, field: Tensor) -> Tensor:
        return resampled(field, *self.finer, *self.own)

    def pointwise(self, field: Tensor, function: Function) -> Tensor:
        """``down(function(up(field)))``; on a CPU without ever holding all samples of the finer fibre."""
        own, of = self.own
        if not self.is_direct(field):
            return super().pointwise(field, function)
        with precise(field):
            c = self.taken(function, own.analyze(at_least_single(field), of))
            return own.synthesize(c, of).to(field.dtype)

    def quadratic(self, field: Tensor, a: Float[Tensor, "channel"], b: Float[Tensor, "channel"]) -> Tensor:
        """``down(a up(field) + b up(field)^2)``, the same way."""
        own, of = self.own
        if not self.is_direct(field):
            return super().quadratic(field, a, b)
        with precise(field):
            c = own.analyze(at_least_single(field), of)
            c = a.view(-1, 1) * c + b.view(-1, 1) * self.taken(SQUARE, c)
            return own.synthesize(c, of).to(field.dtype)

    def is_direct(self, field: Tensor) -> bool:
        """Whether `taken` is the faster way."""
        on_cpu = self.finer[1].has_axis and field.device.type == "cpu"
        return on_cpu and not (torch.compiler.is_compiling() or followed())

    def taken(
        self, function: Function, c: Complex[Tensor, "l m batch channel n"]
    ) -> Complex[Tensor, "l m batch channel n"]:
        """The harmonics of a function of each value, from those of a field."""
        finer, to = self.finer
        x = finer.synthesize_parts(c, to)
        flat = x.flatten(3).flatten(0, 1)
        y = at_more(flat, to.out.to(x), to.into.to(x), function).view(x.shape)
        return finer.analyze_parts(y, to)
