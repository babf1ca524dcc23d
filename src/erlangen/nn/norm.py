"""Normalization over batch, fibre and space."""

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Annotated, Any, NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor, maybe_get_level

from erlangen.arguments import Count, Length, Range, checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field
from erlangen.engines import fold, unfold
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.recompute import PASS, VERSION
from erlangen.operators import in_func, in_trace

LONGEST = 16  # rows side by side: so many times fewer values are summed one after the other
Call = tuple[Callable[..., Any], tuple] | None


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
        if not self.domain.is_sampled or self.rho.blocks:
            return self._by_moments(input, by_batch)
        folded = fold(self.domain.hide(input), self.rho)
        y, again = self._by_batch(folded) if by_batch else self._as_seen(folded)
        y = unfold(y, self.rho)
        if (
            again is not None
            and y.requires_grad
            and not (torch.compiler.is_compiling() or y.is_meta or in_func() or in_trace())
            and PASS.get() == "none"  # else it keeps nothing of its own
        ):
            # which neither compilers nor traces know
            y.again = Again(*again, VERSION(y))  # type: ignore[attr-defined]
        return y

    def of_channels(self, rows: slice) -> nn.Module | None:
        if self.training or self.running_var is None:
            return None
        axes = {name: 0 for name in ("weight", "bias", "running_mean", "running_var")}  # noqa: C420
        return self.cut(rows, axes, num_features=len(range(self.num_features)[rows]))

    def _as_seen(self, x: Tensor) -> tuple[Tensor, Call]:
        """The folded field normalized by the running statistics."""
        d, weight, bias = self.rho.dim, self.weight, self.bias
        mean = self.running_mean.repeat(d) if self.centred else x.new_zeros(x.shape[1])  # type: ignore[union-attr]
        weight = None if weight is None else weight.repeat(d)
        bias = None if bias is None else bias.repeat(d)
        given = x, mean, self.running_var.repeat(d), weight, bias, False, 0.0, self.eps  # type: ignore[union-attr]
        return F.batch_norm(*given), (F.batch_norm, given)

    def _of_nothing(self, x: Tensor) -> Tensor:
        """An empty batch, as torch's norms take it: counted, and statistics stay; its gradient is zero."""
        if (
            self.training
            and self.running_var is not None
            and (torch.compiler.is_compiling() or PASS.get() != "again")
        ):
            self._count_batch()
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
            self._remember(mean.detach(), var.detach(), x.numel() // self.num_features)
        scale = torch.rsqrt(var + self.eps) * (1.0 if self.weight is None else self.weight)
        y = x * scale.view(-1, *[1] * (x.dim() - 2))
        if not self.centred:
            return y
        shift = torch.zeros_like(mean) if self.bias is None else self.bias
        return self.domain.add(y, shift - mean * scale)

    def _by_batch(self, x: Tensor) -> tuple[Tensor, Call]:
        """The folded field normalized by its own statistics, which are remembered."""
        fibre, channels = self.rho.dim, self.num_features
        compiled = torch.compiler.is_compiling()
        plain = x.numel() == channels or not (self.centred and self.domain.is_uniform)
        if plain or (not compiled and (in_func() or in_trace())):  # of torch's operations only
            weights = None if self.domain.is_uniform else self.domain.weights.to(x)
            given = x, self.weight, self.bias, fibre, self.eps, weights
            y, mean, var = normalized(*given, centre=self.centred)
            self._remember(mean, var, x.numel() // channels)
            return y, None
        if fibre == 1 and x.stride(1) != 1:
            return self._by_torch(x)  # adds up what lies side by side in double precision
        last = x.movedim(1, -1)  # (batch, *space, fibre channel): no copy where channels are innermost
        rows = last.contiguous().view(-1, channels)
        if rows.device.type != "cpu" or compiled:
            y, again = self._by_torch(rows)
        else:
            weight = rows.new_ones(channels) if self.weight is None else self.weight
            bias = rows.new_zeros(channels) if self.bias is None else self.bias
            y, mean, var, tiled = _TwoPasses.apply(rows, weight, bias, self.eps)
            self._remember(mean, var, len(rows))
            wide = rows.view(-1, tiled.shape[1])
            again = torch.native_batch_norm, (wide, *tiled, False, 0.0, self.eps)
        return y.view(last.shape).movedim(-1, 1), again

    def _by_torch(self, x: Float[Tensor, "row channel *rest"]) -> tuple[Tensor, Call]:
        """One kernel each way."""
        mean, var, share, cudnn = self.running_mean, self.running_var, 0.0, torch.backends.cudnn.enabled
        if self.training and var is not None and (torch.compiler.is_compiling() or PASS.get() != "again"):
            share = self._count_batch()
        else:
            mean = var = None
        given = x, self.weight, self.bias
        y = torch.batch_norm(*given, mean, var, True, share, self.eps, cudnn)
        return y, (torch.batch_norm, (*given, None, None, True, 0.0, self.eps, cudnn))

    def _remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Running statistics, as torch keeps them: with the unbiased variance."""
        if not self.training or self.running_var is None:
            return
        if not torch.compiler.is_compiling():
            if PASS.get() == "again":
                return
            if in_func():
                self._expect_own(mean)
        with torch.no_grad():
            seen = self.num_batches_tracked.add_(1)  # type: ignore[union-attr,operator]
            share = 1.0 / float(seen) if self.momentum is None else self.momentum
            unbiased = var * (count / max(count - 1, 1))
            self.running_mean.lerp_(mean.to(self.running_mean), share)  # type: ignore[union-attr,arg-type]
            self.running_var.lerp_(unbiased.to(self.running_var), share)

    def _expect_own(self, mean: Tensor) -> None:
        """ValueError for what `torch.func` hides in a number, and the running statistics cannot hold."""
        if not set(_levels(mean)) <= set(_levels(self.running_mean)):  # type: ignore[arg-type]
            raise ValueError(
                f"{type(self).__name__}({self.extra_repr()}) in training is to remember statistics that "
                "torch.func.vmap or grad keeps to itself, expected statistics that stay as they are, or "
                "none: call eval(), or torch.func.replace_all_batch_norm_modules_(net), or build it with "
                "track_running_stats=False"
            )

    def _count_batch(self) -> float:
        """One more; and its share in the running statistics."""
        with torch.no_grad():
            seen = self.num_batches_tracked.add_(1)  # type: ignore[union-attr,operator]
        return 1.0 / float(seen) if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return f'{self.domain}, {self.num_features}, field="{self.field}"'


def _levels(x: Tensor) -> Iterator[int]:
    """The transforms of `torch.func` that hide something in a tensor."""
    while is_functorch_wrapped_tensor(x):
        yield maybe_get_level(x)
        x = get_unwrapped(x)


class Again:
    """How to make what a norm gave once more, of what its own gradient keeps: goes with it as ``y.again``.

    Args:
        function, given: a call that gives the same numbers in the same memory format.
        version: of y, which is another one once y was changed in place.
    """

    def __init__(self, function: Callable[..., Any], given: tuple, version: int) -> None:
        self.function, self.version = function, version
        self.given = [g.detach() if isinstance(g, Tensor) else g for g in given]

    def viewed(self, shape: Any, stride: Any, offset: int) -> Tensor:
        """A view of it."""
        with torch.no_grad():
            made = self.function(*self.given)
            return (made[0] if isinstance(made, tuple) else made).as_strided(shape, stride, offset)

    def __reduce__(self) -> tuple:
        return type(None), ()  # what is written to a file has no past


def sparing(forward: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """A forward that keeps nothing of its input for the gradient, where that can be made `Again`."""

    @wraps(forward)
    def spared(self: Any, field: Tensor) -> Tensor:
        again = getattr(field, "again", None)
        if again is None or VERSION(field) != again.version:
            return forward(self, field)
        address = field.untyped_storage().data_ptr()

        def pack(kept: Tensor) -> Any:
            if kept.untyped_storage().data_ptr() != address:
                return kept
            return partial(again.viewed, kept.shape, kept.stride(), kept.storage_offset())

        def unpack(kept: Any) -> Any:
            return kept() if callable(kept) else kept

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            return forward(self, field)

    return spared


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
    """The plain formula, its means taken in the measure of the space; and the mean and the variance."""
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


class _TwoPasses(torch.autograd.Function):
    r"""``weight (x - mean) / sqrt(var + eps) + bias`` on a CPU, one pass for the statistics and one for it.

    torch's own kernel adds up a column in float32, one value after the other, and is slow where rows are
    short: 5 channels of a million rows come out wrong by 2e-4. Here up to `LONGEST` rows lie side by side as
    one, which is the same memory, and what their columns give is joined in float64.

    Shapes: rows ``(row, channel)``, in and out; the mean and the variance of each channel; and with weight
    and bias before them, for each column of what lies side by side, ``(4, column)``.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, channels = rows.shape
        beside = LONGEST
        while count % beside:
            beside -= 1
        x = rows.view(-1, beside * channels)
        none = (
            weight.new_zeros(x.shape[1]) if x.dtype != weight.dtype else None
        )  # half precision sums in full
        means, variances = torch.ops.aten.batch_norm_update_stats(x, none, none, 0.0)
        between, mean = torch.var_mean(means.view(beside, channels), 0, correction=0)  # in float64
        var = variances.view(beside, channels).mean(0).add_(between)
        tiled = torch.stack([weight.to(var), bias.to(var), mean, var]).repeat(1, beside)
        y = torch.native_batch_norm(x, *tiled, False, 0.0, eps)[0]  # type: ignore[call-arg]
        ctx.save_for_backward(rows, weight, tiled)  # as it came: second derivatives go on from it
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, tiled)
        ctx.set_materialize_grads(False)
        return y, mean, var, tiled  # wide, as no view may leave from here

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        rows, weight, tiled = ctx.saved_tensors
        eps, channels = ctx.eps, len(weight)
        if grads[0] is None:
            return None, None, None, None
        g = grads[0].contiguous()
        if torch.is_grad_enabled():  # second derivatives: by the plain formula
            return *_by_formula(rows, g.view_as(rows), weight, eps, ctx.needs_input_grad[:3]), None
        x = rows.view_as(g)
        w, _, mean, var = tiled
        inverse = torch.rsqrt(var + eps)
        sums = torch.ops.aten.native_batch_norm_backward(
            g, x, w, mean, var, mean, inverse, False, eps, [False, True, True]
        )
        # of g x_hat and g: the gradients of weight and bias
        sums = torch.stack(sums[1:]).view(2, -1, channels).sum(1)
        # scale (g - mean(g) - x_hat mean(g x_hat)), from the right
        scale = w * inverse
        line = (sums * (-channels / x.numel()))[:, None] * scale.view(-1, channels)
        grad = torch.native_batch_norm(x, *line.flatten(1), mean, var, False, 0.0, eps)[0]  # type: ignore[call-arg]
        grad.addcmul_(g, scale.to(g))
        return grad.view_as(rows), *sums.to(weight).unbind(), None


def _by_formula(
    x: Tensor, g: Tensor, weight: Tensor, eps: float, wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gradients that can be differentiated once more."""
    bias = torch.zeros_like(weight, requires_grad=True)
    y = normalized(x[..., None], weight, bias, 1, eps)[0][..., 0]
    parts = [part for part, need in zip((x, weight, bias), wanted, strict=True) if need]
    found = iter(torch.autograd.grad(y, parts, g, create_graph=True))
    return [next(found) if need else None for need in wanted]
