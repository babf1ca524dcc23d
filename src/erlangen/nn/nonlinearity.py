"""Nonlinearities that keep the symmetry: pointwise on a finer fibre, or gated by invariants."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.domains import Domain
from erlangen.domains.domain import Field
from erlangen.nn.finer import Finer


class Pointwise(nn.Module):
    r"""A function of each value; along the fibre ``F -> P phi(U F)``.

    U samples the fibre `oversampling` times as fine, P brings the result back to the frequencies that
    the fibre can turn by any angle. Turns by 2 pi / N stay exact; in between, the function makes
    frequencies that alias, the fewer the finer.

    Args:
        domain: where the field lives.
        function: applied to every value.
        field: "scalar" or "regular"; None for the domain's own.
        oversampling: how much finer the fibre is sampled; 1 applies the function as it is.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.
    """

    def __init__(
        self,
        domain: Domain,
        function: Callable[[Tensor], Tensor],
        field: Field | None = None,
        *,
        oversampling: int = 2,
    ) -> None:
        super().__init__()
        field = field or domain.default_field
        if field not in ("scalar", "regular"):
            raise ValueError(
                f"a function of each component is not equivariant on {field} fields, expected scalar or "
                "regular ones; use er.nn.Gated"
            )
        if oversampling < 1:
            raise ValueError(f"oversampling is {oversampling}, expected at least 1")
        self.domain, self.function = domain, function
        self.field: Field = field
        self.oversampling = oversampling
        fibre = domain.fibre if field == "regular" else None
        self.finer: Finer | None = None
        # the smallest fibres, and finite groups, have nothing in between
        if fibre is not None and oversampling > 1 and fibre.default_band is not None:
            self.finer = Finer(fibre, oversampling)

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field)
        if self.finer is None:
            return self.function(field)
        return self.finer.down(self.function(self.finer.up(field)))

    def extra_repr(self) -> str:
        return f'{self.domain}, field="{self.field}", oversampling={self.oversampling}'


class ReLU(Pointwise):
    """`Pointwise` with ``max(x, 0)``.

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> er.nn.ReLU(plane)(torch.randn(1, 4, 8, 16, 16)).shape
        torch.Size([1, 4, 8, 16, 16])
    """

    def __init__(self, domain: Domain, field: Field | None = None, *, oversampling: int = 2) -> None:
        super().__init__(domain, torch.relu, field, oversampling=oversampling)

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field)
        return torch.relu(field) if self.finer is None else self.finer.relu(field)


class Gated(nn.Module):
    r"""``F -> F sigmoid(a mean_h F + b rms_h F + c)``: exact at every angle, on every field.

    The mean and the root mean square along the fibre are invariants, so the gate is a scalar field.
    Vectors and signs have no mean; scalars are gated by themselves.

    Args:
        domain: where the field lives.
        channels: each has an a, b and c.
        field: its type; None for the domain's own.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.
    """

    def __init__(
        self,
        domain: Domain,
        channels: int,
        field: Field | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.domain = domain
        self.field: Field = field or domain.default_field
        rho = domain.representation(self.field)
        self.has_mean, self.has_axis = rho.has_invariants, rho.has_axis
        self.weight = nn.Parameter(torch.empty(3, channels, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Open gates for large and for positive values."""
        with torch.no_grad():
            self.weight.copy_(torch.tensor([[1.0], [1.0], [-1.0]]).expand_as(self.weight))

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field, self.weight.shape[1])
        power = field.square().mean(2, keepdim=True) if self.has_axis else field.square()
        a, b, c = self.weight.view(3, -1, *[1] * (field.dim() - 2))
        gate = b * torch.sqrt(power + 1e-12) + c
        if self.has_mean:
            gate = gate + a * (field.mean(2, keepdim=True) if self.has_axis else field)
        return field * torch.sigmoid(gate)

    def extra_repr(self) -> str:
        return f'{self.domain}, {self.weight.shape[1]}, field="{self.field}"'
