"""Symmetries of a domain: which elements permute its samples, and what they are called."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.domains.candidates import candidates
from erlangen.domains.places import Places
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, StructureGroup

MOST, FEW = 60, 24  # symmetries that are named: the turns of an icosahedron; some of more than that
SAME = 1e-6  # frames that differ by less are one
PROBES, WALKS = 4, 64  # samples that are tried first; those from which a step is taken


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A symmetry g of a space, as it acts on the fields of one domain.

    Attributes:
        name: for people, such as "turn 90" or "shift (1, 0)".
        matrix: g, as the geometry takes it.
        permutes: whether it permutes the samples (else fields are interpolated).
        in_group: whether it belongs to the group that the domain's layers are equivariant to.
        circular: for a shift, whether fields go round the edge instead of leaving it.
    """

    name: str
    matrix: Float[Tensor, "d d"]
    permutes: bool
    in_group: bool
    circular: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether an equivariant layer commutes with it up to rounding."""
        return self.permutes and self.in_group

    @property
    def is_shift(self) -> bool:
        """Whether g is ``x -> x + b``, written ``[[1, b], [0, 1]]``."""
        n = len(self.matrix) - 1
        return torch.equal(self.matrix[:, :n], torch.eye(n + 1, n).to(self.matrix))


class Symmetries:
    """The symmetries of a space, as they move its samples.

    Args:
        geometry: the space.
        frames: those at the samples, ``(*space)``.
        weights: the measure of the samples, ``(*space)``; zero where one is missing.
        fibre: the samples of H that regular fields have, or None.
    """

    def __init__(self, geometry: Geometry, frames: Frame, weights: Tensor, fibre: Fibre | None) -> None:
        self.geometry, self.frames, self.weights, self.fibre = geometry, frames, weights, fibre
        self._places = Places(geometry, frames.flat.point)

    def find(self) -> list[Symmetry]:
        """The elements of the group that permute the samples, but for the identity: a few dozen at most.

        Where no group is named, mirrors and turns of the axes, and shifts by whole samples, if they are
        isometries.
        """
        tried = candidates(self.geometry, self.frames, self.weights)
        if not len(tried):
            return []
        tried = tried[self._may_permute(tried)]
        one = torch.eye(tried.shape[-1], dtype=torch.float64)
        there = self._first_frame_by(torch.cat([one[None], tried]))
        found, known = [], there[:1]
        for g, at in zip(tried, there[1:, None], strict=True):
            if bool(((known - at).abs().amax(1) > SAME).all()):
                symmetry = self.named(name_on(self.geometry, g), g)
                if symmetry.permutes:
                    found, known = [*found, symmetry], torch.cat([known, at])
        return fewer(found)

    def named(self, name: str, g: Float[Tensor, "d d"]) -> Symmetry:
        """The element g, and what it does to the samples.

        It permutes them if points go to points of the same weight, and frames of the fibre to such frames. It
        is in the group if H turns each frame to where it goes.
        """
        g = g.to(torch.float64)
        moved = self.permutation(g)
        if moved is None:
            return Symmetry(name, g, False, self._in_group(g))
        h, H = moved[1], self.geometry.structure
        return Symmetry(name, g, keeps_fibre(self.fibre, h), bool(respected(H, self.fibre, h).all()))

    def permutation(self, g: Float[Tensor, "d d"]) -> tuple[Int[Tensor, "p"], Float[Tensor, "p n n"]] | None:
        """For each sample p the q and h with ``g^{-1} s(p) = s(q) h``; None if some have no q."""
        u, weights = self.frames.flat, self.weights.flatten()
        if not bool(self._may_permute(g[None])):
            return None
        moved = self.geometry.act(torch.linalg.inv(g), u)
        index = self._as_framed(self._places.find(moved.point), moved)
        whole = bool((index >= 0).all()) and len(index.unique()) == len(index)
        if not whole or bool(((weights[index] - weights).abs() > SAME * weights.max()).any()):
            return None
        return (index, self.geometry.gauge(u.at(index), moved)) if self._commutes(g) else None

    def _first_frame_by(self, g: Float[Tensor, "c d d"]) -> Float[Tensor, "c k"]:
        """Where elements take one frame, by which each is known: on a quotient to one place by several g."""
        moved = self.geometry.act(g[:, None], self.frames.flat.at(slice(0, 1)))
        point = self.geometry.home(moved.point) / self._places.extent
        return torch.cat([point.flatten(1), moved.basis.flatten(1)], 1)

    def _as_framed(self, index: Int[Tensor, "p"], moved: Frame) -> Int[Tensor, "p"]:
        """Of samples at one point, as on a ring at a pole, those that are framed like frames there."""
        u, first = self.frames.flat, self._first_there
        for one in first[first != torch.arange(len(first))].unique().tolist():
            there, here = (first == one).nonzero().flatten(), ((first[index] == one) & (index >= 0))
            index = index.masked_scatter(here, there[along_first_axes(moved.at(here), u.at(there))])
        return index

    @cached_property
    def _first_there(self) -> Int[Tensor, "p"]:
        """For each sample the one that is found at its point."""
        return self._places.find(self.frames.flat.point)

    def _may_permute(self, g: Float[Tensor, "c d d"]) -> Bool[Tensor, "c"]:
        """Whether the first few samples come to lie on samples."""
        u = self.frames.flat
        some = torch.linspace(0, len(u.point) - 1, min(PROBES, len(u.point))).round().long()
        moved = self.geometry.act(g[:, None], u.at(some)).point  # (c, PROBES, m)
        return (self._places.find(moved.flatten(0, 1)) >= 0).view(len(g), -1).all(1)

    def _commutes(self, g: Tensor) -> bool:
        """Whether ``g carry(u, v) = carry(g u, v)``: g is an isometry, and keeps what is glued."""
        geometry, u = self.geometry, self.frames.flat
        some = torch.linspace(0, len(u.point) - 1, min(WALKS, len(u.point))).round().long()
        size = min(0.5 * geometry.injectivity_radius, 0.7 * self._places.extent)
        generator = torch.Generator().manual_seed(0)
        v = torch.randn(len(some), geometry.dim, generator=generator, dtype=torch.float64)
        v = size * v / v.norm(dim=-1, keepdim=True)
        there = geometry.act(g, geometry.carry(u.at(some), v))
        here = geometry.carry(geometry.act(g, u.at(some)), v)
        apart = (geometry.home(here.point) - geometry.home(there.point)).abs().max() / self._places.extent
        return bool(apart < SAME) and bool(
            (here.basis - there.basis).abs().max() < SAME * here.basis.abs().max()
        )

    def _in_group(self, g: Tensor) -> bool:
        group = self.geometry.group
        return group is not None and bool(group.defect(g) < SAME)


def along_first_axes(u: Frame, others: Frame) -> Int[Tensor, "k"]:
    """For each frame ``(k)`` which of some others at its point has its first axis."""
    return (u.basis[..., 0] @ others.basis[..., 0].T).argmax(-1)


def respected(
    H: StructureGroup, fibre: Fibre | None, h: Float[Tensor, "*batch n n"]
) -> Bool[Tensor, "*batch"]:
    """Whether kernels leave turns of frames alone: those of H, and where fibres have them, all turns."""
    held = H.contains(h)
    if fibre is None or fibre.default_band is None or fibre.group_of_all_turns is None:
        return held
    return held | fibre.group_of_all_turns.contains(h)


def keeps_fibre(fibre: Fibre | None, h: Float[Tensor, "*batch n n"]) -> bool:
    """Whether turns permute the fibre's own frames, where there are others between them."""
    if fibre is None or fibre.default_band is None:
        return True
    off = (h[..., None, :, :] - fibre.elements).abs().amax((-2, -1)).amin(-1)
    return bool((off < SAME).all())


