"""Lattices in R^n: a basis of short vectors, the lattice vector nearest to a given one, the point group."""

import itertools
import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.shared import shared

MOST = 500  # rounds; each makes a basis vector shorter
LONGER = 1 + 1e-9  # by less, or it is rounding
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


@shared()
def shortest(basis: Float[Tensor, "k n"]) -> float:
    """The length of the shortest vector of a lattice, given by any basis."""
    return float((reduced(basis @ basis.T) @ basis).norm(dim=-1).min())


def vectors(basis: Float[Tensor, "k n"], radius: float) -> Float[Tensor, "v n"]:
    """All lattice vectors of at most that length, zero among them, for a basis that `reduced` made."""
    most = radius * LONGER * torch.linalg.pinv(basis).norm(dim=0)  # of each coefficient
    ranges = [torch.arange(-math.floor(m), math.floor(m) + 1, dtype=torch.float64) for m in most.tolist()]
    found = torch.cartesian_prod(*ranges).view(-1, len(ranges)) @ basis
    return found[found.norm(dim=-1) <= radius * LONGER]


def point_group(basis: Float[Tensor, "n n"]) -> Float[Tensor, "g n n"]:
    """All orthogonal A that carry a lattice onto itself, the identity first, then other rotations.

    Each is what it makes of a basis of short vectors: lattice vectors of the same lengths and products.
    """
    short = reduced(basis @ basis.T) @ basis
    gram, lengths = short @ short.T, short.norm(dim=-1)
    near = vectors(short, float(lengths.max()))
    images = near.new_zeros(1, 0, len(short))
    for i, length in enumerate(lengths):
        alike = near[(near.norm(dim=-1) - length).abs() <= (LONGER - 1) * length]
        images = torch.cat(
            [
                images[:, None].expand(-1, len(alike), -1, -1),
                alike[None, :, None].expand(len(images), -1, -1, -1),
            ],
            2,
        ).flatten(0, 1)
        off = (images @ images[:, -1, :, None])[..., 0] - gram[: i + 1, i]
        images = images[(off.abs() <= (LONGER - 1) * lengths.max() ** 2).all(-1)]
    A = (torch.linalg.inv(short) @ images).mT
    # rotations first, by their angles: an order that no rounding, basis or unit changes
    A = _polished(A)
    keys = torch.cat(
        [torch.linalg.det(A)[:, None], A.diagonal(dim1=1, dim2=2).sum(1)[:, None], A.flatten(1)], 1
    )
    keys = (keys / (LONGER - 1) / 1e3).round().tolist()
    return A[sorted(range(len(A)), key=keys.__getitem__, reverse=True)]


def _polished(A: Float[Tensor, "g n n"]) -> Float[Tensor, "g n n"]:
    """The orthogonal matrices next to A, and zeros and ones where they are."""
    U, _, V = torch.linalg.svd(A)
    A = U @ V
    return torch.where((A - A.round()).abs() < LONGER - 1, A.round(), A)
