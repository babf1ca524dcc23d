"""Samples of the sphere: nodes, weights, recipes, and what they refuse."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.spaces.spherical import icosahedron, voronoi_areas
from erlangen.spaces.spherical.latitudes import fitted

SPHERE = er.Sphere()
# how to make it, and the degree below which it integrates exactly
GRIDS = {
    "gauss-legendre": (lambda **k: SPHERE.grid(8, **k), 16),
    "equiangular": (lambda **k: SPHERE.grid(9, kind="equiangular", **k), 10),
    "equiangular, even": (lambda **k: SPHERE.grid(8, kind="equiangular", **k), 8),
    "equiangular, no poles": (lambda **k: SPHERE.grid(8, kind="equiangular, no poles", **k), 8),
    "fitted": (lambda **k: SPHERE.from_latlon(LATITUDES, np.arange(16) * 22.5, **k), 6),
    "healpix": (lambda **k: SPHERE.healpix(4, **k), 2),
    "healpix, ring weights": (lambda **k: SPHERE.healpix(4, ring_weights=True, **k), 4),
    "healpix, nested": (lambda **k: SPHERE.healpix(4, nest=True, **k), 2),
    "icosahedral": (lambda **k: SPHERE.icosahedral(2, **k), 6),
    "fibonacci": (lambda **k: SPHERE.fibonacci(300, **k), 1),
}
LATITUDES = np.array([84.0, 62.0, 44.0, 25.0, 8.0, -9.0, -27.0, -45.0, -66.0, -82.0])
NORTH = SPHERE.fibonacci(400).points[:200]  # the half of it
AXIS = torch.tensor([0.48, 0.6, 0.64], dtype=torch.float64)


def integral(domain, degree, axis):
    z = (domain.points @ axis).numpy()
    values = torch.from_numpy(np.polynomial.legendre.Legendre.basis(degree)(z))
    return float((values * domain.weights).sum())


@pytest.mark.parametrize("name", GRIDS)
def test_weights_are_areas_and_exact_to_their_degree(name):
    make, exact = GRIDS[name]
    domain = make()
    torch.testing.assert_close(domain.points.norm(dim=-1), torch.ones(domain.shape).double())
    assert float(domain.weights.sum()) == pytest.approx(4 * math.pi, abs=1e-12)
    about = torch.eye(3).double()[2] if "ring weights" in name or name == "fitted" else AXIS
    for degree in range(1, exact):
        assert abs(integral(domain, degree, about)) < 1e-12
    # and the next even degree is missed: the statement is sharp
    beyond = [abs(integral(domain, l, AXIS)) for l in range(exact, exact + 12)]
    assert max(beyond) > 1e-8


@pytest.mark.parametrize("name", GRIDS)
def test_grids_are_stored_as_recipes(name):
    domain = GRIDS[name][0](rotations=3)
    stored = pickle.dumps(domain)
    assert len(stored) < len(pickle.dumps(domain.geometry)) + 1100
    again = pickle.loads(stored)
    assert torch.equal(again.points, domain.points)
    assert torch.equal(again.weights, domain.weights)
    assert type(again.quadrature) is type(domain.quadrature)
    assert len(again.fibre) == 3
    assert torch.equal(again.frames.basis, domain.frames.basis)
    assert copy.deepcopy(domain) is domain


def test_rows_go_south_and_columns_east():
    for kind in ("gauss-legendre", "equiangular", "equiangular, no poles"):
        p = SPHERE.grid(7, kind=kind).points
        assert (p[1:, 0, 2] < p[:-1, 0, 2]).all()
        assert float(p[3, 0, 1]) == 0
        assert float(p[3, 0, 0]) > 0
        assert float(p[3, 1, 1]) > 0
    assert SPHERE.grid(64, rotations=8).shape == (64, 128)
    poles = SPHERE.grid(73, kind="equiangular")
    assert poles.shape == (73, 144)
    assert torch.equal(poles.points[0, 5], torch.tensor([0.0, 0.0, 1.0]).double())


def test_frames_at_a_pole_are_the_limits_on_the_meridians():
    ball = SPHERE.grid(9, kind="equiangular")
    nearly = torch.tensor([1e-7, math.pi - 1e-7]).double()[:, None]
    phi = ball.interpolation.rings.phi[None]
    points = torch.stack([nearly.sin() * phi.cos(), nearly.sin() * phi.sin(), nearly.cos() + 0 * phi], -1)
    limit = SPHERE.frame(points)
    torch.testing.assert_close(ball.frames.basis[[0, -1]], limit, rtol=0, atol=1e-6)


def test_healpix_is_the_published_grid():
    p = SPHERE.healpix(2).points
    # pixel centres in RING order, Gorski et al. 2005, eqs. (4) to (9)
    z = torch.tensor(
        [1 - 1 / 12] * 4 + [2 / 3] * 8 + [1 / 3] * 8 + [0.0] * 8 + [-1 / 3] * 8 + [-2 / 3] * 8
    ).double()
    torch.testing.assert_close(p[:44, 2], z)
    phi = torch.atan2(p[:, 1], p[:, 0]) % (2 * math.pi)
    torch.testing.assert_close(phi[:4], (torch.arange(4).double() + 0.5) * math.pi / 2)
    torch.testing.assert_close(phi[12:20], torch.arange(8).double() * math.pi / 4)
    torch.testing.assert_close(phi[20:28], (torch.arange(8).double() + 0.5) * math.pi / 4)
    assert SPHERE.healpix(2).is_uniform


def test_icosahedral_levels_are_nested_and_their_areas_those_of_the_cells():
    coarse, fine = icosahedron(1)[0], icosahedron(2)[0]
    assert torch.equal(fine[: len(coarse)], coarse)
    assert len(fine) == 162
    areas = voronoi_areas(SPHERE, fine)
    places = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0)).double()
    places = places / places.norm(dim=1, keepdim=True)
    owner = torch.cat([(part @ fine.T).argmax(1) for part in places.split(20_000)])
    shares = torch.bincount(owner, minlength=162).double() * 4 * math.pi / len(places)
    # 1,200 places in a cell: 3 % each, four deviations
    assert float(((shares - areas) / areas).abs().max()) < 0.13
    assert float((areas[:12] / areas[12:].mean() - 1).abs().max()) > 0.1
    torch.testing.assert_close(areas[:12], areas[:1].expand(12))


def test_scattered_points_get_the_areas_of_their_cells():
    torch.manual_seed(0)
    p = torch.randn(500, 3).double()
    ball = SPHERE.samples(p / p.norm(dim=1, keepdim=True))
    assert float(ball.weights.sum()) == pytest.approx(4 * math.pi, abs=1e-10)
    again = pickle.loads(pickle.dumps(ball))
    assert torch.equal(again.weights, ball.weights)
    assert ball.coarser().shape == (125,)
    assert float(ball.coarser().weights.sum()) == pytest.approx(4 * math.pi, abs=1e-10)


@pytest.mark.parametrize(
    "make", [lambda: SPHERE.healpix(4, degrees=8), lambda: SPHERE.fibonacci(300, degrees=8)]
)
def test_means_of_a_band_are_exact_where_its_bandwidth_is_told(make):
    """P_4 about any axis has mean zero, and the pixels' areas alone do not see that."""
    ball = make()
    f = torch.from_numpy(np.polynomial.legendre.Legendre.basis(4)((ball.points @ AXIS).numpy()))
    assert abs(float(er.nn.mean(ball, f[None, None]))) < 1e-12
    assert abs(float((ball.weights * f).sum())) > 1e-6


