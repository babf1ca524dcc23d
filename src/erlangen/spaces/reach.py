"""The reach of a smooth set in R^N: how far from it every point has one nearest point of it.

On a complete submanifold geodesics are the only shortest ones up to pi times the reach.
Reference: Federer 1959, theorem 4.18; Alexander & Bishop 2006.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Project = Callable[[Tensor], Tensor]  # points near the set to points of it
Normals = Callable[[Tensor], Tensor]  # its points (..., N) to orthonormal normals (..., N, k)
Bending = Callable[[Tensor], Tensor]  # to the largest normal curvature there

PAIRS, PLACES, TRIES, ROUNDS = 24, 8, 24, 28
SHRINK = 0.75
FARTHEST = 8  # steps of so many sizes lead to other parts
DIGITS = 1e10  # roundings of coordinates that a distance from a tangent plane has; nearer pairs curve


def reach(
    x: Float[Tensor, "p N"], project: Project, normals: Normals, bending: Bending, seed: int = 0
) -> float:
    r"""``min |p - q|^2 / (2 dist(q - p, T_p))`` over pairs, and over pairs that meet, ``1 / max curvature``.

    Both are searched for among samples, and from the best of those by random steps that get shorter: an
    estimate, from above if anything.

    Args:
        x: samples of the set, all over it.
        project, normals, bending: see their types.
        seed: of the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    spacing = float(_spacing(x))
    noise = DIGITS * torch.finfo(x.dtype).eps * float(x.abs().max())

    def quotient(p: Tensor, q: Tensor, n: Tensor) -> Tensor:
        apart = q - p
        aside = (apart[..., None, :] @ n)[..., 0, :].norm(dim=-1)
        return torch.where(aside > noise, apart.square().sum(-1) / (2 * aside), math.inf)

    n = normals(x)
    every = quotient(x[:, None], x, n[:, None])
    least, q = every.min(1)
    p = least.argsort()[:PAIRS]
    ends = torch.stack([x[p], x[q[p]]], 1)  # (pairs, 2, N)

    def of_pair(e: Tensor) -> Tensor:
        return quotient(e[..., 0, :], e[..., 1, :], normals(e[..., 0, :]))

    near = _descended(of_pair, ends, project, spacing, generator)
    places = x[bending(x).argsort(descending=True)[:PLACES], None]  # (places, 1, N)
    bent = _descended(lambda e: 1 / bending(e[..., 0, :]), places, project, spacing, generator)
    return min(near, bent)


def _spacing(x: Float[Tensor, "p N"]) -> Tensor:
    """The usual distance of a sample from the next."""
    return torch.cdist(x, x).fill_diagonal_(math.inf).amin(1).median()


def _descended(
    value: Callable[[Tensor], Tensor],
    start: Float[Tensor, "k e N"],
    project: Project,
    size: float,
    generator: torch.Generator,
) -> float:
    """The least value that random steps lead to, from each of some tuples of points."""
    best, least = start, value(start)
    for _ in range(ROUNDS):
        steps = torch.randn(TRIES, *start.shape, generator=generator, dtype=start.dtype)
        tried = project(best + size * steps)  # (t, k, e, N)
        values = value(tried).nan_to_num(math.inf)
        stays = (tried - best).norm(dim=-1).amax(-1) < FARTHEST * size * start.shape[-1]
        values = torch.where(stays, values, math.inf)
        found, index = values.min(0)
        better = found < least
        best = torch.where(better[:, None, None], tried[index, torch.arange(len(start))], best)
        least = torch.where(better, found, least)
        size = SHRINK * size
    return float(least.min())
