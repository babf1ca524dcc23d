"""Harmonics at any points: what they read, round trips, least squares, what the points do not carry."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

import erlangen as er
from erlangen.engines import Scattered
from erlangen.engines.scattered_harmonics import Reading, chebyshev, lanczos

SPHERE = er.Sphere()


def scattered(n, **options):
    """Points at random, moved apart so that no hole is large."""
    p = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)).double()
    p = torch.nn.functional.normalize(p, dim=1)
    for _ in range(20):
        d = p[:, None] - p
        push = (d / (d.norm(dim=-1, keepdim=True) ** 3 + 1e-6)).sum(1)
        p = torch.nn.functional.normalize(p + 0.5 / n * push, dim=1)
    return SPHERE.samples(p, **options)


UNEVEN = np.array([84.0, 62.0, 44.0, 25.0, 8.0, -9.0, -27.0, -45.0, -66.0, -82.0])
# how to make it, and the bandwidth that it carries
GRIDS = {
    "HEALPix": (lambda **k: SPHERE.healpix(8, **k), 16),
    "HEALPix, ring weights": (lambda **k: SPHERE.healpix(8, ring_weights=True, **k), 16),
    "icosahedral": (lambda **k: SPHERE.icosahedral(3, **k), 14),
    "Fibonacci": (lambda **k: SPHERE.fibonacci(800, **k), 16),
    "a user's points": (lambda **k: scattered(500, **k), 10),
    "rings that are no mirror images": (lambda **k: SPHERE.from_latlon(UNEVEN, np.arange(20) * 18.0, **k), 8),
}


def angles(domain):
    p = domain.points.flatten(0, -2)
    return torch.atan2(torch.hypot(p[:, 0], p[:, 1]), p[:, 2]), torch.atan2(p[:, 1], p[:, 0])


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 2e-6), (torch.float64, 1e-10)], ids=str)
@pytest.mark.parametrize("name", GRIDS)
def test_fields_come_back_and_harmonics_are_what_they_are(name, dtype, bar):
    domain, L = GRIDS[name][0](rotations=4), GRIDS[name][1]
    assert domain.degrees == L
    theta, phi = (x.numpy() for x in angles(domain))
    for l, m in ((0, 0), (3, 2), (L - 1, L - 1), (L - 1, 0), (L - 2, 1)):
        Y = torch.from_numpy(sph_harm_y(l, m, theta, phi)).view(domain.shape)
        c = domain.analyze(torch.stack([Y.real, Y.imag]).to(dtype))
        expected = torch.zeros(L, L, dtype=torch.complex128)
        expected[l, m] = 1
        assert float((c[0] + 1j * c[1] - expected).abs().max()) < bar
        back = domain.synthesize(torch.stack([expected, -1j * expected]).to(c.dtype))
        scale = 2 if m else 1
        assert float((back - scale * torch.stack([Y.real, Y.imag])).abs().max()) < 2 * bar
    for field in ("vector", "regular"):
        f = torch.randn(2, *((2,) if field == "vector" else (4,)), *domain.shape, dtype=dtype)
        c = domain.analyze(f, field)
        again = domain.analyze(domain.synthesize(c, field), field)
        assert float((again - c).norm() / c.norm()) < bar


def test_vectors_are_gradients_in_the_frames_of_the_points():
    """grad Y_lm has the columns n = -1 and 1 alone, equal but for their sign: sqrt(l (l + 1) / 2) each."""
    domain = SPHERE.fibonacci(400, rotations=3)
    p, E = domain.points, domain.frames.basis
    z = p[:, 2]
    # grad of P(z) with P = z^3 - 0.6 z, of degree 3 alone, and its c_30
    slope = 3 * z**2 - 0.6
    gradient = torch.einsum("pmi,m,p->ip", E, torch.tensor([0, 0, 1.0]).double(), slope)
    scalar = domain.analyze(z**3 - 0.6 * z)
    c = domain.analyze(gradient, "vector")
    size = math.sqrt(3 * 4) / 2 * abs(complex(scalar[3, 0]))
    for n in range(2):
        assert abs(complex(c[n, 3, 0])) == pytest.approx(size, rel=1e-9)
        others = c[n].clone()
        others[3, 0] = 0
        assert float(others.abs().max()) < 1e-10


def test_analysis_is_the_fit_of_least_squares():
    """Against the dense problem, on a field that the harmonics do not hold."""
    domain, L = SPHERE.icosahedral(1, degrees=4), 4
    theta, phi = (x.numpy() for x in angles(domain))
    columns, places = [], []
    for l in range(L):
        for m in range(l + 1):
            Y = sph_harm_y(l, m, theta, phi)
            columns += [Y.real] if m == 0 else [2 * Y.real, -2 * Y.imag]
            places += [(l, m, 1)] if m == 0 else [(l, m, 1), (l, m, 1j)]
    A, root = torch.from_numpy(np.stack(columns, 1)), domain.weights.sqrt()
    f = torch.randn(domain.shape, dtype=torch.float64)
    x = torch.linalg.lstsq(root[:, None] * A, (root * f)[:, None]).solution[:, 0]
    expected = torch.zeros(L, L, dtype=torch.complex128)
    for value, (l, m, unit) in zip(x.tolist(), places, strict=True):
        expected[l, m] += value * unit
    torch.testing.assert_close(domain.analyze(f), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("field", ["scalar", "regular"])
def test_gradients(field):
    domain = SPHERE.fibonacci(24, degrees=3, rotations=4)
    f = torch.randn(1, *((4,) if field == "regular" else ()), *domain.shape).double().requires_grad_()
    c = domain.analyze(f.detach(), field).requires_grad_()
    for run, x in ((domain.analyze, f), (domain.synthesize, c)):
        assert torch.autograd.gradcheck(lambda x, run=run: run(x, field), (x,), fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda x, run=run: run(x, field), (x,), fast_mode=True)


def test_the_transposed_sum_is_the_transpose():
    domain = SPHERE.fibonacci(60, degrees=4, rotations=5)
    theta, phi = angles(domain)
    reading, of = Reading(theta, phi, 4, torch.float64), domain.spectral.frequencies("regular")
    x = torch.randn(1, 1, len(of.into), 60, dtype=torch.float64)
    c = reading.transposed(torch.randn_like(x), of)
    left = float((reading.synthesize(c, of) * x).sum())
    both = torch.view_as_real(c) * torch.view_as_real(reading.transposed(x, of))
    k = torch.tensor([1.0 if n == 0 else 0.5 for n in of.columns]).double()[:, None]  # C_n, S_n to F_n, F_-n
    weighed = both * torch.where(k == 1, 1.0, k)
    assert left == pytest.approx(float(2 * weighed.sum() - weighed[:, 0].sum()), rel=1e-10)


def test_the_steps_solve():
    torch.manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))
    N = q @ torch.diag(torch.tensor([0.5, 0.7, 1.0, 1.4]).double()) @ q.T
    b = torch.randn(4, 1, dtype=torch.float64) + 0j

    def normal(c):
        return (N + 0j) @ c

    low, high = lanczos(normal, b, 10)
    assert (low, high) == pytest.approx((0.5, 1.4), abs=1e-6)
    errors = [float((normal(chebyshev(normal, b, 0.5, 1.4, k)) - b).norm() / b.norm()) for k in (4, 8, 30)]
    assert errors[2] < 1e-14
    rate = (math.sqrt(2.8) - 1) / (math.sqrt(2.8) + 1)
    assert errors[0] < 2 * rate**5 * 1.5
    assert errors[1] < 2 * rate**9 * 1.5


def test_they_are_stored_with_the_grid():
    for domain in (SPHERE.healpix(2, degrees=3), scattered(60, degrees=3), scattered(60)):
        again = pickle.loads(pickle.dumps(domain))
        assert type(again) is type(domain)
        assert again.degrees == domain.degrees
        f = torch.randn(domain.shape, dtype=torch.float64)
        assert torch.equal(again.analyze(f), domain.analyze(f))
    assert SPHERE.healpix(4, degrees=7).coarser().degrees == 4
    assert scattered(200, degrees=6).coarser().degrees == 3


def hole():
    p = SPHERE.fibonacci(150).points
    return SPHERE.samples(p[p[:, 2] < 0.6], degrees=7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SPHERE.healpix(2, degrees=7),
            "48 samples carry at most degrees below 6.*take a smaller",
        ),
        (lambda: SPHERE.fibonacci(100, degrees=0), "degrees is 0, expected a whole number"),
        (hole, r"samples do not carry degrees below 7.*as weakly as others.*smaller bandwidth"),
        (lambda: SPHERE.grid(6, degrees=7), "carry degrees below 6; take at most that"),
        (lambda: SPHERE.grid(7, kind="equiangular", degrees=7), "carry degrees below 6; take at most that"),
    ],
)
def test_what_the_points_do_not_carry_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_grid_may_hold_less_than_it_carries():
    ball = SPHERE.grid(12, degrees=5)
    assert ball.degrees == 5
    c = ball.analyze(torch.randn(12, 24))
    torch.testing.assert_close(ball.analyze(ball.synthesize(c)), c)
    assert ball.coarser().degrees == 3
    assert isinstance(SPHERE.healpix(2).transform, Scattered)
