"""Any homogeneous space: a group, an origin and an action; all else is solved for."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Dimension, Extent, checked
from erlangen.geometry import Frame, Geometry, Measure, expect_element, expect_group
from erlangen.geometry.frame import broadcast
from erlangen.groups import MatrixGroup, Stabilizer, StructureGroup
from erlangen.groups.compact import invariant_inner_product
from erlangen.kernels.directions import sphere_rule
from erlangen.spaces.orbit import Action, Orbit, rank
from erlangen.spaces.scattered import far_apart, scattered
from erlangen.spaces.solve_stabilizer import lifted, solve_stabilizer

TOLERANCE = 1e-7
MOST = 64  # points of which it is asked whether they are in the space
FARTHEST = 8.0  # lengths of the space, beyond which an injectivity radius counts as none
STILL = 1e-6  # of a matrix: what turns nothing, such as a shift, does so but for rounding


class HomogeneousSpace(Geometry):
    r"""M = G/H: the points that a group moves one origin to.

    The stabilizer H of the origin is solved for: its Lie algebra h is the null space of
    ``X -> d/dt exp(t X) p0``, its components are found by moving the origin about and back. Components of
    tangent vectors are taken in a complement m of h that Ad(H) leaves alone: the generators that move the
    origin, in their order, made orthonormal in an inner product that H leaves alone (for isometric actions,
    that of the coordinates of points). With the section ``s(p) p0 = p``, a frame is ``u = s(p) h``, and
    ``carry(u, v) = u exp(v)``.

    Args:
        group: G.
        origin: p0, ``(m,)``.
        action: ``(g, p) -> g p``, with batches: ``(..., d, d)`` and ``(..., m)`` to ``(..., m)``.
        dim: the dimension of the space; None for that of the orbit of the origin.
        points: other points of the space ``(k, m)``, which the group must reach.
        log: ``(..., m)`` to ``(..., n)``, a closed form of the v with ``exp(v) p0 = p``, in components of
            `basis`; None solves for it.
        section: ``(..., m)`` to ``(..., d, d)``, an element that moves p0 to p; None for ``exp(log(p))``.
        metric: ``(m, m)``, the inner product of tangent vectors at the origin that lengths start from, before
            it is averaged over H; None for that of the coordinates, with which another origin measures in
            other units where the action does not keep it (as that of SO(1, n) on the hyperboloid).
        injectivity_radius: the length below which v is unique; None estimates it.
        measure: "space" (the invariant one) or "tangent".
        name: for people.

    Example:
        >>> import torch, erlangen as er
        >>> origin = torch.tensor([1.0, 0.0, 0.0])
        >>> move = lambda g, p: (g @ p[..., None])[..., 0]
        >>> space = er.HomogeneousSpace(er.groups.SO(1, 2), origin, move)
        >>> space.stabilizer()
        SO(2)

    Reference: Bellaard, Equivariant Neural Networks; Cohen, Geiger & Weiler 2019.
    """

    @checked
    def __init__(
        self,
        group: MatrixGroup,
        origin: Float[Tensor, "m"] | Sequence[float],
        action: Action,
        *,
        dim: Dimension | None = None,
        points: Float[Tensor, "k m"] | None = None,
        log: Callable[[Tensor], Tensor] | None = None,
        section: Callable[[Tensor], Tensor] | None = None,
        metric: Float[Tensor, "m m"] | None = None,
        injectivity_radius: Extent | None = None,
        measure: Measure = "space",
        name: str = "",
    ) -> None:
        expect_group(group)
        self.group: MatrixGroup = group  # type: ignore[override]
        self.action = action
        self.origin = torch.as_tensor(origin).to(torch.float64)
        _expect_batches(group, self.origin, action)
        self.orbit = Orbit(group, self.origin, action)
        self.ambient = len(self.origin)
        self.dim = dim or self.orbit.rank or self.ambient
        self.points = None if points is None else torch.as_tensor(points).to(torch.float64)
        self.measure, self.name = measure, name
        self.metric = torch.eye(self.ambient).double() if metric is None else torch.as_tensor(metric).double()
        self._log, self._section, self._radius = log, section, injectivity_radius

    def __repr__(self) -> str:
        return self.name or f"{self.group} / {self.stabilizer()}"

    # what is solved for

    def stabilizer(self) -> Stabilizer:
        """H, the elements of G that keep the origin; how it turns tangent vectors is its `isotropy`."""
        return self._stabilizer

    @cached_property
    def _stabilizer(self) -> Stabilizer:
        B, m = self.orbit.at_origin, self.orbit.moving
        along = torch.linalg.pinv(B @ m) @ B  # from the Lie algebra to g / h
        return solve_stabilizer(
            self.group,
            self.orbit.still,
            along @ self.group.ad(self.orbit.still) @ m,
            self.orbit.isotropy,
            self.orbit.back,
            metric=(B @ m).T @ self.metric @ (B @ m),
        )

    @cached_property
    def structure(self) -> StructureGroup:  # type: ignore[override]
        """H as it turns frames."""
        self.check()
        return self.stabilizer().isotropy

    @cached_property
    def basis(self) -> Float[Tensor, "n d d"]:
        """The matrices of the Lie algebra along which the components of tangent vectors are taken."""
        return self.group.hat(self._complement.T)

    @cached_property
    def _complement(self) -> Float[Tensor, "dimG n"]:
        """Components of the basis of m."""
        P, root = self._inner_product, self.stabilizer().root
        if P is None or root is None:
            self.check()
            raise ValueError(f"{self} has no frames that the stabilizer keeps")
        h, m = self.orbit.still, self.orbit.moving
        if len(h):
            m = m - h.T @ torch.linalg.solve(h @ P @ h.T, h @ P @ m)
        return m @ root

    @cached_property
    def _inner_product(self) -> Tensor | None:
        """One of the Lie algebra of G that Ad(H) leaves alone; None if there is none."""
        H = self.stabilizer()
        return invariant_inner_product(self.group.ad(self.orbit.still), self.group.Ad(H.components))

    @cached_property
    def _axes(self) -> Float[Tensor, "m n"]:
        """The frame at the origin."""
        return self.orbit.at_origin @ self._complement

    # is it one?

    def check(self) -> None:
        """Whether this is a homogeneous space that correlations can live on.

        Raises:
            ValueError: naming every reason why not: no action, not transitive, no invariant measure, a
                stabilizer that acts non-compactly, a section that misses its points.
        """
        if self._faults:
            raise ValueError(f"{self.name or self.group} is no such space: " + "; ".join(self._faults))

    @cached_property
    def _faults(self) -> list[str]:
        checks = (self._no_action, self._not_transitive, self._stabilizer_faults, self._section_faults)
        return [reason for check in checks for reason in check()]

    def _no_action(self) -> list[str]:
        g, h = self._some_elements(0), self._some_elements(1)
        twice, once = self.action(g, self.orbit.point(h)), self.orbit.point(g @ h)
        off = float((twice - once).abs().max() / (self.orbit.scale + once.abs().max()))
        return [] if off <= TOLERANCE else [f"no action: (g h) p and g (h p) differ by {off:.2g}"]

    def _not_transitive(self) -> list[str]:
        reached = self.orbit.rank
        if reached < self.dim:
            return [
                f"not transitive: the group moves the origin in {reached} of {self.dim} dimensions; take the "
                "orbit of one origin, with its dim=, or a larger group"
            ]
        if reached > self.dim:
            return [
                f"the group moves the origin in {reached} dimensions, and dim={self.dim}; leave dim= out, "
                "or take a smaller group"
            ]
        for p in () if self.points is None else self.points:
            if rank(self.orbit.velocities(p)) != self.dim:
                return [f"not transitive: {_short(p)} is moved in other than {self.dim} dimensions"]
        if self.points is not None:
            v = self.orbit.solve(self.points, self.orbit.moving)
            missed = self.points[~v.isfinite().all(-1)]
            if len(missed):
                return [f"not transitive: no way leads from the origin to {_short(missed[0])}"]
        return []

    def _stabilizer_faults(self) -> list[str]:
        is_orbit = self.orbit.rank == self.dim
        if is_orbit:
            algebra, components = self.stabilizer().turns, self.stabilizer().jumps
        elif self.dim == self.ambient:
            components = self._linearized()
            algebra = components[:0]
        else:
            return []
        faults = []
        trace = algebra.diagonal(dim1=1, dim2=2).sum(-1).abs()
        volume = torch.linalg.det(components).abs()
        if bool((trace > TOLERANCE).any()) or bool(((volume - 1).abs() > 1e-5).any()):
            faults.append(
                "no invariant measure: the stabilizer changes volumes at the origin, |det| is not 1; take a "
                "subgroup that keeps them"
            )
        if invariant_inner_product(algebra, components) is None:
            faults.append(
                "the stabilizer acts non-compactly: it moves tangent vectors at the origin without bound, "
                "and leaves no kernel of bounded support alone; take a smaller group"
            )
        elif is_orbit and self._inner_product is None:
            faults.append(
                "not reductive: no complement of the stabilizer's Lie algebra is kept by it; if some of the "
                "group moves nothing, leave that out"
            )
        return faults

    def _section_faults(self) -> list[str]:
        p = self.orbit.point(self._some_elements(2))
        if self._log is not None and self.orbit.rank == self.dim:
            off = float((self.orbit.point(self.exp_origin(self._log(p))) - p).abs().max())
            if not off <= 1e-6 * self.orbit.scale:
                return [f"exp(log(p)) does not take the origin to p: it is off by {off:.2g}"]
        if self._section is None:
            return []
        g = self._section(p)
        off, outside = float((self.orbit.point(g) - p).abs().max()), float(self.group.defect(g).max())
        missed = not off <= 1e-6 * self.orbit.scale
        faults = [f"the section does not take the origin to p: it is off by {off:.2g}"] if missed else []
        if not outside <= 1e-6:
            faults.append(f"the section leaves the group {self.group}, by {outside:.2g}")
        return faults

    def _linearized(self) -> Tensor:
        """How some elements of the group that keep the origin act on the coordinates about it."""
        h = torch.cat([self.group.exp(self.orbit.still), self.group.components])
        h = h[(self.orbit.point(h) - self.origin).abs().amax(-1) < TOLERANCE * self.orbit.scale]
        return self.orbit.push_from_origin(h, torch.eye(self.ambient, dtype=torch.float64))

    def _some_elements(self, seed: int) -> Tensor:
        return self.group.sample(32, radius=1.0, seed=seed) if self.group.dim else self.group.components

    # geometry

    def is_same(self, other: Geometry) -> bool:
        return self is other  # actions cannot be compared

    def expect_symmetry(self, g: Tensor) -> None:
        expect_element(self.group, g)

    @property
    def has_closed_section(self) -> bool:
        return self._section is not None or self._log is not None

    def section(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch d d"]:
        """The element s(p) of G that moves the origin to p."""
        if self._section is not None:
            return self._section(p)
        once, which = torch.unique(p.reshape(-1, self.ambient), dim=0, return_inverse=True)
        return self.exp_origin(self.log_origin(once))[which].reshape(*p.shape[:-1], *[self.group.size] * 2)

    def exp_origin(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch d d"]:
        """The element ``exp(v)`` of G, for components v of a tangent vector at the origin."""
        return self.group.exp(v @ self._complement.to(v).T)

    def log_origin(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch n"]:
        """The shortest v with ``exp(v) p0 = p``.

        Raises:
            ValueError: for points that are not in the space; for those of it that no way was found to.
        """
        if self._log is not None:
            return self._log(p)
        v = self.orbit.solve(p, self._complement)
        lost = ~v.isfinite().all(-1)
        if bool(lost.any()):
            self._refuse_lost(p[lost])
        return v

    def _refuse_lost(self, lost: Float[Tensor, "k m"]) -> None:
        """ValueError that tells points that are not in the space from those that no way is found to."""
        some = lost[:MOST]
        off, ended = self.orbit.nearest(some)
        elsewhere = ended & (off > 0)
        reasons = []
        if bool(elsewhere.any()):
            first, nearest = _short(some[elsewhere][0]), float(off[elsewhere][0])
            reasons.append(
                f"{int(elsewhere.sum())} of them not in the space, such as {first}, which {self.group} moves "
                f"no nearer to the origin than {nearest:.2g} (expected points of the space: bring them onto "
                "it)"
            )
        if not bool(elsewhere.all()):
            first = _short(some[~elsewhere][0])
            reasons.append(
                f"{int((~elsewhere).sum())} of them in the space, such as {first}, where no exp(v) was seen "
                "to lead in double precision (expected nearer ones: give log=)"
            )
        raise ValueError(
            f"no way was found from the origin to {len(lost)} points, the first being {_short(lost[0])}; "
            + f"of {MOST} of them " * (len(lost) > MOST)
            + ", and ".join(reasons)
        )

    def frame(self, p: Tensor) -> Tensor:
        return self.orbit.push_from_origin(self.section(p), self._axes)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        h = self.gauge(self.frames(u.point), u)
        g = self.section(u.point) @ self.exp_origin((h @ v[..., None])[..., 0])
        return Frame(self.orbit.point(g), self.orbit.push_from_origin(g, self._axes) @ h)

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        h = self.gauge(self.frames(u.point), u)
        back = torch.linalg.inv(self.section(u.point))
        (_, back), q = broadcast(Frame(u.point, back), q)
        seen = self.action(back, q)
        return (h.mT @ self.log_origin(seen)[..., None])[..., 0]

    def coordinates_of_pairs(self, u: Frame, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        h = self.gauge(self.frames(u.point), u)  # once for each frame
        return (h.mT[i] @ self._seen(u.point, q, i, j)[..., None])[..., 0]

    def distance_of_pairs(self, p: Tensor, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return self._seen(p, q, i, j).norm(dim=-1)

    def _seen(self, p: Tensor, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """The coordinates of q_j seen from the frames chosen at p_i, which are made once for each."""
        i, j = torch.broadcast_tensors(i, j)
        return self.log_origin(self.action(torch.linalg.inv(self.section(p))[i], q[j]))

    def mover(self, u: Frame) -> Tensor:
        """The element g of G with ``g s(p0) = u``, or nan: ``s(p) h``, where h in H turns the frame first."""
        w = u.at(None).flat  # one frame as well
        turns = self.gauge(self.frames(w.point), w)
        g = self.section(w.point) @ lifted(self.stabilizer(), self._turning, turns)
        return g.reshape(*u.point.shape[:-1], *g.shape[-2:])

    def _turning(self, h: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n n"]:
        """How elements of H turn the frame at the origin."""
        origin = self.frames(self.origin)
        return self.gauge(origin, self.act(h, origin))

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The element g of the group."""
        if g.dim() == 2:
            expect_element(self.group, g)
        (p, E), g = broadcast(u, g.to(u.point).flatten(-2))
        g = g.unflatten(-1, (self.group.size, self.group.size))
        return Frame(self.action(g, p), self.orbit.push(g, p, E))

    def density(self, v: Tensor) -> Tensor:
        # d/dt exp(v + t w) p0 = exp(v) (J w) p0, and the part of J w in h moves nothing
        M = self._complement.to(v)
        J = self.group.right_jacobian(v @ M.T) @ M
        along = torch.linalg.pinv(self._axes) @ self.orbit.at_origin
        return torch.linalg.det(along.to(v) @ J).abs()

    @property
    def knows_radius(self) -> bool:  # type: ignore[override]
        """Whether the injectivity radius was given."""
        return self._radius is not None

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        """How far the origin goes while some generator turns, or stretches, matrices by one.

        On R^n, which shifts move, what one unit of a generator shifts it.
        """
        X = self.basis
        speeds, sizes = torch.linalg.eigvals(X).abs().amax(-1), torch.linalg.matrix_norm(X)
        speeds = torch.where(speeds > STILL * sizes, speeds, 0.0)
        return 1 / float(speeds.max() if bool((speeds > 0).any()) else sizes.max())

    @cached_property
    def injectivity_radius(self) -> float:  # type: ignore[override]
        """The length up to which `log_origin` finds the v that one set out with, in many directions."""
        if self._radius is not None:
            return self._radius
        one = torch.eye(self.dim, dtype=torch.float64)
        direction = torch.cat([one, -one, sphere_rule(self.dim, 4 if self.dim < 4 else 2)[0]])

        def is_found(t: float) -> bool:
            points = self.orbit.point(self.exp_origin(t * direction))
            found = self.orbit.solve(points, self._complement, far=False)
            return bool((found.norm(dim=-1) > t - 1e-6 * self.length).all())

        if is_found(FARTHEST * self.length):
            return math.inf
        low, high = 0.0, FARTHEST * self.length
        while high - low > 1e-3 * self.length:
            middle = (low + high) / 2
            low, high = (middle, high) if is_found(middle) else (low, middle)
        return low

    samples = scattered

    def own_samples(self, count: int = 200) -> tuple[Tensor, None]:
        """Where random elements of a compact group move the origin, far apart."""
        if not self.group.is_compact:
            super().own_samples()  # refuses
        return far_apart(self.orbit.point(self.group.sample(8 * count)), count), None


def _expect_batches(group: MatrixGroup, origin: Tensor, action: Action) -> None:
    """ValueError for an origin that is no point, and an action that does not take batches."""
    if origin.dim() != 1 or not len(origin) or not bool(origin.isfinite().all()):
        raise ValueError(
            f"the origin is {origin.tolist()}, expected the coordinates of one point, all of them finite"
        )
    one = torch.eye(group.size, dtype=torch.float64).expand(2, 3, -1, -1)
    points = origin.expand(2, 3, -1)
    try:
        gave = str(tuple(action(one, points).shape))
    except (RuntimeError, IndexError) as error:
        gave = str(error)
    if gave != str(tuple(points.shape)):
        raise ValueError(
            f"the action of elements {tuple(one.shape)} on points {tuple(points.shape)} gave {gave}, "
            f"expected {tuple(points.shape)}; write it for batches, such as (g @ p[..., None])[..., 0]"
        )


def _short(p: Tensor) -> str:
    return "(" + ", ".join(f"{x:.3g}" for x in p[:9].tolist()) + (", ...)" if len(p) > 9 else ")")
