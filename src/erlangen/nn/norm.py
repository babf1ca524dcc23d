"""Normalization over batch, fibre and space."""

from typing import Annotated, Any, NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Length, Range, checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field
from erlangen.engines import fold, unfold
from erlangen.nn.equivariant import Equivariant


class Norm(Equivariant, nn.BatchNorm1d):
    r"""Batch normalization that H does not see: statistics over batch, fibre and space.

    ``y = weight (x - mean) / sqrt(var + eps) + bias``, for each channel, with torch's arguments after
    the domain. Vector and sign fields, which have no mean, are divided by their root mean square.

    Args:
        domain: where the field lives.
        num_features: the number of channels.
        field: its type; None for the domain's own.
        eps, momentum, affine, track_running_stats: as in `torch.nn.BatchNorm2d`. An empty batch counts and
            changes no statistics, as there.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.

    Raises:
        ValueError: for ``torch.nn.SyncBatchNorm.convert_sync_batchnorm``, which would drop the domain.

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> er.nn.Norm(plane, 16)(torch.randn(2, 16, 8, 9, 9)).shape
        torch.Size([2, 16, 8, 9, 9])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        num_features: Count,
        eps: Length = 1e-5,
        momentum: Annotated[float, Range(0, 1)] | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        field: Field | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.domain = domain
        self.field: Field = field or domain.default_field
        self.rho = domain.representation(self.field)
        self.centred = self.rho.has_invariants  # others have no mean
        if not self.centred:
            self.register_parameter("bias", None)

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(input, self.field, self.num_features)
        by_batch = self.training or self.running_var is None
        if by_batch and input.shape[0] == 0:
            return self._of_nothing(input)
        if not self.domain.is_sampled:
            return self._by_moments(input, by_batch)
        folded = fold(self.domain.hide(input), self.rho)
        if by_batch:
            y, mean, var = self._by_batch(folded)
            if self.training and self.running_var is not None:
                self._remember(mean, var, folded.numel() // self.num_features)
        else:
            d, weight, bias = self.rho.dim, self.weight, self.bias
            mean = self.running_mean.repeat(d) if self.centred else folded.new_zeros(folded.shape[1])  # type: ignore[union-attr]
            weight = None if weight is None else weight.repeat(d)
            bias = None if bias is None else bias.repeat(d)
            y = F.batch_norm(folded, mean, self.running_var.repeat(d), weight, bias, False, 0.0, self.eps)  # type: ignore[union-attr]
        return unfold(y, self.rho)

    def _of_nothing(self, x: Tensor) -> Tensor:
        """An empty batch, as torch's norms take it: counted, and statistics stay; its gradient is zero."""
        if self.training and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
        for parameter in (self.weight, self.bias):  # of no values: either operation joins it to the graph
            x = x if parameter is None else x * parameter.to(x).view(-1, *[1] * (x.dim() - 2))
        return x

    @property
    def qconfig(self) -> NoReturn:
        """What torch asks a norm for before it puts one of its own in its place: refused.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"{type(self).__name__}({self.extra_repr()}) is to become another norm, by "
            "torch.nn.SyncBatchNorm.convert_sync_batchnorm or quantization, which would drop its domain: "
            "statistics would not be shared along the fibre, nor weighted by areas; expected it as it is: "
            "leave out the conversion. On several devices each has statistics of its own part of the batch: "
            "take larger parts"
        )

    def _by_moments(self, x: Tensor, by_batch: bool) -> Tensor:
        """Of fields that are no values at samples."""
        mean, var = self.running_mean, self.running_var
        if by_batch or mean is None or var is None:
            mean, square = self.domain.moments(x)
            mean = mean if self.centred else torch.zeros_like(mean)
            var = (square - mean.square()).clamp_min(0.0)
            if self.training and self.running_var is not None:
                self._remember(mean.detach(), var.detach(), x.numel() // self.num_features)
        scale = torch.rsqrt(var + self.eps) * (1.0 if self.weight is None else self.weight)
        y = x * scale.view(-1, *[1] * (x.dim() - 2))
        if not self.centred:
            return y
        shift = torch.zeros_like(mean) if self.bias is None else self.bias
        return self.domain.add(y, shift - mean * scale)

    def _by_batch(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The field normalized by its own statistics, and these."""
        if not (self.centred and self.domain.is_uniform):
            weights = None if self.domain.is_uniform else self.domain.weights.to(x)
            return normalized(x, self.weight, self.bias, self.rho.dim, self.eps, weights, centre=self.centred)
        channels = x.shape[1] // self.rho.dim
        weight = x.new_ones(channels) if self.weight is None else self.weight
        bias = x.new_zeros(channels) if self.bias is None else self.bias
        return _FibreNorm.apply(x, weight, bias, self.rho.dim, self.eps)

    def _remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Running statistics, as torch keeps them: with the unbiased variance."""
        with torch.no_grad():
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr,operator]
            unbiased = var * (count / max(count - 1, 1))
            seen = self.num_batches_tracked
            share = 1.0 / float(seen) if self.momentum is None else self.momentum  # type: ignore[arg-type]
            self.running_mean.lerp_(mean.to(self.running_mean), share)  # type: ignore[union-attr,arg-type]
            self.running_var.lerp_(unbiased.to(self.running_var), share)  # type: ignore[union-attr,arg-type]

    def extra_repr(self) -> str:
        return f'{self.domain}, {self.num_features}, field="{self.field}"'


def normalized(
    x: Float[Tensor, "batch fibre_channel *space"],
    weight: Tensor | None,
    bias: Tensor | None,
    fibre: int,
    eps: float,
    weights: Float[Tensor, "*space"] | None = None,
    *,
    centre: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalization with one statistic for each channel, means taken in the measure of the space."""
    grouped = x.unflatten(1, (fibre, -1)).flatten(3)  # (batch, fibre, channel, p)
    share = None if weights is None else weights.flatten() / weights.sum()

    def mean_of(f: Tensor) -> Tensor:
        return (f.mean(-1) if share is None else f @ share).mean((0, 1))

    shape = (-1, 1)
    mean = mean_of(grouped) if centre else grouped.new_zeros(grouped.shape[2])
    grouped = grouped - mean.view(shape)
    var = mean_of(grouped.square())
    y = grouped * (torch.rsqrt(var + eps) * (1.0 if weight is None else weight)).view(shape)
    y = y if bias is None else y + bias.view(shape)
    return y.reshape(x.shape), mean.detach(), var.detach()


