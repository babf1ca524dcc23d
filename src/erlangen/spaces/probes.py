"""A look at a metric before it is used: is it one, how far do geodesics go, where does it curve."""

import itertools
import math
from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.derivative import partials
from erlangen.geometry.lattices import nearest
from erlangen.spaces.metric_field import MetricField

PROBES = 1024
WIDE = 3.0  # half of all probes of an axis without an end lie this close to zero, in units of `open_length`
LEGS = 8
DIRECTIONS, OCTAVES, HALVINGS = 64, 64, 54
EQUAL = 1e-6  # of curvature: what differs by less, or is less relative to the size of the space, is the same
CHANGED = 0.75  # of the metric, relative to itself at the origin
ROUNDING = 1e-9  # of a metric relative to itself, of curvature relative to the size of the space


class Probes:
    """What points all over a metric field tell of it."""

    def __init__(self, field: MetricField) -> None:
        self.field = field

    def points(self, count: int = PROBES, seed: int = 0) -> Float[Tensor, "count n"]:
        """Points all over the box: even where it ends or comes round, else more of them near zero."""
        field = self.field
        generator = torch.Generator().manual_seed(seed)
        t = torch.rand(count, field.dim, generator=generator, dtype=torch.float64)
        even = field.low + t * (field.high - field.low)
        wide = WIDE * self.open_length / self.unit_lengths
        return torch.where(even.isfinite(), even, wide * torch.tan(0.97 * math.pi * (t - 0.5)))

    @cached_property
    def unit_lengths(self) -> Float[Tensor, "n"]:
        """The lengths of the coordinate vectors at the origin; 1 where the metric is none there."""
        root = self.field.raw(self.field.origin).diagonal().abs().sqrt()
        return torch.where(root.isfinite() & (root > 0), root, 1.0)

    @cached_property
    def open_length(self) -> float:
        """How far from the origin the metric has changed along the axes without an end; inf without them.

        Where it never seems to, the shortest of the other axes; without them one step of the coordinates.
        """
        field = self.field
        is_open, root = ~(field.high - field.low).isfinite(), self.unit_lengths
        closed = ((field.high - field.low) * root)[~is_open].tolist()
        if not bool(is_open.any()):
            return math.inf
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(DIRECTIONS, field.dim, generator=generator, dtype=torch.float64) * is_open
        directions = directions / directions.norm(dim=-1, keepdim=True) / root
        here = field.raw(field.origin)

        def change(s: Tensor) -> Tensor:
            g = field.raw(field.origin + s[..., None] * directions)
            return ((g - here) / (root[:, None] * root)).abs().amax((-2, -1)).nan_to_num(math.inf)

        octaves = root.min() * 2.0 ** (torch.arange(-2 * OCTAVES, 2 * OCTAVES + 1, dtype=torch.float64) / 2)
        changes = change(octaves[:, None].expand(-1, DIRECTIONS))
        most = min(CHANGED, float(changes.max()) / 2)
        first = (changes >= most).int().argmax(0)  # zero where it never changes so much
        if not (most > ROUNDING and bool(first.any())):
            return min(closed, default=float(root.min()))
        low, high = octaves[(first - 1).clamp_min(0)], octaves[first]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = change(middle) >= most
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return float(high[first > 0].median())

    @cached_property
    def length(self) -> float:
        """The shortest axis, or the usual radius of curvature, if that is less."""
        field = self.field
        sides = field.raw(self.points()).diagonal(dim1=-2, dim2=-1).sqrt().median(0).values
        sides = sides * (field.high - field.low)
        size = min([*sides[sides.isfinite()].tolist(), self.open_length])
        bend = float(self.bivector_curvatures.abs().amax(-1).median())
        return min(size, 1 / math.sqrt(bend)) if bend * size**2 > ROUNDING else size

    @cached_property
    def bivector_curvatures(self) -> Float[Tensor, "probe pair"]:
        """The eigenvalues of the curvature operator on bivectors, between which sectional curvature lies."""
        field = self.field
        n = field.dim
        if n == 1:
            return torch.zeros(1, 1, dtype=torch.float64)
        R = field.curvature(field.frames(self.points()))
        i, j = torch.triu_indices(n, n, offset=1)
        operator = R[:, i[:, None], j[:, None], i, j]  # <R(e_i, e_j) e_l, e_k>
        return torch.linalg.eigvalsh((operator + operator.mT) / 2)

    @cached_property
    def radius(self) -> float:
        r"""``min(pi / sqrt(K), length / 2)``: the largest curvature, the shortest way round the periods.

        Klingenberg's theorem, K and the length being those of probes.
        """
        field = self.field
        x = self.points()
        K = float(self.bivector_curvatures.max())
        radius = math.pi / math.sqrt(K) if K * self.length**2 > ROUNDING else math.inf
        return min([radius, *(float(_lengths(field, *ends).min()) / 2 for ends in _once_round(field, x))])

    def ways(self, count: int, seed: int) -> Float[Tensor, "count k n"]:
        """Straight lines from the origin to even probes, and to those where curvature is largest."""
        field = self.field
        x = self.points(seed=seed)
        R = torch.linalg.vector_norm(field.curvature(field.frames(x)).flatten(1), dim=1)
        # where curvature is the same everywhere but for rounding, that does not choose
        most = torch.maximum(R.max(), EQUAL / R.new_tensor(self.length**2))
        steepest = (R / (EQUAL * most)).round().argsort(descending=True, stable=True)[: count // 2]
        places = torch.cat([x[: count - len(steepest)], x[steepest]])
        t = torch.arange(1, LEGS + 1, dtype=torch.float64)[:, None] / LEGS
        return field.origin + t * (places - field.origin)[:, None]

    def expect_metric(self) -> None:
        """ValueError for what is no metric, a gluing that does not keep it, a connection that does not."""
        field = self.field
        n, x = field.dim, torch.zeros(3, field.dim, dtype=torch.float64) + field.origin
        g = field.function(x)
        if g.shape[-2:] != (n, n) or g.dim() > 3:
            raise ValueError(
                f"the metric gave shape {tuple(g.shape)} for points {tuple(x.shape)}, expected "
                f"(..., {n}, {n}) for points (..., {n})"
            )
        x = self.points()
        g = field.raw(x)
        off = (g - g.mT).abs().amax((-2, -1))
        if not bool((relative_to_axes(g - g.mT, g) <= ROUNDING).all()):
            raise ValueError(
                f"the metric is not symmetric at {_worst(x, off)}, where g_ij - g_ji is "
                f"{float(off.max()):.2g}; expected g_ij = g_ji: give (g + g^T) / 2"
            )
        lowest = torch.linalg.eigvalsh(_without_units(g, g))[:, 0]
        if not bool((lowest > 0).all()):
            raise ValueError(
                f"the metric is not positive definite at {_worst(x, -lowest)}, where its lowest eigenvalue "
                f"is {float(lowest.min()):.2g} on axes of unit length; expected more than zero: "
                "bounds= leaves such points out"
            )
        self._expect_isometries(x, g)
        if field.connection is not None:
            self._expect_metric_connection(x)

    def _expect_isometries(self, x: Float[Tensor, "k n"], g: Float[Tensor, "k n n"]) -> None:
        field = self.field
        for deck in field.decks:
            A, axis = deck.matrix, deck.axis
            along = A[:, axis] - torch.eye(field.dim).to(A)[:, axis]
            change = A.T @ field.raw(deck.image(x)) @ A - g
            off = change.abs().amax((-2, -1))
            if not bool((relative_to_axes(change, g) <= 1e-7).all()) or float(along.abs().max()) > 1e-12:
                raise ValueError(
                    f"the gluing of axis {axis} is no isometry: at {_worst(x, off)} the metric changes by "
                    f"{float(off.max()):.2g}; expected A^T g(A x + period e) A = g(x), A e = e along "
                    "that axis"
                )

    def _expect_metric_connection(self, x: Float[Tensor, "k n"]) -> None:
        field = self.field
        g, D = partials(field, x)
        Gamma = field.christoffel(x)
        lower = torch.einsum("...lik,...lm->...imk", Gamma, g)
        root = g.diagonal(dim1=-2, dim2=-1).sqrt()
        unit = root[:, :, None, None] * root[:, None, :, None] * root[:, None, None, :]
        off = ((D.movedim(0, 1) - lower - lower.mT) / unit).abs().amax((-3, -2, -1))
        size = torch.maximum((lower / unit).abs().amax((-3, -2, -1)), 1 / g.new_tensor(self.length))
        if not bool((off <= 1e-7 * size).all()):
            raise ValueError(
                f"the connection is not metric: at {_worst(x, off)} transport changes lengths, by "
                f"{float((off / size).max()):.2g} of what it does; expected d_i g_jk = Gamma_kij + Gamma_jik"
            )


def _without_units(a: Float[Tensor, "k n n"], g: Float[Tensor, "k n n"]) -> Float[Tensor, "k n n"]:
    """``a_ij / sqrt(g_ii g_jj)``: as in coordinates in which the axes have unit length."""
    root = g.diagonal(dim1=-2, dim2=-1).abs().sqrt()
    root = torch.where(root > 0, root, 1.0)
    return a / (root[:, :, None] * root[:, None, :])


def relative_to_axes(a: Float[Tensor, "k n n"], g: Float[Tensor, "k n n"]) -> Float[Tensor, "k"]:
    """The largest entry of ``a_ij / sqrt(g_ii g_jj)``."""
    return _without_units(a, g).abs().amax((-2, -1))


def _worst(x: Tensor, off: Tensor) -> list[float]:
    return [round(value, 3) for value in x[off.nan_to_num(math.inf).argmax()].tolist()]


def _once_round(field: MetricField, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Points, and those images that may be nearest to them: by few turns, and by short translations."""
    powers = [range(deck.order) if deck.order else range(-1, 2) for deck in field.decks]
    for word in itertools.product(*powers):
        p = torch.cat([x, _least_moved(field, word)])
        g = field(p)
        short = field.decks.translations(g)  # (p, k, n)
        end = field.decks.image(word, p)
        end = end - nearest(short, g, end - p) if short.shape[1] else end
        for copies in itertools.product((-1, 0, 1), repeat=short.shape[1]):
            if any(word) or any(copies):
                yield p, end + (short.new_tensor(copies) @ short)


def _least_moved(field: MetricField, word: tuple[int, ...]) -> Tensor:
    """The point that ``x -> A x + t`` moves least, as the metric at the origin measures it, or none."""
    one = torch.eye(field.dim, dtype=torch.float64)
    t = field.decks.image(word, torch.zeros_like(one[:1]))  # (1, n)
    turned = (field.decks.image(word, one) - t).T - one
    half = torch.linalg.cholesky(field(field.origin)).T
    x = field.home(-(torch.linalg.pinv(half @ turned) @ (half @ t.T)).T)
    return x[field.contains(x)]


def _lengths(field: MetricField, x: Tensor, end: Tensor) -> Tensor:
    """The lengths of straight lines of coordinates."""
    t = (torch.arange(32, dtype=torch.float64)[:, None, None] + 0.5) / 32
    d = end - x
    g = field(x + t * d)
    return torch.einsum("pi,tpij,pj->tp", d, g, d).sqrt().mean(0)
