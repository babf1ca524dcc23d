"""Frames carried along straight lines on triangles: from cells to cells, faces and vertices alike."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.mesh.straightest import Walkers
from erlangen.spaces.mesh.surface import Surface

LOST = -1
LINES = 1 << 14  # at once: few enough for a processor's cache


def carried(surface: Surface, u: Frame, e: Float[Tensor, "k 2"], r: Float[Tensor, "k m"]) -> Frame:
    """Where one arrives from frames ``(k,)`` along unit components e, after ascending lengths: ``(k, m)``.

    A frame keeps its angle to the line: with ``E e = d`` at the start, ``E' = d' e^T + (side J d') (J e)^T``.
    """
    parts = [
        _carried(surface, u.at(slice(i, i + LINES)), e[i : i + LINES], r[i : i + LINES])
        for i in range(0, len(e), LINES)
    ]
    if not parts:
        return Frame(u.point.new_zeros(0, r.shape[1], 3), u.point.new_zeros(0, r.shape[1], 3, 2))
    return Frame(*(torch.cat(x) for x in zip(*parts, strict=True)))


def _carried(surface: Surface, u: Frame, e: Tensor, r: Tensor) -> Frame:
    found = surface.lines.walk(_lines(surface, u, e), r)
    lost = found.face < 0
    cell = torch.where(found.out, -2 - found.face, found.face).masked_fill(lost, LOST)
    point = torch.cat([cell[..., None].to(e), found.point], -1)
    d = found.direction
    left = found.side[..., None] * torch.stack([-d[..., 1], d[..., 0]], -1)
    aside = torch.stack([-e[:, 1], e[:, 0]], -1)
    E = d[..., :, None] * e[:, None, None, :] + left[..., :, None] * aside[:, None, None, :]
    return Frame(point, torch.nn.functional.pad(E, (0, 0, 1, 0)))


def _lines(surface: Surface, u: Frame, e: Tensor) -> Walkers:
    """Lines from faces and from vertices, in the order of the frames."""
    E, count = u.basis[:, 1:], len(surface.edges.faces)
    d, side = (E @ e[..., None])[..., 0], torch.linalg.det(E).sign()
    cell = u.point[:, 0].long()
    at_vertex = cell >= count
    inside, corner = (~at_vertex).nonzero().flatten(), at_vertex.nonzero().flatten()
    from_faces = surface.lines.from_faces(
        cell[inside].clamp_min(0), u.point[inside, 1:], d[inside], side[inside]
    )
    angle = torch.atan2(d[corner, 1], d[corner, 0])
    from_corners = surface.lines.from_vertices(cell[corner] - count, angle, side[corner])
    back = torch.argsort(torch.cat([inside, corner]))
    return Walkers(*(torch.cat(x)[back] for x in zip(from_faces, from_corners, strict=True)))
