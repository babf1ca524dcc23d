"""No unit of length is preferred: ``metric -> c^2 metric``, and other coordinates, change nothing."""

import math

import pytest
import torch

import erlangen as er

EARTH = 6371.0


def sphere_in_angles(radius):
    """Colatitude and longitude, away from the poles."""

    def metric(x):
        return radius**2 * torch.diag_embed(
            torch.stack([torch.ones_like(x[..., 0]), x[..., 0].sin() ** 2], -1)
        )

    ends = (0.3, math.pi - 0.3)
    return er.Chart(metric, 2, bounds=(ends, None), periods=(None, 2 * math.pi), steps=4)


@pytest.mark.parametrize("radius", [EARTH, 1e-4])
def test_lopsided_kernels_are_refused_in_any_unit(radius):
    space = sphere_in_angles(radius)
    assert str(space.holonomy()) == "SO(2)"

    def lopsided(v):
        v = v / radius
        return torch.exp(-v.square().sum(-1) / 0.02) * (1 + v[..., 0] / 0.1)

    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(space.grid(4, 8), lopsided, lambda x: x[..., 0].cos(), radius=0.28 * radius, nodes=6)
