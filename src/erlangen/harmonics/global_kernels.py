"""Kernels that reach round the whole sphere, by harmonics: one formula for all pairs of field types."""

import copy
import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.groups import Representation
from erlangen.harmonics.fibres import frequencies
from erlangen.harmonics.wigner import wigner


class GlobalKernels:
    r"""Kernels ``sum_b w_b psi_b`` whose harmonics are smooth in the degree.

    An equivariant map takes ``c^n_lm`` to ``sum_n W^l_{n' n} c^n_lm``. As a function of the frame components
    v = theta (cos phi, sin phi) of where it looks, such a kernel is

        kappa_{n' n}(v) = sum_l (2l + 1) / 4 pi W^l_{n' n} d^l_{n' n}(theta) e^{i (n - n') phi},
        W^l_{n' n} = 2 pi int kappa_{n' n}(theta) d^l_{n' n}(theta) sin theta d theta,

    the formula of Funk and Hecke for all frequencies along the fibres. Between scalars W is the real
    lambda_l; into a regular field it is ``sqrt(4 pi / (2l + 1)) conj k_ln``, between regular ones
    ``conj K^l_{n' n}``. Real kernels have ``W_{-n',-n} = (-1)^{n' - n} conj W_{n' n}``.

    W is linear in l between `knots` degrees, so that the number of coefficients does not grow with the
    bandwidth; with as many knots as degrees every degree has its own.

    Args:
        degrees: the bandwidth L.
        rho_in, rho_out: the types of field.
        knots: the degrees at which W is free.
        band_in, band_out: the highest frequencies along the fibres; None for what they hold.
        span: the degrees that the knots divide; None for all. Kernels of more than `degrees` are cut.

    Reference: Cohen et al. 2018 (SO(3)); Esteves et al. 2018 (zonal, knots in l).
    """

    def __init__(
        self,
        degrees: int,
        rho_in: Representation,
        rho_out: Representation,
        knots: int,
        band_in: int | None = None,
        band_out: int | None = None,
        span: int | None = None,
    ) -> None:
        self.degrees, self.rho_in, self.rho_out = degrees, rho_in, rho_out
        self.into, self.out = frequencies(rho_in), frequencies(rho_out)
        span = span or degrees
        self.profiles = hats(min(knots, span), span)[:, :degrees]  # (r, l)
        self.pairs = [
            (n_out, n_in)
            for n_out in self.out.columns
            for n_in in self.into.columns
            if (n_out, n_in) >= (0, 0)
            and (band_in is None or abs(n_in) <= band_in)
            and (band_out is None or n_out <= band_out)
        ]
        # (pair, n', n): what a real and an imaginary coefficient of each pair put where
        size = (len(self.out.columns), len(self.into.columns))
        entries, smooth = [], []
        units = torch.tensor([1.0, 1j], dtype=torch.complex128)
        for n_out, n_in in self.pairs:
            for unit in units[: 1 if (n_out, n_in) == (0, 0) else 2]:
                entry = torch.zeros(size, dtype=torch.complex128)
                entry[self.out.columns.index(n_out), self.into.columns.index(n_in)] = unit
                if (n_out, n_in) != (0, 0):
                    opposite = self.out.columns.index(-n_out), self.into.columns.index(-n_in)
                    entry[opposite] = (-1) ** (n_out - n_in) * unit.conj()
                entries.append(entry)
                smooth.append(((1 + abs(n_out)) * (1 + abs(n_in))) ** -0.5)
        self.entries = torch.stack(entries)  # (e, n', n)
        amplitude = torch.tensor(smooth, dtype=torch.float64)
        falling = 1 / torch.arange(1, len(self.profiles) + 1, dtype=torch.float64)  # smooth kernels first
        self.smoothness = (falling[:, None] * amplitude).flatten()  # b = (r, e)
        self.power = (self._share[:, None] * self._gain).flatten()

    def restricted(self, keep: Bool[Tensor, "e"]) -> "GlobalKernels":
        """Only those of some entries."""
        part = copy.copy(self)
        part.entries = self.entries[keep]
        part.smoothness = self.smoothness.view(len(self.profiles), -1)[:, keep].flatten()
        part.power = self.power.view(len(self.profiles), -1)[:, keep].flatten()
        return part

    def __len__(self) -> int:
        return len(self.smoothness)

    @property
    def _share(self) -> Float[Tensor, "r"]:
        """The mean square of each profile, all degrees alike: fields are smoother than white noise."""
        return self.profiles.square().mean(1)

    @property
    def _gain(self) -> Float[Tensor, "e"]:
        """What each entry makes of white noise along the fibre."""
        matrices = self.out.waves_out @ self.entries @ self.into.waves_in
        return matrices.abs().square().sum((1, 2)) / self.rho_out.dim

    def __call__(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch b d_out d_in"]:
        """The kernels themselves, as `er.correlate` takes them."""
        flat = v.reshape(-1, 2).to(torch.float64)
        theta, phi = flat.norm(dim=1), torch.atan2(flat[:, 1], flat[:, 0])
        l = torch.arange(self.degrees, dtype=torch.float64)
        shares = self.profiles * torch.sqrt((2 * l + 1) / (4 * math.pi))
        result = flat.new_zeros(len(flat), len(self.profiles), len(self.entries), *self._dims)
        for i, n_out in enumerate(self.out.columns):
            for j, n_in in enumerate(self.into.columns):
                radial = shares @ wigner(theta, self.degrees, [n_out], n_in)[0]  # (r, p)
                wave = torch.polar(torch.ones_like(phi), (n_in - n_out) * phi)
                matrix = self.out.waves_out[:, i, None] * self.into.waves_in[j]  # (d_out, d_in)
                for e in self.entries[:, i, j].nonzero()[:, 0].tolist():
                    complex_part = radial * (wave * self.entries[e, i, j])  # (r, p)
                    result[:, :, e] += torch.einsum("rp,ab->prab", complex_part, matrix).real
        return result.flatten(1, 2).reshape(*v.shape[:-1], len(self), *self._dims)

    @property
    def _dims(self) -> tuple[int, int]:
        return self.rho_out.dim, self.rho_in.dim


def hats(knots: int, degrees: int) -> Float[Tensor, "r l"]:
    """Functions of the degree, linear between equispaced knots, one at each; their sum is 1."""
    if knots == 1:
        return torch.ones(1, degrees, dtype=torch.float64)
    l = torch.arange(degrees, dtype=torch.float64) * (knots - 1) / (degrees - 1)
    return (1 - (l - torch.arange(knots, dtype=torch.float64)[:, None]).abs()).clamp_min(0.0)
