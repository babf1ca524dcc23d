"""Lattices in R^n: a basis of short vectors, and the lattice vector nearest to a given one."""

import itertools
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

MOST = 500  # rounds; each makes a basis vector shorter
SHORTER = 1e-12  # by this part, or it is rounding
HALF = 0.5 + 1e-9  # coordinates up to this are rounded to zero: of two vectors as near, the first


def reduced(gram: Float[Tensor, "*batch k k"]) -> Float[Tensor, "*batch k k"]:
    r"""Whole numbers T, the rows of which combine a basis with this Gram matrix to one of short vectors.

    Each vector is as short as all those before it can make it, and none is shorter than they are (Lagrange's
    reduction where k = 2; Minkowski-reduced for k up to 4).

    Reference: Nguyen & Stehle 2004 (greedy reduction).
    """
    k = gram.shape[-1]
    gram = gram.detach().to(torch.float64)
    first = gram.reshape(-1, k, k)[:1]
    if bool((gram == first).all()):  # one lattice everywhere
        return _reduced(first)[0].expand_as(gram)
    return _reduced(gram.reshape(-1, k, k)).view_as(gram)


def _reduced(gram: Float[Tensor, "batch k k"]) -> Float[Tensor, "batch k k"]:
    T = torch.eye(gram.shape[-1]).to(gram).repeat(len(gram), 1, 1)
    for _ in range(MOST):
        lengths = (T @ gram @ T.mT).diagonal(dim1=-2, dim2=-1)
        T = T.take_along_dim(lengths.argsort(dim=-1, stable=True)[..., None], -2)
        is_short = True
        for i in range(1, gram.shape[-1]):
            H = T @ gram @ T.mT
            near = _nearest(H[:, :i, :i], H[:, :i, i])
            change = torch.cat([-near, torch.ones_like(near[:, :1])], -1)  # of the first i + 1
            after = torch.einsum("bi,bij,bj->b", change, H[:, : i + 1, : i + 1], change)
            shorter = after < (1 - SHORTER) * H[:, i, i]
            T[:, i] = torch.where(shorter[:, None], (change[:, None] @ T[:, : i + 1])[:, 0], T[:, i])
            is_short = is_short and not bool(shorter.any())
        if is_short:
            break
    return T


def nearest(
    basis: Float[Tensor, "*#batch k n"], metric: Float[Tensor, "*#batch n n"], d: Float[Tensor, "*#batch n"]
) -> Float[Tensor, "*batch n"]:
    """The lattice vector nearest to d, for a basis that `reduced` made; zero, or the first, of several."""
    lowered = basis @ metric  # (..., k, n)
    near = _nearest(lowered @ basis.mT, (lowered @ d[..., None])[..., 0])
    return (near[..., None, :] @ basis)[..., 0, :]


def _nearest(H: Float[Tensor, "*#batch k k"], h: Float[Tensor, "*#batch k"]) -> Float[Tensor, "*batch k"]:
    """The whole coefficients of the lattice vector nearest to the vector with products h with the basis.

    Rounded coordinates, then steps to neighbours in the reduced basis while they are nearer: where none is,
    the rest lies in the cell about zero.
    """
    k = H.shape[-1]
    c = (torch.linalg.inv(H) @ h[..., None])[..., 0]
    near = c.sign() * torch.ceil(c.abs() - HALF).clamp_min(0)
    if not bool((H - torch.diag_embed(H.diagonal(dim1=-2, dim2=-1))).any()):
        return near  # the axes do not mix
    steps = _steps(k).to(H)  # (s, k)
    squares = ((steps @ H) * steps).sum(-1)  # (..., s)
    tolerance = SHORTER * H.diagonal(dim1=-2, dim2=-1).amin(-1)
    for _ in range(MOST):
        rest = h - (H @ near[..., None])[..., 0]
        gain, best = (2 * rest @ steps.T - squares).max(-1)
        nearer = gain > tolerance
        if not bool(nearer.any()):
            break
        near = near + torch.where(nearer[..., None], steps[best], 0.0)
    return near


@cache
def _steps(k: int) -> Float[Tensor, "s k"]:
    """All combinations of -1, 0 and 1 but none at all."""
    return torch.tensor([s for s in itertools.product((0, 1, -1), repeat=k) if any(s)], dtype=torch.float64)
