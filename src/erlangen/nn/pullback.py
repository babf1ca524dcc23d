"""Between a quotient G/H and a finer one G/H' without a kernel: a field read upstairs, or brought down."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import checked
from erlangen.domains import Domain, sample_below
from erlangen.engines import Table
from erlangen.nn.equivariant import Equivariant


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
        self.shape = tuple(to.weights.shape)
        self.below = Table(sample_below(to, domain))

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, "scalar")
        values = field.flatten(2).index_select(2, self.below.like(field))
        return values.unflatten(2, self.shape)

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
        self.shape = tuple(to.weights.shape)
        below = sample_below(domain, to)
        counts = torch.bincount(below, minlength=to.weights.numel())
        if not bool((counts > 0).all()):
            raise ValueError(
                f"over {int((counts == 0).sum())} samples of {to} lies none of {domain}, expected one at "
                "least; leave those samples away"
            )
        order = torch.argsort(below, stable=True)
        place = torch.arange(int(counts.max())).clamp(max=counts[:, None] - 1)  # the last one again
        index = order[(counts.cumsum(0) - counts)[:, None] + place]
        is_new = torch.arange(int(counts.max())) < counts[:, None]
        weight = domain.weights.flatten()[index] * is_new
        self.above, self.weight_above = Table(index), Table(weight / weight.sum(1, keepdim=True))

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, "scalar")
        values = field.flatten(2)[:, :, self.above.like(field)]  # (batch, channel, p, k)
        down = (
            values.amax(-1) if self.reduction == "max" else (values * self.weight_above.like(field)).sum(-1)
        )
        return down.unflatten(2, self.shape)

    def extra_repr(self) -> str:
        return f'{self.domain}, to={self.to_domain}, "{self.reduction}"'
