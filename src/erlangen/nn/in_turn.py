"""Layers one after the other; what a projection ends, by some channels at a time."""

import math

import torch
from torch import Tensor, nn

from erlangen.nn.correlation import Correlation
from erlangen.nn.equivariant import Equivariant, View
from erlangen.nn.project import Project
from erlangen.operators import in_func, in_trace

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
BY_VALUE = nn.Identity, nn.ReLU, nn.SiLU, nn.GELU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus
HELD = 1 << 22  # values of a lifted field that are held at once; a single channel may have more
LEAST = 16  # of them at one place: with fewer a convolution would not fill a processor's registers


def in_turn(field: Tensor, *parts: nn.Module) -> Tensor:
    r"""The parts one after the other; a correlation and a norm folded into it as one.

    A projection looks at one channel at a time, ``f_c(p) = max_h F_c(p, h)``, and so do norms with running
    statistics and nonlinearities. So where a large field needs no gradient, a correlation and what follows it
    up to the projection are computed for a few channels at a time, and the lifted field is never held whole.
    Only by engines whose work goes by the channels that come out (`Engine.by_channels`): others would see the
    field again for each. Compilers, tracers and `torch.func` see the parts as they are, and so do hooks.

    Shapes: those of the parts.
    """
    ends = _is_plain(field) and Project in map(type, parts)
    layers = _leaves(parts) if ends else list(parts)
    while layers:
        done = _cut_up(field, layers) if ends and isinstance(layers[0], Correlation) else None
        if done is not None:
            field, count = done
        elif len(layers) > 1 and getattr(layers[0], "partner", ()) == (layers[1],):
            field, count = layers[0].normed(field, layers[1]), 2  # type: ignore[operator]
        else:
            field, count = layers[0](field), 1
        layers = layers[count:]
    return field


def is_watched(module: nn.Module) -> bool:
    """Whether somebody wants to see what goes in or out."""
    for name in HOOKS:  # noqa: SIM110 - a generator would be five more calls
        if getattr(module, name):
            return True
    return False


def _is_plain(field: Tensor) -> bool:
    """Whether nobody records what is done with it."""
    return (
        isinstance(field, Tensor)
        and not torch.compiler.is_compiling()
        and not (torch.is_grad_enabled() and field.requires_grad)
        and not (in_func() or in_trace())
    )


def _leaves(parts: tuple[nn.Module, ...]) -> list[nn.Module]:
    """The layers of parts that only apply them in turn."""
    found: list[nn.Module] = []
    for part in parts:
        inner = tuple(part) if type(part) is nn.Sequential else getattr(part, "turns", ())
        is_own = inner and (type(part) is nn.Sequential or _says(part, "turns")) and not is_watched(part)
        found += _leaves(inner) if is_own else [part]
    return found


def _says(part: nn.Module, name: str) -> bool:
    """Whether the attribute is of the class that has the forward: a forward of one's own says it again."""
    for kind in type(part).__mro__:
        if name in vars(kind):
            return "forward" not in vars(part)
        if "forward" in vars(kind):
            break
    return False


def _cut_up(field: Tensor, layers: list[nn.Module]) -> tuple[Tensor, int] | None:
    """What the first layers make of the field, and how many; None where they are not to be cut."""
    first: Correlation = layers[0]  # type: ignore[assignment]
    size, last = _channels_at_once(field, first), 1
    while last < len(layers) and not isinstance(layers[last], (Project, Correlation)):  # which mixes channels
        last += 1
    run = layers[: last + 1]
    if size >= first.out_channels or not first.goes_by_channels or not isinstance(run[-1], Project):
        return None
    if torch.is_grad_enabled() and any(p.requires_grad for layer in run for p in layer.parameters()):
        return None
    slices = [slice(i, i + size) for i in range(0, first.out_channels, size)]
    parts = [_of_channels(layer, slices[0]) for layer in run]
    if any(part is None for part in parts):
        return None
    return _by_channels(field, run, slices, parts), len(run)  # type: ignore[arg-type]


def _channels_at_once(field: Tensor, first: Correlation) -> int:
    """How many channels that come out may be held."""
    if field.dim() < 3 or not field.numel():
        return first.out_channels
    rho_in = first.domain.representation(first.in_field)
    rho_out = first.domain.representation(first.out_field)
    each = field[:, 0].numel() // (rho_in.dim if rho_in.has_axis else 1) * rho_out.dim
    unit = first.out_channels // first.groups if first.groups > 1 else 1  # blocks are not cut
    return max(math.ceil(LEAST / (rho_out.dim * unit)), HELD // each // unit) * unit


def _of_channels(layer: nn.Module, rows: slice) -> nn.Module | None:
    """The layer on some channels; None for one that mixes them, or of which nothing is known."""
    if is_watched(layer) or isinstance(layer, View):
        return None
    if type(layer) in BY_VALUE:
        return layer
    known = isinstance(layer, Equivariant) and _says(layer, "of_channels")
    return layer.of_channels(rows) if known else None  # type: ignore[operator]


def _by_channels(field: Tensor, run: list[nn.Module], slices: list[slice], parts: list[nn.Module]) -> Tensor:
    """The run, slice by slice, into one result whose channels are innermost.

    Args:
        parts: the layers on the first slice, which show that all can be cut.
    """
    result = None
    first: Correlation = run[0]  # type: ignore[assignment]
    for rows in slices:
        if rows.start:
            parts = [_of_channels(layer, rows) for layer in run]  # type: ignore[misc]
        x = first.seen_by(field, rows)
        if getattr(first, "partner", ()) == (run[1],):
            x, behind = parts[0].normed(x, *parts[0].partner), parts[2:]  # type: ignore[operator,misc]
        else:
            x, behind = parts[0](x), parts[1:]
        for part in behind:
            x = part(x)
        if result is None:
            channels_last = x.new_empty(x.shape[0], *x.shape[2:], first.out_channels)
            result = channels_last.movedim(-1, 1)
        result[:, rows] = x
        del x  # before the next one is made
    return result  # type: ignore[return-value]
