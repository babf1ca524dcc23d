"""Weights that are not the invariant measure: on any homogeneous space, by what its group says."""

import math

import pytest
import torch

import erlangen as er
from erlangen import groups
from erlangen.domains import Samples


def linear(g, p):
    return (g @ p[..., None])[..., 0]


def affine(g, p):
    return linear(g[..., :-1, :-1], p) + g[..., :-1, -1]


def congruent(g, p):
    return (g @ p.unflatten(-1, (3, 3)) @ g.mT).flatten(-2)


def from_the_left(g, p):
    return (g @ p.unflatten(-1, (g.shape[-1], g.shape[-1]))).flatten(-2)


def conjugated(g, p):
    """The vector p turned by the unit quaternion whose left multiplication is g."""
    w, u = g[..., 0, 0, None], g[..., 1:, 0].expand_as(p)
    crossed = torch.linalg.cross(u, p)
    return p + 2 * w * crossed + 2 * torch.linalg.cross(u, crossed)


def middles(low, high, n):
    return low + (high - low) * (torch.arange(n, dtype=torch.float64) + 0.5) / n


def mesh(*axes):
    return [t.flatten() for t in torch.meshgrid(*axes, indexing="ij")]


def on_sphere(theta, phi):
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)


def sphere_grid(n, part=1.0):
    theta, phi = mesh(middles(0, math.pi * part, n), middles(0, 2 * math.pi, 2 * n))
    return on_sphere(theta, phi), theta.sin()


def lines_grid(n):
    p, w = sphere_grid(n, 0.5)
    return (p[:, :, None] * p[:, None]).flatten(1), w


def three_sphere(n):
    a, b, c = mesh(middles(0, math.pi, n), middles(0, math.pi, n), middles(0, 2 * math.pi, 2 * n))
    return torch.cat([a.sin()[:, None] * on_sphere(b, c), a.cos()[:, None]], -1), a.sin() ** 2 * b.sin()


def rotations(n):
    """By Euler's angles."""
    X = groups.SO(3).generators
    a, b, c = mesh(middles(0, 2 * math.pi, 2 * n), middles(0, math.pi, n), middles(0, 2 * math.pi, 2 * n))
    z, y, x = (torch.matrix_exp(t[:, None, None] * X[i]) for t, i in ((a, 0), (b, 2), (c, 0)))
    return (z @ y @ x).flatten(1), b.sin()


def polar(n):
    r, phi = mesh(middles(0, 3, n), middles(0, 2 * math.pi, 2 * n))
    return torch.stack([r * phi.cos(), r * phi.sin()], -1), r


def hyperbolic(n):
    r, phi = mesh(middles(0, 3, n), middles(0, 2 * math.pi, 2 * n))
    along = r.sinh()[:, None] * torch.stack([phi.cos(), phi.sin()], -1)
    return torch.cat([r.cosh()[:, None], along], -1), r.sinh()


POLE = torch.eye(3)[2]
SPHERE = er.HomogeneousSpace(groups.SO(3), POLE, linear)
SPACES = {
    "sphere": (SPHERE, sphere_grid, 8),
    "sphere, few points": (SPHERE, sphere_grid, 5),
    "sphere, many points": (SPHERE, sphere_grid, 24),
    "sphere of the Earth": (er.HomogeneousSpace(groups.SO(3), 6371 * POLE, linear), sphere_grid, 8),
    "sphere under mirrors": (er.HomogeneousSpace(groups.O(3), POLE, linear), sphere_grid, 8),
    "sphere under SU(2)": (er.HomogeneousSpace(groups.SU(2), POLE, conjugated), sphere_grid, 8),
    "lines": (er.HomogeneousSpace(groups.SO(3), torch.diag(POLE).flatten(), congruent), lines_grid, 8),
    "S3": (er.HomogeneousSpace(groups.SO(4), torch.eye(4)[3], linear), three_sphere, 5),
    "rotations": (er.HomogeneousSpace(groups.SO(3), torch.eye(3).flatten(), from_the_left), rotations, 4),
    "SO(3) on itself": (er.GroupSpace(groups.SO(3)), rotations, 4),
    "RP2": (er.ProjectivePlane(), lambda n: sphere_grid(n, 0.5), 8),
    "plane under SE(2)": (er.HomogeneousSpace(groups.SE(2), torch.zeros(2), affine), polar, 8),
    "hyperboloid": (er.HomogeneousSpace(groups.SO(1, 2), torch.eye(3)[0], linear), hyperbolic, 16),
}


@pytest.mark.parametrize("name", SPACES)
def test_weights_without_the_density_of_the_coordinates_are_refused(name):
    space, grid, n = SPACES[name]
    points, weights = grid(n)
    points = 6371 * points if "Earth" in name else points
    with pytest.raises(ValueError, match="the weights are not the invariant measure of"):
        Samples(space, points, torch.ones_like(weights))
    assert Samples(space, points, weights).shape == weights.shape


def test_windows_on_a_compact_space_are_taken():
    for part in (0.1, 0.5, 0.8):
        SPHERE.samples(*sphere_grid(10, part))


@pytest.mark.parametrize("count", [40, 150, pytest.param(800, marks=pytest.mark.slow)])
def test_equal_weights_of_random_points_are_taken(count):
    for seed in range(3):
        p = SPHERE.orbit.point(groups.SO(3).sample(count, seed=seed))
        SPHERE.samples(p, torch.full((count,), 4 * math.pi / count, dtype=torch.float64))


def test_weights_of_random_points_by_another_density_are_refused():
    p = SPHERE.orbit.point(groups.SO(3).sample(400))
    with pytest.raises(
        ValueError, match=r"standard deviations off that over SO\(3\), expected none; multiply"
    ):
        SPHERE.samples(p, 1 + 0.9 * p[:, 2])
