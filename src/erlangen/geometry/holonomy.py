"""Holonomy: what becomes of frames that are carried round loops, as a group."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame
from erlangen.groups import StructureGroup
from erlangen.groups.closure import HIGHEST, closure, lie_closure
from erlangen.groups.logarithm import matrix_log

NEAR = 1.0  # loops that turn farther than this have ambiguous logarithms
TOLERANCE = 1e-5  # of turns in radians


@dataclass(frozen=True, eq=False)
class Holonomy:
    """The holonomy group at the origin, and the loops that showed it.

    `erlangen.figures.holonomy_loops` draws it, by way of trips: see `erlangen.geometry.Trip`.

    Attributes:
        geometry: the space.
        structure: the closure of the group, as it turns the components of the frame at the origin.
        frame: that frame.
        paths: ``(c, k, m)``, from the origin to places all over the space.
        loops: ``(c, k, m)``, at the ends of the paths, closed and contractible.
        turns: ``(c, n, n)``, h for each: there along its path, round, and back is ``u h``.
        circuits: closed polygons at the origin, one for each generator of the fundamental group.
        circuit_turns: h for each.
        from_loops: the dimension of the Lie algebra that the contractible loops generate.
        from_curvature: the dimension of what curvature along the paths generates (Ambrose and Singer).
        is_dense: whether the group is the closure of turns of which no power was known as the identity.
    """

    geometry: Any = field(repr=False)
    structure: StructureGroup
    frame: Frame = field(repr=False)
    paths: Float[Tensor, "c k m"] = field(repr=False)
    loops: Float[Tensor, "c j m"] = field(repr=False)
    turns: Float[Tensor, "c n n"] = field(repr=False)
    circuits: list[Tensor] = field(repr=False)
    circuit_turns: list[Tensor] = field(repr=False)
    from_loops: int
    from_curvature: int
    is_dense: bool = False

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        dense = f" (or finite, with turns of an order above {HIGHEST})"
        return self.name + dense * self.is_dense

    @property
    def name(self) -> str:
        """The name of the group."""
        return self.structure.name


def generated_by(
    h: Float[Tensor, "c n n"], elements: Float[Tensor, "k n n"], R: Float[Tensor, "r n n"]
) -> tuple[StructureGroup, int, int, bool]:
    r"""The closure of the group of what comes back from loops, and how it was found.

    The logarithms of the turns h round contractible loops, and the curvature operators R, span the Lie
    algebra, closed under brackets and under the adjoint action of all that was found; the elements round
    the space give the components.

    Returns:
        The group, the dimensions of what h and R generate, and whether powers of the elements only come close
        to the identity.

    Reference: Ambrose & Singer 1953.
    """
    logs = matrix_log(h[(h - torch.eye(h.shape[-1]).to(h)).abs().amax((-2, -1)) < NEAR])
    one, other = (lie_closure(X, torch.cat([h, elements]), TOLERANCE) for X in (logs, R))
    algebra = lie_closure(torch.cat([one, other]), elements, TOLERANCE)
    group = closure(algebra, elements, TOLERANCE)
    return group, len(one), len(other), len(group.algebra) > len(algebra)


def expect_orthogonal(space: str, h: Float[Tensor, "c n n"]) -> None:
    """ValueError for what frames come back from loops with, unless it keeps lengths and angles."""
    lost = int((~h.isfinite().flatten(1).all(1)).sum())
    if lost:
        raise ValueError(
            f"{lost} of {len(h)} loops on {space} lead to where it is not regular, such as the tip of a "
            "cone, expected loops within it; leave such places out by extent= or bounds=, or give the "
            "injectivity_radius= that it has without them"
        )
    off = float((h.mT @ h - torch.eye(h.shape[-1]).to(h)).abs().max()) if len(h) else 0.0
    if not off < 1e-4:
        raise ValueError(
            f"frames of {space} come back from loops with lengths and angles changed, by {off:.2g}; "
            "expected a metric connection, which keeps them"
        )
