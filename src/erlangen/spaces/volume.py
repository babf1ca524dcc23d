"""Volumes: space, sampled at the voxels of scans and stacks of any size."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Range, Rotations, Size, checked
from erlangen.domains import Domain, Symmetry
from erlangen.domains.spec import Field
from erlangen.domains.symmetry import name_on
from erlangen.engines import Resolution, centred
from erlangen.geometry import Frame
from erlangen.groups import Fibre, FiniteFibre, PlaneFibre, Representation, StructureGroup
from erlangen.groups.families import affine, cube
from erlangen.spaces.centred import CentredGrid, cosine_and_sine
from erlangen.spaces.direction_fields import coefficients, directions
from erlangen.spaces.euclidean import Euclidean, Motions, Spacing, structure_of

Axis = Literal[0, 1, 2]
Degree = Annotated[int, Range(0, 5, mend="1 and 2 are good choices", limit="finer directions are not known")]
BETWEEN = (15, 30, 45)  # degrees, between the turns of the lattice


class Volume(CentredGrid):
    r"""Space in voxels: array axis i is coordinate i, ``spacing[i]`` its step, the middle is the origin.

    A positive turn about axis i takes axis i + 1 towards axis i + 2 (cyclic). Without a fibre fields are
    scalar and kernels round. With ``rotations="cube"`` regular fields have a value for each of the 24
    rotations of the cube (48 with mirrors). With ``rotations=N`` and an axis they have N values for the turns
    by 2 pi / N about it, band-limited as on `Plane`, so that angles in between are kept as well: for gravity,
    and for slices that are thicker than pixels.

    With ``degree=L`` regular fields are functions ``F(x, n)`` of a place and a direction, R^3 x S^2, held by
    their ``(L + 1)^2`` coefficients in spherical harmonics of n, each degree once: first the mean over all
    directions, then three components of a vector, and so on. Kernels between them,
    ``K(R x; R n, R n') = K(x; n, n')``, know all rotations, so that turns between those of the voxels are
    kept as well as voxels can. Nonlinearities look at the values at directions that the cube's turns
    exchange.

    Turns about an axis leave every metric ``a^2 dx_i^2 + dx_{i+1}^2 + dx_{i+2}^2`` alone. Kernels there are
    taken in the one in which voxels are cubes, so that they see as many slices as pixels, whatever the
    spacing; likewise under translations alone. Frames are as long as voxels there, and vectors by components
    in them. Round kernels are round in the units of `spacing`, and see at least the neighbours on every axis.

    Args:
        rotations: "cube", or N with `axis`.
        reflections: whether mirrors belong to the group: all of the cube's or of space, or those whose planes
            hold the axis. Fields of directions have no more values with them, and fewer kernels.
        axis: that of the N turns.
        degree: L, for fields that are functions of a direction too, of degrees up to L.
        symmetry: "translations" allows any kernel; without it and without rotations, "isometries".
        spacing: between neighbours, one length for all axes or one for each.
        shape: the number of voxels on each axis, or None for any.

    Raises:
        ValueError: for a cube of voxels that are none, turns in a plane of unequal spacing, and options that
            exclude each other.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.Volume(rotations=4, axis=0, spacing=(3, 1, 1)), 1, 2, width=2, depth=1)
        >>> net(torch.randn(1, 1, 7, 12, 9)).shape
        torch.Size([1, 2, 7, 12, 9])
    """

    @checked
    def __init__(
        self,
        rotations: Rotations | Literal["cube"] | None = None,
        reflections: bool = False,
        *,
        axis: Axis | None = None,
        degree: Degree | None = None,
        symmetry: Motions | None = None,
        spacing: Spacing | tuple[Spacing, Spacing, Spacing] = 1.0,
        shape: tuple[Size, Size, Size] | None = None,
    ) -> None:
        lengths = tuple(spacing) if isinstance(spacing, Sequence) else (spacing,) * 3
        _expect_one_symmetry(rotations, reflections, axis, degree, symmetry)
        if rotations == "cube":
            _expect_cubes(lengths)
        if axis is not None:
            _expect_square(axis, lengths)
        self.rotations, self.reflections, self.symmetry = rotations, reflections, symmetry
        self.axis: Axis | None = axis
        self.degree, self.voxel = degree, lengths
        if degree is not None:
            symmetry = "isometries" if reflections else "roto-translations"
        structure, fibre = _turns(rotations, reflections, axis, symmetry)
        steps = torch.diag(torch.tensor(lengths, dtype=torch.float64))
        space = Euclidean(3, structure=structure)
        if len(set(lengths)) > 1 and (axis is not None or symmetry == "translations"):
            unit = min(lengths) if axis is None else lengths[axis - 1]
            space = Stretched(structure, steps.diagonal() / unit)
            steps = unit * torch.eye(3, dtype=torch.float64)
        options = {
            "rotations": rotations,
            "reflections": reflections,
            "axis": axis,
            "degree": degree,
            "symmetry": self.symmetry,
        }
        if lengths != (1.0, 1.0, 1.0):
            options["spacing"] = lengths[0] if len(set(lengths)) == 1 else lengths
        super().__init__(space, shape, steps, fibre, options)

    def coarser(self) -> "Volume":
        if self.shape is None:
            return self
        shape = tuple(centred(length, 2)[0] for length in self.shape)
        spacing = tuple(2 * length for length in self.voxel)
        return Volume(**{**self.recipe, "spacing": spacing, "shape": shape})

    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        extent, count = super().kernel_extent(kernel_size, radius, rings)
        least = 1.5 * float(self.steps.diagonal().max())
        return (max(extent, least) if radius is None and extent > 0 else extent), count

    # fields of directions

    @property
    def default_field(self) -> Field:
        return "regular" if self.degree is not None else super().default_field

    def representation(self, field: Field) -> Representation:
        if field == "regular" and self.degree is not None and field not in self._representations:
            self._representations[field] = coefficients(self.degree)
        return super().representation(field)

    def refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        if not rho.blocks:
            return super().refined(rho, factor, fibre)
        return directions(len(rho.blocks) - 1, factor) if fibre else None

    def fibre_mean(self, field: Tensor) -> Tensor:
        return self.representation("regular").mean(field)

    def moments(self, field: Tensor) -> tuple[Tensor, Tensor]:
        if field.dim() == 2 + self.dim:
            return super().moments(field)
        rho = self.representation("regular")
        over = [0, *range(2, 2 + self.dim)]
        return rho.mean(field).mean(over), rho.mean_of(field.square()).mean(over)

    def add(self, field: Tensor, values: Float[Tensor, "channel"]) -> Tensor:
        if field.dim() == 2 + self.dim:
            return super().add(field, values)
        return field + self.representation("regular").constant(values).mT.view(-1, field.shape[2], 1, 1, 1)

    def is_same(self, other: Domain) -> bool:
        return isinstance(other, Volume) and super().is_same(other) and self.degree == other.degree

    def turn(self, degrees: float, axis: Axis | Sequence[float] = 0) -> Float[Tensor, "4 4"]:
        """The turn about an axis of the array, or a direction, by the right hand."""
        n = torch.eye(3)[axis] if isinstance(axis, int) else torch.tensor(axis)
        n = n.double() / n.double().norm()
        c, s = cosine_and_sine(degrees)
        across = torch.linalg.cross(n.expand(3, 3), torch.eye(3).double()).T  # v to n x v
        R = c * torch.eye(3).double() + s * across + (1 - c) * torch.outer(n, n)
        return affine(R, torch.zeros(3).double())

    def flip(self, axis: Axis = 0) -> Float[Tensor, "4 4"]:
        """The mirror that reverses one axis."""
        signs = torch.ones(4, dtype=torch.float64)
        signs[axis] = -1.0
        return torch.diag(signs)

    def shift(self, *by: float) -> Float[Tensor, "4 4"]:
        """The shift by three coordinates, in the units of `spacing`."""
        return affine(torch.eye(3).double(), torch.tensor(by, dtype=torch.float64))

    def symmetries(self) -> list[Symmetry]:
        """The turns and mirrors of the voxels, angles in between, and shifts by whole voxels."""
        elements = [g for g in _of_the_cube() if self._keeps_voxels(g)]
        about: Axis = 0 if self.axis is None else self.axis
        elements += [self.turn(degrees, about) for degrees in BETWEEN]
        elements += [self.turn(degrees, (1.0, 1.0, 1.0)) for degrees in BETWEEN if self.axis is None]
        a, b, c = self.voxel
        elements += [self.shift(*by) for by in ((a, 0, 0), (0, b, 0), (2 * a, -b, 3 * c))]
        return [self.symmetry_of(g, name_on(self.geometry, g)) for g in elements]

    def _keeps_voxels(self, g: Tensor) -> bool:
        """Whether a turn or mirror of the cube exchanges axes of one spacing only."""
        axes = self.axes_of(g)
        return axes is not None and all(self.voxel[a] == self.voxel[axis] for a, (axis, _) in enumerate(axes))


class Stretched(Euclidean):
    r"""R^3 with the metric ``sum_i (dx_i / a_i)^2``, in which voxels of steps a_i are cubes.

    The axes of frames are a_i long in coordinates, the measure is that of coordinates, and kernels are summed
    over the tangent space.

    Args:
        structure: H, which has to keep the metric.
        lengths: a, ``(3,)``.
    """

    measure = "tangent"

    def __init__(self, structure: StructureGroup, lengths: Float[Tensor, "3"]) -> None:
        super().__init__(3, structure=structure)
        self.lengths = lengths

    def __repr__(self) -> str:
        lengths = ", ".join(f"{length:.4g}" for length in self.lengths.tolist())
        return f"Euclidean(3) in steps of ({lengths}), H = {self.structure}"

    def frame(self, p: Tensor) -> Tensor:
        return super().frame(p) * self.lengths.to(p)

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        return self.components_of_vector(u, q - u.point)

    def chord(self, radius: float) -> float:
        return radius * float(self.lengths.max())

    def mover(self, u: Frame) -> Tensor:
        return affine(u.basis / self.lengths.to(u.basis), u.point)

    def density(self, v: Tensor) -> Tensor:
        return torch.full_like(v[..., 0], float(self.lengths.prod()))


def _expect_one_symmetry(
    rotations: int | str | None, reflections: bool, axis: int | None, degree: int | None, symmetry: str | None
) -> None:
    """ValueError for arguments that say two things at once, or half of one."""
    told = {"rotations": rotations, "degree": degree, "symmetry": symmetry}
    told = {name: value for name, value in told.items() if value is not None}
    if len(told) > 1:
        both = " and ".join(f"{name}={value!r}" for name, value in told.items())
        raise ValueError(f"{both}: expected one of them, each names the symmetry")
    if isinstance(rotations, int) and axis is None:
        raise ValueError(
            f"rotations={rotations} without axis, expected axis=0, 1 or 2, about which to turn; for all "
            'three take rotations="cube"'
        )
    if axis is not None and not isinstance(rotations, int):
        raise ValueError(
            f"axis={axis} with rotations={rotations!r}, expected a number of turns about it: rotations=8, or "
            "leave axis out"
        )
    if reflections and rotations is None and degree is None:
        raise ValueError(
            'reflections=True without rotations, expected rotations="cube", or N and an axis, or degree=1, '
            "beside it; round kernels (Volume()) are mirror-symmetric anyway"
        )


def _expect_cubes(lengths: tuple[float, ...]) -> None:
    if len(set(lengths)) > 1:
        raise ValueError(
            f'rotations="cube" with spacing={lengths}, expected one spacing on all axes: voxels that are no '
            "cubes have not its turns; resample the volumes, or take turns about the axis across the slices, "
            "such as rotations=8, axis=0"
        )


def _expect_square(axis: int, lengths: tuple[float, ...]) -> None:
    one, other = lengths[axis - 2], lengths[axis - 1]
    if one != other:
        raise ValueError(
            f"turns about axis {axis} with spacing={lengths}: {one:g} on axis {(axis + 1) % 3} and {other:g} "
            f"on axis {(axis + 2) % 3}, expected one spacing in the plane that is turned; take another axis, "
            "or resample the volumes"
        )


def _turns(
    rotations: int | Literal["cube"] | None, reflections: bool, axis: Axis | None, symmetry: Motions | None
) -> tuple[StructureGroup, Fibre | None]:
    """The structure group, and the samples of it that regular fields have."""
    if rotations == "cube":
        group = _cube(reflections)
        return group, FiniteFibre(group)
    if rotations is None or axis is None:
        return structure_of(symmetry or "isometries", 3), None
    fibre = PlaneFibre(_circle(axis, reflections), rotations)
    return StructureGroup(torch.zeros(0, 3, 3).double(), fibre.elements), fibre


@cache
def _cube(reflections: bool) -> StructureGroup:
    """The turns of the cube, and those times -1."""
    turns = cube().components
    return StructureGroup(torch.zeros(0, 3, 3).double(), torch.cat([turns, -turns]) if reflections else turns)


def _circle(axis: int, reflections: bool) -> StructureGroup:
    """All turns about an axis, and the mirror m that reverses axis + 2, as m: y -> -y on the plane."""
    one = torch.eye(3, dtype=torch.float64)
    X = torch.zeros(1, 3, 3, dtype=torch.float64)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    X[0, j, i], X[0, i, j] = 1.0, -1.0
    mirror = one.clone()
    mirror[j, j] = -1.0
    return StructureGroup(X, torch.stack([one, mirror] if reflections else [one]))


@cache
def _of_the_cube() -> list[Tensor]:
    """The 47 turns and mirrors of the cube beside the identity."""
    elements = _cube(reflections=True).components[1:]
    return [affine(A, torch.zeros(3).double()) for A in elements]
