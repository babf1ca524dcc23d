"""Down- and up-sampling that turns and flips commute with at every size, and shifts on demand."""

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.arguments import checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field, Resampling
from erlangen.engines import any_size, fold, unfold
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.project import Reduction

MAX_POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Down(Equivariant):
    r"""Half the samples on each axis: after a Gaussian against aliasing or, where the domain has harmonics,
    cut at the coarser band.

    The coarse grid lies symmetrically about the centre, whatever the size: ``ceil(size / 2)`` samples. With
    `exact_shifts` the phase of the samples follows the field's content on the axes that close (where none
    does, or with `circular`, the field is taken to be periodic on all), so that integer shifts along them
    commute with it; the phase goes to `Up`.

    Args:
        domain: where the field lives; the result lives on ``domain.coarser()``.
        field: its type; None for the domain's own.
        circular: treat the field as periodic; otherwise the blur sees only what lies inside.
        exact_shifts: sample in the phase that the content chooses.
        resampling: on lattices whose axes are perpendicular also "band-limited": 8 or 9 weights on each axis
            that keep wave numbers up to 1, in coarse samples, within 1 %, and let 0.4 % of those through
            that alias onto them, where the Gaussian keeps 90 % and lets 6 % through.

    Shapes: ``(batch, channel, [fibre,] *space)`` to ``(batch, channel, [fibre,] *half)``, and with
    exact_shifts the phase ``(batch, n)`` beside it.

    Raises:
        ValueError: for a resampling that these samples do not have, or with exact_shifts.
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        field: Field | None = None,
        *,
        circular: bool = False,
        exact_shifts: bool = False,
        resampling: Resampling = "gaussian",
    ) -> None:
        super().__init__()
        self.domain = domain
        self.field: Field = field or domain.default_field
        self.rho = domain.representation(self.field)
        self.circular, self.exact_shifts = circular, exact_shifts
        self.resampling: Resampling = resampling
        self._by = {} if resampling == "gaussian" else {"kind": resampling}  # of domains that know two
        if exact_shifts and resampling != "gaussian":
            raise ValueError(
                f'resampling="{resampling}" with exact_shifts=True: the phase is chosen after a Gaussian, '
                'expected "gaussian"'
            )
        self.prepare()

    def prepare(self) -> None:
        _expect_resampling(self.domain, self.resampling)
        if self.exact_shifts:
            self.domain.content_axes(self.circular)  # refuses where content and samples don't shift alike
        self.domain.prepare("down", self.rho)

    def forward(
        self, field: Float[Tensor, "batch channel *space"]
    ) -> Tensor | tuple[Tensor, Int[Tensor, "batch n"]]:
        self.domain.check(field, self.field)
        if self.exact_shifts:
            return self.domain.downsample_by_content(field, self.rho, self.circular)
        return self.domain.downsample(field, self.rho, self.circular, **self._by)

    def extra_repr(self) -> str:
        text = f'{self.domain}, field="{self.field}"' + ", exact_shifts=True" * self.exact_shifts
        return text + f', resampling="{self.resampling}"' * (self.resampling != "gaussian")


def _expect_resampling(domain: Domain, resampling: Resampling) -> None:
    if resampling not in domain.resamplings:
        raise ValueError(
            f'resampling="{resampling}" on {domain}, expected one of {", ".join(domain.resamplings)}; the '
            "others are for all samples of a lattice whose axes are perpendicular, such as er.Plane()"
        )


class Up(Equivariant):
    r"""From the coarser domain back: linear on lattices, by harmonics on the sphere's grids, else by the
    coarser domain's own interpolation.

    Args:
        domain: the finer domain, where the result lives.
        field: the field's type; None for the domain's own.
        circular: treat the field as periodic, as `Down` did.
        resampling: as of `Down`; "band-limited" spreads each sample by the weights that `Down` took.

    Shapes: ``(batch, channel, [fibre,] *half)`` to ``(batch, channel, [fibre,] *size)``.
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        field: Field | None = None,
        *,
        circular: bool = False,
        resampling: Resampling = "gaussian",
    ) -> None:
        super().__init__()
        self.domain = domain
        self.field: Field = field or domain.default_field
        self.rho = domain.representation(self.field)
        self.circular = circular
        self.resampling: Resampling = resampling
        self._by = {} if resampling == "gaussian" else {"kind": resampling}  # of domains that know two
        self.prepare()

    def prepare(self) -> None:
        _expect_resampling(self.domain, self.resampling)
        self.domain.prepare("up", self.rho)

    def forward(
        self,
        field: Float[Tensor, "batch channel *half"],
        size: tuple[int, ...],
        phase: Int[Tensor, "batch n"] | None = None,
    ) -> Tensor:
        """The field at the given sizes; `phase` is what `Down` chose, with exact_shifts."""
        if phase is not None:
            return self.domain.upsample_by_content(field, self.rho, tuple(size), phase, self.circular)
        return self.domain.upsample(field, self.rho, tuple(size), self.circular, **self._by)

    def extra_repr(self) -> str:
        text = f'{self.domain}, field="{self.field}"'
        return text + f', resampling="{self.resampling}"' * (self.resampling != "gaussian")


