"""The one contract of every space: frames, and how they are carried."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame
from erlangen.groups import StructureGroup

Measure = Literal["space", "tangent"]


class Geometry(ABC):
    r"""A space with frames, and ``carry``: to walk from a frame and arrive in another one.

    On a Riemannian manifold ``carry(u, v)`` walks the geodesic whose first velocity has components
    v, with the frame in parallel transport; on a group, u = g and ``carry(u, v) = g exp(v)``.
    Nothing above this class knows which. The structure group H turns frames, and carrying knows
    it: ``carry(u h, v) = carry(u, h v) h``.

    A geometry defines `frame`, `carry`, `coordinates`, `act` and, where it is not 1, `density`;
    `exp`, `log` and `parallel_transport` follow.

    Attributes:
        dim: the dimension n.
        ambient: the number m of coordinates of a point.
        structure: H.
        measure: "space" integrates over M, with J(v) dv; "tangent" over the tangent space, with dv.
        injectivity_radius: the length |v| below which `carry` from one frame is one-to-one.
    """

    dim: int
    ambient: int
    structure: StructureGroup
    measure: Measure = "space"
    injectivity_radius: float = math.inf

    @abstractmethod
    def frame(self, p: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch m n"]:
        """The axes of the frame s(p) chosen at p, as columns: the gauge that domains use."""

    @abstractmethod
    def carry(self, u: Frame, v: Float[Tensor, "*#batch n"]) -> Frame:
        """The frame at which one arrives from u along the components v."""

    @abstractmethod
    def coordinates(self, u: Frame, q: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch n"]:
        """The normal coordinates of q seen from u: the shortest v with ``carry(u, v)`` at q."""

    @abstractmethod
    def act(self, g: Float[Tensor, "d d"], u: Frame) -> Frame:
        """The frame ``g u``, moved by the symmetry g of the space."""

    def density(self, v: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*#batch"]:
        """J(v), where dmu = J(v) dv is the invariant measure in normal coordinates."""
        return torch.ones_like(v[..., 0])

    def distance(
        self, p: Float[Tensor, "*#batch m"], q: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*#batch"]:
        """The length of the shortest way from p to q."""
        return self.coordinates(self.frames(p), q).norm(dim=-1)

    def chord(self, radius: float) -> float:
        """What no coordinate difference ``|p - q|`` exceeds within a radius; inf where that is not known."""
        return math.inf

    def home(self, p: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch m"]:
        """The coordinates that `points` use for p, where several name one point."""
        return p

    def contains(self, p: Float[Tensor, "*#batch m"]) -> Tensor:
        """Whether p belongs to the space (false beyond a boundary)."""
        return torch.ones(p.shape[:-1], dtype=torch.bool, device=p.device)

    def frames(self, p: Float[Tensor, "*#batch m"]) -> Frame:
        """The frames s(p) themselves."""
        return Frame(p, self.frame(p))

    def components(self, u: Frame, w: Float[Tensor, "*#batch m k"]) -> Float[Tensor, "*#batch n k"]:
        """The components in u of tangent vectors at its point, given as columns."""
        E = u.basis
        return torch.linalg.solve(E.mT @ E, E.mT @ w)

    def gauge(self, u: Frame, w: Frame) -> Float[Tensor, "*#batch n n"]:
        """The h with ``w = u h``, for two frames at one point."""
        return self.components(u, w.basis)

    def exp(self, p: Float[Tensor, "*#batch m"], v: Float[Tensor, "*#batch m"]) -> Tensor:
        """The point that the tangent vector v at p leads to; v in the coordinates of points."""
        u = self.frames(p)
        return self.carry(u, self.components(u, v[..., None])[..., 0]).point

    def log(self, p: Float[Tensor, "*#batch m"], q: Float[Tensor, "*#batch m"]) -> Tensor:
        """The shortest tangent vector v at p with ``exp(p, v) = q``."""
        u = self.frames(p)
        return u.tangent(self.coordinates(u, q))

    def parallel_transport(
        self,
        p: Float[Tensor, "*#batch m"],
        v: Float[Tensor, "*#batch m"],
        w: Float[Tensor, "*#batch m"],
    ) -> Tensor:
        """The tangent vector w at p, carried along v to ``exp(p, v)``."""
        u = self.frames(p)
        arrived = self.carry(u, self.components(u, v[..., None])[..., 0])
        return arrived.tangent(self.components(u, w[..., None])[..., 0])
