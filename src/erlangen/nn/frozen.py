"""Layers whose weights do not change any more: filters made once, a norm folded in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.engines import Engine, Filters
from erlangen.nn.correlation import Correlation
from erlangen.nn.in_turn import in_turn, is_watched
from erlangen.nn.norm import Norm

PLAIN_NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d


class FrozenCorrelation(Correlation):
    """A correlation whose filters are made, with the norm behind it folded in: what `er.freeze` makes of one.

    By itself it answers as it did. What follows it is folded into the filters of `normed` only, which whoever
    applies both calls: so nobody who looks at what lies between, hooks among them, sees anything else.

    Attributes:
        partner: the norm that is folded into the filters, or nothing.
    """

    partner: tuple[nn.Module, ...]
    counts: tuple[int, int]  # filters of the mixing, and of the moving part
    names: tuple[str, ...]  # of them all
    inner_bias: Tensor | None
    outer_bias: Tensor | None

    @classmethod
    def of(cls, layer: Correlation, norm: nn.Module | None = None) -> "FrozenCorrelation":
        """The layer, and the norm behind it where that can be folded; parameters are shared."""
        frozen = cls.__new__(cls)
        frozen.__setstate__(vars(layer))
        frozen.partner = (norm,) if norm is not None and folds(layer, norm) else ()
        frozen.refresh()
        for part in (frozen, *frozen.partner):  # loading a state makes the filters of it
            part.register_load_state_dict_post_hook(Refresh(frozen))
        return frozen

    def prepare(self) -> None:
        raise ValueError(
            f"{self} is frozen: its filters are those of {self.domain}, and it cannot move; expected the "
            "network that it was made of: er.freeze(er.on(net, domain))"
        )

    def refresh(self) -> None:
        """Make the filters of the weights: in double precision, rounded once."""
        with _ordinary():
            mixing, moving, outer = self.made(*self.partner)
        self.counts = len(mixing.tensors), len(moving.tensors)
        made = {f"filters_{i}": tensor for i, tensor in enumerate((*mixing.tensors, *moving.tensors))}
        self.names = tuple(made)
        for name, tensor in {**made, "inner_bias": moving.bias, "outer_bias": outer}.items():
            self.register_buffer(name, None if tensor is None else tensor.to(self.weight), persistent=False)

    def made(self, norm: nn.Module | None = None) -> tuple[Filters, Filters, Tensor | None]:
        """The filters of the mixing and the moving part, and a bias to add behind, in double precision.

        Args:
            norm: what is folded in.
        """
        weight, bias = _precise(self.weight), _precise(self.bias)
        if norm is not None:
            scale, shift = line_of(norm)
            weight = weight * scale.view(-1, 1, 1)
            bias = _sum(None if bias is None else bias * scale, shift)
        moving, mixed = self.domain.engine(self.spec, self.to_domain), Filters(())
        if self.separable:
            mixed = self.domain.engine(self.mixing_spec).filters(_precise(self.mixing), self.groups)
        inside = moving.adds_bias and self.to_domain is None
        made = moving.filters(weight, self.moving_groups, bias if inside else None)
        return mixed, made, None if inside else bias

    def forward(
        self, field: Float[Tensor, "batch in_channels *space"]
    ) -> Float[Tensor, "batch out_channels *out_space"]:
        if self.partner:  # the filters are those of both
            return super().forward(field)
        field = self._filtered(field)
        if self.outer_bias is None and self.to_domain is None:
            return field
        there = self.to_domain or self.domain
        return there.hide(field if self.outer_bias is None else there.add(field, self.outer_bias))

    def normed(self, field: Float[Tensor, "batch in_channels *space"], norm: nn.Module) -> Tensor:
        if not self.partner or self.partner[0] is not norm or is_watched(self) or is_watched(norm):
            return super().normed(field, norm)
        field = self._filtered(field)
        there = self.to_domain or self.domain
        return field if self.outer_bias is None else there.add(field, self.outer_bias)

    def _filtered(self, field: Tensor) -> Tensor:
        self.domain.check(field, self.in_field, self.in_channels)
        made = self._buffers
        every: list[Any] = [made[name] for name in self.names]
        if field.dtype != every[-1].dtype:
            self.expect_dtype(field)
        if self.separable:
            mixing: Engine = self.domain.engine(self.mixing_spec)
            count = self.counts[0]
            field, every = mixing.filtered(field, Filters(tuple(every[:count])), self.groups), every[count:]
        engine = self.domain.engine(self.spec, self.to_domain)
        return engine.filtered(field, Filters(tuple(every), made["inner_bias"]), self.moving_groups)

    def of_channels(self, rows: slice) -> nn.Module | None:
        part = super().of_channels(rows)
        if isinstance(part, FrozenCorrelation):
            part.partner = tuple(norm.of_channels(rows) for norm in self.partner)  # type: ignore[operator]
            part.refresh()
        return part

    @property
    def moving_groups(self) -> int:
        """Blocks of channels that do not mix in the last step."""
        return self.out_channels if self.separable else self.groups

    def extra_repr(self) -> str:
        return super().extra_repr() + ", norm folded in" * bool(self.partner)


class Refresh:
    """Makes the filters of a layer, when a state was loaded."""

    def __init__(self, layer: FrozenCorrelation) -> None:
        self.layer = layer

    def __call__(self, module: nn.Module, keys: object) -> None:
        self.layer.refresh()


class FrozenSequential(nn.Sequential):
    """Layers one after the other, a correlation and its norm as one; into a projection by few channels."""

    @property
    def turns(self) -> tuple[nn.Module, ...]:
        """The layers, for `in_turn`."""
        return tuple(self)

    def forward(self, input: Tensor) -> Tensor:
        return in_turn(input, *self)


def folds(layer: Correlation, norm: Any) -> bool:
    """Whether ``norm(layer(f))`` is the layer with other weights: a norm of its fields, with statistics."""
    domain = layer.to_domain or layer.domain
    if getattr(norm, "running_var", None) is None or layer.out_channels != norm.num_features:
        return False
    if layer.bias is not None and domain.unmasked is not domain:
        return False  # where data is missing the bias is not added, but the norm's is
    if type(norm) in PLAIN_NORMS:
        return layer.out_field == "scalar"
    own = isinstance(norm, Norm) and type(norm).forward is Norm.forward
    return own and norm.field == layer.out_field and norm.domain.is_same(domain)


def line_of(norm: Any) -> tuple[Tensor, Tensor | None]:
    """The scale and the shift of each channel."""
    scale = torch.rsqrt(_precise(norm.running_var) + norm.eps)
    if norm.weight is not None:
        scale = scale * _precise(norm.weight)
    if not getattr(norm, "centred", True):
        return scale, None
    return scale, _sum(_precise(norm.bias), -scale * _precise(norm.running_mean))


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other


def _precise(x: Tensor | None) -> Any:
    """In double precision, where every device's values can be."""
    if x is None:
        return None
    return x.detach().to("cpu" if x.device.type != "meta" else "meta", torch.float64)


@contextmanager
def _ordinary() -> Iterator[None]:
    """What is made here is an ordinary tensor without a gradient, in the precision that is asked for."""
    with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        yield