class Pool(Equivariant):
    r"""Local pooling: the maximum over neighbours (or nothing, for the mean), then `Down`.

    Args:
        domain: where the field lives.
        reduction: "max" over 3 samples on each axis (on lattices askew, those next to each) before the blur,
            or "mean", the blur only.
        field: its type; None for the domain's own.
        circular: treat the field as periodic.
        exact_shifts: sample in the phase that the content chooses, as `Down` does; the phase is not returned.
        resampling: as of `Down`.

    Shapes: ``(batch, channel, [fibre,] *space)`` to ``(batch, channel, [fibre,] *half)``.

    Raises:
        ValueError: for the maximum of vector or sign fields, which a mirrored frame sees as a minimum, and of
            coefficients.

    Reference: Zhang 2019 (maximum, blur, then sample).
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        reduction: Reduction = "mean",
        field: Field | None = None,
        *,
        circular: bool = False,
        exact_shifts: bool = False,
        resampling: Resampling = "gaussian",
    ) -> None:
        super().__init__()
        self.domain, self.reduction = domain, reduction
        self.down = Down(domain, field, circular=circular, exact_shifts=exact_shifts, resampling=resampling)
        if reduction == "max" and (self.down.rho.blocks or not self.down.rho.has_invariants):
            held = "coefficients of regular" if self.down.rho.blocks else self.down.field
            raise ValueError(
                f"the maximum of {held} fields is another one in a mirrored or turned frame, expected scalar "
                'or regular fields, held by values; take reduction="mean"'
            )

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        if self.reduction == "max":
            domain, circular = self.down.domain, self.down.circular
            domain.check(field, self.down.field)
            rho = self.down.rho
            folded = fold(domain.hide(field, -math.inf), rho)
            size = tuple(folded.shape[2:])
            circles = domain.closing(circular) if self.down.exact_shifts else domain.circles(size, circular)
            beside = domain.halving.beside
            if beside is None:
                across, ones = partial(domain.surround, rho=rho), [1] * len(circles)
                around = any_size.surrounded(folded, ones, circles, across, otherwise=-math.inf)
                folded = MAX_POOLS[len(circles)](around, 3, 1, [int(c is False) for c in circles])
            else:
                most = [max(map(abs, steps)) for steps in zip(*beside, strict=True)]
                folded = _largest(domain.surround(folded, most, rho), beside, most)
            field = unfold(folded, rho)
        coarse = self.down(field)
        return coarse[0] if self.down.exact_shifts else coarse

    def extra_repr(self) -> str:
        return f'"{self.reduction}"'


def _largest(x: Tensor, beside: Sequence[tuple[int, ...]], most: Sequence[int]) -> Tensor:
    """The maximum over samples beside each, of a field that has so many more at both ends of each axis."""
    sizes = [length - 2 * m for length, m in zip(x.shape[2:], most, strict=True)]
    largest = None
    for steps in beside:
        places = zip(most, steps, sizes, strict=True)
        y = x[(..., *[slice(m + step, m + step + size) for m, step, size in places])]
        largest = y if largest is None else torch.maximum(largest, y)
    return x if largest is None else largest
