"""The one contract of every domain: points, weights, fibre, and the engine it hands out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.domains.interpolation import Interpolation
from erlangen.domains.symmetry import Symmetry
from erlangen.engines import Engine, FinerFibre, PointEngine, Resolution
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, determinant, regular, standard, trivial
from erlangen.kernels import KernelBasis, Rings

Field = Literal["scalar", "regular", "vector", "sign"]


@dataclass(frozen=True)
class KernelSpec:
    """What a layer asks of a domain: the fields, the kernel's reach and resolution, the grid's options.

    ``radius=0`` is a kernel at one point; ``depthwise`` one that does not mix along the fibre.
    """

    in_field: Field = "scalar"
    out_field: Field = "scalar"
    radius: float = 0.0
    rings: int = 1
    band_in: int | None = None
    band_out: int | None = None
    depthwise: bool = False
    stride: int = 1
    padding: int | str = "same"
    dilation: int = 1
    padding_mode: str = "zeros"


class Domain(ABC):
    r"""Samples of a space: a geometry, points, quadrature weights and a fibre.

    A domain is immutable; layers hold it and share its tables. Copies of a layer keep the same domain.

    Attributes:
        geometry: the space, with frames and `carry`.
        fibre: the samples of H that regular fields have at each point, or None.
        shape: the sizes of the space axes; None if any size will do.
    """

    geometry: Geometry
    fibre: Fibre | None
    shape: tuple[int, ...] | None

    def __init__(self) -> None:
        self._engines: dict[KernelSpec, Engine] = {}
        self._finer: dict[tuple[str, int, bool], Resolution | None] = {}

    @property
    @abstractmethod
    def points(self) -> Float[Tensor, "*space m"]:
        """The samples, in float64."""

    @property
    @abstractmethod
    def weights(self) -> Float[Tensor, "*space"]:
        """The measure of each sample, in float64: ``int f dmu = sum_q w_q f(q)``."""

    @property
    @abstractmethod
    def interpolation(self) -> Interpolation:
        """How to read a field between the samples."""

    @abstractmethod
    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        """The radius in units of the space, and the number of rings, of the kernel that was asked for."""

    @abstractmethod
    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        """The engine for kernels with a neighbourhood."""

    @property
    def dim(self) -> int:
        """The dimension of the space."""
        return self.geometry.dim

    @property
    def default_field(self) -> Field:
        """The richest field that the domain carries: regular with a fibre, else scalar."""
        return "scalar" if self.fibre is None else "regular"

    @property
    def frames(self) -> Frame:
        """The frames s(p) at the samples."""
        return self.geometry.frames(self.points)

    def expect(self, shape: tuple[int, ...]) -> None:
        """ValueError unless a field may have these space axes."""
        if self.shape is not None and tuple(shape) != self.shape:
            raise ValueError(f"the field has space axes {tuple(shape)}, expected {self.shape}")

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        """ValueError unless f is a field ``(batch, channels, [fibre,] *space)`` of that type here."""
        rho = self.representation(field)
        axes = 2 + rho.has_axis + self.space_axes
        wrong = f.dim() != axes or (channels is not None and f.shape[1] != channels)
        if wrong or (rho.has_axis and f.shape[2] != rho.dim):
            count = "channels" if channels is None else channels
            raise ValueError(
                f"the field has shape {tuple(f.shape)}, expected (batch, {count}, "
                f"{f'{rho.dim}, ' if rho.has_axis else ''}*space), {axes} axes in all, for "
                f"{'' if channels is None else f'{channels} '}{field} fields on {self}"
            )
        if not f.is_floating_point():
            raise ValueError(f"the field is {f.dtype}, expected a floating-point one; call .float() on it")
        self.expect(tuple(f.shape[-self.space_axes :]))

    def masked(
        self, mask: Bool[Tensor, "*space"], boundary: Literal["zero", "renormalize"] = "zero"
    ) -> "Domain":
        """The samples at which the mask is True: missing data, or a window on a region.

        Args:
            mask: ``(*space)``, booleans.
            boundary: "zero" sees zeros beyond; "renormalize" divides by the visible part of the kernel.
        """
        from erlangen.domains.masked import Masked

        return Masked(self, mask, boundary)

    def hide(self, field: Tensor, value: float = 0.0) -> Tensor:
        """The field ``(..., *space)`` with a value in place of what a mask hides."""
        return field

    @property
    def is_uniform(self) -> bool:
        """Whether all samples weigh the same."""
        return False

    def circles(self, size: tuple[int, ...], circular: bool) -> list[bool]:
        """The axes that close, and if asked all others of even size."""
        raise ValueError(f"{self} has no axes that could close, expected a lattice")

    def sized(self, shape: tuple[int, ...]) -> "Domain":
        """This domain with the given sizes; ValueError if it has others."""
        self.expect(shape)
        return self

    def engine(self, spec: KernelSpec) -> Engine:
        """The engine for a kernel; made once, then shared by every layer that asks for the same."""
        engine = self._engines.get(spec)
        if engine is None:
            engine = self._engines[spec] = self._build(spec)
        return engine

    def representation(self, field: Field) -> Representation:
        """The representation of H behind a field's name."""
        if field == "regular":
            if self.fibre is None:
                raise ValueError(
                    f"a regular field needs samples of H = {self.geometry.structure}, but this domain has "
                    "no fibre; build it with rotations=8, or stay with scalar fields"
                )
            return regular(self.fibre)
        if field == "vector":
            return standard(self.dim)
        if field == "scalar":
            return trivial()
        if field == "sign":
            return determinant()
        raise ValueError(f'field is {field!r}, expected "scalar", "regular", "vector" or "sign"')

    def act(
        self,
        g: Float[Tensor, "d d"],
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        r"""The field moved by a symmetry of the space: ``(g F)(u) = F(g^{-1} u)``, interpolated.

        Args:
            g: the symmetry, a matrix as the geometry takes it.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
            interpolation: how to read between the samples; None takes the domain's own.
        """
        domain = self.sized(f.shape[-self.space_axes :])
        u = domain.geometry.act(torch.linalg.inv(g.to(torch.float64)), domain.frames)
        return domain._read(u, f, field, interpolation)

    def _read(self, u: Frame, f: Tensor, field: Field, interpolation: Interpolation | None = None) -> Tensor:
        """``F(u)`` at frames ``(*space)``: ``(*batch, [fibre,] *space)``."""
        rho = self.representation(field)
        shape = u.point.shape[:-1]
        f = self.hide(f)
        u = Frame(u.point.flatten(0, -2), u.basis.flatten(0, -3))
        reading = interpolation or self.interpolation
        index, weight, h = reading.transported(self, u)  # (p, k), (p, k), (p, k, n, n)
        values = f.flatten(-self.space_axes)
        values = values if rho.has_axis else values[..., None, :]  # (*batch, d, q)
        matrix = rho.inverse(h) * weight[..., None, None]  # (p, k, d, d)
        moved = torch.einsum("pkij,...jpk->...ip", matrix.to(f), values[..., index])
        return (moved if rho.has_axis else moved[..., 0, :]).unflatten(-1, shape)

    def to(self, target: "Domain", f: Tensor, field: Field = "scalar") -> Tensor:
        """The field read at the samples of another domain of the same space, by interpolation.

        Args:
            target: the other domain.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
        """
        if repr(target.geometry) != repr(self.geometry):
            raise ValueError(
                f"the field lives on {self.geometry} and is to go to {target.geometry}, expected one geometry"
            )
        return self._read(target.frames, f, field)

    def symmetries(self) -> list[Symmetry]:
        """Symmetries worth testing, the exact ones first; none where a domain names none."""
        return []

    def centre(self, field: Tensor) -> Tensor:
        """Where a moved field can be compared: True away from the edges, ``(*space)``."""
        return torch.ones(field.shape[-self.space_axes :], dtype=torch.bool, device=field.device)

    def coarser(self) -> "Domain":
        """The domain of half the samples on each axis, where `downsample` goes."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        """The blurred field ``(batch, channel, [fibre,] *space)`` on the coarser domain."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        """A field of the coarser domain on this one, of the given sizes."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    @property
    def space_axes(self) -> int:
        """The number of space axes of a field."""
        return self.dim if self.shape is None else len(self.shape)

    def basis(self, spec: KernelSpec) -> KernelBasis:
        """The kernels that a layer's coefficients mix; ValueError where H allows none."""
        rho_in, rho_out = self.representation(spec.in_field), self.representation(spec.out_field)
        H = self.geometry.structure
        rings = Rings(self.dim, spec.radius or 1.0, spec.rings)
        if spec.depthwise:
            basis = KernelBasis.depthwise(H, rings, rho_in, spec.band_in)
        else:
            basis = KernelBasis.build(H, rings, rho_in, rho_out, spec.band_in, spec.band_out)
        if len(basis) == 0:
            raise ValueError(
                f"H = {H} allows no kernel from {spec.in_field} to {spec.out_field} fields at radius "
                f"{spec.radius} with {spec.rings} rings; expected one at least: take more rings"
            )
        return basis

    def widening(self, spec: KernelSpec) -> int:
        """How far a kernel without mixing raises frequencies along the fibre: its angular degree."""
        return max(degree for _, degree in Rings(self.dim, 1.0, spec.rings).terms)

    @property
    def default_kernel_size(self) -> int | None:
        """The kernel of networks that are told none, in samples; None leaves it to `reach`."""
        return None

    def finer(self, rho: Representation, factor: int, *, fibre: bool = True) -> Resolution | None:
        """More samples, where a function of each value would alias; None where nothing lies in between.

        Args:
            rho: the type of field.
            factor: how many times as many on each axis that is refined.
            fibre: whether the fibre is refined too.
        """
        key = (rho.name, factor, fibre)
        if key not in self._finer:
            self._finer[key] = self._refined(rho, factor, fibre) if factor > 1 else None
        return self._finer[key]

    def _refined(self, rho: Representation, factor: int, fibre: bool) -> Resolution | None:
        # the smallest fibres, and finite groups, have nothing in between
        if fibre and rho.fibre is not None and rho.fibre.default_band is not None:
            return FinerFibre(rho.fibre, factor)
        return None

    def _build(self, spec: KernelSpec) -> Engine:
        basis = self.basis(spec)
        if spec.radius == 0:
            return PointEngine(basis)
        if spec.radius > self.geometry.injectivity_radius:
            raise ValueError(
                f"radius is {spec.radius}, beyond the injectivity radius "
                f"{self.geometry.injectivity_radius:.6g} of {self.geometry}, where a kernel would meet "
                "itself; take a smaller radius"
            )
        return self._correlator(basis, spec)

    def __deepcopy__(self, memo: object) -> "Domain":
        return self


def without_grid_options(spec: KernelSpec) -> None:
    """Refuse the options that only a lattice has."""
    plain = replace(spec, stride=1, padding="same", dilation=1, padding_mode="zeros")
    if spec != plain:
        raise ValueError(
            f"stride={spec.stride}, padding={spec.padding!r}, dilation={spec.dilation}, padding_mode="
            f"{spec.padding_mode!r}: these need a lattice, expected the defaults on this domain; "
            "resample to a coarser domain instead"
        )


def refuse_nan(f: Tensor) -> None:
    """ValueError for missing values; on the processor alone, since elsewhere to ask is to wait."""
    if f.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if bool(torch.isnan(f.detach().sum())) and bool(torch.isnan(f).any()):
        missing = int(torch.isnan(f).sum())
        raise ValueError(
            f"{missing} of {f.numel()} values of the field are NaN, expected numbers; where samples are "
            "missing, say so: domain.masked(mask), or mask= where it is made, True where there is data"
        )
