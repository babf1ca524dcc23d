"""The product of two spaces: everything side by side."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from erlangen.arguments import Rotations, checked
from erlangen.domains import Domain, Interpolation, Samples
from erlangen.geometry import Embedding, Frame, Geometry, Measure
from erlangen.groups import MatrixGroup, Stabilizer, StructureGroup, fibre_of, product
from erlangen.spaces.scattered import own, scattered


class Product(Geometry):
    r"""M x N: ``carry((u, w), (a, b)) = (carry(u, a), carry(w, b))``.

    Coordinates of points and components of vectors are those of the factors, one after the other; H is the
    product of theirs, and so is the group that moves it, where both factors name one: matrices as blocks.

    Args:
        one, other: the factors, such as ``er.Sphere()`` and ``er.FlatTorus((2.0,))``.
        measure: "space" or "tangent"; None for that of the factors, which then have to agree.

    Example:
        >>> import erlangen as er
        >>> space = er.Product(er.Sphere(), er.FlatTorus((2.0,)))
        >>> space.holonomy(), space.stabilizer(), space.group
        (SO(2), SO(2), SO(3) x T(1))
    """

    @checked
    def __init__(self, one: Geometry, other: Geometry, *, measure: Measure | None = None) -> None:
        if measure is None and one.measure != other.measure:
            raise ValueError(
                f'the measures of {one} and {other} are "{one.measure}" and "{other.measure}", expected the '
                'same; give measure="space" or "tangent"'
            )
        self.one, self.other = one, other
        self.measure = measure or one.measure
        self.dim, self.ambient = one.dim + other.dim, one.ambient + other.ambient

    def __repr__(self) -> str:
        return f"{self.one} x {self.other}"

    @property
    def sampling(self) -> str:
        return ".grid(one, other), samples of one factor and of the other"

    def is_same(self, other: Geometry) -> bool:
        if not isinstance(other, Product) or self.measure != other.measure:
            return False
        return self.one.is_same(other.one) and self.other.is_same(other.other)

    @cached_property
    def structure(self) -> StructureGroup:  # type: ignore[override]
        H, K = self.one.structure, self.other.structure
        return StructureGroup(_algebra(H.algebra, K.algebra), _elements(H.components, K.components))

    @cached_property
    def group(self) -> MatrixGroup | None:  # type: ignore[override]
        """That of both factors; None where one of them names none."""
        one, other = self.one.group, self.other.group
        return None if one is None or other is None else product(one, other)

    def stabilizer(self) -> Stabilizer:
        """Those of both factors, as blocks."""
        if self.group is None:
            self.refuse_group()
        H, K = self.one.stabilizer(), self.other.stabilizer()
        return Stabilizer(
            _algebra(H.generators, K.generators),
            _elements(H.components, K.components),
            self.structure.name,
            turns=_algebra(H.turns, K.turns),
            jumps=_elements(H.jumps, K.jumps),
            root=None if H.root is None or K.root is None else _block(H.root, K.root),
            is_infinite=H.is_infinite or K.is_infinite,
        )

    def mover(self, u: Frame) -> Tensor:
        if self.group is None:
            self.refuse_group()
        a, b = self._factors(u)
        return _block(self.one.mover(a), self.other.mover(b))

    @property
    def has_closed_section(self) -> bool:
        return self.one.has_closed_section and self.other.has_closed_section

    @property
    def injectivity_radius(self) -> float:  # type: ignore[override]
        """The smaller one."""
        return min(self.one.injectivity_radius, self.other.injectivity_radius)

    @property
    def length(self) -> float:  # type: ignore[override]
        """The smaller one; loops and curvature are those of the factors, each relative to its own."""
        return min(self.one.length, self.other.length)

    @property
    def knows_radius(self) -> bool:  # type: ignore[override]
        """Whether both factors know theirs."""
        return self.one.knows_radius and self.other.knows_radius

    @cached_property
    def origin(self) -> Tensor:
        return torch.cat([self.one.origin, self.other.origin])

    def frame(self, p: Tensor) -> Tensor:
        a, b = self._points(p)
        return _block(self.one.frame(a), self.other.frame(b))

    def carry(self, u: Frame, v: Tensor) -> Frame:
        (a, b), (x, y) = self._factors(u), self._split(v)
        return self._joined(self.one.carry(a, x), self.other.carry(b, y))

    def nearby(self, u: Frame, q: Tensor) -> Frame:
        (a, b), (x, y) = self._factors(u), self._points(q)
        return self._joined(self.one.nearby(a, x), self.other.nearby(b, y))

    def along(self, u: Frame, polygon: Tensor) -> Frame:
        (a, b), (x, y) = self._factors(u), self._points(polygon)
        return self._joined(self.one.along(a, x), self.other.along(b, y))

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        (a, b), (x, y) = self._factors(u), self._points(q)
        return torch.cat([self.one.coordinates(a, x), self.other.coordinates(b, y)], -1)

    def log(self, p: Tensor, q: Tensor) -> Tensor:
        """Those of the factors side by side, each with what it says of ways that it does not find."""
        (a, b), (x, y) = self._points(p), self._points(q)
        return torch.cat([self.one.log(a, x), self.other.log(b, y)], -1)

    def coordinates_nearby(self, u: Frame, q: Tensor) -> Tensor:
        (a, b), (x, y) = self._factors(u), self._points(q)
        return torch.cat([self.one.coordinates_nearby(a, x), self.other.coordinates_nearby(b, y)], -1)

    def distance_nearby_of_pairs(self, p: Tensor, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        (a, b), (x, y) = self._points(p), self._points(q)
        return torch.hypot(
            self.one.distance_nearby_of_pairs(a, x, i, j), self.other.distance_nearby_of_pairs(b, y, i, j)
        )

    def density(self, v: Tensor) -> Tensor:
        x, y = self._split(v)
        return self.one.density(x) * self.other.density(y)

    def density_at(self, u: Frame, v: Tensor) -> Tensor:
        (a, b), (x, y) = self._factors(u), self._split(v)
        return self.one.density_at(a, x) * self.other.density_at(b, y)

    def home(self, p: Tensor) -> Tensor:
        a, b = self._points(p)
        return torch.cat([self.one.home(a), self.other.home(b)], -1)

    def contains(self, p: Tensor) -> Tensor:
        a, b = self._points(p)
        return self.one.contains(a) & self.other.contains(b)

    @property
    def embedding(self) -> Embedding | None:
        """What is seen of the first factor."""
        seen = self.one.embedding
        if seen is None:
            return None
        return Embedding(lambda p: seen.place(self._points(p)[0]), seen.patch, seen.extent, seen.outline)

    @property
    def matrix_size(self) -> int | None:
        sizes = (self.one.matrix_size, self.other.matrix_size)
        return None if None in sizes else sum(sizes)  # type: ignore[arg-type]

    def act(self, g: Tensor, u: Frame) -> Frame:
        """Symmetries of both factors: the matrices that they take, as blocks."""
        (a, b), (h, k) = self._factors(u), self._blocks(g)
        return self._joined(self.one.act(h, a), self.other.act(k, b))

    def factors(self, g: Tensor) -> list[tuple[Geometry, Tensor]]:
        h, k = self._blocks(g)
        return [*self.one.factors(h), *self.other.factors(k)]

    def expect_symmetry(self, g: Tensor) -> None:
        size = self.matrix_size
        if size is None:
            return  # `act` refuses
        if tuple(g.shape[-2:]) != (size, size):
            raise ValueError(
                f"g has shape {tuple(g.shape)}, expected {size} x {size}: the matrices that the factors of "
                f"{self} take, as blocks"
            )
        h, k = self._blocks(g)
        if not torch.equal(_block(h, k), g):
            raise ValueError(
                f"g mixes the factors of {self}, expected [[g, 0], [0, h]], with g for the first and h for "
                "the second one; an isometry that does is a function, as er.verify.isometry takes it"
            )
        self.one.expect_symmetry(h)
        self.other.expect_symmetry(k)

    def _blocks(self, g: Tensor) -> tuple[Tensor, Tensor]:
        cut = self.one.matrix_size or g.shape[-1] // 2
        return g[..., :cut, :cut], g[..., cut:, cut:]

    samples = scattered

    def own_samples(self, count: int = 500) -> tuple[Tensor, Tensor]:
        """Those of one factor beside those of the other."""
        share = count ** (self.one.dim / self.dim)
        try:
            (p, a), (q, b) = (
                own(factor, round(n)) for factor, n in ((self.one, share), (self.other, count / share))
            )
        except ValueError:  # of a factor without an end
            return super().own_samples(count)  # type: ignore[return-value]
        return beside(p, q).flatten(0, 1), (a[:, None] * b).flatten()

    @checked
    def grid(
        self,
        one: Domain,
        other: Domain,
        *,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Samples of one factor beside those of the other, ``(*space, *space)``.

        Args:
            one, other: samples of the factors, such as ``er.Sphere().grid(8)``.
            rotations: the samples of the fibre, where H is SO(2) or O(2); None for scalar fields, or for all
                of a finite H.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
        """
        for geometry, domain in ((self.one, one), (self.other, other)):
            if not geometry.is_same(domain.geometry):
                raise ValueError(f"these are samples of {domain.geometry}, expected samples of {geometry}")
        points, weights = beside(one.points, other.points), one.weights[..., None] * other.weights.flatten()
        reading = Beside(one, other)
        fibre = fibre_of(self.structure, rotations, reflections)
        weights = weights.unflatten(-1, other.weights.shape)
        return Samples(self, points, weights, fibre=fibre, interpolation=reading).masked(mask)

    def curvature(self, u: Frame) -> Tensor:
        a, b = self._factors(u)
        return self._diagonal(self.one.curvature(a), self.other.curvature(b))

    def relative_curvature(self, u: Frame) -> Tensor:
        a, b = self._factors(u)
        return self._diagonal(self.one.relative_curvature(a), self.other.relative_curvature(b))

    def _diagonal(self, R: Tensor, S: Tensor) -> Tensor:
        n = self.one.dim
        both = R.new_zeros(*R.shape[:-4], *[self.dim] * 4)
        both[..., :n, :n, :n, :n], both[..., n:, n:, n:, n:] = R, S
        return both

    def loops(self, u: Frame, share: Tensor, seed: int = 0) -> Tensor:
        a, b = self._factors(u)
        return self._side_by_side(self.one.loops(a, share, seed), self.other.loops(b, share, seed + 1))

    def ways(self, count: int, seed: int = 0) -> Tensor:
        return self._side_by_side(self.one.ways(count, seed), self.other.ways(count, seed + 1))

    def _side_by_side(self, a: Tensor, b: Tensor) -> Tensor:
        length = max(a.shape[1], b.shape[1])
        return torch.cat([_waiting(a, length), _waiting(b, length)], -1)

    def circuits(self) -> list[Tensor]:
        p, q = self.one.origin, self.other.origin
        first = [torch.cat([c, q.expand(len(c), -1)], -1) for c in self.one.circuits()]
        return first + [torch.cat([p.expand(len(c), -1), c], -1) for c in self.other.circuits()]

    # the factors

    def _points(self, p: Tensor) -> tuple[Tensor, Tensor]:
        return p[..., : self.one.ambient], p[..., self.one.ambient :]

    def _split(self, v: Tensor) -> tuple[Tensor, Tensor]:
        return v[..., : self.one.dim], v[..., self.one.dim :]

    def _factors(self, u: Frame) -> tuple[Frame, Frame]:
        (a, b), m, n = self._points(u.point), self.one.ambient, self.one.dim
        return Frame(a, u.basis[..., :m, :n]), Frame(b, u.basis[..., m:, n:])

    def _joined(self, a: Frame, b: Frame) -> Frame:
        return Frame(torch.cat([a.point, b.point], -1), _block(a.basis, b.basis))


