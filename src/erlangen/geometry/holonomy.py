"""Holonomy: what becomes of frames that are carried round loops, as a group."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame
from erlangen.geometry.trips import Trip, round_circles, round_circuit
from erlangen.groups import StructureGroup
from erlangen.groups.closure import HIGHEST, closure, lie_closure
from erlangen.groups.logarithm import matrix_log

if TYPE_CHECKING:
    from erlangen.geometry.geometry import Geometry

WAYS = 96
SIZES = (1.0, 0.3, 0.1)  # of loops, relative to the longest geodesics that are surely shortest
NEAR = 1.0  # loops that turn farther than this have ambiguous logarithms
TOLERANCE = 1e-5  # of turns in radians


@dataclass(frozen=True, eq=False)
class Holonomy:
    """The holonomy group at the origin, and the loops that showed it.

    `erlangen.figures.holonomy_loops` draws it, from `circles` and `rounds`.

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

    geometry: "Geometry" = field(repr=False)
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

    def rounds(self) -> list[Trip]:
        """The frame at the origin, carried round each circuit."""
        return [round_circuit(self.geometry, self.frame, circuit) for circuit in self.circuits]

    def circles(self, centres: Frame, radius: Float[Tensor, "c"]) -> list[Trip]:
        """Frames carried round circles about other ones ``(c)``, in the plane of their first two axes."""
        return round_circles(self.geometry, centres, radius)


def holonomy_of(geometry: "Geometry") -> Holonomy:
    r"""The holonomy group of a space, by transport round loops.

    Frames are carried from the origin to places all over the space, and round contractible loops of several
    sizes there. The logarithms of what they come back as, and the curvature operators there, span the
    Lie algebra, closed under brackets and under the adjoint action of all that was found; the circuits
    round the space give the components. The group that is named is the closure.

    Raises:
        ValueError: for frames that do not come back orthonormal, where the connection is not metric.

    Reference: Ambrose & Singer 1953.
    """
    start = geometry.frames(geometry.origin)
    paths = geometry.ways(WAYS)
    u = geometry.along(_repeated(start, len(paths)), paths)
    loops = geometry.loops(u, torch.tensor(SIZES, dtype=torch.float64).repeat(WAYS // len(SIZES)))
    inside = geometry.contains(loops).all(-1)
    where, loops, kept = u.at(inside), loops[inside], paths[inside]
    h = geometry.gauge(where, geometry.along(where, loops))
    circuits = geometry.circuits()
    round_trips = [geometry.gauge(start, geometry.along(start, circuit)) for circuit in circuits]
    elements = torch.stack(round_trips) if round_trips else h[:0]
    expect_orthogonal(geometry, torch.cat([h, elements]))
    small = h[(h - torch.eye(geometry.dim).to(h)).abs().amax((-2, -1)) < NEAR]
    logs = matrix_log(small)
    R = geometry.relative_curvature(u).flatten(0, 2)
    one, other = (lie_closure(X, torch.cat([h, elements]), TOLERANCE) for X in (logs, R))
    algebra = lie_closure(torch.cat([one, other]), elements, TOLERANCE)
    structure = closure(algebra, elements, TOLERANCE)
    is_dense = len(structure.algebra) > len(algebra)
    dims = len(one), len(other)
    return Holonomy(geometry, structure, start, kept, loops, h, circuits, round_trips, *dims, is_dense)


def _repeated(u: Frame, count: int) -> Frame:
    return Frame(u.point.expand(count, -1), u.basis.expand(count, -1, -1))


def expect_orthogonal(geometry: "Geometry", h: Float[Tensor, "c n n"]) -> None:
    """ValueError for what frames come back from loops with, unless it keeps lengths and angles."""
    lost = int((~h.isfinite().flatten(1).all(1)).sum())
    if lost:
        raise ValueError(
            f"{lost} of {len(h)} loops on {geometry} lead to where it is not regular, such as the tip of a "
            "cone, expected loops within it; leave such places out by extent= or bounds=, or give the "
            "injectivity_radius= that it has without them"
        )
    off = float((h.mT @ h - torch.eye(h.shape[-1]).to(h)).abs().max()) if len(h) else 0.0
    if not off < 1e-4:
        raise ValueError(
            f"frames of {geometry} come back from loops with lengths and angles changed, by {off:.2g}; "
            "expected a metric connection, which keeps them"
        )
