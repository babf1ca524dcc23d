"""Between a quotient G/H and a finer one G/H' without a kernel: a field read upstairs, or brought down."""

from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.arguments import checked
from erlangen.domains import Domain, sample_below
from erlangen.engines import Table
from erlangen.nn.equivariant import Equivariant

BELOW: WeakKeyDictionary[Domain, WeakKeyDictionary[Domain, Table]] = WeakKeyDictionary()
ABOVE: WeakKeyDictionary[Domain, WeakKeyDictionary[Domain, tuple[Table, Table]]] = WeakKeyDictionary()


class Pullback(Equivariant):
    r"""The trivial lift: ``F(p') = f(pi(p'))``, a scalar field on G/H read as one on G/H', with H' in H.

    Args:
        domain: samples of G/H.
        to: samples of G/H', each over one of the former.

    Shapes: ``(batch, channel, *space)`` to ``(batch, channel, *space of to)``.

    Raises:
        ValueError: for spaces without such a projection, and samples over none of the domain's.
    """

    @checked
    def __init__(self, domain: Domain, to: Domain) -> None:
        super().__init__()
        self.domain, self.to_domain = domain, to
        self.prepare()

    def prepare(self) -> None:
        _below(self.to_domain, self.domain)

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, "scalar")
        values = field.flatten(2).index_select(2, _below(self.to_domain, self.domain).like(field))
        return _laid_out(values, self.to_domain)

    def extra_repr(self) -> str:
        return f"{self.domain}, to={self.to_domain}"


class Pushforward(Equivariant):
    r"""The mean or maximum over what lies above: ``f(p) = mean or max of F(p') over pi(p') = p``.

    Args:
        domain: samples of G/H'.
        to: samples of G/H, with H' in H; each has some of the former over it.
        reduction: "mean" (by their measure) or "max".

    Shapes: ``(batch, channel, *space)`` to ``(batch, channel, *space of to)``.

    Raises:
        ValueError: for spaces without such a projection, and samples that nothing lies over.
    """

    @checked
    def __init__(self, domain: Domain, to: Domain, reduction: Literal["mean", "max"] = "mean") -> None:
        super().__init__()
        self.domain, self.to_domain, self.reduction = domain, to, reduction
        self.prepare()

    def prepare(self) -> None:
        _above(self.domain, self.to_domain)

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, "scalar")
        above, share = _above(self.domain, self.to_domain)
        values = field.flatten(2)[:, :, above.like(field)]  # (batch, channel, p, k)
        down = values.amax(-1) if self.reduction == "max" else (values * share.like(field)).sum(-1)
        return _laid_out(down, self.to_domain)

    def extra_repr(self) -> str:
        return f'{self.domain}, to={self.to_domain}, "{self.reduction}"'


def _laid_out(values: Float[Tensor, "batch channel p"], to: Any) -> Tensor:
    return values.unflatten(2, to.shape)


def _below(fine: Any, coarse: Any) -> Table:
    """The sample of the coarser domain that each of the finer one lies over."""
    found = BELOW.setdefault(fine, WeakKeyDictionary()).get(coarse)
    if found is None:
        found = BELOW[fine][coarse] = Table(sample_below(fine.sampling, coarse.sampling))
    return found


def _above(fine: Any, coarse: Any) -> tuple[Table, Table]:
    """For each sample of the coarser domain those over it, filled up by the last one, and their shares."""
    found = ABOVE.setdefault(fine, WeakKeyDictionary()).get(coarse)
    if found is None:
        found = ABOVE[fine][coarse] = _sorted(fine, coarse, _below(fine, coarse).value)
    return found


def _sorted(fine: Domain, coarse: Domain, below: Int[Tensor, "i"]) -> tuple[Table, Table]:
    counts = torch.bincount(below, minlength=coarse.weights.numel())
    if not bool((counts > 0).all()):
        raise ValueError(
            f"over {int((counts == 0).sum())} samples of {coarse} lies none of {fine}, expected one at "
            "least; leave those samples out"
        )
    order = torch.argsort(below, stable=True)
    place = torch.arange(int(counts.max())).clamp(max=counts[:, None] - 1)
    index = order[(counts.cumsum(0) - counts)[:, None] + place]
    is_new = torch.arange(int(counts.max())) < counts[:, None]
    weight = fine.weights.flatten()[index] * is_new
    return Table(index), Table(weight / weight.sum(1, keepdim=True))
