"""Names for compact groups of orthogonal matrices."""

import itertools

import torch
from torch import Tensor

TOLERANCE = 1e-6
MOST = 400  # no element of a finite group that is named here has a higher order


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
    if len(c) == 1:
        connected = _connected(X)
        if connected:
            return connected
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
    orders = [_order(g) for g in elements]
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


def _order(g: Tensor) -> int:
    power, one = g, torch.eye(len(g)).to(g)
    for order in range(1, MOST):
        if bool(((power - one).abs() < TOLERANCE).all()):
            return order
        power = power @ g
    return 0


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
    return float(torch.linalg.matrix_norm(brackets.flatten(1) @ dual, 2))


def _parts(X: Tensor) -> list[Tensor]:
    """The Lie algebra on each eigenspace of a general symmetric matrix that commutes with it."""
    n = X.shape[-1]
    one = torch.eye(n).to(X)
    commute = torch.cat([torch.kron(x, one) - torch.kron(one, x.mT.contiguous()) for x in X.contiguous()])
    flip = torch.eye(n * n).to(X).unflatten(1, (n, n)).mT.flatten(1)
    _, values, rows = torch.linalg.svd(
        torch.cat([commute, flip - torch.eye(n * n).to(X)]), full_matrices=True
    )
    free = rows[int((values > TOLERANCE).sum()) :].unflatten(1, (n, n))
    weights = torch.randn(len(free), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum, vectors = torch.linalg.eigh((weights[:, None, None] * free).sum(0))
    ends = [0, *(((spectrum[1:] - spectrum[:-1]) > TOLERANCE).nonzero().flatten() + 1).tolist(), n]
    parts = []
    for start, end in itertools.pairwise(ends):
        V = vectors[:, start:end]
        on = V.T @ X @ V
        _, values, rows = torch.linalg.svd(on.flatten(1), full_matrices=False)
        basis = rows[values > TOLERANCE].unflatten(1, (end - start, end - start))
        if len(basis):
            parts.append(basis)
    return parts
