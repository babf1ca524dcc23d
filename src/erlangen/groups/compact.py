"""Sets of matrices: which are independent, whether their group is bounded, what it keeps, what it holds."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

TOLERANCE = 1e-7
SQUARINGS, BALANCES = 30, 8
RESTARTS, STEPS, MIXING = (1, 8, 56), 60, 6
THERE = 1e-9  # what is as close as that has been reached


def independent(X: Float[Tensor, "a n n"], tolerance: float) -> Float[Tensor, "b n n"]:
    """An orthonormal basis of the span; the tolerance is absolute, since there may be noise only."""
    _, values, rows = torch.linalg.svd(X.flatten(1), full_matrices=False)
    return rows[values > tolerance].unflatten(1, X.shape[1:])


def distinct(x: Float[Tensor, "c *shape"], tolerance: float) -> Float[Tensor, "b *shape"]:
    """Each once, in their order; those are one whose entries differ by no more than the tolerance."""
    found = x[:1]
    for one in x[1:]:
        if float((found - one).abs().flatten(1).amax(1).min()) > tolerance:
            found = torch.cat([found, one[None]])
    return found


def invariant_inner_product(
    algebra: Float[Tensor, "a n n"],
    components: Float[Tensor, "c n n"],
    start: Float[Tensor, "n n"] | None = None,
) -> Float[Tensor, "n n"] | None:
    r"""An inner product with ``h^T P h = P`` for all h in the group; None if there is none.

    There is one exactly if the group is bounded. It is the mean of ``h^T start h`` over the group, here over
    all long products of a few elements: the mean over one factor, as a linear map on P, squared many times.

    Args:
        algebra: generators of the connected component.
        components: an element of each component (or some that generate them).
        start: what is averaged; None for the identity.
    """
    n = components.shape[-1]
    generator = torch.Generator().manual_seed(0)
    # where `start` is the identity, and no unit matters; or where axes are as large as each other
    L = torch.diag(1 / _balancing(algebra, components)) if start is None else torch.linalg.cholesky(start)
    algebra, components = (L.T @ torch.linalg.solve(L, x.mT).mT for x in (algebra, components))
    t = torch.randn(4, len(algebra), generator=generator, dtype=torch.float64)
    turns = torch.matrix_exp(torch.einsum("ka,aij->kij", t, algebra)) if len(algebra) else algebra
    h = torch.cat([turns, components])
    h = torch.cat([h, torch.linalg.inv(h)])
    mean = torch.einsum("kai,kbj->ijab", h, h).reshape(n * n, n * n) / len(h)
    for _ in range(SQUARINGS):
        mean = mean @ mean
        if float(mean.abs().max()) > 1 / TOLERANCE**2:
            return None
    for _ in range(2):  # what rounding has added to a projection
        mean = 3 * mean @ mean - 2 * mean @ mean @ mean
    P = (mean @ torch.eye(n, dtype=torch.float64).flatten()).unflatten(0, (n, n))
    P = (P + P.T) / 2
    values = torch.linalg.eigvalsh(P)
    moved = float((h.mT @ P @ h - P).abs().max())
    bounded = float(values[0]) > TOLERANCE * float(values[-1]) and moved <= 1e-6 * float(values[-1])
    return L @ P @ L.T if bounded else None


def _balancing(algebra: Float[Tensor, "a n n"], components: Float[Tensor, "c n n"]) -> Float[Tensor, "n"]:
    """Units of the n axes in which the matrices are as large above the diagonal as below (Osborne 1960)."""
    size = algebra.square().sum(0) + components.square().sum(0)
    size.fill_diagonal_(0.0)
    scale = torch.ones(len(size), dtype=torch.float64)
    for _ in range(BALANCES):
        for i in range(len(size)):
            across, down = float(size[i].sum()), float(size[:, i].sum())
            if across > 0 and down > 0:
                unit = 2.0 ** round(math.log2(across / down) / 4)  # exact to divide by
                scale[i] *= unit
                size[i], size[:, i] = size[i] / unit**2, size[:, i] * unit**2
    return scale


def outside(g: Float[Tensor, "k n n"], X: Float[Tensor, "a n n"]) -> Float[Tensor, "k"]:
    """How far orthogonal matrices are from ``exp(span X)``: the largest entry of the nearest quotient less 1.

    Multiplied from the right by elements of that group so that the trace grows; from more and more starts,
    spread over the group, since half turns and their like are saddles, or in some representations summits.
    """
    one = torch.eye(g.shape[-1]).to(g)
    off = (g - one).abs().amax((-2, -1))
    if len(X) == 0:
        return off
    generator = torch.Generator().manual_seed(0)
    t = 3 * torch.randn(MIXING, sum(RESTARTS), len(X), generator=generator, dtype=torch.float64)
    starts = one.repeat(sum(RESTARTS), 1, 1)
    for turns in torch.matrix_exp(torch.einsum("mra,aij->mrij", t, X)):
        starts = starts @ turns
    starts[0] = one
    for some in starts.split(RESTARTS):
        far = off > THERE
        if not bool(far.any()):
            break
        off[far] = torch.minimum(off[far], _climbed(g[far, None] @ some, X).amin(1))
    return off


def _climbed(m: Float[Tensor, "k r n n"], X: Float[Tensor, "a n n"]) -> Float[Tensor, "k r"]:
    """How far from 1 the trace leads."""
    for _ in range(STEPS):
        c = torch.einsum("krij,aij->kra", (m - m.mT) / 2, X)
        m = m @ torch.matrix_exp(-torch.einsum("kra,aij->krij", c, X))
        if float(c.abs().max()) < 1e-12:
            break
    return (m - torch.eye(m.shape[-1]).to(m)).abs().amax((-2, -1))
