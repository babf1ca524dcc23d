"""The places of some samples relative to others, on one space or on two of one group."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.domains.neighbours import CHUNK
from erlangen.domains.sampling import Sampling
from erlangen.geometry import Frame, Geometry
from erlangen.groups import StructureGroup, matrix_log
from erlangen.groups.compact import distinct, independent

TOLERANCE = 1e-7
BELOW = 1e-6  # lengths of the space that a sample may lie aside
SMALL = 0.1  # a turn that has one logarithm


@dataclass(frozen=True, eq=False)
class Relative:
    r"""The normal coordinates in which a kernel between two sets of samples is a function.

    A kernel from M = G/H to M' = G/H' that G does not see is a function k of the pair (p', q). Where H'
    lies in H, an element g that moves the origin to p' brings a frame of M along, and ``k(p', q) = k(v)``
    with v the coordinates of q seen from that frame; only H', up to which g is determined, constrains it.
    The other way, from M' to M, the same functions serve, seen from the samples that give.

    Attributes:
        geometry: the space of the coordinates v, the coarser one.
        viewers: its frames over the samples of the finer space, ``(i,)``.
        seen: its frames at the samples of the coarser space, ``(j,)``.
        weights: the measure of the samples that give.
        structure: what the viewers' frames are determined up to.
        outward: whether the viewers are the samples that receive.
        is_one_space: whether both lie on one space, so that frames tell how fields are turned.
    """

    geometry: Geometry
    viewers: Frame
    seen: Frame
    weights: Float[Tensor, "k"]
    structure: StructureGroup
    outward: bool
    is_one_space: bool

    def entries(self, u: Frame, q: Frame, radius: float | None) -> tuple[Tensor, Tensor, Tensor]:
        """The v with ``carry(u, v) = q h``, the h, and the measure; all of no effect beyond the radius."""
        v = self.geometry.coordinates(u, q.point)
        near = torch.ones(v.shape[:-1], dtype=torch.bool)
        if radius is not None:  # farther away there may be no v at all
            near = v.norm(dim=-1) < radius
            v = torch.where(near[..., None], v, 0.0)
        a = torch.where(near, self.measure(u, v, self.weights), 0.0)
        h = torch.eye(v.shape[-1], dtype=v.dtype).expand(*v.shape, -1)
        if self.is_one_space:  # elsewhere fields are scalar: nobody asks for h
            h = torch.where(near[..., None, None], self.geometry.gauge(q, self.geometry.carry(u, v)), h)
        return v, h, a

    def measure(self, u: Frame, v: Tensor, weights: Tensor) -> Tensor:
        """The weights of the integral over v: divided by J(v) for the tangent space's own."""
        if self.geometry.measure == "space" or not self.outward:
            return weights.expand(v.shape[:-1])
        J = self.geometry.density_at(u, v)  # where it is zero, at the antipode, there is no mass
        return torch.where(J > 1e-9, weights / J.clamp_min(1e-9), 0.0)


def relative(source: Sampling, target: Sampling | Frame) -> Relative:
    """How the samples of the target see those of the source, or the other way round.

    Args:
        source: the samples that give.
        target: those that receive, or frames ``(k,)`` on the source's own space.

    Raises:
        ValueError: for spaces of different groups, or where neither stabilizer keeps the other's origin.
    """
    weights = source.weights.flatten()
    here = source.geometry
    if isinstance(target, Frame):
        return Relative(here, target, source.frames.flat, weights, here.structure, True, True)
    there = target.geometry
    if here.is_same(there):
        return Relative(here, target.frames.flat, source.frames.flat, weights, here.structure, True, True)
    for fine, coarse, outward in ((target, source, True), (source, target, False)):
        structure = structure_over(fine.geometry, coarse.geometry)
        if structure is not None:
            viewers = frames_over(fine.geometry, coarse.geometry, fine.points.flatten(0, -2))
            seen = coarse.frames.flat
            return Relative(coarse.geometry, viewers, seen, weights, structure, outward, False)
    raise ValueError(
        f"no kernels are known from {here} (under {here.group}) to {there} (under {there.group}): expected "
        "one group, and that the stabilizer of one origin keeps the other; name the groups, or take other "
        "origins"
    )


def frames_over(fine: Geometry, coarse: Geometry, p: Float[Tensor, "*batch m"]) -> Frame:
    """The frames ``s(p) u0`` of the coarser space over points p of the finer one."""
    return coarse.act(fine.section(p), coarse.frames(coarse.origin))


def structure_over(fine: Geometry, coarse: Geometry) -> StructureGroup | None:
    """How the stabilizer of the finer space turns the origin's frame of the coarser one; None if it does not.

    None as well for groups that do not fit: every element that moves the finer one must move the other.
    """
    if fine.group is None or coarse.group is None or fine.group.size != coarse.group.size:
        return None
    off = coarse.group.defect(fine.group.exp(SMALL * torch.eye(fine.group.dim, dtype=torch.float64)))
    if max([*off.tolist(), *coarse.group.defect(fine.group.components).tolist()]) > TOLERANCE:
        return None
    H, u = fine.stabilizer(), coarse.frames(coarse.origin)
    turns = H.exp(SMALL * torch.eye(H.dim, dtype=torch.float64))
    kept = [coarse.act(h, u) for h in (turns, H.components)]
    moved = [float((w.point - u.point).abs().max()) for w in kept if len(w.point)]
    if max(moved, default=0.0) > TOLERANCE * coarse.length:
        return None
    algebra, components = (coarse.gauge(u, w) for w in kept)
    X = matrix_log(algebra) / SMALL
    # part of H may turn nothing
    return StructureGroup(independent((X - X.mT) / 2, TOLERANCE), distinct(components, TOLERANCE))


def sample_below(fine: Sampling, coarse: Sampling) -> Int[Tensor, "i"]:
    """The sample of the coarser space that each of the finer one lies over.

    Raises:
        ValueError: for spaces without a projection, and samples that lie over none.
    """
    if structure_over(fine.geometry, coarse.geometry) is None:
        raise ValueError(
            f"{fine.geometry} does not lie over {coarse.geometry}: expected spaces of one group, the "
            "stabilizer of the first origin inside that of the second"
        )
    points = coarse.points.flatten(0, -2)
    below = frames_over(fine.geometry, coarse.geometry, fine.points.flatten(0, -2)).point
    size, found = max(1, CHUNK // len(points)), []
    for start in range(0, len(below), size):
        distance, index = torch.cdist(coarse.geometry.home(below[start : start + size]), points).min(1)
        if float(distance.max()) > BELOW * coarse.geometry.length:
            raise ValueError(
                f"one of the {fine} lies over none of the {coarse}, the nearest being "
                f"{float(distance.max()):.2g} away; take points over those samples"
            )
        found.append(index)
    return torch.cat(found)
