"""Means and losses in the measure of the space: on the sphere a sample counts by its area."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import expect_tensor
from erlangen.domains import Domain
from erlangen.domains.refusals import refuse_missing

Reduction = Literal["none", "mean", "sum"]


def mean(domain: Domain, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
    """``int f dmu / int dmu``, over what a mask leaves visible."""
    field = _seen(domain, field, "field")
    return domain.mean(field)


def mse_loss(
    domain: Domain,
    input: Float[Tensor, "*batch_space"],
    target: Float[Tensor, "*batch_space"],
    reduction: Reduction = "mean",
) -> Tensor:
    r"""``int (f - g)^2 dmu / int dmu``, with the arguments of `torch.nn.functional.mse_loss`.

    Args:
        domain: where both live; what its mask hides does not count.
        reduction: "none" keeps one number for each of ``*batch``, "mean" or "sum" over these.

    Example:
        >>> import torch, erlangen as er
        >>> ball = er.Sphere().grid(8)
        >>> round(er.nn.mse_loss(ball, torch.zeros(2, 1, 8, 16), torch.ones(2, 1, 8, 16)).item(), 4)
        1.0
    """
    difference = _difference(domain, input, target)
    return _reduced(domain.mean_square(difference), reduction)


def l1_loss(
    domain: Domain,
    input: Float[Tensor, "*batch_space"],
    target: Float[Tensor, "*batch_space"],
    reduction: Reduction = "mean",
) -> Tensor:
    """``int |f - g| dmu / int dmu``; arguments as those of `mse_loss`."""
    difference = _difference(domain, input, target)
    return _reduced(domain.mean_absolute(difference), reduction)


def _difference(domain: Domain, input: Tensor, target: Tensor) -> Tensor:
    input, target = _seen(domain, input, "input"), _seen(domain, target, "target")
    if input.shape != target.shape:
        raise ValueError(
            f"the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}, expected one "
            "shape (*batch, *space)"
        )
    return input - target


def _seen(domain: Domain, field: Tensor, name: str) -> Tensor:
    """The field, zeros where it is hidden; ValueError for other shapes and missing values."""
    if not isinstance(domain, Domain):
        raise ValueError(Domain.refusal("domain", domain))
    expect_tensor(field, f"the {name}")
    if field.dim() < domain.space_axes:
        raise ValueError(
            f"the {name} has shape {tuple(field.shape)}, expected (*batch, *space) with "
            f"{domain.space_axes} axes of space"
        )
    domain.expect(tuple(field.shape[-domain.space_axes :]))
    seen = domain.hide(field if field.is_floating_point() else field.to(torch.get_default_dtype()))
    refuse_missing(seen)
    return seen


def _reduced(values: Tensor, reduction: Reduction) -> Tensor:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction is {reduction!r}, expected "none", "mean" or "sum"')
    return values if reduction == "none" else getattr(torch, reduction)(values)
