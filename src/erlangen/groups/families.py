"""The groups that people name: each its generators, and one matrix for each component."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Dimension, Rotations, checked
from erlangen.groups.lie import MatrixGroup
from erlangen.groups.structure import StructureGroup


@checked
def T(n: Dimension) -> MatrixGroup:
    """T(n): the shifts ``x -> x + b`` of R^n, as ``[[1, b], [0, 1]]``."""
    return semidirect(trivial(n), name=f"T({n})")


@checked
def SO(n: Dimension, m: Dimension | None = None) -> MatrixGroup:
    """SO(n): the rotations of R^n. SO(p, q): the identity component of the isometries of signature (p, q).

    The first p coordinates are those with a plus: SO(1, n) moves hyperbolic space, in the coordinates
    ``x_0^2 - x_1^2 - ... = 1``.
    """
    if m is None:
        return MatrixGroup(_rotations([1.0] * n), name=f"SO({n})")
    return MatrixGroup(_rotations([1.0] * n + [-1.0] * m), name=f"SO+({n},{m})")


@checked
def O(n: Dimension) -> MatrixGroup:  # noqa: E743
    """O(n): the rotations and mirrors of R^n."""
    rotations = _rotations([1.0] * n)
    return MatrixGroup(rotations, StructureGroup.orthogonal(n).components, f"O({n})")


@checked
def SE(n: Dimension) -> MatrixGroup:
    """SE(n): the shifts and rotations of R^n; components are (shift, rotation)."""
    if n == 2:
        group = semidirect(SO(2))
        return MatrixGroup(group.generators, name="SE(2)", logarithm=_log_se2)
    return semidirect(SO(n), name=f"SE({n})")


@checked
def E(n: Dimension) -> MatrixGroup:
    """E(n): the isometries of R^n."""
    return semidirect(O(n), name=f"E({n})")


@checked
def scalings(n: Dimension) -> MatrixGroup:
    """``x -> e^s x`` on R^n."""
    return MatrixGroup(torch.eye(n)[None], name=f"scalings of R^{n}")


@checked
def SIM(n: Dimension) -> MatrixGroup:
    """SIM(n): shifts, rotations and scalings of R^n."""
    X = torch.cat([SO(n).generators, scalings(n).generators])
    return semidirect(MatrixGroup(X), name=f"SIM({n})")


@checked
def GL(n: Dimension) -> MatrixGroup:
    """GL(n): all linear maps of R^n that can be undone."""
    X = torch.eye(n * n).unflatten(1, (n, n))
    return MatrixGroup(X, StructureGroup.orthogonal(n).components, f"GL({n})")


@checked
def SL(n: Dimension) -> MatrixGroup:
    """SL(n): the linear maps of R^n that keep volumes and sides."""
    X = torch.eye(n * n, dtype=torch.float64).unflatten(1, (n, n))
    i = torch.arange(n * n)
    off = X[i // n != i % n]
    diagonal = X[:: n + 1][:-1] - X[:: n + 1][1:]
    return MatrixGroup(torch.cat([off, diagonal]), name=f"SL({n})")


@checked
def heisenberg(n: Dimension = 1) -> MatrixGroup:
    """The Heisenberg group: matrices ``[[1, a, c], [0, 1, b], [0, 0, 1]]`` with a, b in R^n, c a number."""
    X = torch.zeros(2 * n + 1, n + 2, n + 2)
    for i in range(n):
        X[i, 0, 1 + i] = X[n + i, 1 + i, -1] = 1.0
    X[-1, 0, -1] = 1.0
    return MatrixGroup(X, name=f"Heisenberg({n})")


@checked
def SU(n: Dimension) -> MatrixGroup:
    """SU(2): the unit quaternions, acting on R^4 = (1, i, j, k) from the left."""
    if n != 2:
        raise ValueError(f"SU({n}) is not known here, expected SU(2); give MatrixGroup its generators")
    i = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])
    j = torch.tensor([[0.0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]])
    return MatrixGroup(torch.stack([i, j, i @ j]), name="SU(2)")


@checked
def cyclic(order: Rotations) -> MatrixGroup:
    """C_N: the turns of the plane by multiples of 2 pi / N."""
    return finite(StructureGroup.cyclic(order).components, f"C{order}")


@checked
def dihedral(order: Rotations) -> MatrixGroup:
    """D_N: C_N with the mirrors; element ``s N + r`` is ``r^r m^s``, with ``m: y -> -y``."""
    return finite(StructureGroup.dihedral(order).components, f"D{order}")


def cube() -> MatrixGroup:
    """The 24 rotations of the cube."""
    x = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    z = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return finite(StructureGroup.finite([x, z]).components, "rotations of the cube")


def icosahedron() -> MatrixGroup:
    """The 60 rotations of the icosahedron with the vertices (0, +-1, +-phi) and those got by cycling."""
    cycle = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    phi = (1 + 5**0.5) / 2
    axis = torch.tensor([0.0, 1.0, phi], dtype=torch.float64)
    axis = 2 * torch.pi / 5 * axis / axis.norm()
    fifth = torch.matrix_exp(torch.linalg.cross(torch.eye(3).double(), -axis.expand(3, 3)))
    return finite(StructureGroup.finite([cycle, fifth]).components, "rotations of the icosahedron")


@checked
def trivial(n: Dimension) -> MatrixGroup:
    """The group of only the identity."""
    return finite(torch.eye(n)[None], "trivial")


@checked
def finite(elements: Float[Tensor, "k d d"], name: str = "") -> MatrixGroup:
    """A finite group: all its elements, the identity first."""
    size = elements.shape[-1]
    name = name or f"finite group of {len(elements)} elements"
    group = MatrixGroup(torch.zeros(0, size, size), elements, name)
    g = group.components.flatten(1)
    for h in group.components:
        off = torch.cdist((group.components @ h).flatten(1), g).amin(1)
        if float(off.max()) > 1e-6:
            raise ValueError(f"products of elements are no elements, expected all of the {name}: add them")
    return group


@checked
def product(*groups: MatrixGroup) -> MatrixGroup:
    """The direct product, as block matrices."""
    sizes = [group.size for group in groups]
    X = [
        _blocks([torch.zeros(s, s) if k != i else generator for k, s in enumerate(sizes)])
        for i, group in enumerate(groups)
        for generator in group.generators
    ]
    components = [_blocks(list(c)) for c in _choices([list(group.components) for group in groups])]
    empty = torch.zeros(0, sum(sizes), sum(sizes))
    return MatrixGroup(
        torch.stack(X) if X else empty, torch.stack(components), " x ".join(group.name for group in groups)
    )


@checked
def semidirect(linear: MatrixGroup, name: str = "") -> MatrixGroup:
    """The maps ``x -> A x + b`` of R^n with A in a group of linear maps, as ``[[A, b], [0, 1]]``.

    Components are (b, those of A).
    """
    n = linear.size
    X = torch.zeros(n + linear.dim, n + 1, n + 1, dtype=torch.float64)
    X[range(n), range(n), n] = 1.0
    X[n:, :n, :n] = linear.generators
    one = torch.ones(1, 1, dtype=torch.float64)
    components = torch.stack([_blocks([c, one]) for c in linear.components])
    return MatrixGroup(X, components, name or f"R^{n} with {linear}")


def affine(
    A: Float[Tensor, "*#batch n n"], b: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n_and_1 n_and_1"]:
    """The element ``x -> A x + b`` of a semidirect product, as ``[[A, b], [0, 1]]``."""
    g = torch.eye(b.shape[-1] + 1, dtype=b.dtype, device=b.device).repeat(*b.shape[:-1], 1, 1)
    g[..., :-1, :-1], g[..., :-1, -1] = A, b
    return g


def _log_se2(g: Tensor) -> Tensor:
    # g = (R(t), V(t) v) with V(t) = [[a, -b], [b, a]], a = sin t / t, b = (1 - cos t) / t
    t = torch.atan2(g[..., 1, 0], g[..., 0, 0])
    a = torch.sinc(t / torch.pi)
    b = torch.sin(t / 2) * torch.sinc(t / (2 * torch.pi))
    x, y = g[..., 0, 2], g[..., 1, 2]
    norm = a**2 + b**2
    return torch.stack([(a * x + b * y) / norm, (a * y - b * x) / norm, t], -1)


def _rotations(signs: list[float]) -> Tensor:
    """The basis ``E_ij s_j - E_ji s_i``, i > j, of the maps that keep ``sum_i s_i x_i^2``."""
    n = len(signs)
    i, j = torch.tril_indices(n, n, offset=-1)
    s = torch.tensor(signs, dtype=torch.float64)
    X = torch.zeros(len(i), n, n, dtype=torch.float64)
    k = torch.arange(len(i))
    X[k, i, j], X[k, j, i] = s[j], -s[i]
    return X


def _blocks(matrices: list[Tensor]) -> Tensor:
    return torch.block_diag(*(m.to(torch.float64) for m in matrices))


def _choices(lists: list[list[Tensor]]) -> list[tuple[Tensor, ...]]:
    return [()] if not lists else [(a, *rest) for a in lists[0] for rest in _choices(lists[1:])]
