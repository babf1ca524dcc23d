"""Fields on the sphere that stay harmonics from layer to layer."""

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.domains import Domain, Interpolation, KernelSpec, Samples, Symmetry
from erlangen.domains.engine_choice import Offer
from erlangen.domains.refusals import refuse_missing, without_grid_options
from erlangen.domains.spec import Field, Way
from erlangen.engines import (
    Engine,
    FinerHarmonics,
    MatrixEngine,
    PointEngine,
    Resolution,
    SpectralEngine,
    Table,
)
from erlangen.engines.finer import SQUARE, Function
from erlangen.geometry import Frame
from erlangen.groups import Representation
from erlangen.harmonics import Frequencies, GlobalKernels, at_least_single, power_spectrum, precise
from erlangen.kernels import KernelBasis
from erlangen.shared import shared
from erlangen.spaces.spherical.harmonic import SphereHarmonics, low_pass

ROOT = math.sqrt(4 * math.pi)  # the coefficient of the constant field 1


def _point(domain: "Coefficients", basis: KernelBasis, spec: KernelSpec) -> Engine:
    of, to = (domain.harmonics.frequencies(field) for field in (spec.in_field, spec.out_field))
    return _Point(PointEngine(basis), of, to)


def _spectral(domain: "Coefficients", basis: GlobalKernels, spec: KernelSpec) -> Engine:
    without_grid_options(spec)
    return _Spectral(domain.harmonics.engine(basis))


ENGINES = {
    "point": Offer(lambda domain, spec: spec.radius == 0, _point),
    "spectral": Offer(lambda domain, spec: spec.is_global, _spectral),
}


