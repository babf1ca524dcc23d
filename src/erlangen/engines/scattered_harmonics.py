"""Harmonics at any points of the sphere: a sparse reading between rings, and weighted least squares."""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.engines.folding import Folded
from erlangen.engines.stencil import SparseOperator
from erlangen.engines.table import Table
from erlangen.harmonics import Frequencies, Parallels, Transform, columns_of

WIDTHS = {torch.float32: 8, torch.float64: 14}  # samples that a reading takes on each axis
ERRORS = {torch.float32: 3e-8, torch.float64: 1e-14}  # to which the least squares are solved
LANCZOS, MARGIN = 24, 0.02
WORST = 20.0  # the condition up to which a few steps do
EASY = 4.0  # that of the bandwidth taken where none is asked for
FEWEST = 0.25  # of the degrees that even samples carry, below which they leave a hole
DENSE = 0.58  # of the root of the number of samples, to start from: 2 nside on HEALPix


class Reading:
    r"""``f(p_i) = sum_lm c_lm Y_lm(p_i)`` and the transposed sum, for fields of any type.

    On the whole circle of theta a field is a trigonometric polynomial, ``F_n(-theta, phi) = (-1)^n
    F_n(theta, phi + pi)``. It is summed on 2 L rings of 4 L samples, divided there by the transform of the
    kernel ``psi(x) = e^{beta (sqrt(1 - (2 x / w)^2) - 1)}``, and read by it: w x w samples for each point.
    Right to about 10^(1 - w) of the largest value.

    Memory: 16 w^2 bytes a point in float32 (w = 8), 24 w^2 in float64 (w = 14); tables of 2 L rings.

    Reference: Barnett, Magland & af Klinteberg 2019 (the kernel); Keiner, Kunis & Potts 2007 (the sphere).
    """

    def __init__(self, theta: Tensor, phi: Tensor, degrees: int, dtype: torch.dtype) -> None:
        self.width, self.beta, self.dtype = WIDTHS[dtype], 2.3 * WIDTHS[dtype], dtype
        self.J = max(2 * degrees, self.width)
        h = math.pi / self.J
        gain = 1 / self._wave(h * np.arange(degrees))
        k, at = np.arange(degrees), h * (np.arange(self.J) + 0.5)
        reading = []
        for wave in (np.cos, np.sin):
            into = wave(np.outer(k, at)) * (2 / self.J)
            into[0] /= 2
            reading.append(wave(np.outer(at, k)) @ (into * gain[:, None]))
        Q = torch.from_numpy(np.stack(reading))
        self.rings = Transform(Parallels(torch.from_numpy(at), 2 * self.J, Q, degrees, reading=Q))
        self.gain = Table(torch.from_numpy(gain)[:, None, None, None])  # (m, batch, channel, n)
        self._places = theta / h - 0.5, phi / h

    def synthesize(self, c: Complex[Tensor, "l m b c n"], of: Frequencies) -> Float[Tensor, "b c k i"]:
        """The parts (C_0,) C_1, S_1, ... of the field at the points; see `Frequencies`."""
        parts = []
        for parity, some in by_parity(of):
            kept = c[..., [of.columns.index(n) for n in some.columns]]
            x = self.rings.synthesize(kept * self.gain.like(c.real), some)
            x = x if some.has_axis else x.unsqueeze(2)  # (b, c, k, j, phi)
            y = self.operators[parity](x.flatten(3).flatten(0, 2).T, x)[0]  # (i, b c k)
            parts.append(y.T.unflatten(0, x.shape[:3]))
        return _ascending(torch.cat(parts, 2), of)

    def transposed(self, x: Float[Tensor, "b c k i"], of: Frequencies) -> Complex[Tensor, "l m b c n"]:
        """``c_lm = sum_i conj(Y_lm(p_i)) x_i``."""
        x, start, found = _evens_first(x, of), 0, {}
        for parity, some in by_parity(of):
            part = x.narrow(2, start, len(some.into))
            start += len(some.into)
            y = self.operators[parity].transposed(part.flatten(0, 2).T[None], part)  # (grid, b c k)
            y = y.T.reshape(*part.shape[:3], self.J, 2 * self.J)
            c = self.rings.analyze(y if some.has_axis else y.squeeze(2), some)
            found |= dict(zip(some.columns, c.unbind(-1), strict=True))
        c = torch.stack([found[n] for n in of.columns], -1)
        return c * self.gain.like(c.real)

    @cached_property
    def operators(self) -> tuple[SparseOperator, SparseOperator]:
        """The readings of parts of even and of odd frequency, which have another sign beyond a pole."""
        x, y = self._places
        near = torch.arange(self.width)
        ring, place = (torch.ceil(t - self.width / 2).long()[:, None] + near for t in (x, y))
        across, along = (self._kernel(i - t[:, None]) for i, t in ((ring, x), (place, y)))
        over = (ring < 0) | (ring >= self.J)
        ring = torch.where(ring < 0, -1 - ring, torch.where(over, 2 * self.J - 1 - ring, ring))
        place = (place[:, None] + self.J * over[:, :, None]) % (2 * self.J)
        column = (ring[:, :, None] * (2 * self.J) + place).flatten()
        row = torch.arange(len(x)).repeat_interleave(self.width**2)
        sizes = len(x), 2 * self.J * self.J
        none = torch.empty(0)
        even, odd = (
            SparseOperator(
                Folded(row, column, (a[:, :, None] * along[:, None]).to(self.dtype).view(1, -1), none, *sizes)
            )
            for a in (across, across * (1 - 2 * over.double()))
        )
        return even, odd

    def _kernel(self, x: Tensor) -> Tensor:
        inside = (1 - (2 * x / self.width) ** 2).clamp_min(0.0)
        return torch.exp(self.beta * (inside.sqrt() - 1)) * (inside > 0)

    def _wave(self, xi: np.ndarray) -> np.ndarray:
        """The Fourier transform of the kernel, ``int psi(x) cos(xi x) dx``."""
        z, a = np.polynomial.legendre.leggauss(200)
        t = math.pi / 2 * z  # x = w / 2 sin(t): smooth at the ends
        x = self.width / 2 * np.sin(t)
        a = a * math.pi / 2 * self.width / 2 * np.cos(t)
        return np.cos(np.outer(xi, x)) @ (a * np.exp(self.beta * (np.cos(t) - 1)))


