"""Distances on flat tori and their quotients, against all images that there are in a large box."""

import itertools
import math

import pytest
import torch

import erlangen as er
from erlangen.geometry.lattices import reduced
from erlangen.spaces.flat_quotient import FlatQuotient

BOX = {1: 40, 2: 60, 3: 9, 4: 4}


def flat(gram, periods=None, glue=None):
    """The chart of a constant metric; its geodesics are straight."""
    n = len(gram)

    def metric(x):
        return gram.to(x).expand(*x.shape[:-1], n, n)

    return er.Chart(metric, dim=n, periods=periods or (1.0,) * n, glue=glue, steps=1)


def copies(n):
    reach = BOX[n]
    return torch.tensor(list(itertools.product(range(-reach, reach + 1), repeat=n)), dtype=torch.float64)


def lattices(n, count):
    """Random bases as rows, every third of them very skew (condition 1e6), in several units."""
    generator = torch.Generator().manual_seed(n)
    for number in range(count):
        A = torch.randn(n, n, generator=generator, dtype=torch.float64)
        if n > 1 and number % 3 == 0:
            A[0] = 1.7 * A[-1] + 0.003 * torch.randn(n, generator=generator, dtype=torch.float64)
        if torch.linalg.cond(A) < 3e3:  # or the Gram matrix itself says too little
            yield 10.0 ** (3 * (number % 5) - 6) * A


def shortest(A, d, box, but_zero=False):
    """The least length of d plus lattice vectors: near d, and near what rounding in short ones leaves."""
    T = reduced(A @ A.T)
    assert float(torch.linalg.det(T).abs()) == pytest.approx(1.0)
    rest = d - (d @ torch.linalg.inv(T)).round() @ T
    lengths = torch.minimum(
        ((d[:, None] - box) @ A).norm(dim=-1), ((rest[:, None] - box @ T) @ A).norm(dim=-1)
    )
    lengths = lengths if not but_zero else lengths.masked_fill((box == 0).all(-1), math.inf)
    return lengths.amin(1)


@pytest.mark.parametrize(("n", "count"), [(1, 3), (2, 12), (3, 6), (4, 4)])
def test_distance_and_radius_of_skew_tori_are_exact(n, count):
    for A in lattices(n, count):
        _is_exact(A, copies(n))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "count"), [(1, 20), (2, 200), (3, 100), (4, 60)])
def test_distance_and_radius_of_many_skew_tori_are_exact(n, count):
    for A in lattices(n, count):
        _is_exact(A, copies(n))


