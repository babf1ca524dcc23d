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
STARTS, STEPS, RADII = 8, 30, 12
KEPT, NEARLY = 1e-9, 1e-5  # what is moved by less stays; what is moved by less than this, but for rounding
FOUND = 1e-5  # how far from a point of single precision a way may lead, relative to its coordinates
LOST = 1e6  # lengths beyond this mean that no way was found


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
        X = self.group.generators
        if len(X) == 0:
            return p.new_zeros(len(p), 0)
        one = torch.eye(self.group.size, dtype=torch.float64).expand_as(X)
        return _derivative(lambda g: self.action(g, p.expand(len(X), -1)), one, X).mT

    @cached_property
    def at_origin(self) -> Float[Tensor, "m dimG"]:
        """The velocities of the origin."""
        return self.velocities(self.origin)

    def push(
        self, g: Float[Tensor, "*batch d d"], p: Float[Tensor, "*batch m"], w: Float[Tensor, "*batch m n"]
    ) -> Float[Tensor, "*batch m n"]:
        """Tangent vectors at p, as columns, moved by g to ``g p``."""
        columns = w.mT
        g, p = g[..., None, :, :].expand(*columns.shape[:-1], -1, -1), p[..., None, :].expand_as(columns)
        return _derivative(lambda x: self.action(g, x), p, columns).mT

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
        off = (self.point(h) - self.origin).abs().amax(-1) / (1 + self.origin.abs().amax())
        kept, nearly = h[off < KEPT], h[(off >= KEPT) & (off < NEARLY)]
        if len(self.still) == 0 and len(
            nearly
        ):  # H is finite: an element that nearly keeps p0 is one that does
            apart = torch.cdist(nearly.flatten(1), kept.flatten(1)).amin(1)
            if bool((apart > 1e-3).any()):
                moved = float(off[off < NEARLY].max())
                raise ValueError(
                    f"elements of {self.group} move the origin by {moved:.2g}, which looks like rounding, "
                    "and whether they keep it decides what kernels there are; expected an origin to all "
                    "digits of float64"
                )
        return kept

    def solve(self, p: Float[Tensor, "*batch m"], M: Float[Tensor, "dimG n"]) -> Float[Tensor, "*batch n"]:
        """The shortest v with ``exp(M v) p0 = p``, by Newton from the nearest points of a table.

        More starts are tried where they lie far from the v that was found, and are not longer: there may be
        another, shorter way. Where none is found, v leads elsewhere.
        """
        target = p.reshape(-1, len(self.origin)).to(torch.float64)
        V, images, spacing = self._table(M)
        starts = torch.cdist(target, images).topk(min(STARTS, len(V)), largest=False).indices
        best, cost = self._newton(V[starts[:, 0]], target, M)
        other = V[starts[:, 1:]]  # (p, k, n)
        elsewhere = (other - best[:, None]).norm(dim=-1) > 2 * spacing
        again = elsewhere & (other.norm(dim=-1) < cost[:, None] + spacing)
        again = (again & (again.cumsum(-1) <= 1)) | (cost > LOST)[:, None]
        which, k = again.nonzero(as_tuple=True)
        v, length = self._newton(other[which, k], target[which], M)
        lengths = torch.full(again.shape, math.inf, dtype=torch.float64)
        lengths[which, k] = length
        shortest, k = lengths.min(-1)
        better = shortest < cost - TOLERANCE
        position = torch.zeros(again.shape, dtype=torch.long)
        position[again] = torch.arange(len(v))
        best[better] = v[position[better, k[better]]]
        return best.reshape(*p.shape[:-1], -1).to(p)

    def _newton(self, v: Tensor, target: Tensor, M: Tensor) -> tuple[Tensor, Tensor]:
        """Where Newton's method leads from v, and its length; that of what leads elsewhere is beyond LOST.

        ``exp(v + w) p0 = exp(v) exp(J w) p0`` to first order, so w solves ``J w p0 = exp(-v) p - p0``.
        """
        v, along = v.clone(), torch.linalg.pinv(self.at_origin @ M)
        inward = along @ self.at_origin  # from the Lie algebra to g / h
        one = 1e-14 * torch.eye(M.shape[1], dtype=torch.float64)
        off = torch.full(v.shape[:1], math.inf, dtype=torch.float64)
        active = torch.arange(len(v))
        for _ in range(STEPS):
            x = v[active] @ M.T
            miss = self.action(self.group.exp(-x), target[active]) - self.origin
            off[active] = miss.norm(dim=-1).nan_to_num(math.inf)
            going = off[active] > 1e-14
            active = active[going]
            if len(active) == 0:
                break
            A = inward @ self.group.right_jacobian_times(x[going], M)
            # least squares, since A is singular where several ways meet
            square, right = A.mT @ A, A.mT @ (along @ miss[going, :, None])
            damping = one * square.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]
            step = torch.linalg.solve_ex(square + damping, right)[0][..., 0]
            step = step / step.norm(dim=-1, keepdim=True).clamp_min(1.0)
            v[active] = _turned(v[active], step)
            active = active[step.norm(dim=-1) > 1e-12]
        g = self.group.exp(v @ M.T)
        off = (self.point(g) - target).norm(dim=-1) / (1 + target.norm(dim=-1))
        length = v.norm(dim=-1) + torch.where(off < FOUND, 0.0, 2 * LOST * (1 + off))
        return v, length.nan_to_num(math.inf)

    def _table(self, M: Tensor) -> tuple[Tensor, Tensor, float]:
        """Steps in all directions, where they lead, and how far they lie apart."""
        n = M.shape[1]
        direction = sphere_rule(n, 5 if n < 4 else 3)[0]
        t = math.pi * (torch.arange(RADII, dtype=torch.float64) + 0.5) / RADII
        V = torch.cat([direction.new_zeros(1, n), (t[:, None, None] * direction).flatten(0, 1)])
        return V, self.point(self.group.exp(V @ M.T)), math.pi / 5


def _turned(v: Tensor, step: Tensor) -> Tensor:
    """``v + step`` to first order, sideways along a sphere: no way gets longer by that where many meet."""
    length = v.norm(dim=-1, keepdim=True)
    straight = v + step
    along = length + (v * step).sum(-1, keepdim=True) / length.clamp_min(1.0)
    turned = straight * (along.abs() / straight.norm(dim=-1, keepdim=True).clamp_min(1e-9))
    return torch.where(length > 1, turned, straight)


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
