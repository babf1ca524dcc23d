"""The lattice engine: on flat grids the kernel's nodes lie on the samples, and torch convolves."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from erlangen.engines import any_size
from erlangen.engines.convolve import FORMATS, convolve
from erlangen.engines.engine import Engine, Filters, fold, unfold
from erlangen.engines.table import Table
from erlangen.kernels import KernelBasis


class Plan(NamedTuple):
    """What a correlation on a lattice does.

    Attributes:
        halves: where its nodes lie, in half samples from the outputs: which of the taps are theirs.
        around: samples on both sides of each axis, from across where it closes.
        zeros: those that the convolution adds.
        rest: those of the other padding modes; fewer of the field's own where negative.
        is_wider: whether there is more to do than the convolution does.
    """

    halves: tuple[int, ...]
    around: list[int]
    zeros: list[int]
    rest: list[int]
    is_wider: bool


class LatticeEngine(Engine):
    r"""``(k * f)(x) = sum_j k(x_j - x) f(x_j) a`` over the samples of a flat grid, a the volume of a cell.

    A stride keeps every stride-th sample, placed symmetrically about the centre: where that falls between
    two samples, the kernel, a function, is evaluated there.

    Args:
        basis: the kernels.
        steps: ``(n, n)``, row i the step of array axis i in the coordinates of the space.
        stride: of the output grid.
        padding: "same", or the number of samples added on each side.
        dilation: samples between the nodes of the kernel.
        padding_mode: "zeros", "reflect", "replicate" or "circular", on the axes with a boundary.
        periodic: the axes without one.
        centred: whether a stride keeps the centre of the lattice, else its first sample.
        surround: so many more samples of a folded field at both ends of each of those.
    """

    adds_bias = by_channels = True

    def __init__(
        self,
        basis: KernelBasis,
        steps: Float[Tensor, "n n"],
        *,
        stride: int = 1,
        padding: int | str = "same",
        dilation: int = 1,
        padding_mode: str = "zeros",
        periodic: Sequence[bool] = (),
        centred: bool = True,
        surround: Callable[[Tensor, list[int], int], Tensor] | None = None,
    ) -> None:
        if stride > 1 and (dilation > 1 or padding != "same"):
            raise ValueError(
                f"stride={stride} with dilation={dilation}, padding={padding!r}: the strided grid would "
                'not keep its centre, expected dilation=1 and padding="same"'
            )
        self.rho_in, self.rho_out = basis.rho_in, basis.rho_out
        self.smoothness = basis.smoothness
        self.basis, self.steps = basis, steps
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.centred = centred
        self.periodic = tuple(periodic) or (False,) * len(steps)
        self.surround = surround
        self.modes = ["circular" if p else padding_mode for p in self.periodic]
        self.volume = float(torch.linalg.det(steps).abs())
        places: tuple[int, ...] = (0,) if stride == 1 else (0, 1)  # of the output grid, in half samples
        self._taps: dict[tuple[int, ...], Table] = {
            halves: Table(self._sample(halves)) for halves in itertools.product(places, repeat=len(steps))
        }
        taps = self._taps[(0,) * len(steps)].value  # (b, d_out, d_in, *k), or (b, d, *k)
        self.power = taps.square().flatten(1).sum(1) / basis.rho_out.dim
        self._plain = self._plan((0,) * len(steps))  # without a stride, at every size

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        plan = self._plain if self.stride == 1 else self._plan_of(field)
        if plan is None:
            return self.filtered(field, self.filters(coefficients, groups), groups)
        filters = self._filters(coefficients, self._taps[plan.halves], groups)
        return self._correlated(field, filters, None, plan, groups)

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        """Those of all parities of the sizes: a stride has other nodes at each."""
        made = (self._filters(coefficients, taps, groups) for taps in self._taps.values())
        # channels innermost, as fields are: else every call would reorder them
        layout = FORMATS[len(self.periodic)]
        tensors = tuple(filters.contiguous(memory_format=layout) for filters in made)
        if bias is not None:
            depthwise = self.basis.is_diagonal and coefficients.shape[:2] == (groups, 1)
            groups = 1 if depthwise else groups
            bias = self.rho_out.constant(bias.view(groups, -1)).flatten()
        return Filters(tensors, bias)

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        plan = self._plain if self.stride == 1 else self._plan_of(field)
        if plan is None:
            one, width = any_size.filters(filters.tensors, self.stride, field.shape[-len(self.periodic) :])
            plan = self._padded((), [width] * len(self.periodic))
            return self._correlated(field, one, filters.bias, plan, groups)
        one = filters.tensors[0 if plan is self._plain else list(self._taps).index(plan.halves)]
        return self._correlated(field, one, filters.bias, plan, groups)

    def _correlated(
        self, field: Tensor, filters: Tensor, bias: Tensor | None, plan: Plan, groups: int
    ) -> Tensor:
        alone = groups == field.shape[1] and len(filters) == groups * self.rho_out.dim
        depthwise = self.basis.is_diagonal and alone
        groups = 1 if depthwise else groups
        x = fold(field, self.rho_in, groups)
        if plan.is_wider and any(plan.around) and self.surround is not None:
            x = self.surround(x, plan.around, groups)
        if plan.is_wider and any(plan.rest):
            x = pad(x, plan.rest, self.modes)
        groups_of_all = x.shape[1] if depthwise else groups
        y = convolve(x, filters, self.stride, plan.zeros, self.dilation, groups_of_all, bias)
        return unfold(y, self.rho_out, groups)

    def _twice_first(self, size: int) -> int:
        """Twice the position of the first sample that the stride keeps."""
        return centred(size, self.stride)[1] if self.centred else 0

    def _filters(self, coefficients: Tensor, table: Table, groups: int) -> Tensor:
        """``(group d_out out, d_in in, *k)``: what fibre values of channels see of each other."""
        taps = table.like(coefficients)
        if self.basis.is_diagonal:
            if coefficients.shape[:2] == (groups, 1):  # each channel and fibre value has a filter of its own
                return torch.einsum("cob,bi...->ico...", coefficients, taps).flatten(0, 1)
            taps = torch.diag_embed(taps.movedim(1, -1)).movedim((-2, -1), (1, 2))
        filters = torch.einsum("gocb,bij...->giojc...", coefficients.unflatten(0, (groups, -1)), taps)
        return filters.flatten(0, 2).flatten(1, 2)

    def _plan_of(self, field: Tensor) -> Plan | None:
        """What a stride does with a field of that size; None while nobody knows which samples it keeps."""
        known = not self.centred or any_size.is_known(field.shape[-len(self.periodic) :], self.stride)
        return self._plan(self._firsts(field)) if known else None

    def _firsts(self, field: Tensor) -> tuple[int, ...]:
        """`_twice_first` of each axis; ValueError for sizes that the stride does not divide as it has to."""
        sizes = field.shape[-len(self.periodic) :]
        for periodic, size in zip(self.periodic, sizes, strict=True):
            if periodic and size % self.stride:
                raise ValueError(
                    f"stride={self.stride} on a periodic axis of {size} samples is no periodic grid, "
                    f"expected a multiple of {self.stride} there"
                )
            halves = int(self._twice_first(size) % 2)
            if 0 in self._taps[(halves,) * len(sizes)].value.shape[-len(sizes) :]:
                raise ValueError(
                    f"kernel_size=1 with stride={self.stride} on {size} samples: the coarse samples fall "
                    "between the fine ones, where a kernel at one point sees nothing; take kernel_size=3, or "
                    "er.nn.Down before it"
                )
        return tuple([int(self._twice_first(size)) for size in sizes])  # numbers, traced too

    def _plan(self, twice: tuple[int, ...]) -> "Plan":
        """The nodes, and so many samples around, where the first outputs lie there."""
        halves = tuple([t % 2 for t in twice])
        return self._padded(halves, self._widths(self._taps[halves].value.shape[-len(twice) :], twice))

    def _padded(self, halves: tuple[int, ...], widths: list[int]) -> "Plan":
        """So many samples around, each axis in its own mode."""
        closing = [p and self.surround is not None for p in self.periodic]
        around = [w if closes else 0 for w, closes in zip(widths, closing, strict=True)]
        widths = [w - a for w, a in zip(widths, around, strict=True)]
        zeros = [w if mode == "zeros" and w >= 0 else 0 for w, mode in zip(widths, self.modes, strict=True)]
        rest = [w - z for w, z in zip(widths, zeros, strict=True)]
        return Plan(halves, around, zeros, rest, any(around) or any(rest))

    def margins(self, sizes: Sequence[int]) -> list[int]:
        """How many samples about a field of some sizes it sees."""
        twice = [self._twice_first(size) for size in sizes]
        taps = self._taps[tuple(t % 2 for t in twice)].value.shape[-len(sizes) :]
        return [max(0, width) for width in self._widths(taps, twice)]

    def _widths(self, size: Sequence[int], twice: Sequence[int]) -> list[int]:
        if isinstance(self.padding, int):
            return [self.padding] * len(size)
        # "same": outermost node minus first output, in samples
        return [(self.dilation * (k - 1) - t) // 2 for k, t in zip(size, twice, strict=True)]

    def _sample(self, halves: tuple[int, ...]) -> Tensor:
        radius = self.basis.rings.radius
        inverse = torch.linalg.inv(self.steps)  # offset = v @ inverse
        axes = []
        for axis, half in enumerate(halves):
            reach = radius * float(inverse[:, axis].norm())
            most = math.ceil(reach - half / 2 - 1e-9) - 1  # the kernel is zero at its radius
            axes.append(torch.arange(-most - half, most + 1).double() + half / 2)
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)  # (*k, n)
        values = self.basis(offsets @ self.steps) * self.volume  # (*k, b, d_out, d_in)
        if self.basis.is_diagonal:
            values = values.diagonal(dim1=-2, dim2=-1)
            return values.movedim(-2, 0).movedim(-1, 1).contiguous()
        return values.movedim((-3, -2, -1), (0, 1, 2)).contiguous()


def pad(x: Tensor, widths: Sequence[int], modes: Sequence[str]) -> Tensor:
    """More samples on both sides of each axis (fewer where negative), each axis in its own mode."""
    for axis, (width, mode, length) in enumerate(zip(widths, modes, x.shape[2:], strict=True)):
        if width < 0:
            x = x.narrow(2 + axis, -width, length + 2 * width)
        most = {"circular": length, "reflect": length - 1}.get(mode, width)
        if width > most:
            raise ValueError(
                f"the kernel reaches {width} samples beyond an axis of {length}, too far for padding_mode="
                f'"{mode}"; take a smaller kernel or padding_mode="zeros"'
            )
    for mode in dict.fromkeys(modes):
        amounts = [max(w, 0) if m == mode else 0 for w, m in zip(widths, modes, strict=True)]
        if any(amounts):
            both_sides = [amount for amount in reversed(amounts) for _ in range(2)]
            x = F.pad(x, both_sides, mode="constant" if mode == "zeros" else mode)
    return x


def centred(length: int, stride: int) -> tuple[int, int]:
    r"""The coarser grid of every stride-th sample, placed symmetrically about the centre.

    ``m = ceil(length / stride)`` samples at ``x_i = (length - 1) / 2 + stride (i - (m - 1) / 2)``, whatever
    the parity of the length: that is what makes strides commute with turns at every size. The
    first sample lies at ``x_0``, an integer or a half of one.

    Returns:
        m, and 2 x_0.
    """
    m = -(-length // stride)
    return m, (length - 1) - stride * (m - 1)
