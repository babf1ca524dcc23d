"""Surfaces of triangles: a `Geometry` by the lengths of edges alone."""

from collections.abc import Sequence
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.arguments import Rotations, Steps, checked, shown
from erlangen.domains import Domain
from erlangen.domains.builders import Boundary
from erlangen.geometry import Frame, Geometry
from erlangen.geometry.bad_points import expect_points
from erlangen.geometry.frame import broadcast
from erlangen.groups import StructureGroup, fibre_of
from erlangen.spaces.mesh.carrying import carried
from erlangen.spaces.mesh.defect_holonomy import DefectHolonomy
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.mesh_fields import barycentric, of_vertices
from erlangen.spaces.mesh.mesh_files import read
from erlangen.spaces.mesh.mesh_levels import MeshLevel
from erlangen.spaces.mesh.mesh_repair import Draft, repaired
from erlangen.spaces.mesh.mesh_report import MeshReport, examined, faults_of
from erlangen.spaces.mesh.surface import Surface
from erlangen.spaces.mesh.triangles import Triangles, sides
from erlangen.spaces.scattered import given, measured

Structure = Literal["SO(2)", "O(2)", "holonomy"]
OUTSIDE = 1e-6  # of a barycentric coordinate: single precision is good enough
SINGLE, DOUBLE = (torch.finfo(dtype).eps for dtype in (torch.float32, torch.float64))


