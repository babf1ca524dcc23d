"""Lifted fields correlated node by node: tables that do not grow with the kernel, where folded ones would."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from erlangen.domains import Sampling
from erlangen.engines import Engine, Table, fold, unfold
from erlangen.geometry import Frame
from erlangen.spaces.mesh.mesh_fields import Reading, barycentric
from erlangen.spaces.mesh.surface import Surface

ROOM = 1 << 21  # numbers held between nodes and samples, about
LEAST = 1e-9  # of the mass of a kernel that is seen


class NodeEngine(Engine):
    r"""``sum_j a_j K(v_j) rho(h_j)^{-1} f(q_j)`` as it stands, for functions on a circle of turns.

    A function on the circle is ``sum_m c_m e^{i m t}`` there, and a turn by h its phases. Fields go to the
    corners of faces once, as seen from the face. A node is then a face, a place in it and the angle of its
    frame: four numbers, however far kernels reach. All nodes of a sample are one row of a matrix, which the
    kernels multiply.

    Args:
        basis: the kernels, from regular fields.
        samples: those that give, and that receive.
        nodes: ``(j, 2)``, the v_j.
        measure: ``(j,)``, the a_j.
        arrived: the frames ``(p, j)`` to which nodes were carried from frames before turns, some p at a time.
        renormalize: whether sums are divided by the part of the a_j that was not lost.
        power: as of `Engine`.
    """

    def __init__(
        self,
        basis: Any,
        samples: Sampling,
        nodes: Float[Tensor, "j 2"],
        measure: Float[Tensor, "j"],
        arrived: Iterable[Frame],
        power: Float[Tensor, "b"],
        renormalize: bool = False,
    ) -> None:
        self.basis, self.rho_in, self.rho_out = basis, basis.rho_in, basis.rho_out
        self.power, self.smoothness, self.shape = power, basis.smoothness, samples.shape
        reading: Reading = samples.interpolation  # type: ignore[assignment]
        surface, turns = reading.surface, samples.turns
        count = len(basis.rho_in.fibre)
        self.most = basis.rho_in.fibre.default_band
        t = 2 * math.pi * torch.arange(count).double() / count
        m = torch.arange(self.most + 1).double()[:, None]
        waves = torch.stack([(m * t).cos(), -(m * t).sin()]) / count  # c_m of values
        back = torch.stack([(m * t).cos(), -(m * t).sin()]) * torch.where(m > 0, 2.0, 1.0)
        self.waves = Table(waves.flatten(0, 1))  # (2 m, N)
        psi = basis(nodes) * measure[:, None, None, None]  # (j, b, i, N)
        self.kernels = Table(torch.einsum("jbin,wn->bjwi", psi, back.flatten(0, 1)))
        self.index = Table(reading.index)
        self._place_vertices(reading, samples)
        faces, places = zip(*(_placed(surface, u) for u in arrived), strict=True)
        self.face, self.place = Table(torch.cat(faces)), Table(torch.cat(places))
        seen = (self.face.value >= 0).to(measure) @ measure
        self.scale = Table(measure.sum() / seen.clamp_min(LEAST * measure.sum())) if renormalize else None
        self.turned = None if turns is None else Table(basis.rho_out.inverse(turns))

    def _place_vertices(self, reading: Reading, samples: Sampling) -> None:
        """The turns from samples to vertices, and from these to the corners of faces."""
        surface, side = reading.surface, reading.surface.bundle.side
        fans = surface.fans
        upright = _upright(side[fans.first // 3] * fans.sense[fans.first])  # in the plane of each vertex
        plain = reading.plain.mT @ samples.frames.basis[:, 1:]
        h = plain[reading.index].mT @ reading.frames.mT @ upright[:, None]
        self.near, self.weight = Table(_angle(h)), Table(reading.weight)
        corner = upright[fans.vertex].mT @ reading.planes @ _upright(side).repeat_interleave(3, 0)
        self.vertex, self.corner = Table(fans.vertex), Table(_angle(corner))

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        batch, w = len(field), coefficients.unflatten(0, (groups, -1))
        x = (
            fold(field, self.rho_in).flatten(2).to(w.dtype).unflatten(1, (self.rho_in.dim, -1))
        )  # (n, N, c, q)
        c = torch.einsum("wk,nkcq->qnwc", self.waves.like(w), x)  # (q, n, 2 m, c)
        corners = self._at_corners(c).flatten(1)
        kernels = torch.einsum("gocb,bjwi->gjwcio", w, self.kernels.like(w))
        nodes = self.face.like(w), self.place.like(w)
        y: Tensor = _Sums.apply(corners, kernels, *nodes, batch)  # type: ignore[assignment]  # (p, n, i, o)
        if self.scale is not None:
            y = y * self.scale.like(w)[:, None, None, None]
        if self.turned is not None:
            y = torch.einsum("pij,pnjo->pnio", self.turned.like(w), y)
        return unfold(y.flatten(2).permute(1, 2, 0).unflatten(2, self.shape), self.rho_out)

    def _at_corners(self, c: Float[Tensor, "q n w c"]) -> Float[Tensor, "h n w c"]:
        """The coefficients at the corners of faces, as their faces see them."""
        near = c[self.index.like(c)]  # (v, s, n, w, c)
        at = (_turned(near, self.near.like(c)) * self.weight.like(c)[..., None, None, None]).sum(1)
        return _turned(at[self.vertex.like(c)], self.corner.like(c))


class _Sums(torch.autograd.Function):
    """The sums over nodes, some samples at a time; on the way back fields at nodes are read once more."""

    @staticmethod
    def forward(
        corners: Tensor, kernels: Tensor, face: Tensor, place: Tensor, batch: int
    ) -> Float[Tensor, "p n i o"]:
        matrix = kernels.flatten(4).flatten(1, 3)  # (g, j w c, i o)
        y = [_at_nodes(corners, kernels, part) @ matrix for part in _parts(face, place, batch, corners)]
        return _by_samples(torch.cat(y, 1), kernels, batch)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        *tensors, ctx.batch = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:  # type: ignore[override]
        corners, kernels, face, place = ctx.saved_tensors
        matrix = kernels.flatten(4).flatten(1, 3)
        back = (
            grad.unflatten(3, (len(kernels), -1)).permute(3, 0, 1, 2, 4).flatten(3).flatten(1, 2)
        )  # (g, p n, i o)
        to_corners, to_kernels, start = torch.zeros_like(corners), torch.zeros_like(matrix), 0
        for part in _parts(face, place, ctx.batch, corners):
            rows = back[:, start : start + len(part.face) * ctx.batch]
            start += rows.shape[1]
            if ctx.needs_input_grad[1]:
                to_kernels += _at_nodes(corners, kernels, part).mT @ rows
            if ctx.needs_input_grad[0]:
                _add_to_corners(to_corners, rows @ matrix.mT, kernels, part)
        return to_corners, to_kernels.view_as(kernels), None, None, None


class _Part(NamedTuple):
    """The nodes of some samples: corners, their weights, the angle; and the size of the batch."""

    face: Int[Tensor, "p j"]
    corner: Int[Tensor, "pj 3"]
    weight: Float[Tensor, "pj 3"]
    angle: Float[Tensor, "p j"]
    batch: int


def _parts(face: Tensor, place: Tensor, batch: int, corners: Tensor) -> Iterator[_Part]:
    rows = max(1, ROOM // (face.shape[1] * corners.shape[1]))
    for i in range(0, len(face), rows):
        f, (second, third, angle) = face[i : i + rows], place[i : i + rows].unbind(-1)
        seen = (f >= 0).to(angle.dtype)
        weight = torch.stack([seen - second - third, second, third], -1)
        index = 3 * f.clamp_min(0).long()[..., None] + torch.arange(3, device=f.device)
        yield _Part(f, index.flatten(0, 1), weight.flatten(0, 1), angle, batch)


def _at_nodes(corners: Tensor, kernels: Tensor, part: _Part) -> Float[Tensor, "g pn jwc"]:
    """The coefficients at the nodes, in the frames there: a row for each sample."""
    read = F.embedding_bag(part.corner, corners, mode="sum", per_sample_weights=part.weight)
    groups, _, waves, channels = kernels.shape[:4]
    f = _turned(
        read.view(*part.face.shape, part.batch, waves, groups * channels), part.angle
    )  # (p, j, n, w, g c)
    f = f.unflatten(-1, (groups, channels)).permute(4, 0, 2, 1, 3, 5)
    return f.flatten(3).flatten(1, 2)


def _add_to_corners(to: Tensor, f: Float[Tensor, "g pn jwc"], kernels: Tensor, part: _Part) -> None:
    """What `_at_nodes` does, the other way."""
    waves, channels = kernels.shape[2:4]
    f = f.unflatten(1, (len(part.face), part.batch)).unflatten(3, (-1, waves, channels))  # (g, p, n, j, w, c)
    f = (
        _turned(f.permute(1, 3, 2, 4, 0, 5).flatten(4), -part.angle).flatten(2).flatten(0, 1)
    )  # (p j, n w g c)
    for i in range(3):
        to.index_add_(0, part.corner[:, i], f * part.weight[:, i, None])


def _by_samples(y: Float[Tensor, "g pn io"], kernels: Tensor, batch: int) -> Float[Tensor, "p n i go"]:
    y = y.unflatten(2, kernels.shape[4:]).unflatten(1, (-1, batch))
    return y.permute(1, 2, 3, 0, 4).flatten(3)


def _turned(c: Float[Tensor, "*places n w c"], angle: Float[Tensor, "*places"]) -> Tensor:
    """``c_m e^{i m angle}``, of real parts and then imaginary ones."""
    re, im = c.chunk(2, dim=-2)
    m = torch.arange(re.shape[-2], dtype=c.dtype, device=c.device)
    phase = angle[..., None, None, None] * m[:, None]
    cosine, sine = phase.cos(), phase.sin()
    return torch.cat([re * cosine - im * sine, im * cosine + re * sine], -2)


def _placed(surface: Surface, u: Frame) -> tuple[Int[Tensor, "p j"], Float[Tensor, "p j 3"]]:
    """The face of each frame, -1 for none; two weights of its corners, and the angle of the frame."""
    cell, count = u.point[..., 0].long(), len(surface.edges.faces)
    face = cell.clamp(0, count - 1)
    inside = (cell >= 0) & (cell < count)
    b = barycentric(surface, face.flatten(), u.point[..., 1:].flatten(0, -2)).view(*cell.shape, 3)
    angle = _angle(_upright(surface.bundle.side)[face].mT @ u.basis[..., 1:, :])
    place = torch.stack([b[..., 1], b[..., 2], angle], -1) * inside[..., None]
    return torch.where(inside, cell, -1).int(), place


def _upright(side: Float[Tensor, "k"]) -> Float[Tensor, "k 2 2"]:
    """Frames along the axes, of the given orientation."""
    return torch.diag_embed(torch.stack([torch.ones_like(side), side], -1))


def _angle(h: Float[Tensor, "*batch 2 2"]) -> Float[Tensor, "*batch"]:
    return torch.atan2(h[..., 1, 0], h[..., 0, 0])
