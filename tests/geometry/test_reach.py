"""The injectivity radius of surfaces given by equations: pi times their reach, where that is known."""

import math

import pytest
import torch

import erlangen as er


def implicit(F, *point, **options):
    return er.Implicit(F, torch.tensor(point, dtype=torch.float64), **options)


def cylinder(r, aside=0.0):
    return implicit(lambda x: (x[..., 0] - aside) ** 2 + x[..., 1] ** 2 - r * r, aside + r, 0.0, aside)


def torus(R, r, unit=1.0):
    def F(x):
        return (x[..., :2].norm(dim=-1) - unit * R) ** 2 + x[..., 2] ** 2 - (unit * r) ** 2

    return implicit(F, unit * (R + r), 0.0, 0.0)


def ball(R, n=3):
    return implicit(lambda x: x.square().sum(-1) - R * R, *[0.0] * (n - 1), R)


def circles(a, b):
    """A flat torus in R^4."""
    return implicit(
        lambda x: torch.stack([x[..., :2].square().sum(-1) - a * a, x[..., 2:].square().sum(-1) - b * b], -1),
        *(a, 0.0, b, 0.0),
    )


SURFACES = {
    "cylinder": (lambda: cylinder(0.2), 0.2),
    "cylinder far from zero": (lambda: cylinder(0.2, 1e4), 0.2),
    "torus": (lambda: torus(2.0, 0.7), 0.7),
    "thin torus": (lambda: torus(2.0, 0.05), 0.05),
    "torus with a narrow hole": (lambda: torus(1.0, 0.7), 0.3),
    "torus in kilometres": (lambda: torus(2.0, 0.7, 1e6), 0.7e6),
    "catenoid": (
        lambda: implicit(lambda x: x[..., :2].square().sum(-1) - x[..., 2].cosh() ** 2, 1.0, 0, 0),
        1.0,
    ),
    "ellipsoid": (lambda: er.Ellipsoid((1.0, 1.2, 1.5)), 1 / 1.5),
    "disc": (lambda: er.Ellipsoid((1.0, 1.0, 0.1)), 0.01),
    "needle": (lambda: er.Ellipsoid((0.1, 0.1, 1.0)), 0.01),
    "sphere": (lambda: ball(1.0), 1.0),
    "the Earth": (lambda: ball(6371.0), 6371.0),
    "grain": (lambda: ball(1e-4), 1e-4),
    "S^3": (lambda: ball(2.0, 4), 2.0),
    "two circles in R^4": (lambda: circles(0.5, 1.0), 0.5),
    "S^2 in R^4": (
        lambda: implicit(
            lambda x: torch.stack([x[..., :3].square().sum(-1) - 1, x[..., 3] - 0 * x[..., 0]], -1),
            0,
            0,
            1.0,
            0,
        ),
        1.0,
    ),
    "circle in R^3": (
        lambda: implicit(
            lambda x: torch.stack([x[..., :2].square().sum(-1) - 0.25, x[..., 2]], -1), 0.5, 0, 0
        ),
        0.5,
    ),
    "two planes": (lambda: implicit(lambda x: x[..., 2] ** 2 - 0.01, 0.0, 0, 0.1), 0.1),
    "saddle": (lambda: implicit(lambda x: x[..., 2] - x[..., 0] ** 2 + x[..., 1] ** 2, 0.0, 0, 0), 0.5),
    "piece of a cone": (
        lambda: implicit(lambda x: x[..., :2].square().sum(-1) - x[..., 2] ** 2, 1.0, 0, 1.0, extent=0.5),
        0.5 * 2**0.5,
    ),
}


QUICK = ("cylinder far from zero", "torus with a narrow hole", "catenoid", "ellipsoid", "two circles in R^4")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in SURFACES]
)
def test_the_injectivity_radius_is_pi_times_the_reach(name):
    build, reach = SURFACES[name]
    bar = 0.02 if name == "piece of a cone" else 1e-4  # whose narrowest place is on the edge of the box
    assert build().injectivity_radius == pytest.approx(math.pi * reach, rel=bar)


def test_planes_have_no_end():
    assert implicit(lambda x: x[..., 2], 0.0, 0.0, 0.0).injectivity_radius == math.inf
    assert implicit(lambda x: x[..., 2] - 1e5, 0.0, 0.0, 1e5).injectivity_radius == math.inf


def test_a_kernel_that_would_meet_itself_is_refused_and_the_radius_called_an_estimate():
    space = cylinder(0.2)
    turn = torch.linspace(0, 2 * math.pi, 25, dtype=torch.float64)[:-1]
    p = torch.stack([0.2 * turn.cos(), 0.2 * turn.sin(), 0 * turn], -1)
    p = (p[:, None] + 0.05 * torch.arange(4)[:, None] * torch.eye(3)[2]).flatten(0, 1)
    samples = space.samples(p, torch.full((len(p),), 0.05 * 0.2 * 2 * math.pi / 24).double())
    kernel, f = (lambda v: 1 + 0 * v[..., 0]), torch.ones(len(p)).double()
    with pytest.raises(
        ValueError, match=r"up to the injectivity radius 0.628319 of Implicit, n = 2 \(estimated"
    ):
        er.correlate(samples, kernel, f, radius=0.65)
    with pytest.raises(
        ValueError, match=r"beyond the injectivity radius 0.628319 .*estimated: give injectivity_radius="
    ):
        er.nn.Correlation(samples, 1, 1, radius=0.65)
    told = implicit(lambda x: x[..., :2].square().sum(-1) - 0.04, 0.2, 0, 0, injectivity_radius=0.6)
    assert told.up_to() == "the injectivity radius 0.6 of Implicit, n = 2"


def test_samples_that_the_radius_does_not_know_are_refused():
    """A ring that is thick where the origin lies, and thin on the other side."""

    def ring(x):
        thickness = 0.4 + 0.3 * torch.atan2(x[..., 1], x[..., 0]).cos()
        return (x[..., :2].norm(dim=-1) - 3) ** 2 + x[..., 2] ** 2 - thickness**2

    space = implicit(ring, 3.7, 0.0, 0.0)
    there = torch.tensor([[-3.1, 0.0, 0.0], [3.7, 0.0, 0.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="1 points lie outside of the box"):
        space.samples(there, torch.ones(2))