class Scattered:
    r"""Harmonics of degree l < `degrees` at any points with weights; see `Transform` for their names.

    Analysis is the fit of least squares, the c of least ``sum_i w_i |f_i - sum_lm c_lm Y_lm(p_i)|^2``: from
    the field of such coefficients it gives these back. The normal matrix, synthesis and then its transpose,
    is near 1, since the weights are areas. Its largest and smallest eigenvalue are found once, by Lanczos
    and conjugate gradients' polynomial on random coefficients; then a fixed number of Chebyshev's steps
    solves to 3e-8 in float32, 1e-14 in float64. So analysis stays linear: each field by itself, gradients
    the same steps backward.

    Args:
        theta, phi: ``(i)``, the points.
        weights: ``(*space)``, their measure.
        degrees: the bandwidth L.

    Raises:
        ValueError: for points that do not carry the bandwidth: fewer than coefficients, or the normal
            matrix of a condition above 20.

    Reference: Kunis & Potts 2007 (iterative inversion); Golub & Varga 1961 (Chebyshev's steps).
    """

    def __init__(self, theta: Tensor, phi: Tensor, weights: Tensor, degrees: int) -> None:
        if degrees < 1 or degrees**2 > weights.numel():
            raise ValueError(
                f"the bandwidth is {degrees}, but {weights.numel()} samples carry at most degrees below "
                f"{math.isqrt(weights.numel())}, expected no more coefficients ({degrees}^2) than samples; "
                "take a smaller bandwidth, or more samples"
            )
        self.degrees, self.shape = degrees, tuple(weights.shape)
        self._theta, self._phi = theta, phi
        self.weights = Table(weights.flatten())
        self._readings: dict[torch.dtype, Reading] = {}
        self._ranges: dict[tuple[int, ...], tuple[float, float]] = {}

    def analyze(
        self, field: Float[Tensor, "batch channel *fibre_space"], frequencies: Frequencies
    ) -> Complex[Tensor, "l m batch channel n"]:
        """The coefficients ``c^n_lm`` of a field, n ascending."""
        x = field.flatten(-len(self.shape))
        x = frequencies.into.to(x) @ x if frequencies.has_axis else x.unsqueeze(2)  # (batch, channel, k, i)
        low, high = self.range(frequencies)
        steps = steps_to(low, high, ERRORS[x.dtype])
        return chebyshev(
            lambda c: self._normal(c, x.dtype, frequencies),
            self._fold(x, frequencies),
            low,
            high,
            steps,
        )

    def synthesize(
        self, c: Complex[Tensor, "l m batch channel n"], frequencies: Frequencies
    ) -> Float[Tensor, "batch channel *fibre_space"]:
        """The field of such coefficients."""
        x = self._reading(c.real.dtype).synthesize(c, frequencies)
        x = frequencies.out.to(x) @ x if frequencies.has_axis else x.squeeze(2)
        return x.unflatten(-1, self.shape)

    def prepare(self, frequencies: Frequencies) -> None:
        """Make the tables of these frequencies, and know how many steps to take."""
        self.range(frequencies)

    @classmethod
    def of(cls, theta: Tensor, phi: Tensor, weights: Tensor, degrees: int | None) -> "Scattered":
        """Of that bandwidth or, for None, the highest tried whose normal matrix has a condition below 4.

        The first is 0.58 times the root of the number of samples, each following one a tenth less.

        Raises:
            ValueError: for samples that carry less than a quarter of the first.
        """
        if degrees is not None:
            return cls(theta, phi, weights, degrees)
        degrees = most = max(1, int(DENSE * math.sqrt(weights.numel()) + 1e-9))
        while degrees >= FEWEST * most:
            found = cls(theta, phi, weights, degrees)
            low, high = found.spectrum(SCALAR)
            if high < EASY * low or degrees == 1:
                return found
            degrees = max(1, int(0.9 * degrees))
        raise ValueError(
            f"{weights.numel()} even samples of the whole sphere would carry degrees below {most}, these "
            f"not even {degrees + 1}: they leave a hole, or lie unevenly; expected samples all round: "
            "give degrees=, or radius= for local kernels, or put them into a whole grid with mask="
        )

    def range(self, frequencies: Frequencies) -> tuple[float, float]:
        """As `spectrum`; ValueError if the ends are far apart."""
        low, high = self.spectrum(frequencies)
        if not high < WORST * low:
            raise ValueError(
                f"the {self.weights.value.numel()} samples do not carry degrees below {self.degrees}: some "
                f"fields of them are seen {math.sqrt(high / low):.3g} times as weakly as others, expected at "
                f"most {math.sqrt(WORST):.2g} times; take a smaller bandwidth (degrees=), or fill the holes"
            )
        return low, high

    def spectrum(self, frequencies: Frequencies) -> tuple[float, float]:
        """The smallest and the largest eigenvalue of the normal matrix, found once."""
        found = self._ranges.get(frequencies.orders)
        if found is None:
            found = self._ranges[frequencies.orders] = self._find_spectrum(frequencies)
        return found

    def _find_spectrum(self, of: Frequencies) -> tuple[float, float]:
        dtype = torch.get_default_dtype()
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, 1, len(of.into), len(self._theta), dtype=dtype, generator=generator)
        start = self._fold(noise, of)
        low, high = lanczos(lambda c: self._normal(c, dtype, of), start, LANCZOS)
        return low * (1 - MARGIN), high * (1 + MARGIN)

    def _fold(self, x: Tensor, of: Frequencies) -> Tensor:
        return self._reading(x.dtype).transposed(x * self.weights.like(x), of)

    def _normal(self, c: Tensor, dtype: torch.dtype, of: Frequencies) -> Tensor:
        return self._fold(self._reading(dtype).synthesize(c, of), of)

    def _reading(self, dtype: torch.dtype) -> Reading:
        found = self._readings.get(dtype)
        if found is None:
            found = self._readings[dtype] = Reading(self._theta, self._phi, self.degrees, dtype)
        return found

    def __deepcopy__(self, memo: object) -> "Scattered":
        return self