class Mesh(Geometry):
    r"""A surface of triangles, flat but at its vertices, by the lengths of its edges.

    Geodesics are straightest: a line goes on through the triangles as through a plane, with the frame in
    parallel transport. A point is ``(cell, x, y)``: the number of a face, and coordinates in its layout
    (corner 0 at zero, corner 1 on the first axis); or for a vertex the number of faces more than its own, and
    zeros. In the plane of a vertex its total angle is stretched to ``2 pi``. Where a boundary threw a walk
    back, the cell is ``-2 - face``.

    H is SO(2), or O(2) where the surface is not orientable: one for all meshes of a data set. `holonomy`
    names the group of this one, which may be smaller.

    Args:
        vertices: ``(v, 3)``, points in space; None for a surface that lies nowhere.
        faces: ``(f, 3)``, the three vertices of each, counter-clockwise where there is an outside.
        lengths: ``(f, 3)``, of the sides of each face, at i that from corner i to the next; None measures
            them in space.

    Attributes:
        kept: ``(v,)``, which vertex of the mesh it was repaired from each one is.
        did: what `repair` did, in words.
        is_measured: whether lengths are those in space.

    Raises:
        ValueError: for no faces, vertices that are not there, lengths that are not positive. Whatever else is
            broken `report` tells and `repair` mends; until then the mesh is no space.

    Reference: Polthier & Schmies 1998 (straightest geodesics).

    Example:
        >>> import torch, erlangen as er
        >>> corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        >>> er.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])).holonomy().name
        'C2'
    """

    dim = 2
    ambient = 3
    measure = "tangent"
    knows_radius = False

    @checked
    def __init__(
        self,
        vertices: Float[Tensor, "v 3"] | None = None,
        faces: Int[Tensor, "f 3"] | None = None,
        *,
        lengths: Float[Tensor, "f 3"] | None = None,
    ) -> None:
        self.faces: Int[Tensor, "f 3"] = _expected(vertices, faces, lengths)
        self.vertices = None if vertices is None else vertices.detach().cpu().to(torch.float64)
        self.is_measured = False
        if lengths is None and self.vertices is not None:
            lengths, self.is_measured = sides(self.vertices, self.faces), True
        self.lengths: Float[Tensor, "f 3"] = lengths.detach().cpu().to(torch.float64)  # type: ignore[union-attr]
        self.kept = torch.arange(self.count)
        self.did: tuple[str, ...] = ()
        self._declared: StructureGroup | None = None

    @classmethod
    @checked
    def load(cls, path: str | Path) -> "Mesh":
        """A mesh from a file: OBJ, PLY, STL, OFF, glTF; VTP, Gmsh and others.

        What the file names elsewhere, textures and buffers, is not opened.

        Raises:
            ValueError: for a file that is not there, of no kind that is known, or broken.
            ImportError: with the line that installs the readers.
        """
        return cls(*read(Path(path)))

    @classmethod
    def joined(cls, meshes: Sequence["Mesh"]) -> "Mesh":
        """Meshes side by side as one of several pieces, so that one call sees a batch of them.

        Vertices keep their order, those of the first mesh first. So a field on all of them is taken apart by
        ``field.split([mesh.count for mesh in meshes], -1)``.
        """
        if not meshes or not all(isinstance(mesh, Mesh) for mesh in meshes):
            raise ValueError(f"meshes is {meshes!r}, expected a list of er.Mesh; put some in it")
        starts = torch.tensor([0, *(mesh.count for mesh in meshes)]).cumsum(0)
        faces = torch.cat([mesh.faces + start for mesh, start in zip(meshes, starts.tolist(), strict=False)])
        placed = [mesh.vertices for mesh in meshes if mesh.vertices is not None]
        vertices = torch.cat(placed) if len(placed) == len(meshes) else None
        measured = vertices is not None and all(mesh.is_measured for mesh in meshes)
        return cls(
            vertices, faces, lengths=None if measured else torch.cat([mesh.lengths for mesh in meshes])
        )

    def __repr__(self) -> str:
        return f"Mesh({self.count} vertices, {len(self.faces)} faces)"

    @property
    def count(self) -> int:
        """The number of vertices."""
        return int(self.faces.max()) + 1 if self.vertices is None else len(self.vertices)

    # what it is, and mending it

    def report(self) -> MeshReport:
        """What is to be said of it: of what kind it is, what is broken, how good its triangles are."""
        return examined(self.vertices, self.faces, self.lengths)

    def repair(self) -> "Mesh":
        """A mesh that is a surface: ``did`` says what was done, ``kept`` which vertex of this one each is.

        Faces without three corners, twice there or not finite are left out; vertices at the same place are
        merged; faces are turned to agree; edges of three faces or more are cut, and vertices where pieces
        touch split; if some face has no area, all edges grow by one small length.

        Raises:
            ValueError: where no face is left.
        """
        draft = repaired(Draft(self.vertices, self.faces, self.lengths, self.kept, self.did))
        mesh = Mesh(draft.vertices, draft.faces, lengths=draft.lengths)
        if draft.vertices is not None:
            mesh.is_measured = torch.equal(draft.lengths, sides(draft.vertices, draft.faces))
        mesh.kept, mesh.did = draft.kept, draft.did
        return mesh

    @cached_property
    def surface(self) -> Surface:
        """What the mesh is made of.

        Raises:
            ValueError: for a mesh that is broken.
        """
        edges = HalfEdges.of(self.faces)
        faults, notes = faults_of(self.vertices, self.faces, self.lengths, edges, self.count)
        if "vertices in no face" in notes:
            faults["vertices in no face"] = notes["vertices in no face"]
        if faults:
            words = ", ".join(f"{name} ({number})" for name, number in faults.items())
            raise ValueError(
                f"{self} has {words}, expected a surface of triangles; mend it: mesh = mesh.repair()"
            )
        triangles = Triangles(self.lengths)
        size = self.lengths.amax(1) if self.vertices is None else self.vertices.abs().max()
        return Surface(edges, triangles, self._precision * size / triangles.height)

    @property
    def _precision(self) -> float:
        """The rounding of numbers that were in single precision once, or in double."""
        x = self.vertices if self.is_measured and self.vertices is not None else self.lengths
        return SINGLE if bool((x.float().double() == x).all()) else DOUBLE

    # the contract

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        """The radius of a sphere of that area."""
        area = float(self.surface.triangles.area.sum()) / len(self.surface.bundle.angle)
        return (area / torch.pi / 4) ** 0.5

    @property
    def structure(self) -> StructureGroup:  # type: ignore[override]
        """H as declared; SO(2), or O(2) where the surface is not orientable."""
        if self._declared is not None:
            return self._declared
        if self.surface.is_orientable:
            return StructureGroup.special_orthogonal(2)
        return StructureGroup.orthogonal(2)

    def holonomy(self) -> DefectHolonomy:
        """The group of all that comes back from loops, by angle defects and the loops round the surface."""
        return self._found_holonomy

    @cached_property
    def _found_holonomy(self) -> DefectHolonomy:
        turning, none = self.surface.turning, torch.zeros(0, 1, 3, dtype=torch.float64)
        dim = len(turning.group.algebra)
        start, turns = self.frames(self.origin), torch.zeros(0, 2, 2, dtype=torch.float64)
        return DefectHolonomy(
            self, turning.group, start, none, none, turns, [], [], dim, dim, tolerance=turning.tolerance
        )

    @checked
    def with_structure(self, structure: Structure | None) -> "Mesh":
        """The same surface with another H: what all meshes of a data set share.

        Args:
            structure: "SO(2)", "O(2)", or "holonomy" for the group of this very mesh; None for the usual one.

        Raises:
            ValueError: for SO(2) where the surface is not orientable.
        """
        if structure is None:
            return self
        if structure == "SO(2)" and not self.surface.is_orientable:
            raise ValueError(
                f'structure is "SO(2)" and {self} is not orientable: its holonomy is {self.holonomy().name}, '
                'expected a group that holds that; take structure="O(2)"'
            )
        makers = {"SO(2)": StructureGroup.special_orthogonal, "O(2)": StructureGroup.orthogonal}
        H = self.surface.turning.group if structure == "holonomy" else makers[structure](2)
        if H.is_same(self.structure):
            return self
        other = copy(self)
        other._declared = H
        return other

    def is_same(self, other: Geometry) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Mesh)
            and torch.equal(self.faces, other.faces)
            and torch.equal(self.lengths, other.lengths)
            and self.structure.is_same(other.structure)
        )

    @cached_property
    def origin(self) -> Float[Tensor, "m"]:
        """The middle of the first face."""
        return self.face_points(torch.tensor([0]), torch.full((1, 3), 1 / 3, dtype=torch.float64))[0]

    @property
    def planes(self) -> Float[Tensor, "h 2 2"]:
        """How faces are laid into the planes of their corners; by elements of H where that is finite."""
        return (
            self.surface.rounded(self.structure) if self.structure.is_finite else self.surface.fans.to_plane
        )

    def frame(self, p: Tensor) -> Tensor:
        """By the longest edge of the face or vertex, where H holds all turns; else carried from one face."""
        surface, count = self.surface, len(self.faces)
        carries = not self.structure.has_all_turns
        at_vertices = surface.carried_at_vertices if carries else surface.own_at_vertices
        at_faces = surface.bundle.frames if carries else surface.own_at_faces
        cell = p[..., 0].long()
        E = torch.where(
            (cell < count)[..., None, None],
            at_faces[cell.clamp(0, count - 1)],
            at_vertices[(cell - count).clamp_min(0)],
        )
        return torch.nn.functional.pad(E, (0, 0, 1, 0))

    def carry(self, u: Frame, v: Tensor) -> Frame:
        u, v = broadcast(u, v.to(torch.float64))
        shape, u, v = v.shape[:-1], u.flat, v.reshape(-1, 2)
        r = v.norm(dim=-1, keepdim=True)
        e = torch.where(r > 0, v / r.clamp_min(1e-300), v.new_tensor([1.0, 0.0]))
        there = carried(self.surface, u, e, r)
        stays = r > 0
        point = torch.where(stays, there.point[:, 0], u.point).view(*shape, 3)
        return Frame(point, torch.where(stays[..., None], there.basis[:, 0], u.basis).view(*shape, 3, 2))

    def rays(self, u: Frame, directions: Tensor, r: Tensor) -> Frame:
        """One line for each direction, which stops at each distance."""
        rows, around = len(u.point), len(directions)
        each = Frame(*(x.to(torch.float64).repeat_interleave(around, 0) for x in u))
        there = carried(self.surface, each, directions.repeat(rows, 1), r.expand(rows * around, -1))
        point, basis = (x.unflatten(0, (rows, around)).transpose(1, 2).flatten(1, 2) for x in there)
        return Frame(point, basis)

    def coordinates(self, u: Frame, q: Tensor) -> NoReturn:
        raise ValueError(
            f"the shortest way to a point of {self} is not known: lines on triangles split at every vertex; "
            "expected what goes along given ways: exp, carry, layers; give er.correlate a function of "
            "points, such as lambda p: domain.seen_from(mesh.frames(p), f)"
        )

    def components(self, u: Frame, w: Tensor) -> Tensor:
        return u.basis.mT @ w

    def contains(self, p: Tensor) -> Tensor:
        """Whether no boundary threw the walk to p back."""
        return p[..., 0] >= 0

    def reflected(self, u: Frame) -> Frame:
        cell = u.point[..., :1]
        return Frame(torch.cat([torch.where(cell < -1, -2 - cell, cell), u.point[..., 1:]], -1), u.basis)

    def expect_points(self, p: Tensor) -> None:
        """ValueError for what is no point of the mesh."""
        cell, count = p[..., 0], len(self.faces)
        known = (cell == cell.round()) & (cell >= 0) & (cell < count + self.count)
        face = torch.where(known & (cell < count), cell, 0).long()
        b = barycentric(self.surface, face.flatten(), p[..., 1:].flatten(0, -2)).view(*p.shape[:-1], 3)
        known &= (b >= -OUTSIDE).all(-1) | (cell >= count)
        if not bool(known.all()):
            lost = ", ".join(f"{x:.4g}" for x in p[~known][0].tolist())
            raise ValueError(
                f"({lost}) is no point of {self}, expected the number of a face and a place in it, or of a "
                "vertex: take mesh.vertex_points() or mesh.face_points(face, barycentric)"
            )

    # points

    def vertex_points(self, vertex: Int[Tensor, "*k"] | None = None) -> Float[Tensor, "*k 3"]:
        """Vertices as points; None for all of them."""
        vertex = torch.arange(self.count) if vertex is None else vertex
        cell = (vertex + len(self.faces)).to(torch.float64)
        return torch.nn.functional.pad(cell[..., None], (0, 2))

    def face_points(self, face: Int[Tensor, "*k"], b: Float[Tensor, "*k 3"]) -> Float[Tensor, "*k 3"]:
        """Points of faces by barycentric weights of the corners."""
        x = (b[..., None].to(torch.float64) * self.surface.triangles.corner.view(-1, 3, 2)[face]).sum(-2)
        return torch.cat([face[..., None].to(torch.float64), x], -1)

    def barycentric(self, p: Float[Tensor, "k 3"]) -> tuple[Int[Tensor, "k"], Float[Tensor, "k 3"]]:
        """The face of each point and the weights of its corners; of a vertex a face beside it."""
        of_all = of_vertices(self.surface, self.surface.own_at_vertices, self.planes)
        cell, count = p[:, 0].long(), len(self.faces)
        corner = self.surface.fans.first[(cell - count).clamp_min(0)]
        face = torch.where(cell < count, torch.where(cell < -1, -2 - cell, cell), corner // 3)
        b = of_all.corners(torch.cat([face[:, None].to(p), p[:, 1:]], -1))[1]
        at = torch.nn.functional.one_hot(corner % 3, 3).to(b)
        return face, torch.where((cell < count)[:, None], b, at)

    def in_space(self, p: Float[Tensor, "*k 3"]) -> Float[Tensor, "*k 3"]:
        """Where points lie in space.

        Raises:
            ValueError: for a mesh that lies nowhere.
        """
        if self.vertices is None:
            raise ValueError(
                f"{self} has lengths and no vertices in space, expected er.Mesh(vertices, faces)"
            )
        face, b = self.barycentric(p.reshape(-1, 3))
        return (b[..., None] * self.vertices[self.faces[face]]).sum(1).view(p.shape)

    def axes_in_space(self, u: Frame) -> Float[Tensor, "*k 3 2"]:
        """The axes of frames as vectors in space: ``axes.mT @ w`` brings vectors into frames.

        In a face they lie in its plane. At a vertex they are the orthonormal ones nearest to the mean of what
        the faces around see of the frame, each by its angle.

        Raises:
            ValueError: for a mesh that lies nowhere.
        """
        if self.vertices is None:
            raise ValueError(
                f"{self} has lengths and no vertices in space, expected er.Mesh(vertices, faces)"
            )
        p, count, fans = self.vertices[self.faces], len(self.faces), self.surface.fans
        first, last = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
        e = first / first.norm(dim=-1, keepdim=True)
        up = last - (last * e).sum(-1, keepdim=True) * e
        plane = torch.stack([e, up / up.norm(dim=-1, keepdim=True)], -1)  # (f, 3, 2)
        seen = plane.repeat_interleave(3, 0) @ fans.to_plane.mT * self.surface.triangles.angle[:, None, None]
        mean = seen.new_zeros(self.count, 3, 2).index_add(0, fans.vertex, seen)
        U, _, V = torch.linalg.svd(mean, full_matrices=False)
        cell = u.point[..., 0].long()
        at_faces, at_vertices = plane[cell.clamp(0, count - 1)], (U @ V)[(cell - count).clamp_min(0)]
        return torch.where((cell < count)[..., None, None], at_faces, at_vertices) @ u.basis[..., 1:, :]

    # samples

    def own_samples(self, count: int = 500) -> tuple[Tensor, Tensor]:
        """The vertices, and the area of each."""
        return self.vertex_points(), self.surface.vertex_weights

    @checked
    def samples(
        self,
        points: Float[Tensor, "*space 3"] | None = None,
        weights: Float[Tensor, "*space"] | None = None,
        *,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        nodes: Steps = 8,
        structure: Structure | None = None,
        boundary: Boundary = "zero",
    ) -> Domain:
        """Samples at the vertices, between which fields are linear on faces; or at any points.

        Going down takes one of every few samples, so that no two are neighbours, and Gaussian means about
        them.

        Args:
            points: ``(*space, 3)``, see `vertex_points` and `face_points`; None for all vertices.
            weights: ``(*space)``, the area of each; None for that of what is nearest to it.
            rotations, reflections, mask: as on every space, see `er.Euclidean.samples`.
            nodes: of a kernel along its radius, and as many directions.
            structure: H, see `with_structure`.
            boundary: what kernels see beyond a boundary, "zero", "reflect" or "renormalize".

        Raises:
            ValueError: for points off the mesh, a mesh that is broken, an H that does not hold its holonomy.
        """
        geometry = self.with_structure(structure)
        fibre = fibre_of(geometry.structure, rotations, reflections)
        options = {"rotations": rotations, "nodes": nodes, "structure": structure, "boundary": boundary}
        recipe = partial(Mesh.samples, self, points, weights, **options)
        if points is None:
            given(geometry, None, weights)
            level = MeshLevel.of_vertices(geometry, fibre, nodes, boundary)
        else:
            is_told = weights is not None
            points, weights = measured(
                geometry, points, weights if is_told else torch.ones(points.shape[:-1])
            )
            expect_points(geometry, points, once=True)
            level = MeshLevel.of_points(
                geometry, points, weights if is_told else None, fibre, nodes, boundary
            )
        return level.domain(recipe).masked(mask)


def _expected(vertices: Tensor | None, faces: Tensor | None, lengths: Tensor | None) -> Tensor:
    """The faces, or ValueError for what makes no mesh at all."""
    if faces is None or (vertices is None and lengths is None):
        raise ValueError(
            "faces are None, or both vertices and lengths, expected faces and one of these: "
            "er.Mesh(vertices, faces), er.Mesh(faces=faces, lengths=lengths), or er.Mesh.load(path)"
        )
    if (
        faces.dim() != 2
        or faces.shape[1] != 3
        or not len(faces)
        or faces.is_floating_point()
        or faces.is_complex()
    ):
        raise ValueError(
            f"faces is {shown(faces)}, expected whole numbers (f, 3), one triangle at least: cut polygons "
            "into triangles"
        )
    if vertices is not None and (
        vertices.dim() != 2 or vertices.shape[1] != 3 or not vertices.is_floating_point()
    ):
        raise ValueError(
            f"vertices is {shown(vertices)}, expected numbers (v, 3): points in space, as floats"
        )
    most = None if vertices is None else len(vertices)
    if int(faces.min()) < 0 or (most is not None and int(faces.max()) >= most):
        raise ValueError(
            f"faces name vertices {int(faces.min())} to {int(faces.max())}, expected numbers from 0 to "
            f"{'the last' if most is None else most - 1}; files that count from 1 need faces - 1"
        )
    if lengths is not None and (
        lengths.shape != faces.shape or not bool((lengths > 0).all() & lengths.isfinite().all())
    ):
        raise ValueError(
            f"lengths is {shown(lengths)}, expected a positive length for each side of {len(faces)} faces, "
            "(f, 3): at i that from corner i to the next"
        )
    return faces.cpu().long()