@dataclass(frozen=True, eq=False)
class Beside(Interpolation):
    """Read in one factor, then in the other.

    Args:
        one, other: samples of the factors.
    """

    one: Domain
    other: Domain

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        m = self.one.geometry.ambient
        i, w = self.one.interpolation.read(p[..., :m])
        j, v = self.other.interpolation.read(p[..., m:])
        index = i[..., :, None] * self.other.weights.numel() + j[..., None, :]
        return index.flatten(-2), (w[..., :, None] * v[..., None, :]).flatten(-2)


def beside(p: Tensor, q: Tensor) -> Tensor:
    """Every point ``(*space, m)`` beside every other one ``(*space, k)``."""
    one, other = p.shape[:-1], q.shape[:-1]
    p = p.view(*one, *[1] * len(other), -1).expand(*one, *other, -1)
    return torch.cat([p, q.expand(*one, *other, -1)], -1)


def _block(a: Tensor, b: Tensor) -> Tensor:
    """``[[a, 0], [0, b]]``."""
    above = torch.cat([a, a.new_zeros(*a.shape[:-1], b.shape[-1])], -1)
    below = torch.cat([b.new_zeros(*b.shape[:-1], a.shape[-1]), b], -1)
    return torch.cat([above, below], -2)


def _algebra(X: Tensor, Y: Tensor) -> Tensor:
    """The matrices of one list beside zeros, then zeros beside those of the other."""
    none, left = X.new_zeros(len(X), *Y.shape[-2:]), Y.new_zeros(len(Y), *X.shape[-2:])
    return torch.cat([_block(X, none), _block(left, Y)])


def _elements(g: Tensor, h: Tensor) -> Tensor:
    """Each matrix of one list beside each of the other."""
    n, m = len(g), len(h)
    return _block(g.repeat_interleave(m, 0), h.repeat(n, 1, 1))


def _waiting(polygon: Tensor, length: int) -> Tensor:
    """The polygon with its last point repeated."""
    last = polygon[:, -1:].expand(-1, length - polygon.shape[1], -1)
    return torch.cat([polygon, last], 1)
