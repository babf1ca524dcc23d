"""The one contract of every domain: points, weights, fibre, and the engine it hands out."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.domains.interpolation import Interpolation
from erlangen.domains.refusals import expect_kernels, expect_reach
from erlangen.domains.spec import Field, KernelSpec, Way
from erlangen.domains.symmetry import Symmetry
from erlangen.engines import Engine, FinerFibre, PointEngine, Resolution, fold, resample, unfold
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, determinant, regular, standard, traceless, trivial
from erlangen.kernels import KernelBasis, Rings
from erlangen.making import making


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
        self._engines_to: WeakKeyDictionary[Domain, dict[KernelSpec, Engine]] = WeakKeyDictionary()
        self._finer: dict[tuple[str, float, bool], Resolution | None] = {}

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

    def equivariant_to(self, spec: KernelSpec, to: "Domain | None" = None) -> str:
        """The name of the group that layers with this kernel commute with."""
        name = self._group_of(spec, to)
        hidden = any(domain.unmasked is not domain for domain in (self, to) if domain is not None)
        return f"the elements of {name} that keep the mask" if hidden else name

    def _group_of(self, spec: KernelSpec, to: "Domain | None") -> str:
        if to is not None and not self.geometry.is_same(to.geometry):
            groups = [g for g in (self.geometry.group, to.geometry.group) if g is not None]
            return str(min(groups, key=lambda group: (group.dim, len(group.components))))
        rho = [self.representation(field) for field in (spec.in_field, spec.out_field)]
        fibres = [r.fibre for r in rho if r.fibre is not None]
        H = self.geometry.structure
        if fibres and not (spec.band_in is spec.band_out is None):
            H = fibres[0].group_of_all_turns or H
        return self.geometry.equivariant_to(H)

    @property
    def frames(self) -> Frame:
        """The frames s(p) at the samples."""
        return self.geometry.frames(self.points)

    def expect(self, shape: tuple[int, ...]) -> None:
        """ValueError unless a field may have these space axes."""
        if self.shape is not None and tuple(shape) != self.shape:
            raise ValueError(f"the field has space axes {tuple(shape)}, expected {self.shape}")

    def parts(self, rho: Representation) -> int | None:
        """The size of the axis between channels and space; None where fields of that type have none."""
        return rho.dim if rho.has_axis else None

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        """ValueError unless f is a field ``(batch, channels, [fibre,] *space)`` of that type here."""
        if not isinstance(f, Tensor):
            raise ValueError(
                f"the field is a {type(f).__name__}, expected a tensor; such as torch.as_tensor(field)"
            )
        parts = self.parts(self.representation(field))
        axes = 2 + (parts is not None) + self.space_axes
        wrong = f.dim() != axes or (channels is not None and f.shape[1] != channels)
        if wrong or (parts is not None and f.shape[2] != parts):
            count = "channels" if channels is None else channels
            raise ValueError(
                f"the field has shape {tuple(f.shape)}, expected (batch, {count}, "
                f"{'' if parts is None else f'{parts}, '}*space), {axes} axes in all, for "
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

    @property
    def unmasked(self) -> "Domain":
        """The domain with all its samples."""
        return self

    def hide(self, field: Tensor, value: float = 0.0) -> Tensor:
        """The field ``(..., *space)`` with a value in place of what a mask hides."""
        return field

    @property
    def is_uniform(self) -> bool:
        """Whether all samples weigh the same."""
        return False

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f dmu / int dmu``, over what a mask leaves visible."""
        f = self.hide(field).flatten(-self.space_axes)
        if self.is_uniform:
            return f.mean(-1)
        weights = self.weights.flatten().to(f)
        return f @ (weights / weights.sum())

    def fibre_mean(self, field: Float[Tensor, "batch channel fibre *space"]) -> Tensor:
        """The mean along the fibre of a regular field: a scalar one."""
        return field.mean(2)

    def add(self, field: Float[Tensor, "batch channel *space"], values: Float[Tensor, "channel"]) -> Tensor:
        """The field with a constant added to each channel."""
        return field + values.view(-1, *[1] * (field.dim() - 2))

    def circles(self, size: tuple[int, ...], circular: bool) -> list[bool]:
        """The axes that close, and if asked all others of even size."""
        raise ValueError(f'{self} has no rows of samples, expected a lattice; pool by reduction="mean"')

    def sized(self, shape: tuple[int, ...]) -> "Domain":
        """This domain with the given sizes; ValueError if it has others."""
        self.expect(shape)
        return self

    def engine(self, spec: KernelSpec, to: "Domain | None" = None) -> Engine:
        """The engine for a kernel; made once, then shared by every layer that asks for the same.

        The result is sampled in `to`, on this space or another one of the group; None for here.
        """
        to = None if to is None else to.unmasked  # what is hidden there receives nothing, whatever it is
        engines = self._engines if to is None else self._engines_to.setdefault(to, {})
        engine = engines.get(spec)
        if engine is None:
            with making():
                engine = engines[spec] = self._build(spec) if to is None else self._between(to, spec)
        return engine

    def _between(self, to: "Domain", spec: KernelSpec) -> Engine:
        from erlangen.domains.between import between

        return between(self, to, spec)

    def representation(self, field: Field) -> Representation:
        """The representation of H behind a field's name."""
        if field == "regular":
            if self.fibre is None:
                raise ValueError(
                    f"a regular field needs samples of H = {self.geometry.structure}, but this domain has "
                    "no fibre; build it with rotations=8, or stay with scalar fields"
                )
            return regular(self.fibre)
        makers = {"scalar": trivial, "vector": partial(standard, self.dim), "sign": determinant}
        makers |= {"spin2": traceless} if self.dim == 2 else {}
        if field not in makers:
            raise ValueError(f"field is {field!r}, expected one of {', '.join(['regular', *makers])}")
        return makers[field]()

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
        self.geometry.expect_symmetry(g)
        domain = self.sized(f.shape[-self.space_axes :])
        u = domain.geometry.act(torch.linalg.inv(g.to(torch.float64)), domain.frames)
        return domain.seen_from(u, f, field, interpolation=interpolation)

    def seen_from(
        self,
        u: Frame,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        """The field at any frames ``(*places)``: ``(*batch, [fibre,] *places)``, interpolated.

        Args:
            u: where to look from.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
            interpolation: how to read between the samples; None takes the domain's own.
        """
        rho = self.representation(field)
        places = u.point.shape[:-1]
        f = self.hide(f)
        u = Frame(u.point.flatten(0, -2), u.basis.flatten(0, -3))
        reading = interpolation or self.interpolation
        index, weight, h = reading.transported(self, u)  # (p, k), (p, k), (p, k, n, n)
        values = f.flatten(-self.space_axes)
        values = values if rho.has_axis else values[..., None, :]  # (*batch, d, q)
        matrix = rho.inverse(h) * weight[..., None, None]  # (p, k, d, d)
        moved = torch.einsum("pkij,...jpk->...ip", matrix.to(f), values[..., index])
        return (moved if rho.has_axis else moved[..., 0, :]).unflatten(-1, places)

    def reframed(self, h: Float[Tensor, "*space n n"]) -> "Domain":
        """This domain with the frames ``s(p) h(p)`` at its samples."""
        raise ValueError(f"{self} has frames along its axes, expected samples whose frames can be chosen")

    def to(self, target: "Domain", f: Tensor, field: Field = "scalar") -> Tensor:
        """The field f ``(*batch, [fibre,] *space)`` read at the samples of another domain of the same space,
        by interpolation."""
        if not self.geometry.is_same(target.geometry):
            raise ValueError(
                f"the field lives on {self.geometry} and is to go to {target.geometry}, expected one geometry"
            )
        return self.seen_from(target.frames, f, field)

    def symmetries(self) -> list[Symmetry]:
        """Symmetries worth testing, the exact ones first; none where a domain names none."""
        return []

    def centre(self, field: Tensor) -> Tensor:
        """Where a moved field can be compared: True away from the edges, ``(*space)``."""
        return torch.ones(field.shape[-self.space_axes :], dtype=torch.bool, device=field.device)

    def coarser(self) -> "Domain":
        """The domain of half the samples on each axis, where `downsample` goes."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    @property
    def closed(self) -> tuple[bool, ...]:
        """For each space axis, whether its last sample is next to the first."""
        return (False,) * self.space_axes

    def content_axes(self, circular: bool) -> list[bool]:
        """The axes whose phase may follow the content: those that close; all if none does, or `circular`."""
        closed = self.closed
        return list(closed) if any(closed) and not circular else [True] * len(closed)

    def closing(self, circular: bool) -> list[bool]:
        """The axes that close, those taken to be periodic among them."""
        return [
            closes or phased for closes, phased in zip(self.closed, self.content_axes(circular), strict=True)
        ]

    def surround(self, field: Tensor, widths: list[int], rho: Representation | None = None) -> Tensor:
        """So many more samples of a folded field at both ends of each axis, from beyond its seam."""
        raise ValueError(f"{self} has no axes that could close, expected a lattice")

    def prepare(self, way: Way, rho: Representation) -> None:
        """Make the tables that going down or up will take; refuses where no coarser domain is known."""
        self.coarser()

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        """The blurred field ``(batch, channel, [fibre,] *space)`` on the coarser domain."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        """A field of the coarser domain on this one, of the given sizes."""
        raise ValueError(f"{self} has no coarser grid known here, expected a lattice")

    def downsample_by_content(
        self, field: Tensor, rho: Representation, circular: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The blurred field on the coarser domain in the phase ``(batch, n)`` of its content, and that."""
        axes, around = self.content_axes(circular), partial(self.surround, rho=rho)
        folded = fold(field, rho)
        coarse, phase = resample.downsample_by_content(folded, axes, self.closing(circular), around)
        return unfold(coarse, rho), phase

    def upsample_by_content(
        self,
        field: Tensor,
        rho: Representation,
        size: tuple[int, ...],
        phase: Tensor,
        circular: bool = False,
    ) -> Tensor:
        """The way back from a phase."""
        axes, around = self.content_axes(circular), partial(self.surround, rho=rho)
        folded = fold(field, rho)
        fine = resample.upsample_by_content(folded, phase, size, axes, self.closing(circular), around)
        return unfold(fine, rho)

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
        expect_kernels(basis, H, spec)
        return basis

    def widening(self, spec: KernelSpec) -> int:
        """How far a kernel without mixing raises frequencies along the fibre: its angular degree."""
        return max(degree for _, degree in Rings(self.dim, 1.0, spec.rings).terms)

    @property
    def default_kernel_size(self) -> int | None:
        """The kernel of networks that are told none, in samples; None leaves it to `reach`."""
        return None

    def finer(self, rho: Representation, factor: float, *, fibre: bool = True) -> Resolution | None:
        """More samples, where a function of each value would alias; None where nothing lies in between.

        Args:
            rho: the type of field.
            factor: how many times as many on each axis that is refined, at least.
            fibre: whether the fibre is refined too.
        """
        key = (rho.name, factor, fibre)
        if key not in self._finer:
            with making():
                self._finer[key] = self._refined(rho, factor, fibre) if factor > 1 else None
        return self._finer[key]

    def _refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        # the smallest fibres, and finite groups, have nothing in between
        if fibre and rho.fibre is not None and rho.fibre.default_band is not None:
            return FinerFibre(rho.fibre, factor)
        return None

    def _build(self, spec: KernelSpec) -> Engine:
        basis = self.basis(spec)
        if spec.radius == 0:
            return PointEngine(basis)
        expect_reach(self.geometry, spec.radius)
        return self._correlator(basis, spec)

    def __deepcopy__(self, memo: object) -> "Domain":
        return self