class _FibreNorm(torch.autograd.Function):
    """torch's normalization of every (fibre, channel), corrected to statistics shared along the fibre.

    Two passes over the field, as for plain channels; torch would need a layout that convolutions copy.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, fibre: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, means, inverses = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        variances = (inverses.reciprocal().square() - eps).clamp_min(0.0)
        by_channel = means.view(fibre, -1), variances.view(fibre, -1)
        mean = by_channel[0].mean(0)
        var = (by_channel[1] + (by_channel[0] - mean).square()).mean(0)
        scale = weight.to(var) * torch.rsqrt(var + eps)
        shape = (1, -1, *[1] * (x.dim() - 2))
        y.mul_((scale.repeat(fibre) / inverses).view(shape).to(y))
        shift = (means - mean.repeat(fibre)) * scale.repeat(fibre) + bias.to(var).repeat(fibre)
        y.add_(shift.view(shape).to(y))
        ctx.save_for_backward(x, weight, mean, var)
        ctx.fibre, ctx.eps = fibre, eps
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        fibre, eps = ctx.fibre, ctx.eps
        if torch.is_grad_enabled():  # second derivatives: by the plain formula
            bias = torch.zeros_like(weight, requires_grad=True)
            y = normalized(x, weight, bias, fibre, eps)[0]
            wanted = ctx.needs_input_grad[:3]
            parts = [part for part, need in zip((x, weight, bias), wanted, strict=True) if need]
            found = iter(torch.autograd.grad(y, parts, grads[0], create_graph=True))
            return *[next(found) if need else None for need in wanted], None, None
        inverse = torch.rsqrt(var + eps)
        means = mean.repeat(fibre)
        scale = weight.to(var) * inverse
        # as if the statistics were constants (CPUs read the running ones, GPUs those saved), ...
        grad, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0],
            x,
            weight.to(var).repeat(fibre),
            means,
            var.repeat(fibre),
            means,
            inverse.repeat(fibre),
            False,
            eps,
            [True, True, True],
        )
        by_weight, by_bias = by_weight.view(fibre, -1).sum(0), by_bias.view(fibre, -1).sum(0)
        # ... then what they contribute: -scale (mean g + x_hat mean(g x_hat))
        count = x.numel() // len(mean)
        slope = -scale * by_weight * inverse / count
        offset = -scale * by_bias / count - slope * mean
        shape = (1, -1, *[1] * (x.dim() - 2))
        grad.addcmul_(x, slope.repeat(fibre).view(shape).to(x))
        grad.add_(offset.repeat(fibre).view(shape).to(x))
        return grad, by_weight.to(weight), by_bias.to(weight), None, None
