"""The orbit of a point under a group: how fast the group moves it, and the way from it to other points."""

import math
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.groups import MatrixGroup
from erlangen.kernels.directions import canonical_basis, sphere_rule

Action = Callable[[Tensor, Tensor], Tensor]
TOLERANCE = 1e-7  # of the largest velocity: those below are zero
STARTS, STEPS, RADII = 8, 80, 12
KEPT, NEARLY = 1e-9, 1e-5  # what is moved by less stays; what is moved by less than this, but for rounding
FOUND, ROUNDED = 1e-5, 1e-6  # how far from a point of single precision a way may lead, and its rounding
SEEN, SOLVED = 1e-3, 1e-7  # how far off the space, and along it, seen from there, in units of the group
CLOSE, SHORTEST = 0.1, 1e-9  # where Newton's steps are taken as they are; below which none helps
EXACT = 1e-16  # the rounding of a number
WIDE = 8.0  # of ad v, beyond which its series takes too many terms
APPROACHES, STALLED = 300, 20  # steps towards the origin; how many of them tell that it comes no nearer
PIECES, ASIDE = (1, 4, 16), 4  # of such a step, on the way back; other places to start from


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
        self.rank = rank(B, 1e-14 * float(self.origin.abs().max()))  # less is rounding
        _, _, rows = torch.linalg.svd(B, full_matrices=True)
        kept = rows[self.rank :]
        self.still = canonical_basis(kept.T @ kept)
        self._expect_told_apart(B)
        self.moving = torch.eye(group.dim, dtype=torch.float64)[:, _independent(B)]

    def _expect_told_apart(self, B: Tensor) -> None:
        """ValueError where what keeps the origin is lost in rounding, beside generators that move it fast."""
        left, cancelled = (B @ self.still.T).abs(), B.abs() @ self.still.abs().T
        rounding = (left > 1e-6 * cancelled) & (left > 1e-14 * float(self.origin.abs().max()))
        if bool(rounding.any()):
            speeds = B.norm(dim=0)
            raise ValueError(
                f"the generators of {self.group} move the origin at speeds from "
                f"{float(speeds[speeds > 0].min()):.2g} to {float(speeds.max()):.2g}, too unlike to tell in "
                "double precision which of their sums keep it; expected an origin of about the size of 1: "
                "measure coordinates in other units"
            )

    def point(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch m"]:
        """``g p0``."""
        return self.action(g, self.origin.to(g).expand(*g.shape[:-2], -1))

    def velocities(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m dimG"]:
        """``d/dt exp(t X_i) p`` for every generator."""
        X = self.group.generators
        if len(X) == 0:
            return p.new_zeros(*p.shape, 0)
        shape = (*p.shape[:-1], *X.shape)
        one = torch.eye(self.group.size, dtype=torch.float64).expand(shape)
        p = p[..., None, :].expand(*p.shape[:-1], len(X), -1)
        return _derivative(lambda g: self.action(g, p), one, X.expand(shape)).mT

    @cached_property
    def at_origin(self) -> Float[Tensor, "m dimG"]:
        """The velocities of the origin."""
        return self.velocities(self.origin)

    @cached_property
    def scale(self) -> float:
        """How large coordinates are about the origin: those of it, or what the generators make of it."""
        sizes = [x.abs().max() for x in (self.origin, self.at_origin) if x.numel()]
        return float(torch.stack(sizes).max()) or 1.0

    def push(
        self, g: Float[Tensor, "*batch d d"], p: Float[Tensor, "*batch m"], w: Float[Tensor, "*batch m n"]
    ) -> Float[Tensor, "*batch m n"]:
        """Tangent vectors at p, as columns, moved by g to ``g p``."""
        columns = w.mT
        # one derivative of the action along each column, all in one batch
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
        s = self.group.exp(self.solve(self.point(g), self.moving, far=False) @ self.moving.T)
        h = torch.linalg.inv(s) @ g
        off = (self.point(h) - self.origin).abs().amax(-1) / self.scale
        kept, nearly = h[off < KEPT], h[(off >= KEPT) & (off < NEARLY)]
        # H is finite: an element that nearly keeps p0 is one that does
        if len(self.still) == 0 and len(nearly) > 0:
            apart = torch.cdist(nearly.flatten(1), kept.flatten(1)).amin(1)
            if bool((apart > 1e-3).any()):
                moved = float(off[off < NEARLY].max())
                raise ValueError(
                    f"elements of {self.group} move the origin by {moved:.2g}, which looks like rounding, "
                    "and whether they keep it decides what kernels there are; expected an origin to all "
                    "digits of float64"
                )
        return kept

    def solve(
        self, p: Float[Tensor, "*batch m"], M: Float[Tensor, "dimG n"], *, far: bool = True
    ) -> Float[Tensor, "*batch n"]:
        """The shortest v with ``exp(M v) p0 = p``, by Newton from the nearest points of a table; nan where
        none is found.

        More starts are tried where they lie far from the v that was found, and are not longer: there may be
        another, shorter way. Points that none of them leads to are followed from the origin, if asked.
        """
        target = p.reshape(-1, len(self.origin)).to(torch.float64)
        unit = float(torch.linalg.matrix_norm(M, 2)) if M.numel() else 1.0
        M = M / unit  # lengths in units of the group, whatever those of the space are
        # Newton from the nearest entry of a table finds most; but that way may not be the shortest one
        V, images, spacing = self._table(M)
        starts = torch.cdist(target, images).topk(min(STARTS, len(V)), largest=False).indices
        best, cost = self._newton(V[starts[:, 0]], target, M)
        other = V[starts[:, 1:]]  # (p, k, n)
        elsewhere = (other - best.nan_to_num()[:, None]).norm(dim=-1) > 2 * spacing
        again = elsewhere & (other.norm(dim=-1) < cost[:, None] + spacing)
        # one more start for what was found; all of them for what was not
        again = (again & (again.cumsum(-1) <= 1)) | cost.isinf()[:, None]
        which, k = again.nonzero(as_tuple=True)
        v, length = self._newton(other[which, k], target[which], M)
        lengths = torch.full(again.shape, math.inf, dtype=torch.float64)
        lengths[which, k] = length
        if lengths.shape[1]:
            shortest, k = lengths.min(-1)
            better = shortest < cost - TOLERANCE
            position = torch.zeros(again.shape, dtype=torch.long)
            position[again] = torch.arange(len(v))
            best[better] = v[position[better, k[better]]]
        if far:
            self._go_far(best, V[starts], target, M)
        return (best / unit).reshape(*p.shape[:-1], -1).to(p)

    def _go_far(self, v: Tensor, starts: Tensor, target: Tensor, M: Tensor) -> None:
        """Fill in what is lost, seen from the other end, or followed from the origin."""
        lost = (~v.isfinite().all(-1)).nonzero().flatten()
        for k in range(starts.shape[1]):
            if len(lost):
                v[lost] = self._newton(starts[lost, k], target[lost], M, back=True)[0]
                lost = lost[~v[lost].isfinite().all(-1)]
        if len(lost):
            v[lost] = self._followed(target[lost], M)

    def _newton(self, v: Tensor, target: Tensor, M: Tensor, *, back: bool = False) -> tuple[Tensor, Tensor]:
        """Where Newton's method leads from v, and its length; nan and inf where that is elsewhere.

        ``exp(v + w) p0 = exp(v) exp(J w) p0`` to first order. Far from p, w solves ``exp(v) J w p0 = p - q``
        at ``q = exp(v) p0``, or if asked ``B(x) J w = x - p0`` at ``x = exp(-v) p`` with the velocities B,
        which sees what is small in the coordinates of p; near it ``J w p0 = x - p0``, where rounding is
        least. How far a step leads, J w, is at first one unit of the group, and doubles while it comes
        nearer: a way of length r takes about r steps where the space grows like e^r, and log r of them where
        it is flat.
        """
        v, along = v.clone(), torch.linalg.pinv(self.at_origin @ M)
        inward = along @ self.at_origin  # from the Lie algebra to g / h
        gap, miss, size = self._missed(v, target, M)
        reach = torch.ones(len(v), dtype=torch.float64)
        active = torch.arange(len(v))  # those that still move: most are done after a few steps
        for _ in range(STEPS):
            # below the rounding of what cancels in the difference no step can help
            floor = EXACT * (size[active] + 100 * self.scale)
            active = active[miss[active].norm(dim=-1) > floor]
            if len(active) == 0:
                break
            x, far, seen = v[active] @ M.T, reach[active, None], miss[active] @ along.T
            ahead = seen.norm(dim=-1)
            step, moved = self._step(x, M, inward, seen, (miss if back else gap)[active], back)
            leads = torch.maximum(moved.norm(dim=-1), step.norm(dim=-1))[:, None]
            step = step * (far / leads.clamp_min(1e-300)).clamp(max=1)
            trial = _turned(v[active], step)
            after = self._missed(trial, target[active], M)
            left = (after[1] @ along.T).norm(dim=-1)
            # near the end what is seen from the origin counts, where numbers are small and rounding is least
            near = (ahead < CLOSE) & (left < ahead)
            now, then = (after[1], miss) if back else (after[0], gap)
            better = near | (now.norm(dim=-1) < then[active].norm(dim=-1))
            took = active[better]
            v[took] = trial[better]
            gap[took], miss[took], size[took] = (x[better] for x in after)
            reach[active] = torch.where(better[:, None], 2 * far, torch.minimum(far, leads) / 4)[:, 0]
            tiny = torch.where(better, 1e-12, SHORTEST) * (1 + v[active].norm(dim=-1))
            active = active[step.norm(dim=-1) > tiny]
        rounding = (ROUNDED * size).clamp(max=SEEN * self.scale)
        close = (gap.norm(dim=-1) < FOUND * (self.scale + target.norm(dim=-1))) | (
            miss.norm(dim=-1) < rounding
        )
        blurred = EXACT * (10 * size / self.scale + 100)
        # points of single precision lie a little off the space, and stay there; along it nothing may be left
        found = close & ((miss @ along.T).norm(dim=-1) < SOLVED + blurred)
        v = torch.where(found[:, None], v, math.nan)
        return v, v.norm(dim=-1).nan_to_num(math.inf)

    def _step(
        self, x: Tensor, M: Tensor, inward: Tensor, seen: Tensor, rest: Tensor, back: bool
    ) -> tuple[Tensor, Tensor]:
        """The w of `_newton` from ``exp(x)``, and J w up to h: by `rest` far from p, by `seen` near it."""
        J = self._jacobian(x, M)
        A = inward @ J
        square, right = A.mT @ A, A.mT @ seen[..., None]
        steep = seen.norm(dim=-1) > CLOSE
        if bool(steep.any()):
            rest = rest[steep]
            if back:
                D = self.velocities(rest + self.origin) @ J[steep]
            else:
                D = self.push_from_origin(self.group.exp(x[steep]), self.at_origin @ J[steep])
            square[steep], right[steep] = D.mT @ D, D.mT @ rest[..., None]
        # least squares, each component in its own measure, since A is singular where several ways meet
        each = square.diagonal(dim1=1, dim2=2).sqrt()[..., None].clamp_min(1e-300)
        little = 1e-14 * torch.eye(M.shape[1], dtype=torch.float64)
        step = torch.linalg.solve_ex(square / each / each.mT + little, right / each)[0] / each
        return step[..., 0], (A @ step)[..., 0]

    def _missed(self, v: Tensor, target: Tensor, M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``p - exp(v) p0`` and ``exp(-v) p - p0``, and the size of what cancels in that."""
        x = v @ M.T
        back = self.group.exp(-x)
        gap = target - self.point(self.group.exp(x))
        miss = self.action(back, target) - self.origin
        size = back.flatten(1).norm(dim=-1) * target.norm(dim=-1)
        gap, miss, size = (x.nan_to_num(math.inf, math.inf, -math.inf) for x in (gap, miss, size))
        return gap, miss, size

    def _jacobian(self, x: Tensor, M: Tensor) -> Tensor:
        """``J M`` for the elements ``exp(x)``."""
        J = self.group.right_jacobian_times(x, M)
        wide = self.group.ad(x).flatten(1).norm(dim=-1) > WIDE
        if bool(wide.any()):
            J[wide] = self.group.right_jacobian(x[wide]) @ M
        return J

    def _followed(self, target: Float[Tensor, "k m"], M: Tensor) -> Float[Tensor, "k n"]:
        """The v along a path of points from the origin to each of them; nan where it is lost on the way."""
        # the group itself shows a way back to the origin; v is then continued along it, point by point
        steps, left, _ = self._approach(target)
        v = target.new_zeros(len(target), M.shape[1])
        v[left > SEEN * self.scale] = math.nan
        for x, w in reversed(steps):  # from exp(-w) x to x
            if not bool(v.isfinite().any()):
                break
            todo = v.isfinite().all(-1)
            for pieces in PIECES:  # where one step is too long, the same one in pieces
                here = v[todo]
                for left in torch.arange(pieces).flip(0) / pieces:
                    there = self.action(self.group.exp(-left * w[todo]), x[todo])
                    here = self._newton(here.nan_to_num(), there, M)[0]
                if pieces == PIECES[-1] or bool(here.isfinite().all()):
                    v[todo] = here
                    break
                done = here.isfinite().all(-1)
                v[todo.nonzero().flatten()[done]] = here[done]
                todo[todo.nonzero().flatten()[done]] = False
        return v

    def nearest(self, p: Float[Tensor, "k m"]) -> tuple[Float[Tensor, "k"], Bool[Tensor, "k"]]:
        """How near the group moves points to the origin, in units of its coordinates, 0 if all the way; and
        whether that is as near as it gets.
        """
        off = torch.full(p.shape[:1], math.inf, dtype=torch.float64)
        ended = torch.ones(p.shape[:1], dtype=torch.bool)
        aside = self.group.sample(ASIDE, radius=3.0) if self.group.dim else self.group.components
        for c in torch.cat([self.group.components, aside]):  # from elsewhere too: a way may end at a saddle
            g = torch.linalg.inv(c).expand(len(p), -1, -1)
            steps, left, stays = self._approach(self.action(g, p.to(torch.float64)))
            for _, w in steps:
                g = self.group.exp(-w) @ g
            rounding = ROUNDED * g.flatten(-2).norm(dim=-1) * p.norm(dim=-1)
            rounding = rounding.clamp(max=SEEN * self.scale)
            left = torch.where(left < FOUND * self.scale + rounding, 0.0, left / self.scale)
            off, ended = torch.minimum(off, left), ended & stays
            if bool((off == 0).all()):
                break
        return off, ended

    def _approach(
        self, x: Float[Tensor, "k m"]
    ) -> tuple[list[tuple[Tensor, Tensor]], Float[Tensor, "k"], Bool[Tensor, "k"]]:
        """Points and steps, ``x -> exp(-w) x``, by which the group moves them to the origin; how far from it
        that ends, and whether they stay there.

        By Gauss and Newton's steps along the orbit, as long as they come nearer: the group moves what it
        moves the origin to all the way there, and nothing else.
        """
        far, reach = (x - self.origin).norm(dim=-1), torch.ones(len(x), dtype=torch.float64)
        steps: list[tuple[Tensor, Tensor]] = []
        history = [far]
        for _ in range(APPROACHES if self.group.dim else 0):
            B = self.velocities(x)  # Gauss and Newton: the step of the group that comes nearest to the origin
            w = (torch.linalg.pinv(B, rtol=1e-12) @ (x - self.origin)[..., None])[..., 0]
            length = w.norm(dim=-1)
            w = w * (reach / length.clamp_min(1e-300)).clamp(max=1)[:, None]
            there = self.action(self.group.exp(-w), x)
            after = (there - self.origin).norm(dim=-1).nan_to_num(math.inf)
            better = after < far
            steps.append((x, torch.where(better[:, None], w, 0.0)))
            x, far = torch.where(better[:, None], there, x), torch.where(better, after, far)
            reach = torch.where(better, 2 * reach, torch.minimum(reach, length) / 4)
            history.append(far)
            before = history[max(0, len(history) - 1 - STALLED)]
            stays = (far > 0.999 * before) | (far < 100 * EXACT * self.scale)
            if len(history) > STALLED and bool(stays.all()):
                break
        return steps, far, far > 0.999 * history[max(0, len(history) - 1 - STALLED)]

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


def rank(columns: Tensor, least: float = 0.0) -> int:
    """How many are independent, but for those below the tolerance of the largest, or the least."""
    if not columns.numel():
        return 0
    values = torch.linalg.svdvals(columns)
    return int((values > max(TOLERANCE * float(values[0]), least)).sum())


def _independent(columns: Tensor) -> list[int]:
    """The columns that do not depend on those before them."""
    least = TOLERANCE * float(torch.linalg.matrix_norm(columns, 2)) if columns.numel() else 0.0
    chosen: list[int] = []
    for i in range(columns.shape[1]):
        if rank(columns[:, [*chosen, i]], least) > len(chosen):
            chosen.append(i)
    return chosen


def _derivative(function: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    _, tangent = torch.autograd.functional.jvp(function, x.contiguous(), along.contiguous())
    return torch.as_tensor(tangent)
