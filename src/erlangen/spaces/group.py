"""A Lie group as a space: it moves over itself."""

import torch
from torch import Tensor

from erlangen.arguments import checked
from erlangen.geometry import Frame, Geometry, expect_element, expect_group
from erlangen.groups import MatrixGroup, StructureGroup
from erlangen.spaces.scattered import far_apart, scattered


class GroupSpace(Geometry):
    r"""A matrix group G on itself: ``carry(g, v) = g exp(v)``, and nothing turns frames.

    A point is the group element, its d x d entries row by row; the frame at g is the left-invariant
    one, with columns ``g X_i``. The left-invariant (Haar) measure has
    ``J(v) = |det int_0^1 exp(-s ad_v) ds|``, which is ``(2 - 2 cos t) / t^2`` on SE(2).

    Args:
        group: the matrix group, such as ``er.groups.SE(2)``.
    """

    @checked
    def __init__(self, group: MatrixGroup) -> None:
        expect_group(group)
        self.group: MatrixGroup = group  # type: ignore[override]
        self.dim, self.ambient = group.dim, group.size**2
        self.structure = StructureGroup.trivial(group.dim)
        self.injectivity_radius = group.principal_radius
        self.origin = torch.eye(group.size, dtype=torch.float64).flatten()

    def __repr__(self) -> str:
        return f"{self.group} on itself"

    def element(self, p: Tensor) -> Tensor:
        """The matrix of a point: ``(..., d d)`` to ``(..., d, d)``."""
        return p.unflatten(-1, (self.group.size, self.group.size))

    def point(self, g: Tensor) -> Tensor:
        """The point of a matrix: ``(..., d, d)`` to ``(..., d d)``."""
        return g.flatten(-2)

    def frame(self, p: Tensor) -> Tensor:
        axes = self.element(p)[..., None, :, :] @ self.group.generators.to(p)  # (..., n, d, d)
        return axes.flatten(-2).mT

    def carry(self, u: Frame, v: Tensor) -> Frame:
        return self.frames(self.point(self.element(u.point) @ self.group.exp(v)))

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        return self.group.log_or_nan(torch.linalg.inv(self.element(u.point)) @ self.element(q))

    def expect_symmetry(self, g: Tensor) -> None:
        expect_element(self.group, g)

    def mover(self, u: Frame) -> Tensor:
        return self.element(u.point)

    def density(self, v: Tensor) -> Tensor:
        return torch.linalg.det(self.group.right_jacobian(v)).abs()

    def act(self, g: Tensor, u: Frame) -> Frame:
        if g.dim() == 2:
            expect_element(self.group, g)
        return self.frames(self.point(g.to(u.point) @ self.element(u.point)))

    samples = scattered

    def own_samples(self, count: int = 200) -> tuple[Tensor, None]:
        """Random elements of a compact group, far apart."""
        if not self.group.is_compact:
            super().own_samples()  # refuses
        return far_apart(self.point(self.group.sample(8 * count)), count), None
