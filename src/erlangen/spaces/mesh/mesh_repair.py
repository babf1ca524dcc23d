"""A broken mesh made a surface, one step after the other; each says what it did."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.spaces.mesh.bundle import Bundle
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.mesh_report import is_flat
from erlangen.spaces.mesh.triangles import Triangles

MARGIN = 1e-6  # of the usual length of an edge, by which two sides exceed the third after mending
SPLIT = "split vertices where pieces touched"


@dataclass(frozen=True, eq=False)
class Draft:
    """A mesh on its way.

    Attributes:
        vertices: ``(v, 3)``, or None.
        faces: ``(f, 3)``.
        lengths: ``(f, 3)``.
        kept: ``(v,)``, the vertex of the first mesh that each is.
        did: what was done, in words.
    """

    vertices: Float[Tensor, "v 3"] | None
    faces: Int[Tensor, "f 3"]
    lengths: Float[Tensor, "f 3"]
    kept: Int[Tensor, "v"]
    did: tuple[str, ...] = ()

    def said(self, what: str, count: int) -> "Draft":
        """The same with a line of what was done, where it was done at all."""
        return replace(self, did=(*self.did, f"{what}: {count}")) if count else self

    def only(self, keep: Tensor, what: str) -> "Draft":
        """Without some of the faces."""
        left = replace(self, faces=self.faces[keep], lengths=self.lengths[keep])
        return left.said(what, int((~keep).sum()))


def repaired(draft: Draft) -> Draft:
    """A surface of the same faces, but for those that are none.

    Raises:
        ValueError: where no face is left.
    """
    for step in (_finite, _merged, _triangles, _once, _oriented, _split, _alike, _thickened):
        draft = step(draft)
        if not len(draft.faces):
            raise ValueError(
                f"no face is left of this mesh ({'; '.join(draft.did)}), expected triangles with three "
                "finite corners; look at what made the file"
            )
    return draft


def _finite(draft: Draft) -> Draft:
    keep = draft.lengths.isfinite().all(1) & (draft.lengths >= 0).all(1)
    return draft.only(keep, "left out faces with a corner that is not finite")


def _merged(draft: Draft) -> Draft:
    """Vertices at the same place become one, as loose triangles in files mean them; none that were split."""
    if draft.vertices is None or any(line.startswith(SPLIT) for line in draft.did):
        return draft
    used = draft.faces.unique()
    _, place = draft.vertices[used].unique(dim=0, return_inverse=True)
    first = torch.full((int(place.max()) + 1,), len(used)).scatter_reduce(
        0, place, torch.arange(len(used)), "amin"
    )
    to = torch.arange(len(draft.vertices))
    to[used] = used[first[place]]
    merged = replace(draft, faces=to[draft.faces])
    return merged.said("merged vertices at the same place", len(used) - len(first))


def _triangles(draft: Draft) -> Draft:
    rows = draft.faces.sort(1).values
    return draft.only((rows[:, 1:] != rows[:, :-1]).all(1), "left out faces with a corner twice")


def _once(draft: Draft) -> Draft:
    rows = draft.faces.sort(1).values
    _, which = rows.unique(dim=0, return_inverse=True)
    first = torch.full((int(which.max()) + 1,), len(rows)).scatter_reduce(
        0, which, torch.arange(len(rows)), "amin"
    )
    keep = torch.zeros(len(rows), dtype=torch.bool)
    keep[first] = True
    return draft.only(keep, "left out faces that were there twice")


def _oriented(draft: Draft) -> Draft:
    """Faces turned over to agree with the first of their piece, where it is orientable."""
    edges = HalfEdges.of(draft.faces)
    bundle = Bundle.of(edges, Triangles(draft.lengths))
    has_sides = torch.ones(len(bundle.angle), dtype=torch.bool)
    has_sides[bundle.piece[bundle.loops[bundle.flips] // 3]] = False
    over = (bundle.side < 0) & has_sides[bundle.piece]
    faces, lengths = draft.faces.clone(), draft.lengths.clone()
    faces[over], lengths[over] = faces[over][:, [0, 2, 1]], lengths[over][:, [2, 1, 0]]
    return replace(draft, faces=faces, lengths=lengths).said("turned faces over", int(over.sum()))


def _split(draft: Draft) -> Draft:
    """Edges of three faces or more are cut; then each fan of corners gets a vertex of its own."""
    edges = HalfEdges.of(draft.faces)
    flat = draft.faces.flatten()
    cut = int((edges.shared_by > 2).sum())
    count = int(edges.fan.max()) + 1
    of = torch.zeros(count, dtype=torch.long).index_copy(0, edges.fan, flat)
    more = count - len(flat.unique())
    dropped = len(draft.kept) - len(flat.unique())
    vertices = None if draft.vertices is None else draft.vertices[of]
    split = replace(draft, vertices=vertices, faces=edges.fan.view(-1, 3), kept=draft.kept[of])
    split = split.said("cut sides at edges of three faces or more", cut)
    split = split.said(SPLIT, more)
    return split.said("left out vertices in no face", dropped)


def _alike(draft: Draft) -> Draft:
    """One length for each edge: the mean of what its faces say."""
    edges = HalfEdges.of(draft.faces)
    lengths = draft.lengths.flatten()
    twin = lengths[edges.twin]
    unlike = (lengths - twin).abs() > 1e-9 * torch.maximum(lengths, twin)
    mean = torch.where(unlike, (lengths + twin) / 2, lengths)
    return replace(draft, lengths=mean.view(-1, 3)).said(
        "took the mean of two lengths of an edge", int(unlike.sum()) // 2
    )


def _thickened(draft: Draft) -> Draft:
    """Where a face has no area all edges grow by one small length, so that it has: nothing else is moved.

    Reference: Sharp & Crane 2020 (mollification).
    """
    bad = is_flat(draft.lengths)
    if not bool(bad.any()):
        return draft
    longest = draft.lengths.amax(1)
    lack = MARGIN * draft.lengths.median() - (draft.lengths.sum(1) - 2 * longest)
    grown = draft.lengths + lack.max().clamp_min(0)
    return replace(draft, lengths=grown).said(
        "gave area to faces without, by slightly longer edges", int(bad.sum())
    )
