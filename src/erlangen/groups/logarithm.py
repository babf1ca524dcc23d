"""The principal logarithm of matrices, batched: the inverse of torch.matrix_exp near the identity."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

NEAR = 0.25  # the rational approximation takes over this close to the identity
ROOTS, STEPS = 40, 30


def matrix_log(g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
    r"""The X with ``exp(X) = g`` whose eigenvalues have imaginary parts in (-pi, pi).

    Square roots until the matrix is near the identity, there the diagonal Pade approximant, as an integral:
    ``log(1 + A) = int_0^1 A (1 + t A)^{-1} dt`` by Gauss-Legendre (Higham 2008, chapter 11).

    Returns:
        ``(..., d, d)``, computed in double precision; nan where a real eigenvalue is not positive.
    """
    return _log(g.to(torch.float64)).to(g.dtype)


def near_log(g: Float[Tensor, "*batch d d"], nodes: int = 8) -> Float[Tensor, "*batch d d"]:
    """The logarithm of matrices within 1/4 of the identity, to rounding."""
    A = g - torch.eye(g.shape[-1], dtype=g.dtype, device=g.device)
    one = torch.eye(g.shape[-1], dtype=g.dtype, device=g.device)
    terms = [weight * torch.linalg.solve_ex(one + t * A, A)[0] for t, weight in _rule(nodes)]
    return torch.stack(terms).sum(0)


@cache
def _rule(nodes: int) -> list[tuple[float, float]]:
    """Gauss-Legendre on [0, 1]."""
    t, w = np.polynomial.legendre.leggauss(nodes)
    return [(float(a + 1) / 2, float(b) / 2) for a, b in zip(t, w, strict=True)]


def _log(A: Tensor) -> Tensor:
    one = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    doublings = torch.zeros(A.shape[:-2], dtype=A.dtype, device=A.device)
    for _ in range(ROOTS):
        far = (A - one).abs().sum(-1).amax(-1) > NEAR
        if not bool(far.any()):
            break
        A = torch.where(far[..., None, None], _root(A), A)
        doublings = doublings + far
    return near_log(A) * 2 ** doublings[..., None, None]


def _root(A: Tensor) -> Tensor:
    """The principal square root, by the iteration of Denman and Beavers."""
    Y, Z = A, torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand_as(A)
    for _ in range(STEPS):
        before = Y
        Y, Z = (Y + torch.linalg.inv_ex(Z)[0]) / 2, (Z + torch.linalg.inv_ex(Y)[0]) / 2
        change = (Y - before).abs().amax((-2, -1))
        if not bool((change > 1e-15 * Y.abs().amax((-2, -1))).any()):  # nor where there is no root
            break
    return torch.where(
        ((Y @ Y - A).abs().amax((-2, -1)) < 1e-6 * A.abs().amax((-2, -1)))[..., None, None], Y, torch.nan
    )