def fewer(found: list[Symmetry]) -> list[Symmetry]:
    """Each under a name of its own; of many the one nearest to the identity, those of small order, and others
    that are near."""
    one = torch.eye(len(found[0].matrix), dtype=torch.float64) if found else torch.zeros(0)
    if len(found) > MOST:
        found = sorted(found, key=lambda s: float((s.matrix - one).norm()))
        powers = {s: [torch.linalg.matrix_power(s.matrix, k) for k in (2, 3, 4)] for s in found[1:]}
        special = [s for s, p in powers.items() if min(float((g - one).abs().max()) for g in p) < SAME]
        others = [s for s in found[1:] if s not in special]  # shifts round a quotient, as matrices, never end
        found = [found[0], *special, *others][:FEW]
    names: dict[str, int] = {}
    for s in found:
        names[s.name] = names.get(s.name, 0) + 1
    seen: dict[str, int] = {}
    for i, s in enumerate(found):
        seen[s.name] = seen.get(s.name, 0) + 1
        if names[s.name] > 1:
            found[i] = replace(s, name=f"{s.name} ({seen[s.name]})")
    return sorted(found, key=lambda s: (len(s.name), s.name))


def name_on(geometry: Geometry, g: Float[Tensor, "d d"]) -> str:
    """What people call a symmetry of a space; of a product what it does to each factor that it moves."""
    names = [
        name_of(h, linear=len(h) == space.ambient)
        for space, h in geometry.factors(g)
        if float((h - torch.eye(len(h)).to(h)).abs().max()) > SAME
    ]
    return ", ".join(names)


