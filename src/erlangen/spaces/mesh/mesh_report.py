"""What is to be said of a mesh: whether it is a surface, of what kind, and how good its triangles are."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.spaces.mesh.bundle import Bundle
from erlangen.spaces.mesh.fans import Fans
from erlangen.spaces.mesh.forest import labelled
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.triangles import Triangles

FLAT = 1e-7  # the least height of a face, relative to its longest side
NEAR = 1e-9  # relative difference of lengths of one edge


@dataclass(frozen=True)
class MeshReport:
    """A mesh in numbers.

    Attributes:
        vertices, edges, faces: how many; vertices of the surface, those in use.
        components: pieces.
        boundaries: closed curves where the surface ends.
        euler: ``vertices - edges + faces``.
        genus: handles, or crosscaps where the surface is not orientable, of all pieces.
        is_orientable: whether two sides can be told everywhere.
        is_oriented: whether the faces do tell them.
        faults: what keeps it from being a surface of triangles, and how many there are of each.
        notes: what is no fault, but seldom meant.
        smallest_angle: in degrees.
        quality: the least height of a face over its longest side, at worst; 0.87 at best.
        defects: the least and the largest angle defect at vertices within the surface, in degrees.
        area: of all faces.
    """

    vertices: int
    edges: int
    faces: int
    components: int
    boundaries: int
    euler: int
    genus: int
    is_orientable: bool
    is_oriented: bool
    faults: dict[str, int]
    notes: dict[str, int]
    smallest_angle: float
    quality: float
    defects: tuple[float, float]
    area: float

    @property
    def is_manifold(self) -> bool:
        """Whether it is a surface as it is, with or without a boundary."""
        return not self.faults

    def __str__(self) -> str:
        kind = "orientable" if self.is_orientable else "not orientable"
        kind += ", oriented" if self.is_oriented else ", its faces oriented both ways"
        lines = [
            f"{self.vertices} vertices, {self.edges} edges, {self.faces} faces, area {self.area:.6g}",
            f"{self.components} components, {self.boundaries} boundaries, Euler number {self.euler}, "
            + (f"genus {self.genus}" if self.is_orientable else f"{self.genus} crosscaps"),
            kind,
            f"smallest angle {self.smallest_angle:.3g} degrees",
            f"worst triangle {self.quality:.2g} (0.87 at best)",
            "angle defects {:.3g} to {:.3g} degrees".format(*self.defects),
        ]
        lines += [f"{name}: {count}" for name, count in self.notes.items()]
        lines += [f"FAULT {name}: {count}" for name, count in self.faults.items()]
        return "\n".join(lines + ["repair() mends the faults"] * bool(self.faults))


def examined(vertices: Tensor | None, faces: Int[Tensor, "f 3"], lengths: Float[Tensor, "f 3"]) -> MeshReport:
    """The report of a mesh, broken or not."""
    edges = HalfEdges.of(faces)
    triangles = Triangles(lengths)
    fans = Fans.of(edges, triangles)
    bundle = Bundle.of(edges, triangles)
    count = int(faces.max()) + 1 if vertices is None else len(vertices)
    faults, notes = faults_of(vertices, faces, lengths, edges, count)
    inner, rim = edges.inner, edges.is_boundary
    euler, pieces = len(fans.total) - len(inner) - int(rim.sum()) + len(faces), len(bundle.angle)
    boundaries = _boundaries(edges)
    is_orientable = not bool(bundle.flips.any())
    missing = 2 * pieces - boundaries - euler
    angle = torch.rad2deg(triangles.angle).nan_to_num(0.0)
    defect = torch.rad2deg(fans.defect[~fans.is_open]).nan_to_num(0.0)
    return MeshReport(
        vertices=len(fans.total),
        edges=len(inner) + int(rim.sum()),
        faces=len(faces),
        components=pieces,
        boundaries=boundaries,
        euler=euler,
        genus=missing // 2 if is_orientable else missing,
        is_orientable=is_orientable,
        is_oriented=not bool(edges.mirrored[~rim].any()),
        faults=faults,
        notes=notes,
        smallest_angle=float(angle.min()),
        quality=float(flatness(triangles).min()),
        defects=(float(defect.min()), float(defect.max())) if len(defect) else (0.0, 0.0),
        area=float(triangles.area.nan_to_num(0.0).sum()),
    )


def faults_of(
    vertices: Tensor | None, faces: Tensor, lengths: Tensor, edges: HalfEdges, count: int
) -> tuple[dict[str, int], dict[str, int]]:
    """What has to be mended, and what is only worth a word; those that are there."""
    rows = faces.sort(1).values
    twice = (rows[:, 1:] == rows[:, :-1]).any(1)
    lost = ~lengths.isfinite().all(1)
    many = edges.shared_by > 2
    faults = {
        "faces with a corner that is not finite": int(lost.sum()),
        "faces with a corner twice": int(twice.sum()),
        "faces without area": int((is_flat(lengths) & ~twice & ~lost).sum()),
        "faces that are there twice": len(rows) - len(rows.unique(dim=0)),
        "edges of three faces or more": len(_keys(faces, many).unique()),
        "vertices where pieces touch": int(edges.fan.max()) + 1 - len(faces.unique()),
        "edges of two lengths": int(_unlike(edges, lengths).sum()),
    }
    notes = {
        "vertices in no face": count - len(faces.unique()),
        "vertices at the same place": 0 if vertices is None else count - len(vertices.unique(dim=0)),
    }
    faults, notes = ({name: n for name, n in found.items() if n} for found in (faults, notes))
    return faults, notes


def is_flat(lengths: Float[Tensor, "f 3"]) -> Tensor:
    """Whether the sides of a face make no triangle, or one without area."""
    return ~(flatness(Triangles(lengths)) > FLAT)


def flatness(triangles: Triangles) -> Float[Tensor, "f"]:
    """The least height of each face over its longest side."""
    return (triangles.height / triangles.lengths.amax(1)).nan_to_num(0.0)


def _unlike(edges: HalfEdges, lengths: Tensor) -> Tensor:
    one, other = (lengths.flatten()[h] for h in (edges.inner, edges.twin[edges.inner]))
    return (one - other).abs() > NEAR * torch.maximum(one, other)


def _keys(faces: Tensor, chosen: Tensor) -> Tensor:
    """One number for each edge of the chosen half-edges."""
    start, end = faces.flatten()[chosen], faces.roll(-1, 1).flatten()[chosen]
    return torch.minimum(start, end) * (int(faces.max()) + 1) + torch.maximum(start, end)


def _boundaries(edges: HalfEdges) -> int:
    """How many closed curves the edges of one face make."""
    rim = edges.is_boundary.nonzero().flatten()
    start, end = edges.fan[rim], edges.fan[edges.next[rim]]
    label = labelled(int(edges.fan.max()) + 1, start, end)
    return len(label[start].unique())
