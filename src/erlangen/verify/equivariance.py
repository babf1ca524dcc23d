"""N(g.f) against g.N(f), for every g."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from erlangen.arguments import checked
from erlangen.domains import Domain, Symmetry
from erlangen.domains.spec import Field
from erlangen.nn import Correlation, Down
from erlangen.verify.fields import field_of
from erlangen.verify.gradient import gradient_error
from erlangen.verify.report import LayerRow, Report, Row, Square


class Constant(ValueError):
    """An output that does not vary, which proves nothing."""


@checked
def equivariance(
    module: nn.Module,
    x: Tensor,
    domain: Domain,
    elements: Sequence[Symmetry | Tensor] | None = None,
    *,
    in_field: Field = "scalar",
    out_field: Field | None = None,
    layers: bool = False,
    gradients: bool = True,
    show: bool = True,
) -> Report:
    r"""Measure the defect ``|N(g f) - g N(f)|`` of a module for elements g of the group, and print it.

    An element is exact here if it belongs to the domain's group and permutes the samples: then the defect
    is rounding, the largest difference relative to the largest centred output. All others (angles in between,
    elements outside of the group) interpolate; their defect is the Euclidean norm relative to the
    centred output on the part away from the edges, with the interpolation's own defect beside it.

    The module is measured as it is, in the mode it is in. Before any training, biases are zero and
    prove little: see `randomized`.

    Args:
        module: from fields on the domain to fields on it (or on a coarser grid), or to invariants
            ``(batch, features)``.
        x: ``(batch, channel, [fibre,] *space)``.
        domain: where x lives.
        elements: symmetries to measure, or elements of the group as matrices; None for those of
            ``domain.symmetries()``.
        in_field: the type of x.
        out_field: that of the output; None for what the last layer says, or its axes tell.
        layers: also measure the output of every layer, for each element.
        gradients: also measure gradients, for the exact elements.
        show: print the table.

    Raises:
        Constant: a ValueError, if the output does not vary, which would prove nothing.

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=4)
        >>> net = er.models.UNet(plane, 3, 1, width=2, depth=1)
        >>> report = er.verify.equivariance(net, torch.randn(1, 3, 17, 20), plane, show=False)
        >>> report.worst < 1e-4
        True
    """
    with _unchanged(module):
        report = _measure(module, x, domain, elements, in_field, out_field, layers, gradients)
    if show:
        print(report)  # noqa: T201
    return report


def _measure(
    module: nn.Module,
    x: Tensor,
    domain: Domain,
    elements: Sequence[Symmetry | Tensor] | None,
    in_field: Field,
    out_field: Field | None,
    layers: bool,
    gradients: bool,
) -> Report:
    elements = _as_this_module_sees_them(module, domain.symmetries()) if elements is None else elements
    elements = [
        g if isinstance(g, Symmetry) else _named(domain, g, f"element {i}") for i, g in enumerate(elements)
    ]
    if not elements:
        raise ValueError(
            f"{domain} names no symmetries of its own, expected some: pass elements=, as "
            "matrices g or erlangen.domains.Symmetry"
        )
    y, inner = _run(module, x, layers)
    has_invariants = any(f.dim() == 2 for f in (y, *inner.values()))
    y_of_noise, inner_of_noise = _run(module, _noise_like(x), layers) if has_invariants else (None, {})
    other = y_of_noise if y.dim() == 2 else None
    _refuse_constant(domain, y, other)
    out_field = field_of(y, domain, module, out_field)
    parts = dict(module.named_modules())
    fields: dict[str, Field | None] = {
        name: field_of(here, domain, parts[name]) for name, here in inner.items()
    }
    if out_field == "regular" or in_field == "regular":  # what a fibre lacks cannot turn it
        elements = [element for element in elements if element.in_group]
    rows, layer_rows, square = [], [], None
    axes = domain.space_axes
    for element in elements:
        moved_in = _mover(domain, element, in_field)
        moved_out = _mover(domain, element, out_field)
        moved_x = moved_in(x)
        y_of_moved, inner_of_moved = _run(module, moved_x, layers)
        moved_y = moved_out(y)
        exact = element.is_exact
        gradient = gradient_error(module, x, moved_in, moved_out) if gradients and exact else None
        floor = None if exact else _floor(domain, element, y, out_field)
        rows.append(Row(element, _error(domain, y_of_moved, moved_y, other, exact), gradient, floor))
        for name, here in inner.items() if element.in_group else ():
            if element.is_shift and here.shape[-axes:] != x.shape[-axes:]:
                continue  # a shift by whole pixels is another one on a coarser grid
            moved_here = _mover(domain, element, fields[name])(here)
            other_here = inner_of_noise[name] if here.dim() == 2 else None
            error = _error(domain, inner_of_moved[name], moved_here, other_here, exact)
            layer_rows.append(LayerRow(f"{name} ({type(parts[name]).__name__})", element.name, exact, error))
        if square is None or element.name == "turn 45":
            seen = moved_out(torch.ones_like(y)) > 0.5
            square = Square(element.name, x, moved_x, y, y_of_moved, moved_y, seen)
    return Report(str(domain), type(module).__name__, str(x.dtype), rows, layer_rows, square)


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Running statistics are put back: in training mode every look at a module changes them."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])


def _as_this_module_sees_them(module: nn.Module, elements: list[Symmetry]) -> list[Symmetry]:
    """Whole shifts are exact where each layer treats the field as periodic, and none drops samples."""
    correlations = [m for m in module.modules() if isinstance(m, Correlation)]
    downs = [m for m in module.modules() if isinstance(m, Down)]
    circular = bool(correlations) and all(
        m.spec.padding_mode == "circular" or m.spec.rings == 1 for m in correlations
    )
    exact = all(m.exact_shifts for m in downs) and all(m.spec.stride == 1 for m in correlations)
    seen = []
    for e in elements:
        if e.is_shift and not e.permutes and circular:
            e = Symmetry(e.name, e.matrix, exact, True, True)
        elif e.is_shift and not exact:
            e = replace(e, permutes=False)
        seen.append(e)
    return seen


def _named(domain: Domain, g: Tensor, name: str) -> Symmetry:
    """An element that was given by its matrix."""
    group = domain.geometry.group
    if group is None or g.shape != (group.size, group.size):
        size = "none, since no group moves this space" if group is None else (group.size, group.size)
        raise ValueError(f"an element has shape {tuple(g.shape)}, expected a Symmetry, or a matrix {size}")
    return Symmetry(name, g.to(torch.float64), False, bool(group.defect(g.to(torch.float64)) < 1e-6))


def _mover(domain: Domain, element: Symmetry, field: Field | None) -> Callable[[Tensor], Tensor]:
    if field is None:
        return lambda f: f
    if element.circular:
        right, up = (int(step) for step in element.matrix[:2, 2])
        return lambda f: f.roll((-up, right), (-2, -1))
    return lambda f: domain.act(element.matrix, f, field)


def _run(module: nn.Module, x: Tensor, layers: bool) -> tuple[Tensor, dict[str, Tensor]]:
    inner: dict[str, Tensor] = {}
    hooks = []
    if layers:

        def keep(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _inputs: tuple, output: Tensor | tuple) -> None:
                inner[name] = (output[0] if isinstance(output, tuple) else output).detach()

            return hook

        hooks = [
            m.register_forward_hook(keep(name))
            for name, m in module.named_modules()
            if name and not list(m.children())
        ]
    with torch.no_grad():
        y = module(x)
    for hook in hooks:
        hook.remove()
    return y, inner


def _refuse_constant(domain: Domain, y: Tensor, other: Tensor | None) -> None:
    varying = _centred(domain, y, other, inside=True)
    if not varying.numel():
        raise ValueError(
            f"the output has shape {tuple(y.shape)}, too few samples to turn; expected a larger x"
        )
    if not bool(varying.abs().max() > 1e-6 * y.abs().max()):
        raise Constant(
            "the module's output does not vary, and a constant commutes with everything; expected a varying "
            "output: give a varying x, or a module with random parameters (er.verify.randomized)"
        )


def _noise_like(x: Tensor) -> Tensor:
    """Noise as large as x; invariants of x should differ from those of it."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    return x.mean() + x.std() * noise


