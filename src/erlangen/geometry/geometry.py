"""The one contract of every space: frames, and how they are carried."""

import itertools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.arguments import shown
from erlangen.geometry.curves import random_loops, random_walks, sampled, squares
from erlangen.geometry.derivative import partials
from erlangen.geometry.embedding import Cell, Embedding
from erlangen.geometry.frame import Frame
from erlangen.geometry.holonomy import Holonomy, expect_orthogonal, generated_by
from erlangen.groups import MatrixGroup, Stabilizer, StructureGroup, matrix_log

Measure = Literal["space", "tangent"]
FIBRES = {  # finite groups of n x n turns
    2: "Finite groups of turns are fibres: er.Plane(rotations=4)",
    3: "Finite groups of turns are fibres: H = er.groups.StructureGroup.finite(group.components), "
    "and er.Euclidean(3, structure=H).grid(8, 8, 8)",
}
# in lengths of the space
STRIDE = 2.0  # the longest step of a random walk where geodesics of any length are shortest
SIDE = 0.02  # half the side of the squares that show curvature
WAYS = 96  # to places where loops begin
SIZES = (1.0, 0.3, 0.1)  # of loops, relative to the longest geodesics that are surely shortest
SMALL = 0.1  # a turn that has one logarithm
TOLERANCE = 1e-5  # single precision is good enough
PLACES, FAR = 16, (0.37, 1.3, 2.9)  # that tell spaces apart: how many, and how far walks lead, in lengths
ALIKE = 1e-9  # relative: the roundings of one program are the same


def expect_size(group: MatrixGroup, g: Tensor) -> None:
    """ValueError for matrices of another size than the group's."""
    if tuple(g.shape[-2:]) != (group.size, group.size):
        raise ValueError(f"g has shape {tuple(g.shape)}, expected {group.size} x {group.size} for {group}")


def expect_group(group: MatrixGroup) -> None:
    """ValueError for what is no Lie group that moves points by as little as one likes."""
    if not isinstance(group, MatrixGroup):
        raise ValueError(f"the group is {group!r}, expected a MatrixGroup, such as er.groups.SE(2)")
    if group.dim == 0:
        raise ValueError(
            f"{group} is finite: every point has none beside it that the group leads to; expected a group "
            f"with generators, such as er.groups.SE(2). {FIBRES.get(group.size, '')}"
        )


def expect_element(group: MatrixGroup, g: Tensor) -> None:
    """ValueError for a matrix that is not in the group."""
    expect_size(group, g)
    off = float(group.defect(g.to(torch.float64)))
    if not off <= TOLERANCE * (1 + float(g.abs().max())):
        raise ValueError(
            f"g is no element of {group}, it is off by {off:.2g}; expected one, such as {group}.exp(v), or "
            "the element nearest to g"
        )


