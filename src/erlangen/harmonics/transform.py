"""The spherical harmonic transform of fields of any type on rings."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.harmonics.fibres import Frequencies
from erlangen.harmonics.legendre import project, synthesize
from erlangen.harmonics.parallels import Parallels
from erlangen.harmonics.tables import parity_tables, spin_tables
from erlangen.shared import shared

HALVES = (torch.bfloat16, torch.float16)


@runtime_checkable
class HarmonicTransform(Protocol):
    """Samples that fields of harmonics of degree l < `degrees` are determined by: rings, or any points."""

    degrees: int

    def analyze(
        self, field: Float[Tensor, "batch channel *fibre_space"], frequencies: Frequencies
    ) -> Complex[Tensor, "l m batch channel n"]: ...

    def synthesize(
        self, c: Complex[Tensor, "l m batch channel n"], frequencies: Frequencies
    ) -> Float[Tensor, "batch channel *fibre_space"]: ...

    def prepare(self, frequencies: Frequencies) -> None:
        """Make what these frequencies need now, in the default precision."""
        ...


class Transform:
    r"""Harmonics of degree l < `degrees` on one set of rings.

    A field of frames is ``F(Rz(phi) Ry(theta) Rz(gamma)) = sum_n F_n e^{i n gamma}`` with

        F_n = sum_lm c^n_lm sqrt((2l + 1) / 4 pi) d^l_mn(theta) e^{i m phi},

    so that ``c^0_lm`` are the coefficients of a scalar field in the orthonormal Y_lm, ``c^n`` those of its
    part of spin -n, and ``c^n_lm = sqrt((2l + 1) / 4 pi) F^l_mn / 2 pi``, ``F^l_mn = int F D^l_mn``. Fields
    are real, ``c^{-n}_{l,-m} = (-1)^{m - n} conj c^n_lm``: only m >= 0 is kept.

    Args:
        parallels: the rings.
        degrees: the bandwidth L; at most what the rings carry, unless told.
    """

    def __init__(self, parallels: Parallels, degrees: int | None = None) -> None:
        self.parallels, self.degrees = parallels, parallels.degrees if degrees is None else degrees
        if not isinstance(self.degrees, int):
            raise ValueError(f"the bandwidth is {degrees!r}, expected a whole number of degrees")
        if not 0 < self.degrees <= parallels.degrees:
            raise ValueError(
                f"the bandwidth is {degrees}, but {len(parallels.theta)} rings of {parallels.longitudes} "
                f"samples carry degrees below {parallels.degrees}; take at most that, or a finer grid"
            )
        self._tables: dict[tuple, list[Tensor]] = {}

    def analyze(
        self, field: Float[Tensor, "batch channel *fibre j k"], frequencies: Frequencies
    ) -> Complex[Tensor, "l m batch channel n"]:
        """The coefficients ``c^n_lm`` of a field, n ascending."""
        if not frequencies.has_axis:
            return self.analyze_parts(field.unsqueeze(2), frequencies)
        parts = (frequencies.into.to(field) @ field.flatten(3)).unflatten(3, field.shape[3:])
        return self.analyze_parts(parts, frequencies)

    def synthesize(
        self, c: Complex[Tensor, "l m batch channel n"], frequencies: Frequencies
    ) -> Float[Tensor, "batch channel *fibre j k"]:
        """The field of such coefficients."""
        parts = self.synthesize_parts(c, frequencies)
        if not frequencies.has_axis:
            return parts.squeeze(2)
        return (frequencies.out.to(parts) @ parts.flatten(3)).unflatten(3, parts.shape[3:])

    def analyze_parts(
        self, parts: Float[Tensor, "batch channel k j phi"], frequencies: Frequencies
    ) -> Complex[Tensor, "l m batch channel n"]:
        """`analyze`, of a field that is given as (C_0,) C_1, S_1, ... (see `Frequencies`)."""
        parallels, folded = self.parallels, not self.parallels.is_diagonal
        c = project(
            parts.flatten(0, 1),
            self._like(parts, frequencies.orders, folded),
            None if folded else parallels.quadrature.to(parts),
            list(frequencies.orders),
            self.degrees,
            parallels.phase,
            False,
        )
        return c.unflatten(2, parts.shape[:2])

    def synthesize_parts(
        self, c: Complex[Tensor, "l m batch channel n"], frequencies: Frequencies
    ) -> Float[Tensor, "batch channel k j phi"]:
        """`synthesize`, to (C_0,) C_1, S_1, ... of the field."""
        return synthesize(
            c.flatten(2, 3),
            self._like(c.real, frequencies.orders, False),
            None,
            list(frequencies.orders),
            len(self.parallels.theta),
            self.parallels.longitudes,
            self.parallels.phase,
            True,
        ).unflatten(0, c.shape[2:4])

    def prepare(self, frequencies: Frequencies) -> None:
        """Make the tables of these frequencies now, in the default precision."""
        for folded in {False, not self.parallels.is_diagonal}:
            self.tables(frequencies.orders, folded, torch.get_default_dtype(), torch.device("cpu"))

    def tables(
        self, orders: tuple[int, ...], folded: bool, dtype: torch.dtype, device: torch.device
    ) -> list[Tensor]:
        """The matrices of the frequencies n >= 0, made in float64, not kept; `folded` for analysis."""
        folded &= self.parallels.quadrature is not self.parallels.reading
        return [table for n in orders for table in self._tables_of(n, folded, dtype, device)]

    def _tables_of(self, n: int, folded: bool, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
        found = self._tables.get((n, folded, dtype, device))
        if found is None:
            single = np.float32 if dtype == torch.float32 else np.float64
            with shared():
                theta = self.parallels.theta.numpy()
                Q = self.parallels.quadrature if folded else self.parallels.reading
                Q = None if Q is None else Q.numpy()
                made = spin_tables(theta, self.degrees, n, Q) if n else parity_tables(theta, self.degrees, Q)
                found = [torch.from_numpy(table.astype(single)).to(device) for table in made]
            self._tables[(n, folded, dtype, device)] = found
        return found

    def _like(self, x: Tensor, orders: tuple[int, ...], folded: bool) -> list[Tensor]:
        if torch.compiler.is_compiling():
            return _constant(self, orders, folded, x.dtype, x.device)
        return self.tables(orders, folded, x.dtype, x.device)

    def __deepcopy__(self, memo: object) -> "Transform":
        return self


def _constant(
    transform: Transform, orders: tuple[int, ...], folded: bool, dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    return transform.tables(orders, folded, dtype, device)


# what torch.compiler.assume_constant_result does, without the seconds that importing the compiler takes
_constant._dynamo_marked_constant = True  # type: ignore[attr-defined]


def resampled(
    field: Tensor, source: HarmonicTransform, of: Frequencies, target: HarmonicTransform, to: Frequencies
) -> Tensor:
    """The field at the rings of another transform: exact in the degrees that both hold, without others."""
    with precise(field):
        c = source.analyze(at_least_single(field), of)
        return synthesized_at(c, target, to).to(field.dtype)


def power_spectrum(c: Complex[Tensor, "*batch n l m"], frequencies: Frequencies) -> Float[Tensor, "*batch l"]:
    """``e_n sum_m |c^n_lm|^2``, m from -l to l, for n >= 0, e_n the energies: ``(*batch, [n,] l)``."""
    squares = c.real.square() + c.imag.square()
    power = squares.sum(-1) + squares.flip(-3)[..., 1:].sum(-1)  # |c^n_{l,-m}| = |c^{-n}_lm|
    power = power[..., [n >= 0 for n in frequencies.columns], :]
    power = power * power.new_tensor(frequencies.energies)[:, None]
    return power if frequencies.has_axis else power.squeeze(-2)


def at_least_single(x: Tensor) -> Tensor:
    """In float32, if it is in less."""
    return x.float() if x.dtype in HALVES else x


def precise(x: Tensor) -> torch.autocast:
    """Harmonics want their precision: no automatic casts."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)


def synthesized_at(c: Tensor, target: HarmonicTransform, to: Frequencies) -> Tensor:
    """The field of coefficients of another bandwidth: degrees that the target does not hold are left out."""
    more = target.degrees - len(c)
    c = F.pad(c, (0, 0, 0, 0, 0, 0, 0, more, 0, more)) if more > 0 else c[: target.degrees, : target.degrees]
    return target.synthesize(c, to)
