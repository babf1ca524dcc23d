"""What follows from a metric in coordinates: derivatives, the connection, curvature, orthonormal frames."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.derivative import Function, partials


def inverse(g: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """The inverse of matrices; of 2 x 2 ones without LAPACK, which takes them one by one."""
    if g.shape[-1] != 2:
        return torch.linalg.inv(g)
    a, b, c, d = g[..., 0, 0], g[..., 0, 1], g[..., 1, 0], g[..., 1, 1]
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / (a * d - b * c)[..., None, None]


def times(A: Float[Tensor, "*#batch n n"], B: Float[Tensor, "*#batch n n"]) -> Float[Tensor, "*batch n n"]:
    """The product of matrices; of 2 x 2 ones without BLAS, which takes them one by one."""
    if A.shape[-1] != 2:
        return A @ B
    return torch.stack([torch.stack(row, -1) for row in product_of_entries(entries(A), entries(B))], -2)


def entries(A: Float[Tensor, "*batch 2 2"]) -> list[list[Tensor]]:
    """Of matrices of two rows, row by row."""
    return [list(row.unbind(-1)) for row in A.unbind(-2)]


def product_of_entries(A: list[list[Tensor]], B: list[list[Tensor]]) -> list[list[Tensor]]:
    """Those of the product of matrices of two rows."""
    return [[row[0] * B[0][k] + row[1] * B[1][k] for k in (0, 1)] for row in A]


def levi_civita(metric: Function, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n n"]:
    r"""``Gamma[l, i, k] = g^{lm} (d_i g_mk + d_k g_mi - d_m g_ik) / 2``."""
    g, D = partials(metric, x)  # D[m, ..., i, k] = d_m g_ik
    d = D.movedim(0, -1)  # [i, k, m]
    lower = (d.movedim(-1, -2) + d - d.movedim(-1, -3)) / 2  # [m, i, k]
    return torch.einsum("...lm,...mik->...lik", inverse(g), lower)


def along_levi_civita(
    metric: Function, x: Float[Tensor, "*batch n"], V: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n n"]:
    """``Gamma[l, i, k] V^i``, the matrix of transport along V, without the whole of Gamma."""
    g, D = partials(metric, x)
    A = (D * V.movedim(-1, 0)[..., None, None]).sum(0)
    W = (D @ V[..., None])[..., 0].movedim(0, -1)  # [m, k] = V^i d_k g_mi
    return inverse(g) @ (A + W - W.mT) / 2


def riemann(connection: Function, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n n n"]:
    r"""``R[l, k, i, j]``, component l of ``R(d_i, d_j) d_k``.

    ``d_i Gamma^l_jk - d_j Gamma^l_ik + Gamma^l_im Gamma^m_jk - Gamma^l_jm Gamma^m_ik``.
    """
    Gamma, D = partials(connection, x)  # D[i, ..., l, j, k]
    half = torch.einsum("i...ljk->...lkij", D)
    half = half + torch.einsum("...lim,...mjk->...lkij", Gamma, Gamma)
    return half - half.mT


def sectional(
    g: Float[Tensor, "*batch n n"],
    R: Float[Tensor, "*batch n n n n"],
    v: Float[Tensor, "*batch n"],
    w: Float[Tensor, "*batch n"],
) -> Float[Tensor, "*batch"]:
    """``<R(v, w) w, v>`` over the squared area of v and w, R as `riemann` gives it."""
    R = torch.einsum("...lkij,...k,...i,...j->...l", R, w, v, w)
    vv, vw, ww = (torch.einsum("...i,...ij,...j->...", a, g, b) for a, b in ((v, v), (v, w), (w, w)))
    return torch.einsum("...i,...ij,...j->...", R, g, v) / (vv * ww - vw**2)


def orthonormal(g: Float[Tensor, "*#batch m m"], E: Float[Tensor, "*#batch m n"], steps: int = 3) -> Tensor:
    r"""The orthonormal frame nearest to an almost orthonormal one: ``E (E^T g E)^{-1/2}``.

    It commutes with turns, ``orthonormal(E h) = orthonormal(E) h``.
    """
    for _ in range(steps):
        E = E @ (1.5 * torch.eye(E.shape[-1]).to(E) - 0.5 * E.mT @ g @ E)
    return E
