"""Is a group of matrices bounded? What it then leaves alone."""

import torch
from jaxtyping import Float
from torch import Tensor

TOLERANCE = 1e-7
SQUARINGS = 30


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
    start = torch.eye(n, dtype=torch.float64) if start is None else start
    P = (mean @ start.flatten()).unflatten(0, (n, n))
    P = (P + P.T) / 2
    values = torch.linalg.eigvalsh(P)
    moved = float((h.mT @ P @ h - P).abs().max())
    bounded = float(values[0]) > TOLERANCE * float(values[-1]) and moved <= 1e-6 * float(values[-1])
    return P if bounded else None
