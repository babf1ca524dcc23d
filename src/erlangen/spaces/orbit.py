"""The orbit of a point under a group: how fast the group moves it, and the way from it to other points."""

import math
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import MatrixGroup
from erlangen.kernels.harmonics import canonical_basis, sphere_rule

Action = Callable[[Tensor, Tensor], Tensor]
TOLERANCE = 1e-7  # absolute: velocities below this are zero
STARTS, STEPS, RADII = 4, 40, 12


class Orbit:
    """The points ``g p0``.

    Args:
        group: G.
        origin: p0, ``(m,)``.
        action: ``(g, p) -> g p``, with batches: ``(..., d, d)`` and ``(..., m)`` to ``(..., m)``.

    Attributes:
        rank: the dimension of the orbit.
        still: components ``(a, dim G)`` of a basis of the Lie algebra h that keeps the origin.
        moving: components ``(dim G, rank)`` of the first generators that move it in all dimensions.
    """

    def __init__(self, group: MatrixGroup, origin: Tensor, action: Action) -> None:
        self.group, self.origin, self.action = group, origin.to(torch.float64), action
        B = self.velocities(self.origin)
        self.rank = rank(B)
        _, _, rows = torch.linalg.svd(B, full_matrices=True)
        kept = rows[self.rank :]
        self.still = canonical_basis(kept.T @ kept)
        self.moving = torch.eye(group.dim, dtype=torch.float64)[:, _independent(B)]

    def point(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch m"]:
        """``g p0``."""
        return self.action(g, self.origin.to(g).expand(*g.shape[:-2], -1))

    def velocities(self, p: Float[Tensor, "m"]) -> Float[Tensor, "m dimG"]:
        """``d/dt exp(t X_i) p`` for every generator."""
        one = torch.eye(self.group.size, dtype=torch.float64)
        columns = [_derivative(lambda g: self.action(g, p), one, X) for X in self.group.generators]
        return torch.stack(columns, -1) if columns else p.new_zeros(len(p), 0)

    @cached_property
    def at_origin(self) -> Float[Tensor, "m dimG"]:
        """The velocities of the origin."""
        return self.velocities(self.origin)

    def push(
        self, g: Float[Tensor, "*batch d d"], p: Float[Tensor, "*batch m"], w: Float[Tensor, "*batch m n"]
    ) -> Float[Tensor, "*batch m n"]:
        """Tangent vectors at p, as columns, moved by g to ``g p``."""
        return torch.stack([_derivative(lambda x: self.action(g, x), p, v) for v in w.unbind(-1)], -1)

    def push_from_origin(self, g: Float[Tensor, "*batch d d"], w: Tensor) -> Float[Tensor, "*batch m n"]:
        """Tangent vectors at the origin, moved by g."""
        origin = self.origin.to(g).expand(*g.shape[:-2], -1)
        return self.push(g, origin, w.to(g).expand(*g.shape[:-2], *w.shape[-2:]))

    def isotropy(self, h: Float[Tensor, "k d d"]) -> Float[Tensor, "k n n"]:
        """How elements that keep the origin turn its tangent vectors, in the basis of `moving`."""
        B = self.at_origin @ self.moving
        return torch.linalg.pinv(B) @ self.push_from_origin(h, B)

    def back(self, g: Float[Tensor, "k d d"]) -> Float[Tensor, "k d d"]:
        """``s^{-1} g`` with ``s p0 = g p0``, which keep the origin; of those g for which s was found."""
        s = self.group.exp(self.solve(self.point(g), self.moving) @ self.moving.T)
        h = torch.linalg.inv(s) @ g
        off = (self.point(h) - self.origin).abs().amax(-1)
        return h[off < 1e-8 * (1 + g.abs().amax((-2, -1)))]

    def solve(self, p: Float[Tensor, "*batch m"], M: Float[Tensor, "dimG n"]) -> Float[Tensor, "*batch n"]:
        """The shortest v with ``exp(M v) p0 = p``, by Gauss and Newton from the nearest points of a table.

        Where none is found, v leads elsewhere.
        """
        target = p.reshape(-1, 1, len(self.origin)).to(torch.float64)
        V, images = self._table(M)
        v = V[torch.cdist(target[:, 0], images).topk(min(STARTS, len(V)), largest=False).indices]
        for _ in range(STEPS):
            g = self.group.exp(v @ M.T)
            miss = target - self.point(g)
            if float(miss.abs().max()) < 1e-13:
                break
            # d/dt exp(v + t w) p0 = exp(v) J w p0
            J = self.push_from_origin(g, self.at_origin @ self.group.right_jacobian(v @ M.T) @ M)
            step = (torch.linalg.pinv(J, rtol=1e-10) @ miss[..., None])[..., 0]
            v = v + step / step.norm(dim=-1, keepdim=True).clamp_min(1.0)
        off = (self.point(self.group.exp(v @ M.T)) - target).norm(dim=-1) / (1 + target.norm(dim=-1))
        length = v.norm(dim=-1) + torch.where(off < 1e-9, 0.0, 1e6 * (1 + off))
        best = length.nan_to_num(math.inf).argmin(-1)
        return v[torch.arange(len(v)), best].reshape(*p.shape[:-1], -1).to(p)

    def _table(self, M: Tensor) -> tuple[Tensor, Tensor]:
        """Steps in all directions, and where they lead."""
        n = M.shape[1]
        direction = sphere_rule(n, 5 if n < 4 else 3)[0]
        t = math.pi * (torch.arange(RADII, dtype=torch.float64) + 0.5) / RADII
        V = torch.cat([direction.new_zeros(1, n), (t[:, None, None] * direction).flatten(0, 1)])
        return V, self.point(self.group.exp(V @ M.T))


def rank(columns: Tensor) -> int:
    """How many are independent."""
    return int((torch.linalg.svdvals(columns) > TOLERANCE).sum()) if columns.numel() else 0


def _independent(columns: Tensor) -> list[int]:
    """The columns that do not depend on those before them."""
    chosen: list[int] = []
    for i in range(columns.shape[1]):
        if rank(columns[:, [*chosen, i]]) > len(chosen):
            chosen.append(i)
    return chosen


def _derivative(function: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    _, tangent = torch.autograd.functional.jvp(function, x.contiguous(), along.contiguous())
    return torch.as_tensor(tangent)