class Coefficients(Domain):
    r"""Fields of degrees l < L on the sphere and on SO(3), given by their ``c^n_lm`` instead of samples.

    All layers, with the weights of those on `grid` and the same answers to rounding; but only what is not
    linear goes to samples and back, which saves the other transforms. Kernels reach round the sphere.

    Shapes: ``(batch, channel, 2 k, l, m)``, m >= 0: the real and the imaginary parts of the k frequencies n
    along the fibre, n ascending (one of scalars; see `erlangen.harmonics.Transform`). `analyze` makes them of
    values on the grid, `synthesize` is the way back. Complex ``a_lm`` of scalars, ``(batch, channel, l, m)``,
    come in as ``torch.stack([a.real, a.imag], 2)``.

    Args:
        grid: rings that carry these degrees.

    Example:
        >>> import torch, erlangen as er
        >>> ball = er.Sphere().harmonics(8, rotations=5)
        >>> f = ball.analyze(torch.randn(2, 1, 8, 16))
        >>> er.nn.ReLU(ball)(er.nn.Lift(ball, 1, 4)(f)).shape
        torch.Size([2, 4, 10, 8, 8])
    """

    engines = ENGINES
    is_sampled = False

    def __init__(self, grid: Samples) -> None:
        super().__init__()
        if not isinstance(grid.spectral, SphereHarmonics):
            raise ValueError(f"{grid} carries no harmonics of the sphere, expected er.Sphere().grid(8)")
        self.grid, self.degrees = grid, grid.degrees
        self.geometry, self.fibre, self.shape = grid.geometry, grid.fibre, (grid.degrees, grid.degrees)
        self.sampling, self.harmonics = grid.sampling, grid.spectral
        self._coarser: Coefficients | None = None

    def __repr__(self) -> str:
        return f"Coefficients({self.geometry}, l < {self.degrees})"

    def __reduce__(self) -> tuple:
        return Coefficients, (self.grid,)

    # to values, and back

    def analyze(self, f: Float[Tensor, "batch channel *space"], field: Field = "scalar") -> Tensor:
        """Values on the grid ``(batch, channel, [fibre,] latitude, longitude)`` to coefficients."""
        self.grid.check(f, field)
        return packed(self.grid.transform.analyze(f, self.harmonics.frequencies(field)))

    def synthesize(self, f: Float[Tensor, "batch channel part l m"], field: Field = "scalar") -> Tensor:
        """The values on the grid."""
        self.check(f, field)
        return self.grid.transform.synthesize(unpacked(f), self.harmonics.frequencies(field))

    def spectrum(self, f: Float[Tensor, "batch channel part l m"], field: Field = "scalar") -> Tensor:
        """The power spectrum, ``(batch, channel, [n,] l)``: what rotations leave; see `Harmonic.spectrum`."""
        self.check(f, field)
        return power_spectrum(unpacked(f).permute(2, 3, 4, 0, 1), self.harmonics.frequencies(field))

    def parts(self, rho: Representation) -> int:
        return 2 * len(self.harmonics.frequencies(rho.name).columns)

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        super().check(f, field, channels)
        refuse_missing(f)

    def masked(self, mask: Tensor | None, boundary: str = "zero") -> Domain:
        if mask is None:
            return self
        raise ValueError(f"{self} has no samples to hide, expected a grid: .grid.masked(mask)")

    # what layers ask

    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        found = self.grid.kernel_extent(kernel_size, radius, rings)
        if 0 < found[0] < math.inf:
            raise ValueError(
                f"radius={found[0]:g} on {self}: expected kernels that reach round the sphere, without "
                "radius=; local ones live on samples, er.Sphere().grid"
            )
        return found

    def widening(self, spec: KernelSpec) -> int:
        return self.grid.widening(spec)

    def fibre_mean(self, field: Tensor) -> Tensor:
        zero = _zero(field)
        return field[:, :, zero : zero + 2]

    def mean(self, field: Tensor) -> Tensor:
        """Over space, and along the fibre if there is one."""
        return field[..., _zero(field), 0, 0] / ROOT

    def mean_square(self, field: Tensor) -> Tensor:
        """Over space, and along the fibre if there is one: Parseval's sum, m < 0 as well."""
        square = field.square()
        return (2 * square.sum((-3, -2, -1)) - square[..., 0].sum((-2, -1))) / (4 * math.pi)

    def mean_absolute(self, field: Tensor) -> Tensor:
        raise ValueError(
            f"coefficients on {self} do not say what absolute values are, expected values at samples: "
            "synthesize both, and take .grid"
        )

    def add(self, field: Tensor, values: Float[Tensor, "channel"]) -> Tensor:
        one = field.new_zeros(field.shape[2:])
        one[_zero(field), 0, 0] = ROOT
        return field + values.view(-1, 1, 1, 1) * one

    def coarser(self) -> "Coefficients":
        if self._coarser is None:
            with shared():
                self._coarser = Coefficients(self.grid.coarser())  # type: ignore[arg-type]
        return self._coarser

    def prepare(self, way: Way, rho: Representation) -> None:
        self.coarser()

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        L = self.coarser().degrees
        return field[..., :L, :L]

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        self.expect(size)
        self.coarser().check(field, rho.name)  # type: ignore[arg-type]
        more = self.degrees - field.shape[-1]
        return F.pad(field, (0, more, 0, more))

    def expect_low_pass(self) -> None:
        """By harmonics."""

    def low_passed(self, field: Tensor, circular: bool = False) -> Tensor:
        return field * low_pass(self.degrees).to(field)[:, None]

    def finer(self, rho: Representation, factor: float, *, fibre: bool = True) -> Resolution:
        key = (rho.name, factor, fibre)
        found = self.resolutions.get(key)
        if found is None:
            finer: Any = self.grid.finer(rho, factor, fibre=fibre)
            if finer is None:
                own: Any = self.grid.transform, self.harmonics.frequencies(rho.name)
                finer = FinerHarmonics(*own, *own)
            found = self.resolutions[key] = _Finer(finer)
        return found

    def basis(self, spec: KernelSpec) -> Any:
        return self.grid.basis(spec)

    # where fields are seen

    def symmetries(self) -> list[Symmetry]:
        return [replace(g, permutes=g.in_group) for g in self.grid.symmetries()]  # all of them exact

    def symmetry_of(self, g: Float[Tensor, "d d"], name: str = "g") -> Symmetry:
        found = self.grid.symmetry_of(g, name)
        return replace(found, permutes=found.in_group)

    def act(
        self,
        g: Float[Tensor, "d d"],
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        moved = self.grid.act(g, self.synthesize(f, field), field, interpolation=interpolation)
        return self.analyze(moved, field)

    def seen_from(
        self,
        u: Frame,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        return self.grid.seen_from(u, self.synthesize(f, field), field, interpolation=interpolation)


def _zero(field: Tensor) -> int:
    """The part of n = 0: the one in the middle."""
    return field.shape[2] // 4 * 2


def packed(c: Complex[Tensor, "l m batch channel n"]) -> Float[Tensor, "batch channel part l m"]:
    """Coefficients as a field: a view of the same numbers."""
    # an empty batch has strides that no view could have
    parts = torch.stack([c.real, c.imag], -1) if c.shape[2] == 0 else torch.view_as_real(c.resolve_conj())
    return parts.permute(2, 3, 4, 5, 0, 1).flatten(2, 3)


def unpacked(f: Float[Tensor, "batch channel part l m"]) -> Complex[Tensor, "l m batch channel n"]:
    """The way back."""
    parts = f.unflatten(2, (-1, 2)).permute(4, 5, 0, 1, 2, 3)
    if parts.shape[2] == 0:  # as above
        return torch.complex(*parts.unbind(-1))
    even = all(stride % 2 == 0 for stride in parts.stride()[:-1]) and parts.stride(-1) == 1
    return torch.view_as_complex(parts if even else parts.contiguous())


class _Spectral(MatrixEngine):
    """The spectral engine without the transforms."""

    def __init__(self, engine: SpectralEngine) -> None:
        self.engine = engine
        self.basis, self.rho_in, self.rho_out = engine.basis, engine.rho_in, engine.rho_out
        self.power, self.smoothness = engine.power, engine.smoothness
        l, n = torch.arange(engine.basis.degrees), torch.tensor(engine.basis.out.columns)
        self.there = Table((l[:, None] >= n.abs()).double()[:, None, None, None])  # no degree l < |n|

    def matrices(self, coefficients: Tensor, groups: int = 1) -> Tensor:
        return self.engine.matrices(coefficients, groups)

    def correlated(self, field: Tensor, W: Tensor) -> Tensor:
        held, own = field.shape[-1], len(self.there.value)  # degrees: the field's, the kernel's
        c = self.engine.mixed(unpacked(field)[:own, :own], W)
        y = packed(c * self.there.like(field))
        return y if held == own else F.pad(y, (0, held - own, 0, held - own))


class _Point(MatrixEngine):
    """Kernels at one point: a matrix in channels for each frequency n."""

    def __init__(self, engine: PointEngine, of: Frequencies, to: Frequencies) -> None:
        self.basis, self.rho_in, self.rho_out = engine.basis, engine.rho_in, engine.rho_out
        self.power, self.smoothness = engine.power, engine.smoothness
        values = to.waves_in @ engine.values.value.to(torch.complex128) @ of.waves_out  # (b, n', n)
        self.real, self.imaginary = Table(values.real), Table(values.imag)

    def matrices(self, coefficients: Tensor, groups: int = 1) -> Tensor:
        """``(group, channel n, out n')``."""
        values = torch.complex(self.real.like(coefficients), self.imaginary.like(coefficients))
        grouped = coefficients.unflatten(0, (groups, -1)).to(values.dtype)
        return torch.einsum("gocb,bij->gcjoi", grouped, values).flatten(3).flatten(1, 2)

    def correlated(self, field: Tensor, W: Tensor) -> Tensor:
        c = unpacked(field)
        degrees, _, batch, channels, columns = c.shape
        groups, k = len(W), self.real.value.shape[1]
        x = c.reshape(degrees * degrees * batch, groups, channels // groups * columns)
        y = torch.matmul(x.transpose(0, 1), W).transpose(0, 1)
        return packed(y.reshape(degrees, degrees, batch, groups * W.shape[2] // k, k))


class _Finer(Resolution):
    """Samples of fields that come as coefficients, for what is not linear."""

    def __init__(self, finer: FinerHarmonics) -> None:
        self.finer = finer

    def up(self, field: Tensor) -> Tensor:
        transform, to = self.finer.finer
        with precise(field):
            return transform.synthesize(unpacked(at_least_single(field)), to).to(field.dtype)

    def down(self, field: Tensor) -> Tensor:
        transform, to = self.finer.finer
        with precise(field):
            return packed(transform.analyze(at_least_single(field), to)).to(field.dtype)

    def pointwise(self, field: Tensor, function: Function) -> Tensor:
        if not self.finer.is_direct(field):
            return super().pointwise(field, function)
        with precise(field):
            return packed(self.finer.taken(function, unpacked(at_least_single(field)))).to(field.dtype)

    def quadratic(self, field: Tensor, a: Float[Tensor, "channel"], b: Float[Tensor, "channel"]) -> Tensor:
        if not self.finer.is_direct(field):
            return super().quadratic(field, a, b)
        a, b = (w.view(-1, 1, 1, 1) for w in (a, b))
        with precise(field):
            square = packed(self.finer.taken(SQUARE, unpacked(at_least_single(field))))
            return a * field + b * square.to(field.dtype)
