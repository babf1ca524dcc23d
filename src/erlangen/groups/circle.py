"""The fibre over a circle of turns in any dimension: SO(2) about what it leaves alone, or O(2)."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Length, Rotations, check_fields
from erlangen.groups.fibre import CircleFibre, Fibre
from erlangen.groups.structure import StructureGroup, turn

TOLERANCE = 1e-5  # of matrices that were computed by transport


@dataclass(frozen=True, eq=False)
class PlaneFibre(Fibre):
    r"""N equispaced turns of one plane of R^n, maybe with mirrors of it: ``h_i = Q r_i Q^T + 1 - Q Q^T``.

    The columns of Q, ``(n, 2)``, span the plane that the group turns. Between the samples a function is
    the trigonometric polynomial through them, as on `CircleFibre`, which does the work.

    Args:
        group: of one circle of turns, in one plane; its components are only that, or mirrors as well.
        rotations: N.
        length: the measure of the whole circle; None counts samples.

    Raises:
        ValueError: for any other group.
    """

    group: StructureGroup
    rotations: Rotations
    length: Length | None = None
    inner: CircleFibre = field(init=False)
    plane: Float[Tensor, "n 2"] = field(init=False)

    def __post_init__(self) -> None:
        check_fields(self)
        Q, X, mirror = _parts(self.group)
        inner = CircleFibre(self.rotations, mirror is not None, self.length)
        angle = 2 * torch.pi * torch.arange(self.rotations, dtype=torch.float64) / self.rotations
        elements = torch.matrix_exp(angle[:, None, None] * X)
        if mirror is not None:
            elements = torch.cat([elements, elements @ mirror])
        found = {"plane": Q, "inner": inner, "elements": elements, "weight": inner.weight}
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def default_band(self) -> int | None:
        return self.inner.default_band

    @property
    def group_of_all_turns(self) -> StructureGroup:
        return self.group

    def interpolate(self, h: Tensor) -> Tensor:
        m = self.plane.T @ h @ self.plane
        side = torch.where(torch.linalg.det(m) < 0, -1.0, 1.0).to(h)
        # the orthogonal part of m, of which h leaves something where it turns the plane away
        a, b = m[..., 0, 0] + side * m[..., 1, 1], m[..., 1, 0] - side * m[..., 0, 1]
        if not bool((torch.hypot(a, b) > 1.0).all()):
            raise ValueError(
                f"a frame is turned by an element outside of {self.group}, which turns only one plane; "
                "expected frames of one holonomy bundle: take a finer grid, or name the larger group"
            )
        planar = turn(torch.atan2(b, a))
        planar = planar * torch.stack([torch.ones_like(side), side], -1)[..., None, :]
        return self.inner.interpolate(planar)

    def finer(self, factor: float) -> "PlaneFibre":
        return PlaneFibre(self.group, math.ceil(self.rotations * factor), self.length)

    def frequencies(self, band: int | None) -> list[tuple[int, Tensor]]:
        return self.inner.frequencies(band)


def _parts(group: StructureGroup) -> tuple[Tensor, Tensor, Tensor | None]:
    """The plane, the generator that turns it once in 2 pi, and the mirror m: y -> -y of it."""
    n, c = group.dim, group.components
    if len(group.algebra) == 1:
        X = group.algebra[0]
        X = X * (2 / X.square().sum()).sqrt()  # its square is minus the projection on the plane
        P = -X @ X
        one_plane = bool((P @ P - P).abs().max() < TOLERANCE)
        inverts = len(c) == 2 and bool((c[1] @ X @ c[1].T + X).abs().max() < TOLERANCE)
        if one_plane and (len(c) == 1 or inverts):
            fixed = P + P @ c[1] @ P if inverts else P  # of the mirror, in the plane
            first = fixed[:, int(fixed.norm(dim=0).argmax())]
            first = first / first.norm()
            return torch.stack([first, X @ first], 1), X, c[1] if inverts else None
    raise ValueError(
        f"H = {group} in {n} dimensions, expected one circle of turns of one plane, with mirrors of that "
        "plane at most: samples of a fibre are known of SO(2) and O(2)"
    )
