"""The stabilizer of a point, solved for from the action."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import MatrixGroup, Stabilizer, matrix_log
from erlangen.groups.compact import independent, invariant_inner_product, outside
from erlangen.groups.naming import name_of
from erlangen.groups.stabilizer import in_basis

TOLERANCE = 1e-6
SMALL, TURNED = 0.1, 1e-7  # a turn that has one logarithm; how near an element has to turn frames as asked
MOST = 130  # components; a group with more of them has infinitely many
RADII = (1.0, 3.0, 10.0)  # how far elements are taken from: some components lie far away


def solve_stabilizer(
    group: MatrixGroup,
    algebra: Float[Tensor, "a dimG"],
    turns: Float[Tensor, "a n n"],
    isotropy: Callable[[Tensor], Tensor],
    back_to_origin: Callable[[Tensor], Tensor],
    metric: Float[Tensor, "n n"],
) -> Stabilizer:
    """The stabilizer with the given Lie algebra.

    Its components are found by moving the origin about by random elements g of G and back by a section:
    ``s(g p0)^{-1} g`` lies in H, and every element of H is of that form. What is found is closed
    under products.

    Args:
        group: G.
        algebra: the Lie algebra of H, components in that of G.
        turns: the isotropy representation of that.
        isotropy: elements of H ``(k, d, d)`` to how they turn tangent vectors ``(k, n, n)``.
        back_to_origin: elements g of G to ``s(g p0)^{-1} g``.
        metric: an inner product of tangent vectors, which is averaged over H.
    """
    X = group.hat(algebra)
    seeds = [group.components]
    for i, radius in enumerate(RADII if group.dim else ()):
        seeds.append(group.sample(16, radius=None if group.is_compact else radius, seed=i))
    h = back_to_origin(torch.cat(seeds))
    components, is_infinite = _closed(h, X, _root(X, h))
    turns, acting = independent(turns, TOLERANCE), isotropy(components)
    root = _root(turns, acting, metric)
    jumps, _ = _closed(acting, turns, root)
    same = (len(turns), len(jumps), False) == (len(X), len(components), is_infinite)
    own = _own_name(X, components, is_infinite)
    if root is None:
        name = f"{own}, non-compact"
    else:
        acting = in_basis(turns, jumps, root).name
        alone = "acting trivially" if acting == "trivial" else f"acting as {acting}"
        name = acting if same and not _covers(X, components, isotropy) else f"{own}, {alone}"
    return Stabilizer(X, components, name, turns=turns, jumps=jumps, root=root, is_infinite=is_infinite)


def lifted(
    H: Stabilizer, isotropy: Callable[[Tensor], Tensor], turns: Float[Tensor, "k n n"]
) -> Float[Tensor, "k d d"]:
    """Elements of the stabilizer that turn frames so; nan where none is found.

    Found by logarithms, some of them from an element aside, since half turns have none.
    """
    one = torch.eye(H.dim, dtype=torch.float64)
    X = [matrix_log(isotropy(H.exp(SMALL * e))).flatten() / SMALL for e in one]
    to_algebra = torch.linalg.pinv(torch.stack(X).T) if X else turns.new_zeros(0, turns[0].numel())
    starts = torch.cat([one[:1] * 0, one.sum(0)[None]]) if X else one.new_zeros(1, 0)
    found = torch.full((len(turns), H.size, H.size), torch.nan, dtype=torch.float64)
    for k in (H.exp(starts)[:, None] @ H.components).flatten(0, 1):
        v = matrix_log(turns @ torch.linalg.inv(isotropy(k))).flatten(1) @ to_algebra.T
        h = H.exp(v.nan_to_num()) @ k
        right = (isotropy(h) - turns).abs().amax((-2, -1)) < TURNED
        found = torch.where((right & found[:, 0, 0].isnan())[:, None, None], h, found)
    return found


def _root(X: Tensor, elements: Tensor, metric: Tensor | None = None) -> Tensor | None:
    """A basis, orthonormal in an inner product that the group they generate leaves alone, if there is one."""
    P = invariant_inner_product(X, elements, metric)
    return None if P is None else torch.linalg.inv(torch.linalg.cholesky(P).mT)


def _closed(h: Float[Tensor, "k d d"], X: Float[Tensor, "a d d"], root: Tensor | None) -> tuple[Tensor, bool]:
    """An element of each component of the group that some elements generate; whether they are endless.

    Args:
        h: the elements.
        X: the Lie algebra.
        root: a basis in which the group is orthogonal, if it is compact.
    """
    connected = MatrixGroup(X)
    orthonormal = independent(X if root is None else torch.linalg.solve(root, X @ root), TOLERANCE)

    def is_new(g: Tensor) -> Tensor:
        """Whether elements lie in other components than that of 1."""
        off = connected.defect(g)
        far = off > TOLERANCE
        if root is not None and len(X) and bool(far.any()):  # few logarithms of large turns lie in X
            off[far] = outside(torch.linalg.solve(root, g[far] @ root), orthonormal)
        return off > TOLERANCE

    found, new, multiplied = torch.eye(h.shape[-1], dtype=torch.float64)[None], h, 1
    while len(new):
        before = len(found)
        for c in found:
            new = new[is_new(torch.linalg.inv(c) @ new)]
        while len(new):
            found = torch.cat([found, new[:1]])
            if len(found) > MOST:
                return found, True
            new = new[is_new(torch.linalg.inv(new[0]) @ new)]
        if len(found) > before:
            fresh = found[multiplied:, None]
            new = torch.cat([(fresh @ found).flatten(0, 1), (found @ fresh).flatten(0, 1)])
            multiplied = len(found)
    return found, False


def _covers(X: Tensor, components: Tensor, isotropy: Callable[[Tensor], Tensor]) -> bool:
    """Whether other elements than 1 leave tangent vectors alone: -1, or a generator's, once round or less."""
    one = torch.eye(X.shape[-1], dtype=torch.float64)
    some = [-one] if float(MatrixGroup(X, components).defect(-one)) < TOLERANCE else []
    for generator in X:
        speeds = np.abs(np.linalg.eigvals(generator.numpy()).imag)
        slowest = min((s for s in speeds if s > TOLERANCE), default=0.0)
        some += [
            torch.matrix_exp(2 * torch.pi / (slowest * part) * generator)
            for part in (range(1, 5) if slowest else ())
        ]
    other = [h for h in some if (h - one).abs().max() > TOLERANCE]
    if not other:
        return False
    turned = isotropy(torch.stack(other))
    return bool(((turned - torch.eye(turned.shape[-1]).to(turned)).abs().amax((-2, -1)) < TOLERANCE).any())


def _own_name(X: Tensor, components: Tensor, is_infinite: bool) -> str:
    """The name of H for itself, however it acts."""
    if is_infinite:
        return "Z" if len(X) == 0 and _is_cyclic(components) else "a group of infinitely many components"
    if len(X) == 0:
        return name_of(X, components)
    root = _root(X, components)
    compact = root is not None
    if len(components) == 1 and len(X) == 1:
        return "U(1)" if compact else "R"
    if len(components) == 1 and len(X) == 3 and compact:
        return "SU(2)"
    if root is not None:
        return name_of(*(torch.linalg.solve(root, matrices @ root) for matrices in (X, components)))
    return f"a group of dimension {len(X)} with {len(components)} components"


def _is_cyclic(elements: Tensor) -> bool:
    """Whether one of the elements generates the others (or has them for inverses)."""
    for g in elements[1:9]:
        back = torch.linalg.inv(g)
        powers, up, down = [elements[0]], elements[0], elements[0]
        for _ in range(len(elements)):
            up, down = up @ g, down @ back
            powers += [up, down]
        off = (elements[:, None] - torch.stack(powers)).abs().amax((-2, -1)).amin(1)
        if float(off.max()) < TOLERANCE:
            return True
    return False