def _is_exact(A, box):
    n = len(A)
    torus = flat(A @ A.T)
    p, q = torch.rand(2, 8, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, true = torus.distance(p, q), shortest(A, q - p, box)
    torch.testing.assert_close(found, true, rtol=1e-7, atol=0)
    loop = float(shortest(A, torch.zeros(1, n).double(), box, but_zero=True))
    assert torus.injectivity_radius == pytest.approx(loop / 2, rel=1e-7)


def test_a_radius_above_that_of_a_skew_torus_is_refused():
    torus = flat(torch.tensor([[1.0, 2.3], [2.3, 5.4]], dtype=torch.float64))
    grid = torus.grid(8, 8)
    assert torus.injectivity_radius == pytest.approx(math.sqrt(0.05), rel=1e-12)
    p, q = torch.tensor([[0.05, 0.05], [0.95, 0.55]], dtype=torch.float64)
    assert float(torus.distance(p, q)) == pytest.approx(math.sqrt(0.03), rel=1e-12)
    with pytest.raises(ValueError, match=r"radius is 0.45, expected a positive length up to .* 0.2236"):
        er.correlate(grid, lambda v: 1 + 0 * v[..., 0], torch.ones(8, 8), radius=0.45)
    one = er.correlate(grid, lambda v: 1 + 0 * v[..., 0], lambda p: 1 + 0 * p[..., 0], radius=0.22)
    torch.testing.assert_close(one, torch.full((8, 8), math.pi * 0.22**2).double(), rtol=1e-6, atol=0)


QUOTIENTS = {
    "strip": [(0, (1.0, -1.0))],
    "klein": [(0, (1.0, -1.0)), (1, (1.0, 1.0))],
    "half turn": [(0, (1.0, -1.0, -1.0)), (1, (1.0, 1.0, 1.0)), (2, (1.0, 1.0, 1.0))],
    "mirrors of mirrors": [(2, (1.0, 1.0, 1.0)), (1, (1.0, 1.0, -1.0)), (0, (1.0, -1.0, 1.0))],
    "four axes": [(1, (1.0,) * 4), (3, (1.0, -1.0, 1.0, 1.0)), (0, (1.0, -1.0, -1.0, 1.0))],
}


def images(gluings, lengths, q, most=3):
    """All products of up to so many of each gluing, on q."""
    found = [q]
    for axis, signs in gluings:
        once = torch.diag(torch.tensor(signs, dtype=torch.float64))
        step = torch.zeros(len(signs), dtype=torch.float64)
        step[axis] = lengths[axis]
        found = [
            x @ torch.linalg.matrix_power(once, k) + k * step for x in found for k in range(-most, most + 1)
        ]
    return torch.stack(found)


@pytest.mark.parametrize("name", QUOTIENTS)
@pytest.mark.parametrize("kind", ["quotient", "chart"])
def test_distances_on_quotients_that_mirror(name, kind):
    gluings = QUOTIENTS[name]
    n, glued = len(gluings[0][1]), {axis for axis, _ in gluings}
    for lengths in ((1.0, 3.0, 0.4, 2.0)[:n], (5e3, 1e3, 1e3, 2e3)[:n], (1.0, 0.11, 1.3, 0.7)[:n]):
        if kind == "quotient":
            widths = [math.inf if axis in glued else lengths[axis] for axis in range(n)]
            space = FlatQuotient(
                [er.Deck.along(axis, lengths[axis], signs) for axis, signs in gluings], widths
            )
        else:
            periods = [lengths[axis] if axis in glued else None for axis in range(n)]
            glue = {axis: torch.diag(torch.tensor(signs)) for axis, signs in gluings}
            space = flat(torch.eye(n).double(), periods, glue)
        generator = torch.Generator().manual_seed(0)
        p, q = torch.tensor(lengths) * (torch.rand(2, 30, n, generator=generator).double() - 0.3)
        every = images(gluings, lengths, q)
        true = (every - p).norm(dim=-1).amin(0)
        torch.testing.assert_close(space.distance(p, q), true, rtol=1e-9, atol=0)
        torch.testing.assert_close(space.distance(q, p), true, rtol=1e-9, atol=0)
        torch.testing.assert_close(space.home(space.home(p)), space.home(p))


@pytest.mark.parametrize("angle", [0.5, 2 * math.pi / 3, 2 * math.pi / 7, 2 * math.pi / 40, 3.0])
def test_distances_on_mapping_tori_far_from_the_axis(angle):
    space = er.MappingTorus(angle)
    c, s = math.cos(angle), math.sin(angle)
    A = torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]], dtype=torch.float64)  # rows
    generator = torch.Generator().manual_seed(0)
    p, q = torch.tensor([20.0, 20.0, 1.0]) * (torch.rand(2, 40, 3, generator=generator).double() - 0.5)
    step = torch.tensor([0.0, 0.0, 1.0]).double()
    every = torch.stack([q @ torch.linalg.matrix_power(A, k) + k * step for k in range(-60, 61)])
    true = (every - p).norm(dim=-1).amin(0)
    torch.testing.assert_close(space.distance(p, q), true, rtol=1e-9, atol=0)
    assert space.injectivity_radius == pytest.approx(0.5, rel=1e-12)


def test_a_metric_that_varies_starts_from_its_own_nearest_image():
    """A wavy torus in coordinates x + 3 y, whose straight lines from there are the short ones."""

    def metric(x):
        u = torch.tensor([[1.0, 3.0], [0.0, 1.0]], dtype=x.dtype)
        bump = 1 + 0.1 * torch.sin(2 * math.pi * x[..., 1])
        return bump[..., None, None] * (u.T @ u)

    torus = er.Chart(metric, dim=2, periods=(1.0, 1.0))
    p, q = torch.tensor([[0.1, 0.2], [0.2, 0.9]]).double()
    straight = er.Chart(
        lambda x: (1 + 0.1 * torch.sin(2 * math.pi * x[..., 1]))[..., None, None] * torch.eye(2).to(x),
        dim=2,
        periods=(1.0, 1.0),
    )
    u = torch.tensor([[1.0, 3.0], [0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(torus.distance(p, q), straight.distance(p @ u.T, q @ u.T), rtol=1e-8, atol=0)
    assert torus.injectivity_radius == pytest.approx(straight.injectivity_radius, rel=1e-2)


def test_gluings_that_mirror_each_other_are_refused():
    gluings = [er.Deck.along(0, 1.0, (1.0, -1.0)), er.Deck.along(1, 1.0, (-1.0, 1.0))]
    with pytest.raises(ValueError, match="turn each other's axes, expected an order"):
        FlatQuotient(gluings, [math.inf, math.inf])
    with pytest.raises(ValueError, match=r"without decks, expected at least one; use er.Euclidean"):
        FlatQuotient([], [1.0])
    with pytest.raises(ValueError, match="turn each other's axes, expected an order"):
        flat(
            torch.eye(2).double(),
            glue={0: torch.diag(torch.tensor([1.0, -1])), 1: torch.diag(torch.tensor([-1.0, 1]))},
        )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_points_that_are_none_have_no_distance(bad):
    for space in (er.KleinBottle(), er.MappingTorus(0.5)):
        p = torch.zeros(space.dim).double()
        assert not bool(space.distance(p, p + bad).isfinite())
