"""A domain some of whose samples are missing: gaps in the data, or a window on a region."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.arguments import expect_tensor
from erlangen.domains.builders import ball_rule, sum_in_view
from erlangen.domains.domain import Domain
from erlangen.domains.engine_choice import chosen
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.refusals import refuse_missing
from erlangen.domains.relative import relative
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import Field, KernelSpec, MaskBoundary, Way
from erlangen.engines import Engine, MaskedEngine, StencilEngine, Table
from erlangen.groups import Representation, StructureGroup, trivial
from erlangen.kernels import KernelBasis, Rings
from erlangen.shared import shared

HALF = 0.5  # of the mass: what is seen less is missing on the coarser domain
LEAST = 1e-3
OF_HARMONICS = ("analyze", "synthesize", "spectrum", "degrees", "transform")


class Masked(Domain):
    r"""The samples of a domain at which a mask is True; fields keep their shape, and are not read elsewhere.

    ``(k * f)(p) = sum over the visible q of w_q k(v_q) f(q)``, zero at the others; with
    ``boundary="renormalize"`` divided by the visible part of the kernel's mass,
    ``sum_visible w_q e(v_q) / int e J dv`` with e the sum of its rings: that kernel keeps constants up to
    the edge, others nearly. Towards other samples, and for global kernels, divided by
    ``sum_visible w_q e(v_q) / sum w_q e(v_q)``; e is then the global kernel with its coefficients all as
    large as they start.

    Args:
        whole: the domain of all samples.
        mask: ``(*space)``, True where there is data.
        boundary: "zero" or "renormalize".
    """

    def __init__(self, whole: Domain, mask: Bool[Tensor, "*space"], boundary: MaskBoundary = "zero") -> None:
        super().__init__()
        expect_tensor(mask, "the mask")
        if mask.dtype != torch.bool:
            raise ValueError(
                f"the mask is {mask.dtype}, expected booleans, True where there is data; such as "
                "~torch.isnan(field), or mask > 0"
            )
        whole = whole.sized(tuple(mask.shape))
        if not bool(mask.any()):
            raise ValueError(
                "the mask is False everywhere, expected True where there is data; if it is the other "
                "way round, ~mask"
            )
        if boundary not in ("zero", "renormalize"):
            raise ValueError(
                f'boundary is {boundary!r}, expected "zero" or "renormalize"; mirrors need a straight edge: '
                'padding_mode="reflect" on a grid'
            )
        self.whole, self.mask = whole, mask
        self.boundary: MaskBoundary = boundary
        self.geometry, self.fibre, self.shape = whole.geometry, whole.fibre, tuple(mask.shape)
        self.engines, self.halving = whole.engines, whole.halving
        self._mask = Table(mask)
        self._shares: dict[str, Table] = {}
        self._coarser: Masked | None = None

    def __repr__(self) -> str:
        seen = f"{int(self.mask.sum())} of {self.mask.numel()} samples"
        return f'{self.whole}.masked({seen}, boundary="{self.boundary}")'

    def __reduce__(self) -> tuple:
        return Masked, (self.whole, self.mask, self.boundary)

    def __getattr__(self, name: str) -> Any:
        if name in OF_HARMONICS and self.unmasked.spectral is not None:
            raise AttributeError(
                f"{name}: a field with gaps has no harmonics of its own; fill them, and take the domain of "
                f"all samples, .unmasked.{name}, or fit the visible points, er.Sphere().samples(points[mask])"
            )
        return super().__getattribute__(name)

    @cached_property
    @shared()
    def sampling(self) -> Sampling:  # type: ignore[override]
        whole = self.whole.sampling
        reading = _Visible(whole.interpolation, self.mask.flatten())
        weights = whole.weights * self.mask
        return Sampling(
            self.geometry, whole.points, weights, reading, frames=whole.unturned, turns=whole.turns
        )

    def masked(self, mask: Bool[Tensor, "*space"] | None, boundary: MaskBoundary = "zero") -> "Masked":
        return self if mask is None else Masked(self, mask, boundary)

    @property
    def unmasked(self) -> Domain:
        return self.whole.unmasked

    def hide(self, field: Tensor, value: float = 0.0) -> Tensor:
        return torch.where(
            self._mask.like(field), field, torch.full((), value, dtype=field.dtype, device=field.device)
        )

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        super().check(f, field, channels)
        refuse_missing(self.hide(f))

    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        return self.whole.kernel_extent(kernel_size, radius, rings)

    def circles(self, size: tuple[int, ...], circular: bool) -> list[bool]:
        return self.whole.circles(size, circular)

    @property
    def closed(self) -> tuple[bool, ...]:
        return self.whole.closed

    def content_axes(self, circular: bool) -> list[bool]:
        raise ValueError(
            f"exact_shifts=True on {self}: a mask does not shift with the content, expected "
            "exact_shifts=False"
        )

    @property
    def default_kernel_size(self) -> int | None:
        return self.whole.default_kernel_size

    @property
    def spacing(self) -> float | None:
        return self.whole.spacing

    def widening(self, spec: KernelSpec) -> int:
        return self.whole.widening(spec)

    def surround(self, field: Tensor, widths: list[int], rho: Representation | None = None) -> Tensor:
        return self.whole.surround(field, widths, rho)

    def coarser(self) -> "Masked":
        if self._coarser is None:
            with shared():
                seen = self._share("down").value >= HALF
                if not bool(seen.any()):
                    raise ValueError(
                        f"{self} has no coarser samples: of what each would see most is hidden, expected a "
                        "mask of larger pieces, or fewer levels (depth=)"
                    )
                self._coarser = Masked(self.whole.coarser(), seen, self.boundary)
        return self._coarser

    def prepare(self, way: Way, rho: Representation) -> None:
        self.whole.prepare(way, rho)
        self._share(way)

    def expect_low_pass(self) -> None:
        self.whole.expect_low_pass()
        if self.whole.spectral is not None:
            super().expect_low_pass()  # what is hidden has no harmonics

    def low_passed(self, field: Float[Tensor, "batch channel *space"], circular: bool = False) -> Tensor:
        """The mean over what is visible."""
        seen = self._mask.value.to(field)[None, None]
        share = self.whole.low_passed(seen, circular)
        low = self.whole.low_passed(self.hide(field), circular)
        return self.hide(low / torch.where(self._mask.like(field), share, 1.0))

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        coarse = self.whole.downsample(self.hide(field), rho, circular)
        return self.coarser().hide(coarse / self._share("down").like(coarse).clamp_min(HALF))

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        fine = self.whole.upsample(self.coarser().hide(field), rho, size, circular)
        share = self._share("up").like(fine)
        return self.hide(torch.where(share > HALF / 2, fine / share.clamp_min(HALF / 2), 0.0))

    def _share(self, way: Way) -> Table:
        """The part of each sample's weights that is visible, in `downsample` and `upsample`."""
        if way not in self._shares:
            with shared():
                self._shares[way] = Table(self._visible_part(way)[0, 0])
        return self._shares[way]

    def _visible_part(self, way: Way) -> Tensor:
        if way == "down":
            return self.whole.downsample(self.mask.double()[None, None], trivial())
        return self.whole.upsample(self.coarser().mask.double()[None, None], trivial(), self.mask.shape)

    def made(self, spec: KernelSpec) -> Engine:
        if spec.stride != 1 or spec.padding != "same":
            raise ValueError(
                f"stride={spec.stride} and padding={spec.padding!r} on a masked domain: expected defaults, "
                "which keep the samples; resample by er.nn.Down"
            )
        scale = self.mask.double()
        if self.boundary == "renormalize" and spec.radius > 0:
            scale = torch.where(self.mask, 1 / self._mass(spec).clamp_min(LEAST), 0.0)
        return MaskedEngine(self.whole.engine(spec), self.mask, scale)

    def made_to(self, to: Domain, spec: KernelSpec) -> Engine:
        scale = torch.ones(to.weights.shape, dtype=torch.float64)
        if self.boundary == "renormalize":
            scale = 1 / self._visible_from(to, spec).clamp_min(LEAST)
        return MaskedEngine(self.whole.engine(spec, to), self.mask, scale)

    def _visible_from(self, to: Domain | None, spec: KernelSpec) -> Float[Tensor, "*space"]:
        """What of an isotropic kernel's sum is visible from the samples of a domain; None for here."""
        if spec.is_global:
            engine = self.whole.engine(_plain(spec), to)
        else:
            target = (to or self.whole).sampling
            stencil = sum_in_view(relative(self.whole.sampling, target), spec.radius, turns=False)
            engine = StencilEngine(self._isotropic(spec), stencil, target.shape)
        w = engine.smoothness.expand(1, 1, -1)
        seen, whole = (
            engine.apply(f[None, None], w)[0, 0]
            for f in (self.mask.double(), torch.ones(self.mask.shape).double())
        )
        return seen / whole.clamp_min(torch.finfo(whole.dtype).tiny)

    def _mass(self, spec: KernelSpec) -> Float[Tensor, "*space"]:
        """The visible part of the sum of the kernel's rings about each sample."""
        if spec.is_global:
            return self._visible_from(None, spec)
        basis = self._isotropic(spec)
        ones = torch.ones(1, 1, len(basis), dtype=torch.float64)
        whole, plain = self.unmasked, _plain(spec)
        engine = chosen(whole, whole.engines, plain)(whole, basis, plain)
        seen = engine.apply(self.mask.double()[None, None], ones)[0, 0]
        v, a = ball_rule(self.dim, spec.radius, 32)
        if self.geometry.measure == "space":
            a = a * self.geometry.density(v)
        return seen / (basis(v)[..., 0, 0].sum(-1) @ a)

    def _isotropic(self, spec: KernelSpec) -> KernelBasis:
        rings = Rings(self.dim, spec.radius, spec.rings)
        return KernelBasis.build(StructureGroup.orthogonal(self.dim), rings, trivial(), trivial())


def _plain(spec: KernelSpec) -> KernelSpec:
    """The same between scalar fields."""
    return replace(spec, in_field="scalar", out_field="scalar", depthwise=False, band_in=None, band_out=None)


@dataclass(frozen=True, eq=False)
class _Visible(Interpolation):
    """Another interpolation, from the visible samples only, where they hold half of its weight or more."""

    whole: Interpolation
    mask: Bool[Tensor, "q"]

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        index, weight = self.whole.read(p)
        seen = weight * self.mask[index]
        total = seen.sum(-1, keepdim=True)
        return index, torch.where(total >= HALF, seen / total.clamp_min(HALF), 0.0)
