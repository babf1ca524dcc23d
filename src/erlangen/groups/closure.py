"""The closed group that orthogonal matrices generate: its Lie algebra, and its components."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups.compact import outside
from erlangen.groups.logarithm import matrix_log
from erlangen.groups.structure import StructureGroup

MOST = 130  # components; with more of them, powers crowd together and add to the Lie algebra
POWERS = 4000
CLOSE = 0.3
FRESH = 1e-3  # what brackets of a basis add is of size one, or noise


def closure(
    algebra: Float[Tensor, "a n n"], elements: Float[Tensor, "c n n"], tolerance: float = 1e-5
) -> StructureGroup:
    r"""The closure of the group that ``exp(algebra)`` and the elements generate.

    The smallest Lie algebra is taken that brackets and the adjoint action of the elements keep; then products
    of the elements are told apart modulo its group. Where they do not end, such as the turns by one
    radian, powers come close to the identity, and their logarithms are added: SO(2).

    Args:
        algebra: antisymmetric matrices, in any number.
        elements: orthogonal ones.
        tolerance: absolute, below which matrices are the same.
    """
    n = algebra.shape[-1]
    X = lie_closure(algebra, elements, tolerance)
    while True:
        components, is_all = _components(X, elements, tolerance)
        if is_all:
            return StructureGroup(X, components)
        powers, g = [], components
        for _ in range(POWERS // len(components) + 1):
            powers.append(g)
            g = g @ components
        products = torch.cat(powers)
        close = (products - torch.eye(n).to(g)).abs().amax((-2, -1)) < CLOSE
        more = lie_closure(torch.cat([X, matrix_log(products[close])]), elements, tolerance)
        if len(more) == len(X):
            raise ValueError(
                f"these matrices generate more than {MOST} components, expected a compact group: "
                "check that they are orthogonal"
            )
        X = more


def lie_closure(
    algebra: Float[Tensor, "a n n"], elements: Float[Tensor, "c n n"], tolerance: float = 1e-5
) -> Float[Tensor, "b n n"]:
    """An orthonormal basis of the smallest Lie algebra that holds the matrices and that the elements keep."""
    X = _span(algebra, tolerance)
    while len(X):
        brackets = (X[:, None] @ X - X @ X[:, None]).flatten(0, 1)
        moved = (elements[:, None] @ X @ elements.mT[:, None]).flatten(0, 1)
        more = _span(torch.cat([X, brackets, moved]), FRESH)
        if len(more) == len(X):
            return X
        X = more
    return X


def _span(X: Float[Tensor, "a n n"], tolerance: float) -> Float[Tensor, "b n n"]:
    """An orthonormal basis of the antisymmetric parts; an absolute tolerance, since there may be no part."""
    flat = ((X - X.mT) / 2).flatten(1)
    _, values, rows = torch.linalg.svd(flat, full_matrices=False)
    return rows[values > tolerance * max(1, len(flat)) ** 0.5].unflatten(1, X.shape[1:])


def _components(X: Tensor, elements: Tensor, tolerance: float) -> tuple[Tensor, bool]:
    """An element of each component of the group; false if there are more than there should be."""
    found = torch.eye(X.shape[-1], dtype=torch.float64)[None]
    new = list(elements)
    while new:
        candidate = new.pop(0)
        if float(outside(found.mT @ candidate, X).min()) < 10 * tolerance:
            continue
        found = torch.cat([found, candidate[None]])
        new += [g @ candidate for g in elements]
        if len(found) > MOST:
            return found, False
    return found, True
