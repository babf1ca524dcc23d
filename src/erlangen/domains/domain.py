"""The one contract of every domain: samples, and the engine it hands out."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

from jaxtyping import Bool
from torch import Tensor

from erlangen.domains.refusals import expect_kernels, expect_reach
from erlangen.domains.sampled import Sampled
from erlangen.domains.spec import KernelSpec, Way
from erlangen.engines import Engine, FinerFibre, PointEngine, Resolution, fold, resample, unfold
from erlangen.groups import Representation
from erlangen.kernels import KernelBasis, Rings
from erlangen.shared import shared


class Domain(Sampled):
    r"""Samples of a space, with all that layers ask of them: kernels, engines, resampling.

    A domain is immutable; layers hold it and share its tables. Copies of a layer keep the same domain.
    """

    def __init__(self) -> None:
        self._engines: dict[KernelSpec, Engine] = {}
        self._engines_to: WeakKeyDictionary[Domain, dict[KernelSpec, Engine]] = WeakKeyDictionary()
        self._finer: dict[tuple[str, float, bool], Resolution | None] = {}
        self.views: dict[int, Any] = {}  # of networks that moved here: see `erlangen.on`

    @abstractmethod
    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        """The radius in units of the space, and the number of rings, of the kernel that was asked for."""

    @abstractmethod
    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        """The engine for kernels with a neighbourhood."""

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

    def masked(
        self, mask: Bool[Tensor, "*space"] | None, boundary: Literal["zero", "renormalize"] = "zero"
    ) -> "Domain":
        """The samples at which the mask is True: missing data, or a window on a region.

        Args:
            mask: ``(*space)``, booleans; None leaves the domain as it is.
            boundary: "zero" sees zeros beyond; "renormalize" divides by the visible part of the kernel.
        """
        from erlangen.domains.masked import Masked

        return self if mask is None else Masked(self, mask, boundary)

    @property
    def unmasked(self) -> "Domain":
        """The domain with all its samples."""
        return self

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

    def engine(self, spec: KernelSpec, to: "Domain | None" = None) -> Engine:
        """The engine for a kernel; made once, then shared by every layer that asks for the same.

        The result is sampled in `to`, on this space or another one of the group; None for here.
        """
        to = None if to is None else to.unmasked  # what is hidden there receives nothing, whatever it is
        engines = self._engines if to is None else self._engines_to.setdefault(to, {})
        engine = engines.get(spec)
        if engine is None:
            with shared():
                engine = engines[spec] = self._build(spec) if to is None else self._between(to, spec)
        return engine

    def _between(self, to: "Domain", spec: KernelSpec) -> Engine:
        from erlangen.domains.between import between

        return between(self, to, spec)

    def _build(self, spec: KernelSpec) -> Engine:
        basis = self.basis(spec)
        if spec.radius == 0:
            return PointEngine(basis)
        expect_reach(self.geometry, spec.radius)
        return self._correlator(basis, spec)

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
        if key not in self._finer:
            with shared():
                self._finer[key] = self._refined(rho, factor, fibre) if factor > 1 else None
        return self._finer[key]

    def _refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        # the smallest fibres, and finite groups, have nothing in between
        if fibre and rho.fibre is not None and rho.fibre.default_band is not None:
            return FinerFibre(rho.fibre, factor)
        return None

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

    @property
    def beside(self) -> Sequence[tuple[int, ...]] | None:
        """A sample and those next to it, in steps from it; None for three on each axis."""
        return None

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
        coarse, phase = resample.downsample_by_content(folded, axes, self.closing(circular), around, halves)
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
        fine = resample.upsample_by_content(folded, phase, size, axes, closing, around, halves)
        return unfold(fine, rho)

    def __deepcopy__(self, memo: object) -> "Domain":
        return self
