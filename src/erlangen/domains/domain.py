"""The one contract of every domain: samples, the fields on them, and the engine that it hands out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.arguments import expect_tensor, shown
from erlangen.domains.engine_choice import TO, Offer, chosen
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.refusals import expect_field, expect_kernels, expect_reach, expect_shape, refuse_missing
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import Field, KernelSpec, MaskBoundary, Way, representation_of
from erlangen.domains.spectral import Spectral
from erlangen.domains.symmetry import Symmetries, Symmetry
from erlangen.engines import Engine, FinerFibre, Halving, Resolution, fold, unfold
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, same_fibre
from erlangen.kernels import KernelBasis
from erlangen.shared import shared


class Domain(ABC):
    r"""Samples of a space, with all that layers ask of them: fields, kernels, engines, resampling.

    A domain is immutable; layers hold it and share its tables. Copies of a layer keep the same domain.

    Attributes:
        geometry: the space, with frames and `carry`.
        fibre: the samples of H that regular fields have at each point, or None.
        shape: the sizes of the space axes; None if any size will do.
        sampling: the samples; ValueError where any size will do.
        engines: those that correlate here, by name, in order of preference.
        spectral: what the harmonics of the samples give; None where there are none.
        halving: how lattices go down and up.
        is_sampled: whether fields are values at samples; elsewhere they are coefficients.
        is_uniform: whether all samples weigh the same.
    """

    geometry: Geometry
    fibre: Fibre | None
    shape: tuple[int, ...] | None
    sampling: Sampling
    engines: Mapping[str, Offer]
    spectral: Spectral | None = None
    halving: Halving = Halving()
    is_sampled: bool = True
    is_uniform: bool = False

    def __init__(self) -> None:
        self._representations: dict[Field, Representation] = {}
        self._layouts: dict[Field, tuple[int, int | None]] = {}
        self._engines: dict[KernelSpec, Engine] = {}
        self._engines_to: WeakKeyDictionary[Domain, dict[KernelSpec, Engine]] = WeakKeyDictionary()
        self.resolutions: dict[tuple[str, float, bool], Resolution | None] = {}
        self.views: dict[int, Any] = {}  # of networks that moved here: see `erlangen.on`

    # fields

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be a domain."""
        if isinstance(value, Geometry):
            return f"{name}: {value} is a space, expected samples of it: such as {value.sampling}"
        first = "; it comes first, before torch's own arguments" * isinstance(value, int)
        return (
            f"{name} is {shown(value)}, expected a domain, which says where fields live: such as er.Plane(), "
            f"er.Plane(rotations=8) or er.Sphere().grid(64){first}"
        )

    @property
    def points(self) -> Float[Tensor, "*space m"]:
        """The samples, in float64."""
        return self.sampling.points

    @property
    def weights(self) -> Float[Tensor, "*space"]:
        """The measure of each sample, in float64: ``int f dmu = sum_q w_q f(q)``."""
        return self.sampling.weights

    @property
    def frames(self) -> Frame:
        """The frames s(p) at the samples."""
        return self.sampling.frames

    @property
    def interpolation(self) -> Interpolation:
        """How to read a field between the samples."""
        return self.sampling.interpolation

    @property
    def dim(self) -> int:
        """The dimension of the space."""
        return self.geometry.dim

    @property
    def space_axes(self) -> int:
        """The number of space axes of a field."""
        return self.dim if self.shape is None else len(self.shape)

    @property
    def default_field(self) -> Field:
        """The richest field that the domain carries: regular with a fibre, else scalar."""
        return "scalar" if self.fibre is None else "regular"

    def representation(self, field: Field) -> Representation:
        """The representation of H behind a field's name."""
        found = self._representations.get(field)
        if found is None:
            with shared():
                found = self._representations[field] = representation_of(field, self.geometry, self.fibre)
        return found

    def expect(self, shape: tuple[int, ...]) -> None:
        """ValueError unless a field may have these space axes."""
        expect_shape(tuple(shape), self.shape)

    def is_same(self, other: "Domain") -> bool:
        """Whether the other has these samples, weights, frames and fibre, as a copy has them."""
        if self is other:
            return True
        alike = type(self) is type(other) and self.shape == other.shape
        if not alike or not self.geometry.is_same(other.geometry) or not same_fibre(self.fibre, other.fibre):
            return False
        return self.shape is None or (
            torch.equal(self.weights, other.weights)
            and torch.equal(self.points, other.points)
            and torch.equal(self.frames.basis, other.frames.basis)
        )

    def sized(self, shape: tuple[int, ...]) -> "Domain":
        """This domain with the given sizes; ValueError if it has others."""
        self.expect(shape)
        return self

    def parts(self, rho: Representation) -> int | None:
        """The size of the axis between channels and space; None where fields of that type have none."""
        return rho.dim if rho.has_axis else None

    def layout(self, field: Field) -> tuple[int, int | None]:
        """The number of axes of a field of that type, batch and channels among them, and its `parts`."""
        found = self._layouts.get(field)
        if found is None:
            parts = self.parts(self.representation(field))
            found = self._layouts[field] = 2 + (parts is not None) + self.space_axes, parts
        return found

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        """ValueError unless f is a field ``(batch, channels, [fibre,] *space)`` of that type here.

        Every layer asks it of every field, so what is right passes by one comparison each.
        """
        axes, parts = self._layouts.get(field) or self.layout(field)
        if isinstance(f, Tensor) and f.dim() == axes and f.is_floating_point():
            shape = f.shape
            right = (channels is None or shape[1] == channels) and (parts is None or shape[2] == parts)
            if right and (self.shape is None or shape[-len(self.shape) :] == self.shape):
                return
        expect_field(f, field, channels, parts, self.space_axes, self)
        self.expect(tuple(f.shape[-self.space_axes :]))

    def hide(self, field: Tensor, value: float = 0.0) -> Tensor:
        """The field ``(..., *space)`` with a value in place of what a mask hides."""
        return field

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f dmu / int dmu``, over what a mask leaves visible."""
        f = self.hide(field).flatten(-self.space_axes)
        if self.is_uniform:
            return f.mean(-1)
        weights = self.weights.flatten().to(f)
        return f @ (weights / weights.sum())

    def mean_square(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f^2 dmu / int dmu``, as `mean`."""
        return self.mean(field.square())

    def mean_absolute(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int |f| dmu / int dmu``, as `mean`."""
        return self.mean(field.abs())

    def moments(
        self, field: Float[Tensor, "batch channel *space"]
    ) -> tuple[Float[Tensor, "channel"], Float[Tensor, "channel"]]:
        """The mean and the mean square of each channel, over batch, fibre and space."""
        mean, square = self.mean(field), self.mean_square(field)  # (batch, channel, [fibre])
        over = [axis for axis in range(mean.dim()) if axis != 1]
        return mean.mean(over), square.mean(over)

    def fibre_mean(self, field: Float[Tensor, "batch channel fibre *space"]) -> Tensor:
        """The mean along the fibre of a regular field: a scalar one."""
        return field.mean(2)

    def add(self, field: Float[Tensor, "batch channel *space"], values: Float[Tensor, "channel"]) -> Tensor:
        """The field with a constant added to each channel."""
        return field + values.view(-1, *[1] * (field.dim() - 2))

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
        expect_tensor(f, "the field")
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
        f, u = self.hide(f), u.flat
        refuse_missing(f)
        reading = interpolation or self.interpolation
        found = reading.transported(self.geometry, self.frames.flat, u)
        index, weight, h = found  # (p, k), (p, k), (p, k, n, n)
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
        """Symmetries worth testing: the elements of the group that permute the samples, with names."""
        return Symmetries(self.geometry, self.frames, self.weights, self.fibre).find()

    def symmetry_of(self, g: Float[Tensor, "d d"], name: str = "g") -> Symmetry:
        """The element g under a name, with whether it permutes the samples and belongs to the group."""
        return Symmetries(self.geometry, self.frames, self.weights, self.fibre).named(name, g)

    def centre(self, field: Tensor) -> Tensor:
        """Where a moved field can be compared: True away from the edges, ``(*space)``."""
        return torch.ones(field.shape[-self.space_axes :], dtype=torch.bool, device=field.device)

    # kernels and their engines

    @abstractmethod
    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        """The radius in units of the space, and the number of rings, of the kernel that was asked for."""

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

    @abstractmethod
    def masked(self, mask: Bool[Tensor, "*space"] | None, boundary: MaskBoundary = "zero") -> "Domain":
        """The samples at which the mask is True: missing data, or a window on a region.

        Args:
            mask: ``(*space)``, booleans; None leaves the domain as it is.
            boundary: "zero" sees zeros beyond; "renormalize" divides by the visible part of the kernel.
        """

    @property
    def unmasked(self) -> "Domain":
        """The domain with all its samples."""
        return self

    def basis(self, spec: KernelSpec) -> Any:
        """The kernels that a layer's coefficients mix; ValueError where H allows none."""
        expect_reach(self.geometry, spec.radius)
        rho_in, rho_out = self.representation(spec.in_field), self.representation(spec.out_field)
        H = self.geometry.structure
        rings = spec.polar(self.dim)
        if spec.depthwise:
            basis = KernelBasis.depthwise(H, rings, rho_in, spec.band_in)
        else:
            basis = KernelBasis.build(H, rings, rho_in, rho_out, spec.band_in, spec.band_out)
        expect_kernels(basis, H, spec)
        return basis

    def widening(self, spec: KernelSpec) -> int:
        """How far a kernel without mixing raises frequencies along the fibre: its angular degree."""
        return max(degree for _, degree in spec.polar(self.dim).terms)

    @property
    def spacing(self) -> float | None:
        """How far apart samples of a square lattice are, for which taps can be solved; None elsewhere."""
        return None

    @property
    def default_kernel_size(self) -> int | None:
        """The kernel of networks that are told none, in samples; None leaves it to `kernel_extent`."""
        return None

    def engine(self, spec: KernelSpec, to: "Domain | None" = None) -> Engine:
        """The engine for a kernel; made once, then shared by every layer that asks for the same.

        The result is sampled in `to`, on this space or another one of the group; None for here.
        """
        to = None if to is None else to.unmasked  # what is hidden there receives nothing, whatever it is
        engines = self._engines if to is None else self._engines_to.setdefault(to, {})
        engine = engines.get(spec)
        if engine is None:
            with shared():
                engine = engines[spec] = self.made(spec) if to is None else self.made_to(to, spec)
        return engine

    def made(self, spec: KernelSpec) -> Engine:
        """A new engine for a kernel here: the first of `engines` that serves it, or the one asked for."""
        build = chosen(self, self.engines, spec)
        engine = build(self, self.basis(spec), spec)
        if not isinstance(engine, Engine):
            raise ValueError(
                f"engine is {spec.engine!r}, which made {shown(engine)}, expected an Engine: "
                "let build(domain, basis, spec) return one, such as those of domain.engines"
            )
        return engine

    def made_to(self, to: "Domain", spec: KernelSpec) -> Engine:
        """A new engine for a kernel that reaches from here to the samples of another domain."""
        if callable(spec.engine):
            raise ValueError(
                f"engine is {spec.engine!r} and to= is {to}, expected a name: a function builds an engine of "
                "one domain; leave to= out, or engine="
            )
        return chosen(self, TO, spec)(self, to, spec)

    def finer(self, rho: Representation, factor: float, *, fibre: bool = True) -> Resolution | None:
        """More samples, where a function of each value would alias; None where nothing lies in between.

        Args:
            rho: the type of field.
            factor: how many times as many on each axis that is refined, at least.
            fibre: whether the fibre is refined too.
        """
        if factor < 1:
            raise ValueError(f"oversampling is {factor}, expected at least 1")
        key = (rho.name, factor, fibre)
        if key not in self.resolutions:
            with shared():
                self.resolutions[key] = self.refined(rho, factor, fibre) if factor > 1 or rho.blocks else None
        return self.resolutions[key]

    def refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        """A new resolution of so many times as many samples, for `finer`."""
        # the smallest fibres, and finite groups, have nothing in between
        if fibre and rho.fibre is not None and rho.fibre.default_band is not None:
            return FinerFibre(rho.fibre, factor)
        return None

    def expect_low_pass(self) -> None:
        """ValueError unless `low_passed` can be asked."""
        raise ValueError(
            f"{self} cannot take the fine detail from a scalar field, expected a lattice, or samples of "
            "the sphere that carry harmonics; leave low_pass out"
        )

    def low_passed(self, field: Float[Tensor, "batch channel *space"], circular: bool = False) -> Tensor:
        """A scalar field less its fine detail: of what samples can hold at most a wave number of a half, by a
        Gaussian, which keeps positive fields positive."""
        self.expect_low_pass()
        return field

    def expect_smoothing(self) -> None:
        """ValueError unless `smoothed` can be asked."""
        raise ValueError(
            f"{self} has no filter that damps waves of all directions alike, expected all samples of a "
            "lattice of perpendicular steps of one length, such as er.Plane(); leave low_pass out (on the "
            "sphere a larger oversampling refines space)"
        )

    def smoothed(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        """The field ``(batch, channel, [fibre,] *space)`` less what lattices turn worst."""
        self.expect_smoothing()
        return field

    @property
    def resamplings(self) -> tuple[str, ...]:
        """The ways that `downsample` and `upsample` can go, the first one unless told."""
        return ("gaussian",)

    @abstractmethod
    def coarser(self) -> "Domain":
        """The domain of half the samples on each axis, where `downsample` goes."""

    def prepare(self, way: Way, rho: Representation) -> None:
        """Make the tables that going down or up will take; refuses where no coarser domain is known."""
        self.coarser()

    @abstractmethod
    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        """The field ``(batch, channel, [fibre,] *space)`` on the coarser domain, less what aliases there."""

    @abstractmethod
    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        """A field of the coarser domain on this one, of the given sizes."""

    @property
    def closed(self) -> tuple[bool, ...]:
        """For each space axis, whether its last sample is next to the first."""
        return (False,) * self.space_axes

    def content_axes(self, circular: bool) -> list[bool]:
        """The axes whose phase may follow the content: those that close; all if none does, or `circular`."""
        closed = self.closed
        return list(closed) if any(closed) and not circular else [True] * len(closed)

    def half_shifts(self, size: tuple[int, ...]) -> list[bool]:
        """The other axes of which a shift by half is a symmetry that moves the coarse samples between."""
        return [False] * len(size)

    def closing(self, circular: bool) -> list[bool]:
        """The axes that close, those taken to be periodic among them."""
        return [
            closes or phased for closes, phased in zip(self.closed, self.content_axes(circular), strict=True)
        ]

    def circles(self, size: tuple[int, ...], circular: bool) -> list[bool]:
        """The axes that close, and if asked all others of even size."""
        raise ValueError(f'{self} has no rows of samples, expected a lattice; pool by reduction="mean"')

    def surround(self, field: Tensor, widths: list[int], rho: Representation | None = None) -> Tensor:
        """So many more samples of a folded field at both ends of each axis, from beyond its seam."""
        raise ValueError(f"{self} has no axes that could close, expected a lattice")

    def downsample_by_content(
        self, field: Tensor, rho: Representation, circular: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The blurred field on the coarser domain in the phase ``(batch, n)`` of its content, and that."""
        axes, around = self.content_axes(circular), partial(self.surround, rho=rho)
        folded = fold(field, rho)
        halves = self.half_shifts(tuple(folded.shape[2:]))
        coarse, phase = self.halving.down_by_content(folded, axes, self.closing(circular), around, halves)
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
        closing, halves = self.closing(circular), self.half_shifts(size)
        fine = self.halving.up_by_content(folded, phase, size, axes, closing, around, halves)
        return unfold(fine, rho)

    def __deepcopy__(self, memo: object) -> "Domain":
        return self
