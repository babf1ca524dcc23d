"""The projective plane through the sphere: fields that the antipodal map leaves alone, and their kernels."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import CircleFibre, Representation, regular
from erlangen.harmonics.global_kernels import GlobalKernels

MIRROR = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))  # m: y -> -y
TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Antipodal:
    r"""A field type of O(2) on RP^2, as one of SO(2) on the sphere that the antipodal map leaves alone.

    The frame (south, east) at -p is the one at p mirrored, ``s(-p) = s(p) diag(-1, 1)``. So scalars are the
    even functions on the sphere (even degrees), signs the odd ones, and a regular field on both orientations
    of frames at p is one on the frames of one orientation at p and -p: any field on the frames of the sphere.

    Attributes:
        rho: the type on RP^2.
        cover: that on the sphere.
        here, there: ``(d', d)``, the values at p and at -p from those at p.
        back: ``(d, 2 d')``, the way back.
    """

    rho: Representation
    cover: Representation
    here: Float[Tensor, "e d"]
    there: Float[Tensor, "e d"]
    back: Float[Tensor, "d 2e"]


def antipodal(rho: Representation) -> Antipodal:
    """The type of field on the sphere behind one on RP^2."""
    fibre, cover = rho.fibre, rho
    if isinstance(fibre, CircleFibre):
        cover = regular(CircleFibre(fibre.rotations, False, fibre.length))
    here = torch.eye(cover.dim, rho.dim, dtype=torch.float64)  # frames of the first orientation come first
    there = here @ rho.inverse(-MIRROR)
    return Antipodal(rho, cover, here, there, torch.linalg.pinv(torch.cat([here, there])))


class AntipodalKernels:
    r"""Kernels on RP^2 from those on the whole sphere, which see each point from both sides.

    ``K(v) = kappa(v) + kappa(v') rho_in(h)^{-1}``, with ``v' = -(pi - |v|) v / |v|`` the other way to the
    same point, on which a frame comes there mirrored across it, ``h = 2 e e^T - 1``, ``e = v / |v|``. Between
    scalar, sign and vector fields those are left that a mirror leaves alone, as H = O(2) asks.

    Args:
        degrees, rho_in, rho_out, knots, band_in, band_out, span: as in `GlobalKernels`.
    """

    def __init__(
        self,
        degrees: int,
        rho_in: Representation,
        rho_out: Representation,
        knots: int,
        band_in: int | None = None,
        band_out: int | None = None,
        span: int | None = None,
    ) -> None:
        self.into, self.out = antipodal(rho_in), antipodal(rho_out)
        whole = GlobalKernels(degrees, self.into.cover, self.out.cover, knots, band_in, band_out, span)
        free = rho_in.fibre is not None or rho_out.fibre is not None
        self.whole = whole if free else whole.restricted(self._unmoved(whole))
        self.rho_in, self.rho_out = rho_in, rho_out

    def __len__(self) -> int:
        return len(self.whole)

    def _unmoved(self, whole: GlobalKernels) -> Tensor:
        """The entries with ``K(m v) = rho_out(m) K(v) rho_in(m)^{-1}``; the others change their sign."""
        v = torch.tensor([[0.7, 0.4], [-0.3, 1.1], [0.2, -1.3]], dtype=torch.float64)
        moved = self.out.rho.matrix(MIRROR) @ whole(v) @ self.into.rho.inverse(MIRROR)
        off = (whole(v @ MIRROR) - moved).abs().amax((0, 2, 3))
        return off.view(len(whole.profiles), -1).amax(0) < TOLERANCE

    def __call__(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch b d_out d_in"]:
        """The kernels themselves, as `er.correlate` takes them."""
        v = v.to(torch.float64)
        lift = self.out.here.T if self.out.rho.fibre is not None else self.out.here.T / 2
        total = lift @ self._seen(v)
        mirrored = lift @ self._seen(v @ MIRROR)
        return total + self.out.rho.matrix(MIRROR) @ mirrored @ self.into.rho.inverse(MIRROR)

    def _seen(self, v: Tensor) -> Tensor:
        """``kappa(v) + kappa(v') rho_in(h)^{-1}``, ``(..., b, d'_out, d_in)``."""
        r = v.norm(dim=-1, keepdim=True)
        ahead = torch.tensor([1.0, 0.0]).to(v).expand_as(v)
        e = torch.where(r > 0, v / r.clamp_min(torch.finfo(v.dtype).tiny), ahead)
        h = 2 * e[..., :, None] * e[..., None, :] - torch.eye(2).to(v)
        other = self.whole(-(math.pi - r) * e) @ self.into.here
        return self.whole(v) @ self.into.here + other @ self.into.rho.inverse(h)[..., None, :, :]
