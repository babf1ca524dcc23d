"""The one solver of the kernel constraint, for every structure group and every pair of fields."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import Fibre, Representation, StructureGroup
from erlangen.kernels.directions import canonical_basis, sphere_rule, spherical_harmonics

LARGEST = 1 << 15  # coefficients of a kernel, whose projector has so many rows and columns
TOLERANCE = 1e-6  # absolute: a relative one finds nothing where every kernel is allowed


def solve(
    group: StructureGroup, rho_in: Representation, rho_out: Representation, degree: int
) -> Float[Tensor, "b c d_out d_in"]:
    r"""All ``K(v) = sum_c Y_c(v) X_c`` of one degree with ``K(h v) = rho_out(h) K(v) rho_in(h)^{-1}``.

    In coefficients: ``sum_c' D(h)_{c c'} X_c' = rho_out(h)^{-1} X_c rho_in(h)``, where
    ``Y(h v) = D(h) Y(v)``. Regular fields are induced from the group of one element, so a kernel into
    them is a free row carried round (Frobenius): ``K(v)[i, :] = k(h_i^{-1} v) rho_in(h_i)^{-1}``, and one
    out of them a free column. All else is a null space, at random elements of H.

    Returns:
        An orthonormal basis of the solutions (the same one on every machine).

    Raises:
        ValueError: for kernels with too many coefficients to solve for.
    """
    n = group.dim
    count = spherical_harmonics(n, degree)(torch.zeros(n, dtype=torch.float64)).shape[-1]
    if count == 0:
        return torch.zeros(0, 0, rho_out.dim, rho_in.dim, dtype=torch.float64)
    size = count * rho_out.dim * rho_in.dim
    if size > LARGEST:
        raise ValueError(
            f"a kernel from {rho_in.name} to {rho_out.name} fields has {size:,} coefficients of degree "
            f"{degree} under H = {group}, expected at most {LARGEST:,}; take scalar fields on one side"
        )
    if rho_in.blocks or rho_out.blocks:
        return _block_by_block(group, rho_in, rho_out, degree, count)
    if rho_out.fibre is not None:
        candidates = _rows_carried_round(rho_out.fibre, rho_in, degree, count)
    elif rho_in.fibre is not None:
        candidates = _columns_carried_round(rho_in.fibre, rho_out, degree, count)
    else:
        candidates = _null_space(group, rho_in, rho_out, degree, count)
    basis = canonical_basis(candidates.flatten(1))
    return basis.unflatten(1, (count, rho_out.dim, rho_in.dim))


def _block_by_block(
    group: StructureGroup, rho_in: Representation, rho_out: Representation, degree: int, count: int
) -> Tensor:
    """The solutions between each two parts of the values that H keeps apart."""
    found = []
    for i, there in _parts(rho_out):
        for j, here in _parts(rho_in):
            part = solve(group, here, there, degree)
            whole = part.new_zeros(len(part), count, rho_out.dim, rho_in.dim)
            whole[:, :, i : i + there.dim, j : j + here.dim] = part
            found.append(whole)
    return torch.cat(found)


def _parts(rho: Representation) -> Iterator[tuple[int, Representation]]:
    """Where each part that H keeps apart begins, and how H turns it."""
    start = 0
    for size in rho.blocks or (rho.dim,):
        here = slice(start, start + size)
        yield start, replace(rho, dim=size, matrix=partial(_part, rho, here), blocks=())
        start += size


def _part(rho: Representation, here: slice, h: Tensor) -> Tensor:
    return rho.matrix(h)[..., here, here]


def turned(n: int, degree: int, h: Float[Tensor, "k n n"]) -> Float[Tensor, "k c c"]:
    """The matrices D(h) with ``Y(h v) = D(h) Y(v)``."""
    Y = spherical_harmonics(n, degree)
    x, w = _rule(n, degree)
    # mean of Y Y^T is the identity
    return torch.einsum("q,kqc,qe->kce", w, Y(x @ h.mT), Y(x))


def _rows_carried_round(fibre: Fibre, rho_in: Representation, degree: int, count: int) -> Tensor:
    h = fibre.elements
    D = turned(h.shape[-1], degree, h.mT)  # D(h_i^{-1}), (N, c, c)
    free = torch.eye(count * rho_in.dim, dtype=torch.float64).unflatten(1, (count, rho_in.dim))
    return torch.einsum("iec,bej,ijk->bcik", D, free, rho_in.inverse(h))


def _columns_carried_round(fibre: Fibre, rho_out: Representation, degree: int, count: int) -> Tensor:
    h = fibre.elements
    D = turned(h.shape[-1], degree, h.mT)  # D(h_j^{-1}), (N, c, c)
    free = torch.eye(count * rho_out.dim, dtype=torch.float64).unflatten(1, (count, rho_out.dim))
    return torch.einsum("jec,bek,jik->bcij", D, free, rho_out.matrix(h))


def _null_space(
    group: StructureGroup,
    rho_in: Representation,
    rho_out: Representation,
    degree: int,
    count: int,
) -> Tensor:
    size = count * rho_out.dim * rho_in.dim
    everything = torch.eye(size, dtype=torch.float64).unflatten(1, (count, rho_out.dim, rho_in.dim))
    return equivariant_part(everything, group, rho_in, rho_out, degree)


def equivariant_part(
    X: Float[Tensor, "b c d_out d_in"],
    group: StructureGroup,
    rho_in: Representation,
    rho_out: Representation,
    degree: int,
) -> Float[Tensor, "b c d_out d_in"]:
    """Kernels that span those combinations of the kernels X that keep the constraint."""
    h = group.sample()
    D, R_out, R_in = turned(group.dim, degree, h), rho_out.matrix(h), rho_in.matrix(h)
    # the constraint at v: sum_c Y_c(h v) X_c - rho_out X_c' rho_in^{-1} Y_c'(v)
    moved = torch.einsum("kce,bcij->kbeij", D, X)
    turned_values = torch.einsum("kim,bemn,knj->kbeij", R_out, X, R_in.mT)
    rows = (moved - turned_values).flatten(2).transpose(1, 2).flatten(0, 1)  # (k size, b)
    _, s, V = torch.linalg.svd(rows, full_matrices=False)
    null = V[int((s > TOLERANCE).sum()) :]
    # the projector: its rows, unlike V's, are unique
    return torch.einsum("ab,bcij->acij", null.T @ null, X)


@cache
def _rule(n: int, degree: int) -> tuple[Tensor, Tensor]:
    return sphere_rule(n, degree + 2)
