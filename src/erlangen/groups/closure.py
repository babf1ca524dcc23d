"""The closed group that orthogonal matrices generate: its Lie algebra, and its components."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups.compact import independent, outside
from erlangen.groups.logarithm import matrix_log
from erlangen.groups.structure import StructureGroup

MOST = 130  # components; with more of them, powers crowd together and add to the Lie algebra
HIGHEST = 500  # the order of a turn that is told from one of no order (710 radians are 113 turns and 6e-5)
SURE = 1e-6  # radians, of the angles of turns of an order above MOST
POWERS = 4000
CLOSE = 0.3
FRESH = 1e-3  # what brackets of a basis add is of size one, or noise


def closure(
    algebra: Float[Tensor, "a n n"], elements: Float[Tensor, "c n n"], tolerance: float = 1e-5
) -> StructureGroup:
    r"""The closure of the group that ``exp(algebra)`` and the elements generate.

    The smallest Lie algebra is taken that brackets and the adjoint action of the elements keep; then products
    of the elements are told apart modulo its group. Where they do not end, such as the turns by one
    radian, powers come close to the identity, and their logarithms are added: SO(2). Turns of an order up to
    `HIGHEST` are known by their angles; those of a higher one count as turns of none.

    Args:
        algebra: antisymmetric matrices, in any number.
        elements: orthogonal ones.
        tolerance: absolute, below which matrices are the same.
    """
    n = algebra.shape[-1]
    X = lie_closure(algebra, elements, tolerance)
    while True:
        components, is_all = _components(X, elements, tolerance)
        exact = None if is_all or len(X) else _of_finite_order(elements)
        if exact is not None:
            components, is_all = _components(X, exact, tolerance, 2 * HIGHEST)
        if is_all:
            return StructureGroup(X, components)
        # they do not end: some power is close to the identity, and its logarithm a direction of the closure
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
    """An orthonormal basis of the antisymmetric parts; the noise of many adds up as their root."""
    return independent((X - X.mT) / 2, tolerance * max(1, len(X)) ** 0.5)


def _of_finite_order(g: Float[Tensor, "c n n"]) -> Float[Tensor, "c n n"] | None:
    """Orthogonal matrices with their angles rounded to fractions of a turn; None where some are none."""
    values, V = torch.linalg.eig(g)
    parts = torch.angle(values) / (2 * math.pi)  # of a turn
    orders = torch.arange(1, HIGHEST + 1, dtype=torch.float64)
    off = (parts[..., None] * orders - (parts[..., None] * orders).round()).abs() / orders
    b = orders[(off < SURE / (2 * math.pi)).int().argmax(-1)]  # the least that will do
    rounded = (parts * b).round() / b
    if bool(((rounded - parts).abs() > SURE / (2 * math.pi)).any()):
        return None
    exact = torch.polar(torch.ones_like(rounded), 2 * math.pi * rounded)
    return (V @ torch.diag_embed(exact) @ torch.linalg.inv(V)).real


def _components(X: Tensor, elements: Tensor, tolerance: float, most: int = MOST) -> tuple[Tensor, bool]:
    """An element of each component of the group; false if there are more than there should be."""
    found = torch.eye(X.shape[-1], dtype=torch.float64)[None]
    new = list(elements)
    while new:
        candidate = new.pop(0)
        if float(outside(found.mT @ candidate, X).min()) < 10 * tolerance:
            continue
        found = torch.cat([found, candidate[None]])
        new += [g @ candidate for g in elements]
        if len(found) > most:
            return found, False
    return found, True