class Geometry(ABC):
    r"""A space with frames, and ``carry``: to walk from a frame and arrive in another one.

    On a Riemannian manifold ``carry(u, v)`` walks the geodesic whose first velocity has components
    v, with the frame in parallel transport; on a group, u = g and ``carry(u, v) = g exp(v)``.
    Nothing above this class knows which. The structure group H turns frames, and carrying knows
    it: ``carry(u h, v) = carry(u, h v) h``.

    A geometry defines `frame`, `carry` and `coordinates`; `density` where that is not 1, and `act` where
    matrices move it. `exp`, `log`, `parallel_transport` and `holonomy` follow. What the search for holonomy
    needs to know of a space are its `origin`, `ways` to all of it, and the `circuits` round it.

    Attributes:
        dim: the dimension n.
        ambient: the number m of coordinates of a point.
        structure: H.
        measure: "space" integrates over M, with J(v) dv; "tangent" over the tangent space, with dv.
        injectivity_radius: the length |v| below which `carry` from one frame is one-to-one.
        knows_radius: whether that is known, not estimated from samples.
        length: what a radius is to the sphere: how far one goes until the space has curved, come round or
            ended. All steps, strides and tolerances are relative to it, so that no unit of length is
            preferred. It is 1 for spaces of radius 1, and for R^n, where nothing depends on it.
        group: the group G of matrices that moves the space, as `act` takes them; None if none is named.
        shoots: whether `coordinates` searches for geodesics, and may find none, or not the shortest.
    """

    dim: int
    ambient: int
    structure: StructureGroup
    measure: Measure = "space"
    injectivity_radius: float = math.inf
    knows_radius: bool = True
    length: float = 1.0
    group: MatrixGroup | None = None
    shoots: bool = False

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be a space."""
        there = f"; take its space, {name}.geometry" if hasattr(value, "geometry") else ""
        return f"{name} is {shown(value)}, expected a space, such as er.Sphere() or er.Euclidean(2){there}"

    @property
    def sampling(self) -> str:
        """A call that makes a domain of the space, as one types it."""
        own = hasattr(self, "samples")
        return ".samples(points, weights)" if own else "er.domains.Samples(space, points, weights)"

    @property
    def lifting(self) -> str:
        """How domains of the space get a fibre, as one types it; nothing where H turns no frames."""
        H = self.structure
        if H.is_finite:
            return "give it fibre=er.groups.FiniteFibre(space.structure), or " * (len(H.components) > 1)
        return "build it with rotations=8, or " * (len(H.algebra) == 1)

    def grid(self, *arguments: Any, **options: Any) -> Any:
        """Samples in rows: a domain, with `rotations`, `reflections` and `mask`.

        Raises:
            ValueError: where no rows are natural.
        """
        self.refuse_grid()

    def refuse_grid(self) -> NoReturn:
        """The ValueError of a space without natural rows."""
        raise ValueError(f"{self} has no natural grid, expected your own points: {self.sampling}")

    def own_samples(self, count: int = 500) -> tuple[Float[Tensor, "k m"], Float[Tensor, "k"] | None]:
        """About so many points all over the space, and what each measures if that is known.

        Raises:
            ValueError: where the space has no end.
        """
        raise ValueError(
            f"points is None, and {self} has no end, or does not say how points lie all over it; expected a "
            f"tensor (*space, {self.ambient})"
        )

    def expect_points(self, p: Float[Tensor, "*batch m"]) -> None:
        """ValueError for what are no points of the space."""
        inside = self.contains(p)
        if not bool(inside.all()):
            lost = ", ".join(f"{x:.4g}" for x in p[~inside][0].tolist())
            raise ValueError(
                f"{int((~inside).sum())} points lie beyond the edges of {self}, such as ({lost}); expected "
                "points of it: leave those out"
            )

    @abstractmethod
    def frame(self, p: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch m n"]:
        """The axes of the frame s(p) chosen at p, as columns: the gauge that domains use."""

    @abstractmethod
    def carry(self, u: Frame, v: Float[Tensor, "*#batch n"]) -> Frame:
        """The frame at which one arrives from u along the components v."""

    @abstractmethod
    def coordinates(self, u: Frame, q: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch n"]:
        """The normal coordinates of q seen from u: the shortest v with ``carry(u, v)`` at q."""

    def coordinates_of_pairs(
        self, u: Frame, q: Float[Tensor, "k m"], i: Int[Tensor, "e"], j: Int[Tensor, "e"]
    ) -> Float[Tensor, "e n"]:
        """The coordinates of the points q_j seen from the frames u_i."""
        return self.coordinates(u.at(i), q[j])

    def act(self, g: Float[Tensor, "*#batch d d"], u: Frame) -> Frame:
        """The frame ``g u``, moved by the symmetry g of the space.

        Raises:
            ValueError: where no matrices move the space.
        """
        raise ValueError(
            f"{self} names no matrices that move it, expected an isometry as a function of points, as in "
            "er.verify.isometry(layer, phi) and symmetry=[phi]"
        )

    @property
    def matrix_size(self) -> int | None:
        """The size d of the matrices that `act` takes; None where it takes none."""
        return None if self.group is None else self.group.size

    def mover(self, u: Frame) -> Float[Tensor, "*batch d d"]:
        """The element g of the group with ``g s(p0) = u``.

        Raises:
            ValueError: where no group is named.
        """
        self.refuse_group()

    def refuse_group(self) -> NoReturn:
        """The ValueError of a space that no group of matrices moves everywhere."""
        raise ValueError(
            f"{self} names no group of matrices that moves it everywhere, expected one such as SE(n) on R^n; "
            "use er.HomogeneousSpace(group, origin, action), or see holonomy()"
        )

    @property
    def has_closed_section(self) -> bool:
        """Whether `section` takes many points at once, by a formula."""
        return True

    def section(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch d d"]:
        """The element s(p) of the group that moves the origin's frame to the one chosen at p."""
        return self.mover(self.frames(p))

    def stabilizer(self) -> Stabilizer:
        """H as it lies in the group: the elements that keep the origin, and how they turn the frame there.

        Raises:
            ValueError: where no group moves the space.
        """
        if self.group is None:
            self.refuse_group()
        H, (p, E) = self.structure, self.frames(self.origin)
        turned, jumped = (
            self.mover(Frame(p.expand(len(h), -1), E @ h))
            for h in (torch.matrix_exp(SMALL * H.algebra), H.components)
        )
        root = torch.eye(self.dim, dtype=torch.float64)
        generators = matrix_log(turned) / SMALL
        return Stabilizer(generators, jumped, H.name, turns=H.algebra, jumps=H.components, root=root)

    def factors(self, g: Float[Tensor, "d d"]) -> "list[tuple[Geometry, Tensor]]":
        """The spaces that this one is a product of, and what a symmetry of it does to each."""
        return [(self, g)]

    def expect_symmetry(self, g: Float[Tensor, "d d"]) -> None:
        """ValueError for a matrix that does not move frames to frames."""
        if self.group is None:
            return
        expect_size(self.group, g)
        v = 0.3 * self.length * torch.eye(self.dim, dtype=torch.float64)
        u = self.carry(self.frames(self.origin.expand(2 * self.dim + 1, -1)), torch.cat([0 * v[:1], v, -v]))
        w = self.act(g.to(torch.float64), u)
        here = self.frames(self.home(w.point))
        h = self.gauge(here, w)
        lengths = (h.mT @ h - torch.eye(self.dim).to(h)).abs().amax()
        outside = (w.basis - here.basis @ h).abs().amax() / w.basis.abs().amax()
        off = float(torch.maximum(lengths, outside))
        if not off <= TOLERANCE:
            raise ValueError(
                f"g is no symmetry of {self}: it changes lengths or leaves the space, by {off:.2g}; expected "
                f"an element of {self.group}, or another isometry: make g from exp, or orthonormalize it"
            )

    def is_same(self, other: "Geometry") -> bool:
        """Whether the other is this space, with the same frames, as a copy is: walks end alike."""
        if self is other:
            return True
        alike = type(self) is type(other) and self.measure == other.measure and repr(self) == repr(other)
        if not alike or not self.structure.is_same(other.structure):
            return False
        one, two = self._ends, other._ends
        return one.shape == two.shape and torch.allclose(one, two, rtol=ALIKE, atol=0.0, equal_nan=True)

    @cached_property
    def _ends(self) -> Float[Tensor, "k"]:
        """Numbers that tell a space from others of its name: frames all over it, and where walks of up to a
        few lengths end, beyond seams too."""
        v = torch.cat([torch.eye(self.dim, dtype=torch.float64), torch.full((1, self.dim), 0.6).double()])
        v = (self.length * torch.tensor(FAR, dtype=torch.float64)[:, None, None] * v).flatten(0, 1)
        walked = self.carry(self._at_origin(len(v)), v)
        there = self.frames(self.ways(PLACES)[:, -1])
        parts = [torch.tensor([self.length]), *walked, *there]
        return torch.cat([part.double().flatten() for part in parts])

    def equivariant_to(self, structure: StructureGroup) -> str:
        """What moves the space and turns carried frames by no more than the given group, for people."""
        if self.group is not None and str(structure) == str(self.structure):
            return str(self.group)
        return f"the isometries of {self} that turn frames by {structure}"

    def density(self, v: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*#batch"]:
        """J(v), where dmu = J(v) dv is the invariant measure in normal coordinates."""
        return torch.ones_like(v[..., 0])

    def density_at(self, u: Frame, v: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*#batch"]:
        """J(v) seen from u; on a homogeneous space the same from everywhere."""
        return self.density(v)

    def distance(
        self, p: Float[Tensor, "*#batch m"], q: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*#batch"]:
        """The length of the shortest way from p to q."""
        return self.coordinates(self.any_frame(p), q).norm(dim=-1)

    def distance_of_pairs(
        self, p: Float[Tensor, "k m"], q: Float[Tensor, "l m"], i: Int[Tensor, "*#e"], j: Int[Tensor, "*#e"]
    ) -> Float[Tensor, "*e"]:
        """The distances of the points p_i and q_j."""
        return self.distance(p[i], q[j])

    def coordinates_nearby(self, u: Frame, q: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch n"]:
        """`coordinates` of points close by, to third order, where the exact ones are costly."""
        return self.coordinates(u, q)

    def distance_nearby_of_pairs(
        self, p: Float[Tensor, "k m"], q: Float[Tensor, "l m"], i: Int[Tensor, "*#e"], j: Int[Tensor, "*#e"]
    ) -> Float[Tensor, "*e"]:
        """The distances of points p_i and q_j close by, roughly where the exact ones are costly."""
        return self.distance_of_pairs(p, q, i, j)

    def chord(self, radius: float) -> float:
        """What no coordinate difference ``|p - q|`` exceeds within a radius; inf where that is not known."""
        return math.inf

    def distance_at_least(
        self, p: Float[Tensor, "*#batch m"], q: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*#batch"] | None:
        """What the distance is not below, where that is much cheaper to know; None elsewhere."""
        return None

    def home(self, p: Float[Tensor, "*#batch m"]) -> Float[Tensor, "*#batch m"]:
        """The coordinates that `points` use for p, where several name one point."""
        return p

    def contains(self, p: Float[Tensor, "*#batch m"]) -> Tensor:
        """Whether p belongs to the space (false beyond a boundary)."""
        return torch.ones(p.shape[:-1], dtype=torch.bool, device=p.device)

    def reflected(self, u: Frame) -> Frame:
        """The frame of a walk that went beyond an edge, as that of one which the edge threw back."""
        return u

    def rays(self, u: Frame, directions: Float[Tensor, "d n"], r: Float[Tensor, "k"]) -> Frame:
        """Where one arrives from each frame ``(p)`` at each of the ascending distances r: ``(p, k d)``."""
        v = (r[:, None, None] * directions).flatten(0, 1)
        return self.carry(Frame(u.point[:, None], u.basis[:, None]), v.expand(len(u.point), -1, -1))

    def frames(self, p: Float[Tensor, "*#batch m"]) -> Frame:
        """The frames s(p) themselves."""
        return Frame(p, self.frame(p))

    def any_frame(self, p: Float[Tensor, "*#batch m"]) -> Frame:
        """A frame at p that is quick to know: enough for `exp`, `log` and all else that frames agree on."""
        return self.frames(p)

    def components(self, u: Frame, w: Float[Tensor, "*#batch m k"]) -> Float[Tensor, "*#batch n k"]:
        """The components in u of tangent vectors at its point, given as columns."""
        size = u.basis.norm(dim=-2, keepdim=True)  # some axes may be shifts and others turns
        E = u.basis / size
        return torch.linalg.solve(E.mT @ E, E.mT @ w) / size.mT

    def gauge(self, u: Frame, w: Frame) -> Float[Tensor, "*#batch n n"]:
        """The h with ``w = u h``, for two frames at one point."""
        return self.components(u, w.basis)

    def exp(self, p: Float[Tensor, "*#batch m"], v: Float[Tensor, "*#batch m"]) -> Tensor:
        """The point that the tangent vector v at p leads to; v in the coordinates of points."""
        u = self.any_frame(p)
        return self.carry(u, self.components_of_vector(u, v)).point

    def log(self, p: Float[Tensor, "*#batch m"], q: Float[Tensor, "*#batch m"]) -> Tensor:
        """The shortest tangent vector v at p with ``exp(p, v) = q``.

        Where ways are searched for, a warning tells of those that may not be the shortest.

        Raises:
            ValueError: naming the points to which no way was found.
        """
        u = self.any_frame(p)
        v = self.coordinates(u, q)
        self._expect_ways(v, q)
        return u.tangent(v)

    def up_to(self) -> str:
        """The injectivity radius, in words."""
        guessed = "" if self.knows_radius else " (estimated: give injectivity_radius= if you know it)"
        return f"the injectivity radius {self.injectivity_radius:.6g} of {self}{guessed}"

    def _expect_ways(self, v: Float[Tensor, "*batch n"], q: Float[Tensor, "*#batch m"]) -> None:
        lost = v.isnan().any(-1)
        if bool(lost.any()):
            first = tuple(lost.nonzero()[0].tolist())
            at = f" number {first[0] if len(first) == 1 else first}" * (lost.dim() > 0)
            raise ValueError(
                f"no geodesic was found to {int(lost.sum())} of {lost.numel()} points, the first being{at} "
                f"{q.expand(*lost.shape, -1)[first].tolist()}; expected them within the injectivity radius "
                f"of {self}, about {self.injectivity_radius:.3g}: go there in shorter steps"
            )
        if self.shoots and bool((v.norm(dim=-1) > self.injectivity_radius).any()):
            warnings.warn(
                f"some logarithms are longer than the injectivity radius of {self}, about "
                f"{self.injectivity_radius:.3g}: a geodesic is found, perhaps not the shortest",
                stacklevel=3,
            )

    def parallel_transport(
        self,
        p: Float[Tensor, "*#batch m"],
        v: Float[Tensor, "*#batch m"],
        w: Float[Tensor, "*#batch m"],
    ) -> Tensor:
        """The tangent vector w at p, carried along v to ``exp(p, v)``."""
        u = self.any_frame(p)
        arrived = self.carry(u, self.components_of_vector(u, v))
        return arrived.tangent(self.components_of_vector(u, w))

    def moved(self, phi: Tensor | Callable[[Tensor], Tensor], u: Frame) -> Frame:
        """The frame moved by an isometry: a matrix, as `act` takes it, or a function of points."""
        if isinstance(phi, Tensor):
            return self.act(phi, u)
        q, derivative = partials(phi, u.point)
        basis = derivative.movedim(0, -1) @ u.basis
        home = self.home(q)
        return self.nearby(Frame(q, basis), home)

    # curves, and what becomes of frames along them

    @cached_property
    def origin(self) -> Float[Tensor, "m"]:
        """p0, where `section` and holonomy start; coordinates zero unless a space says otherwise."""
        return torch.zeros(self.ambient, dtype=torch.float64)

    def along(self, u: Frame, polygon: Float[Tensor, "*#batch k m"]) -> Frame:
        """The frame u carried along the geodesics from its point to the first, second, ... given one."""
        for q in polygon.unbind(-2):
            u = self.nearby(u, q)
        return u

    def turn_round(self, u: Frame, polygon: Float[Tensor, "*#batch k m"]) -> Float[Tensor, "*#batch n n"]:
        """The h with which u comes back from a closed polygon, as ``u h``."""
        return self.gauge(u, self.along(u, polygon))

    def nearby(self, u: Frame, q: Float[Tensor, "*#batch m"]) -> Frame:
        """The frame u carried to a point q close by."""
        return self.carry(u, self.coordinates(u, q))

    def between(
        self, p: Float[Tensor, "c m"], q: Float[Tensor, "c m"], t: Float[Tensor, "k"]
    ) -> Float[Tensor, "c k m"]:
        """Points at the shares t of the ways that `along` takes from each p to each q."""
        u = self.any_frame(p)
        v = self.coordinates(u, q)[:, None] * t[:, None]
        return self.carry(Frame(u.point[:, None], u.basis[:, None]), v).point

    def transport_along(
        self, curve: Float[Tensor, "k m"] | Callable[[Tensor], Tensor], w: Float[Tensor, "m"]
    ) -> Float[Tensor, "m"]:
        """The tangent vector w at the start of a curve, carried to its end.

        Args:
            curve: points on it, joined by geodesics, or a function of t in [0, 1], ``(k)`` to ``(k, m)``.
            w: in the coordinates of points.
        """
        points = sampled(curve)
        u = self.any_frame(points[0])
        arrived = self.along(u, points[1:])
        return arrived.tangent(self.components_of_vector(u, w))

    def components_of_vector(self, u: Frame, w: Tensor) -> Tensor:
        """The components in u of one tangent vector, in the precision of u."""
        return self.components(u, w.to(u.basis)[..., None])[..., 0]

    def ways(self, count: int, seed: int = 0) -> Float[Tensor, "count k m"]:
        """Polygons from the origin to places all over the space: random walks unless a space knows better."""
        return random_walks(self.carry, self._at_origin(count), self._stride, seed)

    def loops(self, u: Frame, share: Float[Tensor, "count"], seed: int = 0) -> Float[Tensor, "count k m"]:
        """Random closed polygons from each frame that can be contracted.

        Args:
            u: where they start, ``(count)``.
            share: their sizes, relative to the longest geodesics that are surely shortest.
            seed: of the random numbers.
        """
        return random_loops(self.carry, u, self._stride * share, seed=seed)

    @property
    def _stride(self) -> float:
        """The length that geodesics may have while they are the shortest ones, with room to spare."""
        return min(0.45 * self.injectivity_radius, STRIDE * self.length)

    def _at_origin(self, count: int) -> Frame:
        return self.frames(self.origin.expand(count, -1))

    def circuits(self) -> list[Float[Tensor, "k m"]]:
        """Closed polygons from the origin, one for each generator of the fundamental group."""
        return []

    @property
    def embedding(self) -> Embedding | None:
        """How pictures show the space; None for its coordinates."""
        return None

    @property
    def cell(self) -> Cell | None:
        """The box of coordinates that the space is glued from; None for a space that is not."""
        return None

    def curvature(self, u: Frame) -> Float[Tensor, "*#batch n n n n"]:
        """``R[i, j, a, b]``, component a of ``R(e_i, e_j) e_b`` in the frame u; from small loops."""
        n, side = self.dim, SIDE * self.length
        R = u.basis.new_zeros(*u.point.shape[:-1], n, n, n, n)
        for i, j in itertools.combinations(range(n), 2):
            h = self.turn_round(u, squares(self.carry, u, j, i, side))
            R[..., j, i, :, :] = (h.mT - h) / (2 * 4 * side**2)  # (1 - h) / area + O(area)
            R[..., i, j, :, :] = -R[..., j, i, :, :]
        return R

    def relative_curvature(self, u: Frame) -> Float[Tensor, "*#batch n n n n"]:
        """``length^2 R``, without a unit: about what turns frames round squares as large as the space."""
        return self.length**2 * self.curvature(u)

    def holonomy(self) -> Holonomy:
        """The group of all that comes back from transport round loops at the origin (its closure).

        Frames are carried from the origin to places all over the space, and round contractible loops of
        several sizes there; then round the circuits.

        Raises:
            ValueError: for frames that do not come back orthonormal, where the connection is not metric.
        """
        return self._holonomy

    @cached_property
    def _holonomy(self) -> Holonomy:
        start, paths = self.frames(self.origin), self.ways(WAYS)
        u = self.along(self._at_origin(WAYS), paths)
        loops = self.loops(u, torch.tensor(SIZES, dtype=torch.float64).repeat(WAYS // len(SIZES)))
        inside = self.contains(loops).all(-1)
        loops, circuits = loops[inside], self.circuits()
        h = self.turn_round(u.at(inside), loops)
        back = [self.turn_round(start, circuit) for circuit in circuits]
        elements = torch.stack(back) if back else h[:0]
        expect_orthogonal(str(self), torch.cat([h, elements]))
        R = self.relative_curvature(u).flatten(0, 2)
        group, by_loops, by_curvature, is_dense = generated_by(h, elements, R)
        dims = by_loops, by_curvature
        return Holonomy(self, group, start, paths[inside], loops, h, circuits, back, *dims, is_dense)