SCALAR = Frequencies((0,), torch.ones(1, 1).double(), torch.ones(1, 1).double(), False)


def by_parity(of: Frequencies) -> list[tuple[int, Frequencies]]:
    """The even and the odd frequencies, as fields that are their parts."""
    found = []
    for parity in range(2):
        orders = tuple(n for n in of.orders if n % 2 == parity)
        if orders:
            each = torch.eye(len(columns_of(orders)), dtype=torch.float64)
            found.append((parity, Frequencies(orders, each, each, orders != (0,))))
    return found


def _order(of: Frequencies) -> list[int]:
    """Where the parts of the even frequencies, and then of the odd ones, lie among all."""
    starts = {n: len(columns_of(of.orders[:i])) for i, n in enumerate(of.orders)}
    evens_first = sorted(of.orders, key=lambda n: (n % 2, n))
    return [starts[n] + i for n in evens_first for i in range(2 if n else 1)]


def _evens_first(x: Tensor, of: Frequencies) -> Tensor:
    return x if len(of.orders) == 1 else x[:, :, _order(of)]


def _ascending(x: Tensor, of: Frequencies) -> Tensor:
    order = _order(of)
    return x if len(of.orders) == 1 else x[:, :, [order.index(i) for i in range(len(order))]]


def steps_to(low: float, high: float, error: float) -> int:
    """The k with ``2 ((r - 1) / (r + 1))^k`` below the error, r the root of high / low."""
    r = math.sqrt(high / low)
    return max(2, math.ceil(math.log(error / 2) / math.log((r - 1) / (r + 1))))


