"""The lattice engine: on flat grids the kernel's nodes lie on the samples, and torch convolves."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.centred import centred
from erlangen.engines.engine import Engine, fold, unfold
from erlangen.engines.table import Table
from erlangen.kernels import KernelBasis

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


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
    """

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
    ) -> None:
        if stride > 1 and (dilation > 1 or padding != "same"):
            raise ValueError(
                f"stride={stride} with dilation={dilation}, padding={padding!r}: the strided grid would "
                'not keep its centre, expected dilation=1 and padding="same"'
            )
        self.rho_in, self.rho_out = basis.rho_in, basis.rho_out
        self.basis, self.steps = basis, steps
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.padding_mode = padding_mode
        self.periodic = tuple(periodic) or (False,) * len(steps)
        self.volume = float(torch.linalg.det(steps).abs())
        self._taps: dict[tuple[int, ...], Table] = {}
        taps = self._table((0,) * len(steps)).value  # (b, d_out, d_in, *k), or (b, d, *k)
        self.power = taps.square().flatten(1).sum(1) / basis.rho_out.dim

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        x = fold(field, self.rho_in)
        grids = [centred(length, self.stride) for length in x.shape[2:]]
        taps = self._table(tuple(twice % 2 for _, twice in grids)).like(coefficients)
        if self.basis.is_diagonal:  # every channel and fibre value has its own filter
            filters = torch.einsum("ocb,bi...->oic...", coefficients, taps).flatten(0, 1)
            groups = groups * self.rho_in.dim
        else:
            filters = torch.einsum("ocb,bij...->oicj...", coefficients, taps)
            filters = filters.flatten(0, 1).flatten(1, 2)  # (out d_out, channel d_in, *k)
        x, padding = self._pad(x, filters.shape[2:], [twice for _, twice in grids])
        y = CONVOLUTIONS[len(self.steps)](
            x, filters, None, self.stride, padding, self.dilation, groups
        )
        return unfold(y, self.rho_out)

    def _pad(
        self, x: Tensor, size: Sequence[int], twice: Sequence[int]
    ) -> tuple[Tensor, list[int]]:
        """The field with its neighbourhood, and the zeros that the convolution adds by itself."""
        widths = [self.padding] * len(size)
        if self.padding == "same":  # outermost node minus first output, in samples
            widths = [
                (self.dilation * (k - 1) - t) // 2 for k, t in zip(size, twice, strict=True)
            ]
        by_convolution = [0] * len(widths)
        for axis, width in enumerate(widths):
            mode = "circular" if self.periodic[axis] else self.padding_mode
            if mode == "zeros" and width >= 0:
                by_convolution[axis] = width
            elif width:
                x = pad_axis(x, axis - len(widths), width, mode)
        return x, by_convolution

    def _table(self, halves: tuple[int, ...]) -> Table:
        """The kernels on the lattice; on axes with a half, shifted by half a sample."""
        table = self._taps.get(halves)
        if table is None:
            table = self._taps[halves] = Table(self._sample(halves))
        return table

    def _sample(self, halves: tuple[int, ...]) -> Tensor:
        radius = self.basis.rings.radius
        inverse = torch.linalg.inv(self.steps)  # offsets = v @ inverse
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


def pad_axis(x: Tensor, axis: int, width: int, mode: str) -> Tensor:
    """`width` more samples on both sides of one axis (fewer if negative)."""
    length = x.shape[axis]
    if width < 0:
        return x.narrow(axis, -width, length + 2 * width)
    if mode == "zeros":
        index = [0, 0] * (-axis)
        index[-2:] = [width, width]
        return F.pad(x, index)
    if width > (length if mode == "circular" else length - 1) and mode != "replicate":
        raise ValueError(
            f"the kernel reaches {width} samples over an axis of {length}, too far for padding_mode="
            f'"{mode}"; take a smaller kernel or padding_mode="zeros"'
        )
    i = torch.arange(-width, length + width, device=x.device)
    if mode == "circular":
        i = i % length
    elif mode == "reflect":
        i = (length - 1) - ((length - 1) - i.abs()).abs()
    else:
        i = i.clamp(0, length - 1)
    return x.index_select(axis, i)
