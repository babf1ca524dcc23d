"""Nonlinearities that keep the symmetry: pointwise at more samples, polynomial, or gated by invariants."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Oversampling, Range, checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field
from erlangen.engines import Resolution
from erlangen.engines.finer import RELU, SILU, Function
from erlangen.groups import trivial
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.norm import sparing

Degree = Annotated[int, Range(2, 16, mend="the first is a line, take 2 or 3")]


class Pointwise(Equivariant):
    r"""A function of each value, at more samples: ``F -> P phi(U F)``.

    U samples the fibre `oversampling` times as fine, P brings the result back to the frequencies that
    the fibre can turn by any angle. Turns by 2 pi / N stay exact; in between, the function makes
    frequencies that alias, the fewer the finer. On the sphere U and P are harmonic transforms, and refine
    latitudes and longitudes as well.

    Args:
        domain: where the field lives.
        function: applied to every value.
        field: "scalar" or "regular"; None for the domain's own.
        oversampling: how much finer the samples are, such as 1.5 on the sphere; rounded up where the finer
            ones keep the own, as on fibres of the plane. 1 applies the function as it is.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.
    """

    fused: Function | None = None  # the same function, where it can be taken without holding the finer field

    @checked
    def __init__(
        self,
        domain: Domain,
        function: Callable[[Tensor], Tensor],
        field: Field | None = None,
        *,
        oversampling: Oversampling = 2,
    ) -> None:
        super().__init__()
        field = field or domain.default_field
        if field not in ("scalar", "regular"):
            raise ValueError(
                f"a function of each component is not equivariant on {field} fields, expected scalar or "
                "regular ones; use er.nn.Gated"
            )
        self.domain, self.function = domain, function
        self.field: Field = field
        self.oversampling = oversampling
        self.rho = domain.representation(field)
        self.prepare()

    def prepare(self) -> None:
        self.domain.finer(self.rho, self.oversampling)  # kept by the domain

    @sparing
    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field)
        finer = self.domain.finer(self.rho, self.oversampling)
        if finer is None:
            return self.function(field)
        if self.fused is not None:
            return finer.pointwise(field, self.fused)
        return finer.down(self.function(finer.up(field)))

    def of_channels(self, rows: slice) -> nn.Module | None:
        return self if self.fused is None else self.cut(rows, {}, function=self.fused.into)

    def extra_repr(self) -> str:
        return f'{self.domain}, field="{self.field}", oversampling={self.oversampling}'


class ReLU(Pointwise):
    """`Pointwise` with ``max(x, 0)``.

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> er.nn.ReLU(plane)(torch.randn(1, 4, 8, 16, 16)).shape
        torch.Size([1, 4, 8, 16, 16])
    """

    fused = RELU

    @checked
    def __init__(self, domain: Domain, field: Field | None = None, *, oversampling: Oversampling = 2) -> None:
        super().__init__(domain, torch.relu, field, oversampling=oversampling)


class SiLU(Pointwise):
    """`Pointwise` with ``x sigmoid(x)``: as a ReLU without its kink, so that less of it aliases.

    How much less depends on the size of what comes in: with a gain of three its bend is three times as sharp.

    Example:
        >>> import torch, erlangen as er
        >>> ball = er.Sphere().grid(8, rotations=5)
        >>> er.nn.SiLU(ball)(torch.randn(1, 4, 5, 8, 16)).shape
        torch.Size([1, 4, 5, 8, 16])
    """

    fused = SILU

    @checked
    def __init__(self, domain: Domain, field: Field | None = None, *, oversampling: Oversampling = 2) -> None:
        super().__init__(domain, nn.functional.silu, field, oversampling=oversampling)


class Polynomial(Pointwise):
    r"""``F -> sum_k w_k F^k``, k = 1, ..., degree: exact under every symmetry.

    A power of a band-limited field has a band as many times as wide. Sampled finely enough nothing of it
    aliases into the band that is kept: (degree + 1) / 2 times as finely. Samples of the sphere that are not
    rings need ``degrees=`` for that: without, their fields have no band, and powers are taken as they are.

    Args:
        domain: where the field lives.
        channels: each has its w.
        degree: at least 2.
        field: "scalar" or "regular"; None for the domain's own.
        limit: fields of a larger root mean square, over space and fibre, are scaled down to it first, each
            channel of each sample by itself: an invariant, so that nothing is less exact. Squares of squares
            are large where running statistics do not fit, such as those of a network that nothing was shown
            yet. None takes fields as they are.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        channels: Count,
        degree: Degree = 2,
        field: Field | None = None,
        *,
        limit: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if limit is not None and not limit > 0:
            raise ValueError(f"limit is {limit}, expected a positive number, such as 8, or None for no limit")
        super().__init__(domain, self.power, field, oversampling=(degree + 1) / 2)
        self.limit = limit
        self.weight = nn.Parameter(torch.empty(degree, channels, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """``F + F^2 / 2 + F^3 / 6 + ...``: of the identity's size where F is of size one."""
        with torch.no_grad():
            for k, row in enumerate(self.weight):
                row.fill_(1 / math.factorial(k + 1))

    @sparing
    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field, self.weight.shape[1])
        field = self.domain.hide(field)
        if self.limit is not None:
            field = self._limited(field, self.limit)
        finer = self.domain.finer(self.rho, self.oversampling)
        if finer is None or len(self.weight) > 2:
            return super().forward(field)
        return finer.quadratic(field, *self.weight)

    def of_channels(self, rows: slice) -> nn.Module | None:
        part = self.cut(rows, {"weight": 1})
        if isinstance(part, Polynomial):
            part.function = part.power
        return part

    def _limited(self, field: Tensor, limit: float) -> Tensor:
        """The field, no larger than that."""
        square = self.domain.mean_square(field)
        square = self.rho.mean_of(square) if square.dim() == 3 else square  # along the fibre as well
        scale = torch.sqrt(limit**2 / square.clamp_min(limit**2))  # 1, to the bit, of most
        return field * scale.view(*scale.shape, *[1] * (field.dim() - 2)).to(field.dtype)

    def power(self, field: Tensor) -> Tensor:
        """The polynomial of each value."""
        rows = self.weight.view(*self.weight.shape, *[1] * (field.dim() - 2))
        total = rows[-1] * field
        for row in rows[:-1].flip(0):  # Horner
            total = (total + row) * field
        return total

    def extra_repr(self) -> str:
        degree, channels = self.weight.shape
        return f'{self.domain}, {channels}, degree={degree}, field="{self.field}"'


class Gated(Equivariant):
    r"""``F -> F sigmoid(a mean_h F + b rms_h F + c)``: exact at every angle of the fibre, on every field.

    The mean and the root mean square along the fibre are invariants, so the gate is a scalar field.
    Vectors and signs have no mean; scalars are gated by themselves.

    With `low_pass` the mean and the mean square are smoothed first, by a Gaussian of 1.3 samples, on the
    sphere of a quarter of the bandwidth in degrees. Then the gate has no fine detail, and hardly anything of
    the product aliases in space, whatever slopes are learned: at twice the samples of the sphere 1e-8 for
    fields that fill the band, 1e-7 with slopes of three.

    On the sphere the gate is no polynomial and aliases a little: at L = 16, for spectra that fall as
    ``e^{-3l/L}``, rotations change regular fields by 6e-4 and scalar ones by 3e-3; with oversampling=4 by
    7e-6 and 1e-4. What has to be exact there is a `Polynomial`.

    Args:
        domain: where the field lives.
        channels: each has an a, b and c.
        field: its type; None for the domain's own.
        oversampling: on the sphere, how much finer latitudes and longitudes are for the product.
        low_pass: smooth what the gate looks at.
        circular: treat the field as periodic; otherwise means at the border are over what lies inside.

    Raises:
        ValueError: for `low_pass` on samples that are neither a lattice nor carry harmonics of the sphere.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        channels: Count,
        field: Field | None = None,
        *,
        oversampling: Oversampling = 2,
        low_pass: bool = False,
        circular: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.domain, self.low_pass, self.circular = domain, low_pass, circular
        self.field: Field = field or domain.default_field
        self.rho, self.oversampling = domain.representation(self.field), oversampling
        self.weight = nn.Parameter(torch.empty(3, channels, device=device, dtype=dtype))
        self.reset_parameters()
        self.prepare()

    def prepare(self) -> None:
        self.domain.finer(self.rho, self.oversampling, fibre=False)  # kept by the domain
        if self.low_pass:
            self.domain.expect_low_pass()
            self.domain.finer(trivial(), self.oversampling, fibre=False)

    def reset_parameters(self) -> None:
        """Open gates for large and for positive values."""
        with torch.no_grad():
            self.weight.copy_(torch.tensor([[1.0], [1.0], [-1.0]]).expand_as(self.weight))

    @sparing
    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field, self.weight.shape[1])
        field = self.domain.hide(field)
        finer = self.domain.finer(self.rho, self.oversampling, fibre=False)
        if finer is None:
            return self._gated(field, None)
        back = self.domain.finer(trivial(), self.oversampling, fibre=False) if self.low_pass else None
        return finer.down(self._gated(finer.up(field), back))

    def of_channels(self, rows: slice) -> nn.Module | None:
        return self.cut(rows, {"weight": 1})

    def _gated(self, field: Tensor, finer: Resolution | None) -> Tensor:
        """The product, at the samples of a finer resolution of scalar fields, or at the domain's own."""
        invariants = [self.rho.mean_of(field.square()) if self.rho.has_axis else field.square()]
        if self.rho.has_invariants:
            invariants.append(self.rho.mean(field) if self.rho.has_axis else field)
        if self.low_pass:
            both = torch.cat(invariants, 1)
            low = self.domain.low_passed(both if finer is None else finer.down(both), self.circular)
            invariants = list((low if finer is None else finer.up(low)).chunk(len(invariants), 1))
            invariants[0] = invariants[0].clamp_min(0)
        a, b, c = self.weight.view(3, -1, *[1] * (invariants[0].dim() - 2))
        gate = b * torch.sqrt(invariants[0] + 1e-12) + c
        if self.rho.has_invariants:
            gate = gate + a * invariants[1]
        return field * torch.sigmoid(gate[:, :, None] if self.rho.has_axis else gate)

    def extra_repr(self) -> str:
        text = f'{self.domain}, {self.weight.shape[1]}, field="{self.field}"'
        return text + ", low_pass=True" * self.low_pass
