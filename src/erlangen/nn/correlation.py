"""The linear equivariant layers: a kernel of learned coefficients, moved over the domain."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Length, Range, checked
from erlangen.domains import Domain, KernelSpec
from erlangen.domains.spec import Build, Field, PaddingMode, Taps, family
from erlangen.engines import Engine
from erlangen.nn.equivariant import Equivariant

Frequency = Annotated[int, Range(0)]
LARGEST_STEP = 4096  # of stride, padding and dilation, in samples
MOST_WEIGHTS = 2**30  # 4 GiB
VERSIONS: dict[Taps, int] = {
    "rings": 1,
    "solved": 2,
    "smooth": 3,
}  # of states: coefficients of other functions


class Correlation(Equivariant):
    r"""``(k * f)(u) = int k(v, h) f(carry(u, v) h) J(v) dv dh + bias`` with ``k = sum_b w_b psi_b``.

    The arguments of `torch.nn.Conv2d`, in its order, with the domain first. Kernels respect the structure
    group H: between scalar fields they are invariant, ``k(h v) = k(v)``, between regular ones any kernel is.

    Args:
        domain: where the fields live.
        in_channels, out_channels: the number of fields (a regular field counts once, not N times).
        kernel_size: the kernel's diameter in samples, odd; on grids.
        stride: keep every stride-th sample, placed symmetrically about the centre at every size; on grids.
        padding: "same", or samples added on each side; on grids.
        dilation: samples between the nodes of the kernel; on grids.
        groups: blocks of channels that do not mix.
        bias: one for each channel, the same at all points and along the fibre; vector and sign fields
            have none, since no value but zero is the same in every frame.
        padding_mode: "zeros", "reflect", "replicate" or "circular"; on grids.
        radius: the kernel's radius in units of the space, instead of kernel_size; on the sphere's grids
            neither of them means kernels that reach all round.
        rings: how many rings the kernel has, the centre included; (kernel_size + 1) / 2, or 3. Of kernels all
            round the sphere: at how many degrees they are free; 8.
        in_field, out_field: "scalar", "regular", "vector", "sign", or on surfaces "spin2": symmetric
            tensors without trace, by (Q, U), such as polarization.
        taps: the radial functions: "rings" of Gaussians; or for square lattices "solved", so that samples of
            the kernel are isotropic within 0.07 % up to wave number 1 (5 wide: angular degrees up to 3), at
            most 9 wide, or "smooth", over the whole band. None for "rings".
        degree: the highest angular degree of such taps; None for 3 (smooth 4), and for half of the fibre's
            limit where the layer is separable: there a degree is so much less for what is mixed.
        separable: mix channels and fibre at each point, then correlate each channel by itself.
        fibre_band: the highest frequency along the fibre; None for the fibre's own limit.
        to: where the result lives: other samples of the space, or another space of its group. From G/H to
            G/H' with H' in H it is a lift, where kernels need to respect H' only; the other way a projection.
            Between grids of the sphere kernels are global or local, as on one: exact in the degrees of both.
        engine: what computes it: the name of one that the domain has (``domain.engines``), such as "stencil",
            or a function ``build(domain, basis, spec)`` that makes an `er.engines.Engine`; None for the
            domain's choice.

    Shapes:
        - input: ``(batch, in_channels, [fibre,] *space)``
        - output: ``(batch, out_channels, [fibre,] *space)``; ``ceil(size / stride)`` on strided axes.

    Attributes:
        equivariant_to: the name of the group that the layer commutes with.

    Raises:
        ValueError: for what the domain or its group does not allow, saying what it does.

    Reference: Cohen, Geiger & Weiler 2019 (the kernel constraint); Knigge et al. 2022 (separable).

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> layer = er.nn.Correlation(plane, 4, 6, 5, in_field="regular", out_field="regular")
        >>> layer(torch.randn(1, 4, 8, 32, 32)).shape
        torch.Size([1, 6, 8, 32, 32])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        kernel_size: int | Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | Literal["same"] = "same",
        dilation: int | Sequence[int] = 1,
        groups: Count = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        radius: Length | None = None,
        rings: Count | None = None,
        in_field: Field = "scalar",
        out_field: Field = "scalar",
        taps: Taps | None = None,
        degree: Frequency | None = None,
        separable: bool = False,
        fibre_band: Frequency | None = None,
        to: Domain | None = None,
        engine: str | Build | None = None,
    ) -> None:
        super().__init__()
        _check_groups(in_channels, out_channels, groups)
        self.domain, self.to_domain = domain, to
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.in_field: Field = in_field
        self.out_field: Field = out_field
        self.separable = separable
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        extent = _extent(domain, _whole("kernel_size", kernel_size), radius, rings, taps)
        band_in, band_out = _bands(domain, fibre_band, in_field, out_field)
        self.spec = KernelSpec(
            in_field,
            out_field,
            *extent,
            degree,
            degrees=_degrees(domain, to) if math.isinf(extent[0]) else None,
            band_in=band_in,
            band_out=band_out,
            stride=_whole("stride", stride),
            padding="same" if padding == "same" else _whole("padding", padding, least=0),
            dilation=_whole("dilation", dilation),
            padding_mode=padding_mode,
            engine=engine,
        )
        self._version = VERSIONS[self.spec.taps]  # torch writes it beside the state, and reads it
        per_group = in_channels // groups
        if separable:
            self.mixing_spec, self.spec = _separate(self.spec, domain, to)
            mixing = domain.engine(self.mixing_spec)
            self.mixing = _coefficients(mixing, out_channels, per_group, factory)
        moving = domain.engine(self.spec, to)
        self.weight = _coefficients(moving, out_channels, 1 if separable else per_group, factory)
        has_bias = bias and moving.rho_out.has_invariants
        self.bias = nn.Parameter(torch.empty(out_channels, **factory)) if has_bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """White noise of variance 1 comes out with variance 2, as a ReLU likes it; smooth kernels first."""
        _initialize(self.weight, self.domain.engine(self.spec, self.to_domain), gain=math.sqrt(2))
        if self.separable:
            _initialize(self.mixing, self.domain.engine(self.mixing_spec), gain=1.0)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _load_from_state_dict(  # type: ignore[override]
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, *found: list[str]
    ) -> None:
        version = local_metadata.get("version", self._version)
        if version != self._version:
            taps = next((name for name, number in VERSIONS.items() if number == version), None)
            found[-1].append(
                f"{prefix}weight are coefficients of kernels of taps={taps!r}, expected those of "
                f"taps={self.spec.taps!r}, which this layer has; build it with taps={taps!r}"
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *found)

    def prepare(self) -> None:
        if 0 < self.spec.radius < math.inf:
            self.domain.kernel_extent(None, self.spec.radius, self.spec.rings)  # or refuses
        count = len(self.domain.engine(self.spec, self.to_domain).power)
        if self.separable:
            self.domain.engine(self.mixing_spec)
        if count != self.weight.shape[2]:
            raise ValueError(
                f"{self.domain} has {count} kernels for each pair of channels where this layer has "
                f"{self.weight.shape[2]} coefficients, expected a domain of its kind"
            )

    def forward(
        self, field: Float[Tensor, "batch in_channels *space"]
    ) -> Float[Tensor, "batch out_channels *out_space"]:
        self.domain.check(field, self.in_field, self.in_channels)
        if field.dtype != self.weight.dtype:
            self.expect_dtype(field)
        engine = self.domain.engine(self.spec, self.to_domain)
        if self.separable:
            field = self.domain.engine(self.mixing_spec).apply(field, self.mixing, self.groups)
            field = engine.apply(field, self.weight, self.out_channels)
        else:
            field = engine.apply(field, self.weight, self.groups)
        if self.bias is None and self.to_domain is None:
            return field  # the engine gives nothing to what a mask hides
        there = self.to_domain or self.domain
        return there.hide(field if self.bias is None else there.add(field, self.bias))

    @property
    def goes_by_channels(self) -> bool:
        """Whether half of the channels that come out are half of the work."""
        engines = [self.domain.engine(self.spec, self.to_domain)]
        engines += [self.domain.engine(self.mixing_spec)] if self.separable else []
        return all(engine.by_channels for engine in engines)

    def of_channels(self, rows: slice) -> nn.Module | None:
        """For those that come out; `seen_by` says what has to come in."""
        count = len(range(self.out_channels)[rows])
        groups = max(1, count * self.groups // self.out_channels)
        axes = {name: 0 for name in ("weight", "mixing", "bias") if name != "mixing" or self.separable}
        given = self.in_channels // self.groups * groups
        return self.cut(rows, axes, out_channels=count, in_channels=given, groups=groups)

    def seen_by(self, field: Tensor, rows: slice) -> Tensor:
        """The channels that come in of which those that come out are made."""
        if self.groups == 1:
            return field
        start, stop, _ = rows.indices(self.out_channels)
        inputs, outputs = self.in_channels // self.groups, self.out_channels // self.groups
        return field[:, start // outputs * inputs : stop // outputs * inputs]

    def normed(self, field: Float[Tensor, "batch in_channels *space"], norm: nn.Module) -> Tensor:
        """``norm(self(field))``; what lies between goes nowhere else: a frozen layer does both at once."""
        return norm(self(field))

    def expect_dtype(self, field: Tensor) -> None:
        """ValueError for a field of another dtype than the weights, unless torch casts it."""
        if field.dtype != self.weight.dtype and not torch.is_autocast_enabled(field.device.type):
            raise ValueError(
                f"the field is {field.dtype} and the weights are {self.weight.dtype}, expected one dtype; "
                "cast the field, or the layer by .to(dtype)"
            )

    def kernel(
        self, v: Float[Tensor, "*places n"]
    ) -> Float[Tensor, "*places out_channels in_per_group d_out d_in"]:
        r"""The kernel that was learned, as a function of frame components: ``K(v) = sum_b w_b psi_b(v)``.

        With it `er.correlate` sums what the layer computes, but for the bias. Between scalar fields
        ``layer.kernel(v)[..., o, c, 0, 0]`` leads from channel c to channel o. Vectors are seen by their
        components, regular fields by samples of the fibre: ``K(v)[i, j] = k(h_i^{-1} v, h_i^{-1} h_j) dh``,
        dh the measure of one. Where kernels reach all round the sphere, the length of v is the angle.
        With dilation this is the kernel before its nodes are spread.

        Args:
            v: frame components, in the units of the space; the kernel is zero beyond the radius.

        Raises:
            ValueError: for a kernel at one point, which is a matrix times a delta.

        Example:
            >>> import torch, erlangen as er
            >>> layer = er.nn.Correlation(er.Sphere().grid(16), 1, 4, radius=0.5)
            >>> layer.kernel(torch.tensor([[0.2, 0.0], [0.0, 0.2]])).shape
            torch.Size([2, 4, 1, 1, 1])
        """
        if self.spec.radius == 0:
            raise ValueError(
                "kernel_size=1 is a kernel at one point, a matrix times a delta, which is no function of v; "
                "expected a kernel with a width: take kernel_size=3, or radius="
            )
        psi = self.domain.engine(self.spec, self.to_domain).basis(v.to(torch.float64))
        K = torch.einsum("ocb,...bij->...ocij", self.weight, psi.to(self.weight))
        if not self.separable:
            return K
        zero = torch.zeros(v.shape[-1], dtype=torch.float64)
        at_zero = self.domain.engine(self.mixing_spec).basis(zero).to(self.mixing)
        return K @ torch.einsum("ocb,bij->ocij", self.mixing, at_zero)

    def extra_repr(self) -> str:
        text = f"{self.domain}, {self.in_channels}, {self.out_channels}, radius={self.spec.radius:g}"
        text += f", rings={self.spec.rings}" + f', taps="{self.spec.taps}"' * (self.spec.taps != "rings")
        text += f', in_field="{self.in_field}", out_field="{self.out_field}"'
        text += ", separable=True" * self.separable + f", to={self.to_domain}" * (self.to_domain is not None)
        text += f", engine={self.spec.engine!r}" * (self.spec.engine is not None)
        return text + f', equivariant_to="{self.equivariant_to}"'


class Lift(Correlation):
    r"""From scalar fields to regular ones: ``(k * f)(p, i) = int k(h_i^{-1} v) f(carry(s(p), v)) J(v) dv``.

    Any kernel will do; the arguments are those of `Correlation`. With ``to=``, samples of the group or of
    a quotient G/H' between, the lifted field is a scalar one there: ``int k(g^{-1} q) f(q) dmu(q)``.

    Shapes:
        - input: ``(batch, in_channels, *space)``
        - output: ``(batch, out_channels, fibre, *space)``; with `to` ``(batch, out_channels, *space of to)``

    Example:
        >>> import torch, erlangen as er
        >>> er.nn.Lift(er.Plane(rotations=8), 3, 16, kernel_size=7)(torch.randn(1, 3, 33, 40)).shape
        torch.Size([1, 16, 8, 33, 40])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        kernel_size: int | Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | Literal["same"] = "same",
        dilation: int | Sequence[int] = 1,
        groups: Count = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        radius: Length | None = None,
        rings: Count | None = None,
        taps: Taps | None = None,
        degree: Frequency | None = None,
        separable: bool = False,
        fibre_band: Frequency | None = None,
        to: Domain | None = None,
        engine: str | Build | None = None,
    ) -> None:
        super().__init__(
            domain,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            radius=radius,
            rings=rings,
            taps=taps,
            degree=degree,
            in_field="scalar",
            out_field="regular" if to is None else to.default_field,
            separable=separable,
            fibre_band=fibre_band,
            to=to,
            engine=engine,
        )


def _extent(
    domain: Domain, kernel_size: int | None, radius: float | None, rings: int | None, taps: Taps | None
) -> tuple[float, int, Taps]:
    """The radius, how many radial functions there are, and which."""
    reach, count = domain.kernel_extent(kernel_size, radius, rings)
    taps = taps or "rings"
    if taps == "rings" or reach == 0:
        return reach, count, "rings"
    if domain.spacing is None or math.isinf(reach):
        raise ValueError(
            f'taps="{taps}" on {domain}, expected a lattice of equal, perpendicular steps and a kernel with '
            'an edge; take taps="rings"'
        )
    return *family(taps).extent(domain.spacing, kernel_size, reach, rings), taps


def _bands(
    domain: Domain, band: int | None, in_field: Field, out_field: Field
) -> tuple[int | None, int | None]:
    """The highest frequencies along the fibre, or its own limit; other fields than regular ones have none."""
    if band is None and domain.fibre is not None:
        band = domain.fibre.default_band
    return band if in_field == "regular" else None, band if out_field == "regular" else None


def _separate(spec: KernelSpec, domain: Domain, to: Domain | None) -> tuple[KernelSpec, KernelSpec]:
    """The kernel at one point that mixes, and the one that moves each channel by itself.

    The second may raise a frequency along the fibre by its angular degree, so the first stays
    below the limit by as much.
    """
    if to is not None:
        raise ValueError(
            "separable=True mixes at one point, which two domains do not share, expected "
            "separable=False; put a Correlation with kernel_size=1 before it"
        )
    same_field = spec.in_field == spec.out_field
    band = spec.band_out
    if same_field and band is not None and spec.taps != "rings" and spec.degree is None:
        spec = replace(spec, degree=max(band // 2, 1))
    mixing = KernelSpec(
        spec.in_field,
        spec.in_field,
        band_in=spec.band_in,
        band_out=None if band is None else max(band - domain.widening(spec), 1),
    )
    return mixing, replace(spec, depthwise=same_field, band_in=mixing.band_out)


def _initialize(weight: Tensor, engine: Engine, gain: float) -> None:
    """Normal coefficients, as large as the basis function is smooth, for an output of variance gain^2."""
    with torch.no_grad():
        smooth = engine.smoothness
        total = (weight.shape[1] * (smooth.square() * engine.power).sum()).sqrt()
        scale = gain * smooth / total
        weight.normal_().mul_(scale.to(weight))


def _whole(name: str, value: Any, least: int = 1) -> Any:
    """A whole number, or the one that all entries of a sequence are."""
    if value is None:
        return None
    if isinstance(value, Sequence) and len(set(value)) == 1:
        value = value[0]
    if not isinstance(value, int) or not least <= value <= LARGEST_STEP:
        also = ' or "same"' if name == "padding" else ""
        bounds = f"of at least {least}" if not isinstance(value, int) or value < least else "up to 4096"
        raise ValueError(
            f"{name} is {value!r}, expected a whole number {bounds}{also}, the same on every axis"
        )
    return value


def _coefficients(
    engine: Engine, out_channels: int, in_channels: int, factory: dict[str, Any]
) -> nn.Parameter:
    """One for each pair of channels and each kernel of the engine: ``(out, in, b)``, not yet set."""
    shape = (out_channels, in_channels, len(engine.power))
    if math.prod(shape) > MOST_WEIGHTS:
        raise ValueError(
            f"the layer would have {math.prod(shape):.2g} weights {shape}, expected at most 2^30: take fewer "
            "channels, more groups, or a smaller kernel"
        )
    return nn.Parameter(torch.empty(shape, **factory))


def _degrees(domain: Domain, to: Domain | None) -> int:
    """The bandwidth of kernels all round: that of the samples, visible or not, or of the fewer."""
    held = [getattr(one.unmasked, "degrees", None) for one in (domain, to) if one is not None]
    return min(degrees for degrees in held if degrees is not None)


def _check_groups(in_channels: int, out_channels: int, groups: int) -> None:
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups is {groups}, expected a divisor of in_channels ({in_channels}) and out_channels "
            f"({out_channels})"
        )