def test_fitted_latitudes_know_the_rules_they_meet():
    z, w = np.polynomial.legendre.leggauss(12)
    found = fitted(torch.arccos(torch.from_numpy(z[::-1].copy())))
    assert found.degree >= 11
    torch.testing.assert_close(found.weights, torch.from_numpy(w), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SPHERE.grid(8, kind="square"), "kind is 'square', expected one of 'gauss-legendre'"),
        (lambda: SPHERE.grid(2, kind="equiangular"), "has 2 latitudes, expected at least 3 rings"),
        (lambda: SPHERE.grid(8, 15), "of an even number of samples"),
        (lambda: SPHERE.healpix(0), "nside is 0, expected a whole number of at least 1"),
        (lambda: SPHERE.healpix(6, nest=True), "nside is 6 with nest=True, expected a power of 2"),
        (lambda: SPHERE.icosahedral(-1), "level is -1, expected 0"),
        (lambda: SPHERE.fibonacci(1), "n is 1, expected at least 2"),
        (lambda: SPHERE.samples(torch.rand(5, 2)), r"expected \(n, 3\), unit vectors; from latitude"),
        (lambda: SPHERE.samples(torch.rand(5, 3) + 1), "divide them by their length"),
        (lambda: SPHERE.samples(icosahedron(1)[0][[*range(42), 7]]), r"points 7 and 42 coincide.*remove one"),
        (
            lambda: SPHERE.samples(icosahedron(3)[0][:300][icosahedron(3)[0][:300, 2] > 0.3]),
            "a window is a mask",
        ),
        (
            lambda: er.nn.Correlation(SPHERE.grid(16), 1, 1, radius=0.12),
            "sees 1 of the samples.*a larger radius",
        ),
        (
            lambda: er.nn.Correlation(SPHERE.healpix(4), 1, 1, radius=0.2),
            "sees 1 of the samples.*a larger radius",
        ),
        (lambda: er.Sphere(3).healpix(2), r"lies on S\^2, not on S\^3"),
        (lambda: SPHERE.grid(3, kind="equiangular").coarser(), "has 2 latitudes, expected at least 3 rings"),
        (
            lambda: er.nn.Correlation(SPHERE.samples(NORTH, torch.full((200,), math.pi / 100)), 1, 1),
            "they leave a hole.*radius= for local kernels, or put them into a whole grid with mask=",
        ),
        (
            lambda: SPHERE.samples(icosahedron(3)[0], 1 + 0.9 * icosahedron(3)[0][:, 2]),
            "are not the invariant measure",
        ),
    ],
)
def test_bad_grids_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