def name_of(g: Float[Tensor, "d d"], linear: bool = False) -> str:
    """What people call ``x -> A x + b``, or the linear map g."""
    A = g if linear else g[:-1, :-1]
    n = len(A)
    one = torch.eye(n, dtype=g.dtype)
    if not linear and float((A - one).abs().max()) < SAME:
        return f"shift ({_numbers(g[:-1, -1])})"
    if float((A.T @ A - one).abs().max()) > SAME or n > 3:
        return "element"
    mirrored = float(torch.linalg.det(A)) < 0
    if n == 1:
        return "flip"
    if n == 2:
        turned = A @ torch.diag(torch.tensor([1.0, -1.0]).to(A)) if mirrored else A
        angle = _degrees(math.atan2(float(turned[1, 0]), float(turned[0, 0])))
        turn = f"turn {angle}"
        return turn if not mirrored else "flip" if angle == "0" else f"flip, {turn}"
    return _name_in_space(-A if mirrored else A, mirrored)


def _name_in_space(R: Float[Tensor, "3 3"], mirrored: bool) -> str:
    """A turn R, or -R."""
    cosine = (float(R.trace()) - 1) / 2
    if cosine > 1 - SAME:
        return "point reflection"
    if cosine < SAME - 1:
        axis = (R + torch.eye(3).to(R))[:, int((R.diagonal() + 1).argmax())]
    else:
        axis = torch.stack([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    axis = axis / axis.abs().max()
    leading = axis[(axis.abs() > SAME).nonzero()[0, 0]]
    sine = float(torch.sign(leading)) * math.sqrt(max(1 - cosine**2, 0.0))
    axis = axis * torch.sign(leading)
    named = [i for i in range(3) if float((axis - torch.eye(3).to(axis)[i]).abs().max()) < SAME]
    about = f"axis {named[0]}" if named else f"({_numbers(axis)})"
    if mirrored and cosine < SAME - 1:
        return f"mirror of {about}" if named else f"mirror across {about}"
    turn = f"turn {_degrees(math.atan2(sine, cosine))} about {about}"
    return f"point reflection, {turn}" if mirrored else turn


def _degrees(angle: float) -> str:
    degrees = math.degrees(angle) % 360
    return f"{0.0 if degrees > 360 - SAME else degrees:.4g}"


def _numbers(x: Tensor) -> str:
    return ", ".join(f"{round(value, 9) + 0.0:.4g}" for value in x.tolist())
