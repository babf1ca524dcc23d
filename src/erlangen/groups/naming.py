"""Names for compact groups of orthogonal matrices."""

import itertools
import math

import torch
from torch import Tensor

from erlangen.groups.compact import independent, outside

TOLERANCE = 1e-6
MOST = 1001  # no element of a finite group that is named here has a higher order


def name_of(algebra: Tensor, components: Tensor) -> str:
    """The name of a group, from its Lie algebra ``(a, n, n)`` and an element ``(c, n, n)`` of each component.

    ``trivial``, ``Z2: reflection of axis i``, ``C<n>``, ``D<n>``, ``SO(n)``, ``O(n)``, ``SU(2)``, products
    ``A x B`` of those; directions that nothing moves are left out.
    """
    reflection = _reflection(algebra, components)
    if reflection:
        return reflection
    Q = _moved_directions(algebra, components)
    X, c = Q.T @ algebra @ Q, Q.T @ components @ Q
    if len(X) == 0:
        return _finite(c)
    k, mirrored = Q.shape[1], bool((torch.linalg.det(c) < 0).any())
    if len(X) == k * (k - 1) // 2 and len(c) == 1 + mirrored:
        return f"O({k})" if mirrored else f"SO({k})"
    if len(X) == 1 and len(c) == 2 and bool(((c[1] @ X @ c[1].T + X).abs() < TOLERANCE).all()):
        return "O(2)"
    found = _connected(X) if len(c) == 1 else _product(X, c)
    if found:
        return found
    return f"compact subgroup of O({components.shape[-1]}), dimension {len(X)}, {len(c)} components"


def _reflection(algebra: Tensor, components: Tensor) -> str | None:
    if len(algebra) or len(components) != 2:
        return None
    diagonal = components[1].diagonal()
    flipped = (diagonal < 0).nonzero().flatten()
    if len(flipped) == 1 and torch.allclose(components[1], torch.diag(diagonal.round()), atol=TOLERANCE):
        return f"Z2: reflection of axis {int(flipped)}"
    return None


def _moved_directions(algebra: Tensor, components: Tensor) -> Tensor:
    """An orthonormal basis ``(n, k)`` of the directions that the group moves."""
    n = components.shape[-1]
    moves = torch.cat([algebra, components - torch.eye(n).to(components)]).flatten(0, 1)
    _, values, rows = torch.linalg.svd(moves, full_matrices=True)
    return rows[: int((values > TOLERANCE).sum())].T


def _finite(elements: Tensor) -> str:
    count = len(elements)
    if count == 1:
        return "trivial"
    orders = _orders(elements)
    if count == 2 and bool(torch.linalg.det(elements[1]) < 0):
        return "Z2: reflection"
    if count in orders:
        return f"C{count}"
    turns = count // 2
    if turns in orders and orders.count(2) >= turns:
        return f"D{turns}"
    named = {
        12: "rotations of the tetrahedron",
        24: "rotations of the cube",
        60: "rotations of the icosahedron",
    }
    if count in named and bool((torch.linalg.det(elements) > 0).all()):
        return named[count]
    return f"finite group of {count} elements"


def _orders(g: Tensor) -> list[int]:
    """The least power of each that is the identity; 0 where there is none below `MOST`."""
    found, power, one = torch.zeros(len(g), dtype=torch.long), g, torch.eye(g.shape[-1]).to(g)
    for order in range(1, min(MOST, len(g) + 1)):  # which divides the number of elements
        back = ((power - one).abs() < TOLERANCE).flatten(1).all(1) & (found == 0)
        found[back] = order
        power = power @ g
    return found.tolist()


def _connected(X: Tensor) -> str | None:
    """A circle, SO(3) or SU(2) in any representation, or a product over directions that do not mix."""
    if len(X) == 1:
        return "SO(2)"
    parts = _parts(X)
    if len(parts) > 1 and sum(len(part) for part in parts) == len(X):
        return " x ".join(name_of(part, torch.eye(part.shape[-1])[None].to(part)) for part in parts)
    if len(X) == 3:
        whole = 2 * torch.pi / _speed(X) * X[0]  # once round, in the adjoint representation
        one = torch.eye(X.shape[-1]).to(X)
        return "SO(3)" if torch.allclose(torch.matrix_exp(whole), one, atol=TOLERANCE) else "SU(2)"
    return None


def _speed(X: Tensor) -> float:
    """The largest frequency of ad(X_0)."""
    dual = torch.linalg.pinv(X.flatten(1))
    brackets = X[0] @ X - X @ X[0]
    return float(torch.linalg.eigvals(brackets.flatten(1) @ dual).abs().max())


def _parts(X: Tensor) -> list[Tensor]:
    """The Lie algebra on each subspace that it does not mix with others."""
    bases = [independent(V.T @ X @ V, TOLERANCE) for V in _unmixed(X)]
    return [basis for basis in bases if len(basis)]


def _product(X: Tensor, components: Tensor) -> str | None:
    """A x B, or its elements of determinant 1, over directions that do not mix."""
    blocks = [
        (independent(V.T @ X @ V, TOLERANCE), V.T @ components @ V)
        for V in _unmixed(torch.cat([X, components]))
    ]
    parts = [(x, _told_apart(x, c)) for x, c in blocks]
    if len(parts) < 2 or sum(len(x) for x, _ in parts) != len(X):
        return None
    names = ["O(1)" if c.shape[-1] == 1 else name_of(x, c) for x, c in parts]
    count = math.prod(len(c) for _, c in parts)
    if count == len(components):
        return " x ".join(names)
    if count == 2 * len(components) and bool((torch.linalg.det(components) > 0).all()):
        return (
            names[1 - names.index("O(1)")]
            if len(names) == 2 and "O(1)" in names
            else f"S({' x '.join(names)})"
        )
    return None


def _told_apart(X: Tensor, elements: Tensor) -> Tensor:
    """One of the elements for each component of the group."""
    found = elements[:1]
    for g in elements[1:]:
        if float(outside(found.mT @ g, X).min()) > TOLERANCE:
            found = torch.cat([found, g[None]])
    return found


def _unmixed(matrices: Tensor) -> list[Tensor]:
    """Orthonormal bases of the eigenspaces of a general symmetric matrix that commutes with all of them, the
    largest first."""
    n = matrices.shape[-1]
    one = torch.eye(n).to(matrices)
    commute = torch.cat(
        [torch.kron(x, one) - torch.kron(one, x.mT.contiguous()) for x in matrices.contiguous()]
    )
    flip = torch.eye(n * n).to(matrices).unflatten(1, (n, n)).mT.flatten(1)
    _, values, rows = torch.linalg.svd(
        torch.cat([commute, flip - torch.eye(n * n).to(matrices)]), full_matrices=True
    )
    free = rows[int((values > TOLERANCE).sum()) :].unflatten(1, (n, n))
    weights = torch.randn(len(free), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum, vectors = torch.linalg.eigh((weights[:, None, None] * free).sum(0))
    ends = [0, *(((spectrum[1:] - spectrum[:-1]) > TOLERANCE).nonzero().flatten() + 1).tolist(), n]
    bases = [vectors[:, start:end] for start, end in itertools.pairwise(ends)]
    return sorted(bases, key=lambda V: V.shape[1], reverse=True)
