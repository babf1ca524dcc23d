"""Fields that are their harmonics are read at any frames without error."""

import sys
from pathlib import Path

import pytest
import torch

import erlangen as er

sys.path.insert(0, str(Path(__file__).parent))
from rotations import Field, rotation

SPHERE, N = er.Sphere(), 5
DOMAINS = {
    "Gauss-Legendre": lambda: SPHERE.grid(7, rotations=N),
    "equiangular, with poles": lambda: SPHERE.grid(8, kind="equiangular", rotations=N),
    "HEALPix": lambda: SPHERE.healpix(3, degrees=6, rotations=N),
    "HEALPix, nested": lambda: SPHERE.healpix(4, nest=True, degrees=6, rotations=N),
}


@pytest.mark.parametrize("field", ["scalar", "vector", "spin2", "regular"])
@pytest.mark.parametrize("name", DOMAINS)
def test_a_rotated_field_is_the_field_at_g_inverse_u(name, field):
    domain, g = DOMAINS[name](), rotation()
    F = Field(field, domain.degrees, 2, (N - 1) // 2 if field == "regular" else 0)
    f, expected = F(domain), F(domain, g)
    assert float((expected - f).abs().max()) > 1e-2 * float(f.abs().max()), "g moves it"
    torch.testing.assert_close(domain.act(g, f, field), expected, atol=1e-11, rtol=1e-11)
    single = domain.act(g, f.float(), field)
    torch.testing.assert_close(single, expected.float(), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("field", ["scalar", "vector", "spin2", "regular"])
@pytest.mark.parametrize("name", DOMAINS)
def test_rotations_leave_the_spectrum_and_it_sums_to_the_integral_of_the_square(name, field):
    domain, g = DOMAINS[name](), rotation()
    F = Field(field, domain.degrees, 2, (N - 1) // 2 if field == "regular" else 0)
    f, power = F(domain), domain.spectrum(F(domain), field)
    assert power.shape == (
        1,
        2,
        *{"scalar": (), "vector": (1,), "spin2": (1,), "regular": (3,)}[field],
        domain.degrees,
    )
    torch.testing.assert_close(domain.spectrum(F(domain, g), field), power, atol=1e-11, rtol=1e-11)
    for n, row in zip(
        {"scalar": [0], "vector": [1], "spin2": [2], "regular": [0, 1, 2]}[field],
        power.view(2, -1, domain.degrees).unbind(1),
        strict=True,
    ):
        assert float(row[:, :n].abs().sum()) < 1e-20, "no degree l < n"
    fine = SPHERE.grid(12, rotations=N)  # integrates squares
    f = F(fine)
    one = torch.ones(1)  # of regular fields -n has what n has
    share = {"scalar": one, "vector": one, "spin2": one, "regular": torch.tensor([1.0, 2, 2])}
    square = f.square() if field == "scalar" else f.square().sum(2)
    square = square / N if field == "regular" else square
    total = power.view(1, 2, -1, domain.degrees).sum(-1) @ share[field].double()
    torch.testing.assert_close(total, 4 * torch.pi * er.nn.mean(fine, square), atol=0, rtol=1e-11)


def test_one_grid_at_the_samples_of_another():
    fine, coarse = SPHERE.grid(9), SPHERE.fibonacci(50)
    F = Field("scalar", 9, 3)
    torch.testing.assert_close(fine.to(coarse, F(fine)), F(coarse), atol=1e-11, rtol=1e-11)


def test_what_is_beyond_the_band_is_interpolated():
    """Where samples meet samples nothing changes, be it band-limited or not."""
    domain = SPHERE.grid(7)
    noise = torch.randn(2, 7, 14, dtype=torch.float64)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    half = quarter @ quarter
    torch.testing.assert_close(domain.act(torch.eye(3), noise), noise, atol=1e-11, rtol=0)
    torch.testing.assert_close(domain.act(half, noise), noise.roll(7, -1), atol=1e-11, rtol=0)


def test_the_proof_sees_layers_not_interpolation():
    domain = SPHERE.grid(8, rotations=N)
    net = torch.nn.Sequential(
        er.nn.Lift(domain, 1, 2), er.nn.Polynomial(domain, 2), er.nn.Project(domain, "mean")
    ).double()
    x = Field("scalar", 8, 1)(domain)
    report = er.verify.equivariance(er.verify.randomized(net, x), x, domain, show=False)
    tilts = [row for row in report.rows if row.element.name.startswith("tilt")]
    assert len(tilts) == 2
    assert all(row.output < 1e-10 for row in tilts)