def chebyshev(normal: Callable[[Tensor], Tensor], b: Tensor, low: float, high: float, steps: int) -> Tensor:
    """The solution of ``normal(c) = b``, eigenvalues in [low, high]: linear in b."""
    middle, half = (high + low) / 2, (high - low) / 2
    sigma, c = middle / half, b / middle
    rho, d, r = 1 / sigma, c, b
    for _ in range(steps):
        r = r - normal(d)
        following = 1 / (2 * sigma - rho)
        d = (following * rho) * d + (2 * following / half) * r
        c, rho = c + d, following
    return c


def lanczos(normal: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> tuple[float, float]:
    """The least and the largest of Ritz' values after so many steps (fewer where these are exhausted)."""
    q, before = start / norm(start), torch.zeros_like(start)
    diagonal, beside = [], [0.0]
    for _ in range(steps):
        r = normal(q) - beside[-1] * before
        diagonal.append(inner(q, r))
        r = r - diagonal[-1] * q
        length = norm(r)
        if length < 1e-5:
            break
        beside.append(length)
        before, q = q, r / length
    off = beside[1 : len(diagonal)]
    values = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    return max(float(values[0]), 1e-12), float(values[-1])


def inner(c: Tensor, d: Tensor) -> float:
    """The integral of the product of two fields, by coefficients of m >= 0."""
    products = torch.view_as_real(c) * torch.view_as_real(d)
    return float(2 * products.sum() - products[:, 0].sum())


def norm(c: Tensor) -> float:
    """The root of the integral of a field's square."""
    return math.sqrt(inner(c, c))
