"""Where a defect comes from: N(g f) - g N(f), split by what could be better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from erlangen.arguments import checked
from erlangen.domains import Domain, Symmetry
from erlangen.domains.spec import Field
from erlangen.nn import Down
from erlangen.nn.equivariant import on
from erlangen.nn.frozen import FrozenCorrelation
from erlangen.verify.border import beyond_reach, open_axes, reach_of
from erlangen.verify.budget_table import Budget, Line, Part
from erlangen.verify.equivariance import mover, named_elements, noise_like, refuse_constant, unchanged
from erlangen.verify.fields import field_of
from erlangen.verify.ideals import Source, sources_for, sources_of, without


@checked
def budget(
    module: nn.Module,
    x: Tensor,
    domain: Domain,
    elements: Sequence[Symmetry | Tensor] | None = None,
    *,
    in_field: Field = "scalar",
    out_field: Field | None = None,
    finer: Domain | None = None,
    only: bool = True,
    show: bool = True,
) -> Budget:
    r"""Split the defect ``D = N(g f) - g N(f)`` of a network into its sources, and print it.

    Each source is taken away by itself: its layers are replaced by such as do not have it, with the weights
    of the network, and ``D'`` is the defect that is left. ``D - D'`` is the source's own part; the other way
    round, all others are taken away, and what is left is *only it*. Defects add as fields, not as numbers:
    of sources that know nothing of each other the squares of the norms do, and those of "only it" come near
    to the whole. All are told relative to how much g N(f) varies, where the border is out of sight.

    - *taps*: those of a lattice have symbols that know directions; averaged over all turns they do not.
    - *fibre*: functions of values at few angles alias; taken at four times as many they do not.
    - *nonlinearity in space*: the same between the samples; taken at twice as many on each axis, and cut to
      the waves that fit on the lattice in every direction.
    - *nonlinearity*: both, where the samples have harmonics, by twice as many samples of space and fibre.
    - *strides*: halving aliases and doubling makes images; averaged over the places where coarser samples can
      lie they do not.
    - *finer samples*: on other spaces, where the network goes to `finer` as `er.on` takes it, all that comes
      from samples of the space is smaller together.
    - *border*: what is seen beyond the edges is invented; with the mirror image around it, it turns too.
    - *input*, *output*: what their own interpolation there and back changes of the answer.

    What is left without all of them is "not separated". A source that the layers do not have, or the element
    does not see, has no row: of the fibre for turns by its own angles, of taps for whole shifts.

    Args:
        module: from fields on the domain to fields on it, or to invariants ``(batch, features)``.
        x: ``(batch, channel, [fibre,] *space)``, such as the network was made for.
        domain: where x lives.
        elements: as in `equivariance`; None for those of the group that interpolate, but for shifts.
        in_field, out_field: as in `equivariance`.
        finer: more samples of the same space.
        only: also measure each source alone, with all others taken away.
        show: print the table.

    Raises:
        ValueError: if the output does not vary, there is no element to measure, or the module is frozen.

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> net = er.models.UNet(plane, 3, 1, width=2, depth=1)
        >>> x = er.train.example(48)
        >>> budget = er.verify.budget(net, x, plane, [plane.turn(22.5)], only=False, show=False)
        >>> [part.source for part in budget.lines[0].parts]
        ['taps', 'fibre', 'nonlinearity in space', 'strides', 'border']
    """
    if any(isinstance(part, FrozenCorrelation) for part in module.modules()):
        raise ValueError(
            "the module is frozen, and its layers cannot be replaced, expected the network that it was made "
            "of: give what er.freeze was given"
        )
    domain.check(x, in_field)
    with unchanged(module), torch.no_grad():
        chosen = named_elements(module, x, domain, elements)
        if elements is None:
            between = [g for g in chosen if g.in_group and not g.is_exact and not g.is_shift]
            chosen = between or [g for g in chosen if g.in_group]
        split = _Split.of(module, x, domain, in_field, out_field, chosen)
        lines = tuple([split.line(element, finer, only) for element in chosen])
    name, border = type(module).__name__, split.border
    found = Budget(str(domain), name, str(x.dtype), border.reach, any(border.around), lines)
    if show:
        print(found)  # noqa: T201
    return found


@dataclass(frozen=True, eq=False)
class _Border:
    """Where a network at a field sees what lies beyond the edges.

    Attributes:
        reach: how many samples the network sees, None where nobody knows.
        axes: those with a border.
        margin: by how many samples the field can be made larger on both sides, so that no edge is seen; None
            where there is no edge, or nothing can be put around.
        around: by how many it was made larger, since otherwise all would be within reach.
    """

    reach: int | None
    axes: list[bool]
    margin: tuple[int, ...] | None
    around: tuple[int, ...]

    @classmethod
    def of(
        cls, module: nn.Module, x: Tensor, y: Tensor, domain: Domain, elements: list[Symmetry]
    ) -> "_Border":
        shape = tuple(x.shape[-domain.space_axes :])
        reach, axes, nothing = reach_of(module), open_axes(domain, module), (0,) * len(shape)
        if tuple(y.shape[-len(shape) :]) != shape or not reach or not any(axes):
            return cls(None if y.dim() == 2 else reach, axes, None, nothing)
        step = 2 ** sum(isinstance(part, Down) for part in module.modules())  # coarser samples stay in place
        margin = tuple(math.ceil(reach / step) * step if is_open else 0 for is_open in axes)
        margin = margin if domain.shape is None else None
        clear = [beyond_reach(domain, g, shape, reach, axes) for g in elements]
        hidden = any(c is None or not bool((c & domain.centre(y)).any()) for c in clear)
        return cls(reach, axes, margin, margin if hidden and margin is not None else nothing)


@dataclass(frozen=True, eq=False)
class _Split:
    """A network at a field, with its answers when sources are taken away.

    Attributes:
        module, domain, x, in_field, out_field: what is measured.
        border: what it sees beyond the edges.
        scene: what it is shown: x, or x with its mirror image around it.
        noise: other invariants, from which those of x should differ.
        answers: to the scene, by what is taken away.
    """

    module: nn.Module
    domain: Domain
    x: Tensor
    in_field: Field
    out_field: Field | None
    border: _Border
    scene: Tensor
    noise: Tensor | None
    answers: dict[tuple[Source, ...], Tensor]

    @classmethod
    def of(
        cls,
        module: nn.Module,
        x: Tensor,
        domain: Domain,
        in_field: Field,
        out_field: Field | None,
        elements: list[Symmetry],
    ) -> "_Split":
        y = module(x)
        noise = module(noise_like(x)) if y.dim() == 2 else None
        refuse_constant(domain, y, noise)
        out, border = field_of(y, domain, module, out_field), _Border.of(module, x, y, domain, elements)
        scene = mirrored(x, border.around)
        return cls(module, domain, x, in_field, out, border, scene, noise, {})

    def line(self, element: Symmetry, finer: Domain | None, only: bool) -> Line:
        """One element."""
        sources, where = sources_for(element, self.domain, sources_of(self.module)), self._where(element)
        scale, whole = self._scale(element), self._defect(element, (), self.x)

        def size(D: Tensor) -> float:
            return _rms(D, where) / scale

        def part(source: Source) -> Part:
            left = self._defect(element, (source,))
            rest: tuple[Source, ...] = tuple([s for s in sources if s != source])
            alone = size(self._defect(element, rest)) if only and rest else None
            return Part(source, size(self._defect(element, ()) - left), size(left), alone)

        parts = [part(source) for source in sources]
        if finer is not None and not element.is_exact:
            parts.append(self._on_finer(element, finer))
        if self.border.margin is not None and not element.is_exact:
            parts.append(self._of_the_border(element, whole, scale))
        return Line(
            element,
            _rms(whole, self._centre()) / scale,
            size(self._defect(element, ())),
            self._share(element),
            tuple(parts),
            size(self._defect(element, tuple(sources))),
            *[None if D is None else size(D) for D in self._there_and_back(element)],
        )

    def _answer(self, sources: tuple[Source, ...]) -> Tensor:
        if sources not in self.answers:
            with without(self.module, sources):
                self.answers[sources] = self.module(self.scene)
        return self.answers[sources]

    def _defect(self, element: Symmetry, sources: tuple[Source, ...], scene: Tensor | None = None) -> Tensor:
        """``N(g f) - g N(f)`` without some sources, of the scene or another one."""
        y = self._answer(sources) if scene is None else self.module(scene)
        moved = self._moved(element, self.scene if scene is None else scene, self.in_field)
        with without(self.module, sources):
            return self.module(moved) - self._moved(element, y, self.out_field)

    def _moved(self, element: Symmetry, f: Tensor, field: Field | None) -> Tensor:
        return mover(self.domain, element, field)(f)

    def _centre(self) -> Bool[Tensor, "*space"] | None:
        """The samples of x that are compared, border and all; None for invariants."""
        return (
            None
            if self.out_field is None
            else self.domain.centre(_inner(self._answer(()), self.border.around))
        )

    def _clear(self, element: Symmetry) -> Bool[Tensor, "*space"] | None:
        """Those of x that no edge is seen from."""
        if self.border.reach is None:
            return None
        shape = tuple(self.x.shape[-self.domain.space_axes :])
        return beyond_reach(self.domain, element, shape, self.border.reach, self.border.axes)

    def _share(self, element: Symmetry) -> float | None:
        clear = self._clear(element)
        return None if clear is None else 1 - float(clear.double().mean())

    def _where(self, element: Symmetry) -> Bool[Tensor, "*space"] | None:
        """The samples of the scene that are compared."""
        where, clear, around = self._centre(), self._clear(element), self.border.around
        if where is None:
            return None
        if clear is not None and clear.shape == where.shape and bool((clear & where.to(clear.device)).any()):
            where = where & clear.to(where.device)
        return F.pad(where, [w for amount in reversed(around) for w in (amount, amount)])

    def _scale(self, element: Symmetry) -> float:
        """How much the moved answer varies."""
        if self.noise is not None:
            return _rms(self._answer(()) - self.noise, None)
        y = self._moved(element, self._answer(()), self.out_field)
        values = _inner(y, self.border.around)[..., self._centre()]
        return _rms(values - values.mean(-1, keepdim=True), None)

    def _of_the_border(self, element: Symmetry, whole: Tensor, scale: float) -> Part:
        """The mirror image around has no border, and turns with the rest."""
        margin = self.border.margin or ()
        left = _inner(self._defect(element, (), mirrored(self.x, margin)), margin)
        own, left = (_rms(D, self._centre()) / scale for D in (whole - left, left))
        return Part("border", own, left, None)

    def _there_and_back(self, element: Symmetry) -> tuple[Tensor | None, Tensor | None]:
        """What going there and back changes: of the input, seen in the answer, and of the answer itself."""
        y = self._answer(())
        if element.permutes or element.circular:
            return torch.zeros_like(y), torch.zeros_like(y)
        back = Symmetry("back", torch.linalg.inv(element.matrix), False, element.in_group)
        x = self._moved(back, self._moved(element, self.scene, self.in_field), self.in_field)
        there = self._moved(back, self._moved(element, y, self.out_field), self.out_field)
        return self.module(x) - y, None if self.out_field is None else there - y

    def _on_finer(self, element: Symmetry, finer: Domain) -> Part:
        """The same network on more samples of the space."""
        there = on(self.module, finer)
        x = self.domain.to(finer, self.x, self.in_field)
        y = mover(finer, element, self.out_field)(there(x))
        D = there(mover(finer, element, self.in_field)(x)) - y
        where = None if self.out_field is None else finer.centre(y)
        values = y.flatten(1) if where is None else y[..., where]
        return Part(
            "finer samples", None, _rms(D, where) / _rms(values - values.mean(-1, keepdim=True), None), None
        )


def _rms(field: Tensor, where: Tensor | None) -> float:
    values = field if where is None else field[..., where]
    return max(float(values.square().mean().sqrt()), torch.finfo(field.dtype).tiny)


def mirrored(x: Tensor, around: Sequence[int]) -> Tensor:
    """The field with its mirror image around it, and that of the mirror image, as far as told."""
    for axis, width in zip(range(x.dim() - len(around), x.dim()), around, strict=True):
        size, place = x.shape[axis], torch.arange(-width, x.shape[axis] + width, device=x.device)
        place = place % (2 * size - 2) if size > 1 else 0 * place
        x = x.index_select(axis, torch.minimum(place, 2 * size - 2 - place))
    return x


def _inner(f: Tensor, around: Sequence[int]) -> Tensor:
    for axis, width in zip(range(f.dim() - len(around), f.dim()), around, strict=True):
        f = f.narrow(axis, width, f.shape[axis] - 2 * width)
    return f