def _centred(domain: Domain, y: Tensor, other: Tensor | None, inside: bool) -> Tensor:
    """What varies in an output: each channel less its mean over space, invariants less those of noise."""
    if other is not None:
        return y - other
    values = y[..., domain.centre(y)] if inside else y.flatten(-domain.space_axes)
    return values - values.mean(-1, keepdim=True)


def _error(domain: Domain, a: Tensor, b: Tensor, other: Tensor | None, exact: bool) -> float:
    if a.shape != b.shape:
        return float("inf")
    centred = _centred(domain, b, other, inside=not exact)
    tiny = torch.finfo(b.dtype).tiny
    if exact or b.dim() == 2:
        return float((a - b).abs().max() / centred.abs().max().clamp_min(tiny))
    return float((a - b)[..., domain.centre(b)].norm() / centred.norm().clamp_min(tiny))


def _floor(domain: Domain, element: Symmetry, y: Tensor, field: Field | None) -> float | None:
    """What interpolating the output there and back costs by itself; None for invariants, which stay."""
    if element.permutes or element.circular:
        return 0.0
    if field is None:
        return None
    there = domain.act(element.matrix, y, field)
    back = domain.act(torch.linalg.inv(element.matrix), there, field)
    return _error(domain, back, y, None, exact=False)
