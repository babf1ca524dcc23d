"""A space that the library does not ship, in a dozen lines: ellipses, that is symmetric positive matrices.

GL(2) moves the matrix P to ``g P g^T`` and any matrix to any other; all else is solved for. The layer then
commutes with every linear change of coordinates, rotations, shears and scalings alike.
"""

import torch
from torch import Tensor

import erlangen as er


def congruence(g: Tensor, p: Tensor) -> Tensor:
    """The matrix ``g P g^T``, entries row by row, for batches of g and P."""
    return (g @ p.unflatten(-1, (2, 2)) @ g.mT).flatten(-2)


def main(count: int = 120) -> float:
    space = er.HomogeneousSpace(er.groups.GL(2), torch.eye(2).flatten(), congruence, name="ellipses")
    space.check()  # transitive, with an invariant measure and a compact stabilizer, or ValueError
    print(f"{space}: dimension {space.dim}, stabilizer {space.stabilizer()}")  # noqa: T201

    # points drawn by the invariant measure: the circle, moved by random elements of the group
    group = er.groups.GL(2)
    points = space.orbit.point(group.sample(count, radius=1.0))
    domain = space.samples(points, torch.full((count,), 1 / count))
    layer = er.nn.Correlation(domain, 1, 2, radius=1.0, dtype=torch.float64)
    f = torch.randn(1, 1, count).double()
    y = layer(f)

    # the same layer on ellipses that a shear with a scaling has moved
    g = torch.tensor([[2.0, 1.5], [0.0, 0.5]]).double()
    moved = space.samples(congruence(g, points), domain.weights)
    other = er.nn.Correlation(moved, 1, 2, radius=1.0, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    defect = float((other(f) - y).detach().norm() / y.detach().norm())
    print(f"the layer commutes with {layer.equivariant_to} up to {defect:.1e}")  # noqa: T201
    return defect


if __name__ == "__main__":
    main()
