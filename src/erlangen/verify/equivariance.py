"""N(g.f) against g.N(f), for every g."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import checked
from erlangen.domains import Domain, Symmetry
from erlangen.domains.spec import Field
from erlangen.nn import Correlation, Down
from erlangen.verify.border import beyond_reach, open_axes, reach_of
from erlangen.verify.fields import field_of
from erlangen.verify.gradient_error import gradient_error
from erlangen.verify.report import LayerRow, Report, Row, Square

IN_SPACE = "turn 45 about axis 0"  # whose square is drawn, where it is in the group


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
    centred output on the part away from the edges. Beside it stand the interpolation's own defect, and the
    one inside, where no edge is within reach of the network. Where a defect comes from, `budget` says.

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
    with unchanged(module):
        measured = _Measured.of(module, x, domain, in_field, out_field, layers)
        report = measured.report(named_elements(module, x, domain, elements), gradients)
    if show:
        print(report)  # noqa: T201
    return report


@dataclass(frozen=True, eq=False)
class _Measured:
    """A module with its answers to a field, to which those to moved fields are compared.

    Attributes:
        module, domain, x: what is measured.
        fields: the type of x, of the output, and of the outputs of layers by their names.
        y, inner: the output, and those of layers.
        noise: the same for noise, where there are invariants, which should differ from those.
    """

    module: nn.Module
    domain: Domain
    x: Tensor
    in_field: Field
    out_field: Field | None
    fields: dict[str, Field | None]
    y: Tensor
    inner: dict[str, Tensor]
    noise: tuple[Tensor, dict[str, Tensor]] | None

    @classmethod
    def of(
        cls, module: nn.Module, x: Tensor, domain: Domain, in_field: Field, out: Field | None, layers: bool
    ) -> "_Measured":
        y, inner = _run(module, x, layers)
        has_invariants = any(f.dim() == 2 for f in (y, *inner.values()))
        noise = _run(module, noise_like(x), layers) if has_invariants else None
        refuse_constant(domain, y, noise[0] if noise and y.dim() == 2 else None)
        parts = dict(module.named_modules())
        fields: dict[str, Field | None] = {
            name: field_of(here, domain, parts[name]) for name, here in inner.items()
        }
        return cls(module, domain, x, in_field, field_of(y, domain, module, out), fields, y, inner, noise)

    def report(self, elements: list[Symmetry], gradients: bool) -> Report:
        """All elements; those that turn frames by what a fibre lacks cannot move regular fields."""
        if "regular" in (self.in_field, self.out_field):
            elements = [element for element in elements if element.in_group]
        rows, layers, square = [], [], None
        for element in elements:
            moved_x = mover(self.domain, element, self.in_field)(self.x)
            y_of_moved, inner_of_moved = _run(self.module, moved_x, bool(self.inner))
            rows.append(self._row(element, y_of_moved, gradients))
            layers += self._layer_rows(element, inner_of_moved) if element.in_group else []
            if square is None or element.name == "turn 45" or (element.in_group and element.name == IN_SPACE):
                square = self._square(element, moved_x, y_of_moved)
        name = type(self.module).__name__
        return Report(str(self.domain), name, str(self.x.dtype), rows, layers, square)

    def _row(self, element: Symmetry, y_of_moved: Tensor, gradients: bool) -> Row:
        move_in, move_out = (mover(self.domain, element, field) for field in (self.in_field, self.out_field))
        exact, other = element.is_exact, self.noise[0] if self.noise and self.y.dim() == 2 else None
        error = _error(self.domain, y_of_moved, move_out(self.y), other, exact)
        gradient = gradient_error(self.module, self.x, move_in, move_out) if gradients and exact else None
        floor = None if exact else _floor(self.domain, element, self.y, self.out_field)
        clear = None if exact else self._clear(element)
        share = None if clear is None else 1 - float(clear.double().mean())
        inside = None if clear is None else self._inside(y_of_moved, move_out(self.y), clear)
        return Row(element, error, gradient, floor, inside, share)

    def _clear(self, element: Symmetry) -> Tensor | None:
        """The samples of the output that no edge is seen from; None where there is no edge."""
        axes, shape = open_axes(self.domain, self.module), tuple(self.x.shape[-self.domain.space_axes :])
        if self.out_field is None or element.circular or tuple(self.y.shape[-len(shape) :]) != shape:
            return None
        return beyond_reach(self.domain, element, shape, reach_of(self.module), axes)

    def _inside(self, a: Tensor, b: Tensor, clear: Tensor) -> float | None:
        """The root mean square there, relative to that of what varies in all that is compared."""
        here = self.domain.centre(b) & clear.to(b.device)
        if a.shape != b.shape or not bool(here.any()):
            return None
        varying = _centred(self.domain, b, None, inside=True).square().mean().sqrt()
        there = (a - b)[..., here].square().mean().sqrt()
        return float(there / varying.clamp_min(torch.finfo(b.dtype).tiny))

    def _layer_rows(self, element: Symmetry, inner_of_moved: dict[str, Tensor]) -> Iterator[LayerRow]:
        parts, axes = dict(self.module.named_modules()), self.domain.space_axes
        for name, here in self.inner.items():
            if element.is_shift and here.shape[-axes:] != self.x.shape[-axes:]:
                continue  # a shift by whole pixels is another one on a coarser grid
            moved = mover(self.domain, element, self.fields[name])(here)
            other = self.noise[1][name] if self.noise and here.dim() == 2 else None
            error = _error(self.domain, inner_of_moved[name], moved, other, element.is_exact)
            layer = f"{name} ({type(parts[name]).__name__})"
            yield LayerRow(layer, element.name, element.is_exact, error)

    def _square(self, element: Symmetry, moved_x: Tensor, y_of_moved: Tensor) -> Square:
        move = mover(self.domain, element, self.out_field)
        fields = self.x, moved_x, self.y, y_of_moved, move(self.y), move(torch.ones_like(self.y)) > 0.5
        if self.domain.space_axes == 3:  # shown as the slice that a turn about the first axis keeps
            fields = tuple(f.select(-3, f.shape[-3] // 2) if f.dim() >= 5 else f for f in fields)
        return Square(element.name, *fields)


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Running statistics are put back: in training mode every look at a module changes them."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])


def named_elements(
    module: nn.Module, x: Tensor, domain: Domain, elements: Sequence[Symmetry | Tensor] | None
) -> list[Symmetry]:
    """The elements to measure, each with what it does to the samples of every layer."""
    if elements is None:
        found = [_seen_by(module, g) for g in _sized(domain, x).symmetries()]
    else:
        found = [
            g if isinstance(g, Symmetry) else _seen_by(module, _of_matrix(_sized(domain, x), g, i))
            for i, g in enumerate(elements)
        ]
    if not found:
        raise ValueError(
            f"{domain} names no symmetries of its own, expected some: pass elements=, as "
            "matrices g or er.domains.Symmetry"
        )
    return found


def _sized(domain: Domain, x: Tensor) -> Domain:
    return domain.sized(tuple(x.shape[-domain.space_axes :]))


def _of_matrix(domain: Domain, g: Tensor, number: int) -> Symmetry:
    size = domain.geometry.matrix_size
    if size is None or g.shape != (size, size):
        told = "none, since no matrices move this space" if size is None else (size, size)
        raise ValueError(f"an element has shape {tuple(g.shape)}, expected a Symmetry, or a matrix {told}")
    return domain.symmetry_of(g.to(torch.float64), f"element {number}")


def _seen_by(module: nn.Module, g: Symmetry) -> Symmetry:
    """Exact is what permutes the samples of every layer, coarser ones too.

    Whole shifts are exact as well where each layer treats the field as periodic, and none drops samples.
    """
    correlations = [m for m in module.modules() if isinstance(m, Correlation)]
    downs = [m for m in module.modules() if isinstance(m, Down)]
    strides = any(m.spec.stride != 1 for m in correlations)
    if g.is_shift and not g.permutes:
        exact = all(m.exact_shifts for m in downs) and not strides
        circular = bool(correlations) and all(
            m.spec.padding_mode == "circular" or m.spec.rings == 1 for m in correlations
        )
        return Symmetry(g.name, g.matrix, exact, True, True) if circular else g
    below = [m.domain.coarser() for m in downs if not (g.is_shift and m.exact_shifts)]
    below += [m.to_domain for m in correlations if m.to_domain is not None]
    kept = all(d.symmetry_of(g.matrix).permutes for d in below) and not (g.is_shift and strides)
    return replace(g, permutes=g.permutes and kept)


def mover(domain: Domain, element: Symmetry, field: Field | None) -> Callable[[Tensor], Tensor]:
    if field is None:
        return lambda f: f
    if element.circular:
        by, axes = whole_steps(domain, element), tuple(range(-domain.dim, 0))
        return lambda f: f.roll(by, axes)
    return lambda f: domain.act(element.matrix, f, field)


def whole_steps(domain: Domain, element: Symmetry) -> tuple[int, ...]:
    """By how many samples of each axis a shift of a lattice moves them."""
    return tuple(in_steps(domain, element).round().long().tolist())


def in_steps(domain: Domain, element: Symmetry) -> Float[Tensor, "n"]:
    """By how many samples of each axis a lattice is shifted, for ``x -> x + b``."""
    space, b = domain.geometry, element.matrix[:-1, -1]
    return space.components_of_vector(space.frames(space.origin), b) @ torch.linalg.inv(domain.steps)  # type: ignore[attr-defined]


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


def refuse_constant(domain: Domain, y: Tensor, other: Tensor | None) -> None:
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


def noise_like(x: Tensor) -> Tensor:
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
