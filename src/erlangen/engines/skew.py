"""Half the samples and back on lattices whose steps are not perpendicular: what turns the lattice commutes.

Every second sample of each axis is kept, the first one among them: it stays the centre of all turns.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.engines.convolve import CONVOLUTIONS, FORMATS, in_format
from erlangen.engines.halving import Halving, Surround, half_shifted, shifted_back, strongest
from erlangen.engines.lines import BLUR, REACH
from erlangen.engines.table import Table
from erlangen.geometry.lattices import LONGER, nearest, reduced, vectors


class SkewHalving(Halving):
    r"""A Gaussian, then every second sample; back by the mean of the nearest coarse ones.

    The Gaussian is as wide as the cells are in each direction: on perpendicular axes so many samples.

    A sample between coarse ones has them in opposite pairs about it, so that their mean is right for linear
    functions; on rectangular lattices it is linear interpolation, on the hexagonal one that of triangles.

    Args:
        steps: ``(n, n)``, row i the step of array axis i. All axes close.

    """

    kinds = ("gaussian",)

    def __init__(self, steps: Float[Tensor, "n n"]) -> None:
        v, shares = _halfway(steps)
        self._between = Table(_dense(v, steps, shares))
        C = v.T @ (shares[:, None] * v)  # what turns the lattice keeps it
        scale = (torch.linalg.det(steps) ** 2 / torch.linalg.det(C)) ** (1 / len(steps))
        root = torch.linalg.inv(torch.linalg.cholesky(scale * C)).T  # of the form that measures samples
        samples = steps @ root
        short = reduced(samples @ samples.T) @ samples
        near = vectors(short, len(steps) ** 0.5)  # on perpendicular axes three samples on each
        self.beside = [tuple(v) for v in (near @ torch.linalg.inv(samples)).round().long().tolist()]
        v = vectors(short, REACH * (1 - 1e-6))
        blur = torch.exp(-v.square().sum(-1) / (2 * BLUR**2))
        self._blur = Table(_dense(v, samples, blur / blur.sum()))

    @property
    def most(self) -> int:  # type: ignore[override]
        return max(size // 2 for taps in (self._blur, self._between) for size in taps.value.shape)

    def low_passed(self, x: Tensor, periodic: Sequence[bool], surround: Surround) -> Tensor:
        """Twice the Gaussian."""
        once = _correlated(x, self._blur.like(x), 1, surround)
        return _correlated(once, self._blur.like(x), 1, surround)

    def down(
        self,
        x: Float[Tensor, "batch channel *space"],
        periodic: Sequence[bool],
        surround: Surround,
        kind: str = "gaussian",
    ) -> Tensor:
        """Every second sample of the blurred field."""
        return _correlated(x, self._blur.like(x), 2, surround)

    def up(
        self,
        x: Float[Tensor, "batch channel *half"],
        size: Sequence[int],
        periodic: Sequence[bool],
        surround: Surround,
        kind: str = "gaussian",
    ) -> Tensor:
        """The field between its samples; `surround` is that of the finer field."""
        fine = x.new_zeros(*x.shape[:2], *[2 * size for size in x.shape[2:]])
        fine[(..., *[slice(None, None, 2)] * (x.dim() - 2))] = x
        return _correlated(fine, self._between.like(x), 1, surround)

    def down_by_content(
        self,
        x: Tensor,
        axes: Sequence[bool],
        periodic: Sequence[bool],
        surround: Surround,
        half_shifts: Sequence[bool],
    ) -> tuple[Tensor, Int[Tensor, "batch n"]]:
        """Every second sample of the blurred field, in the phase that holds the most energy, and that.

        Some axes have a phase, of some others it is a shift by half of them; else the first sample is kept.
        """
        if any(size % 2 for size in x.shape[2:]):
            raise ValueError(
                f"exact_shifts halves periodic axes of {tuple(x.shape[2:])} samples, expected even sizes; "
                "choose sizes divisible by 2^depth"
            )
        x = _correlated(x, self._blur.like(x), 1, surround)
        half = [axis for axis, shifts in enumerate(half_shifts) if shifts]
        firsts = list(itertools.product(*[(0, 1) if phased else (0,) for phased in axes]))
        phases = [
            y[(..., *[slice(first, None, 2) for first in each])]
            for y in half_shifted(x, half)
            for each in firsts
        ]
        phase = x.new_zeros(x.shape[0], len(axes), dtype=torch.long)
        where = [axis for axis, phased in enumerate(axes) if phased]
        return strongest(torch.stack(phases, 1), [*half, *where], phase), phase

    def up_by_content(
        self,
        x: Tensor,
        phase: Int[Tensor, "batch n"],
        size: Sequence[int],
        axes: Sequence[bool],
        periodic: Sequence[bool],
        surround: Surround,
        half_shifts: Sequence[bool],
    ) -> Tensor:
        """The way back from a phase: the field in phase zero, shifted."""
        x = self.up(x, size, periodic, surround)
        sizes = x.shape[2:]
        x = surround(x, [int(phased) for phased in axes]) if any(axes) else x
        for axis in [axis for axis, phased in enumerate(axes) if phased]:
            length = sizes[axis]
            index = torch.arange(1, 1 + length, device=x.device) - phase[:, axis, None]  # (batch, length)
            index = index.view(-1, *[1] * (axis + 1), length, *[1] * (x.dim() - 3 - axis))
            x = x.take_along_dim(index, 2 + axis)
        return shifted_back(x, phase, half_shifts)


def _correlated(x: Tensor, taps: Tensor, stride: int, surround: Surround) -> Tensor:
    """Each channel of a field correlated with the same taps, odd on each axis."""
    n = taps.dim()
    x = surround(x, [size // 2 for size in taps.shape])
    filters = taps.expand(x.shape[1], 1, *taps.shape)
    return CONVOLUTIONS[n](in_format(x, FORMATS[n]), filters, None, stride, 0, 1, x.shape[1])


def _halfway(steps: Float[Tensor, "n n"]) -> tuple[Float[Tensor, "v n"], Float[Tensor, "v"]]:
    """From each kind of sample the vectors to the nearest ones of the coarse lattice, and their shares."""
    n, places, shares = len(steps), [], []
    coarse = 2 * reduced(steps @ steps.T) @ steps
    size = coarse.norm(dim=-1).max()
    near = vectors(coarse, n * float(size))
    for bits in itertools.product((0.0, 1.0), repeat=n):
        p = steps.new_tensor(bits) @ steps
        v = p - nearest(coarse, torch.eye(n).to(p), p) - near
        length = v.norm(dim=-1)
        found = v[length <= length.min() + (LONGER - 1) * size]
        places.append(found)
        shares.append(found.new_full((len(found),), 1 / len(found)))
    return torch.cat(places), torch.cat(shares)


def _dense(v: Float[Tensor, "v n"], steps: Float[Tensor, "n n"], values: Float[Tensor, "v"]) -> Tensor:
    """Values at lattice vectors, as an array about zero."""
    places = (v @ torch.linalg.inv(steps)).round().long()
    most = places.abs().amax(0)
    dense = values.new_zeros((2 * most + 1).tolist())
    return dense.index_put(tuple((places + most).unbind(-1)), values)
