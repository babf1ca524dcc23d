"""Which fibre a structure group has: decided here, for every space."""

import math

from torch import Tensor

from erlangen.groups.circle import PlaneFibre
from erlangen.groups.fibre import CircleFibre, Fibre, FiniteFibre
from erlangen.groups.structure import TOLERANCE, StructureGroup


def fibre_of(
    H: StructureGroup, rotations: int | None = None, reflections: bool | None = None
) -> Fibre | None:
    """The samples of H that regular fields have at each point; None if fields are scalar.

    A finite H is its own fibre, unless it is trivial. A circle of turns has as many samples as are asked for.
    C_N and D_N of the plane may be named by their N, and are then sampled as the circle that they lie on, so
    that functions below the Nyquist frequency are turned by any angle.

    Args:
        H: the structure group.
        rotations: the samples of a circle of turns; None for scalar fields, or for all of a finite H.
        reflections: whether the mirrors belong to the fibre, which H decides; None does not ask.

    Raises:
        ValueError: for other `rotations` and `reflections` than H has.

    Example:
        >>> import erlangen as er
        >>> len(er.groups.fibre_of(er.Sphere().structure, 8)), len(er.groups.fibre_of(er.Moebius().structure))
        (8, 2)
    """
    if reflections is not None and reflections != H.has_mirrors:
        raise ValueError(
            f"reflections is {reflections} where H = {H}, expected {H.has_mirrors} or None: the "
            'mirrors of a fibre are those of H; take a space with another H, such as by symmetry="isometries"'
        )
    if rotations is None:
        return FiniteFibre(H) if H.is_finite and len(H.components) > 1 else None
    fibre = _circle_of(H, rotations)
    if fibre is None:
        raise ValueError(
            f"rotations is {rotations} where H = {H} in {H.dim} dimensions, expected None: the fibre is all "
            "of a finite group, and samples are known of one circle of turns, SO(2) or O(2)"
        )
    return fibre


def _circle_of(H: StructureGroup, rotations: int) -> Fibre | None:
    """So many turns of the one circle that H is, or lies on; None if there is none."""
    if H.is_finite:
        circle = CircleFibre(rotations, H.has_mirrors)
        return circle if _same(H.components, circle.elements) else None
    if H.dim == 2:
        return CircleFibre(rotations, H.has_mirrors, 2 * math.pi)
    try:
        return PlaneFibre(H, rotations, 2 * math.pi)
    except ValueError:  # H turns more than one plane
        return None


def _same(elements: Tensor, others: Tensor) -> bool:
    """Whether two lists of matrices are one."""
    return elements.shape == others.shape and float((elements - others).abs().max()) < TOLERANCE
