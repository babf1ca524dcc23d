"""Lebedev's rules against those of another program, and as what they are for."""

import numpy as np
import pytest
import torch
from scipy import integrate

import erlangen as er
from erlangen.harmonics import lebedev
from erlangen.harmonics.lebedev import ORBITS


@pytest.mark.parametrize("degree", ORBITS)
@pytest.mark.skipif(not hasattr(integrate, "lebedev_rule"), reason="SciPy is older than 1.15")
def test_it_is_the_published_rule(degree):
    n, w = (found.numpy() for found in lebedev(degree))
    directions, weights = integrate.lebedev_rule(degree)
    apart = np.abs(n[:, None] - directions.T).max(-1)
    there = apart.argmin(1)
    assert len(n) == len(weights) == len(set(there))
    assert apart.min(1).max() < 1e-13
    assert np.abs(w - weights[there] / (4 * np.pi)).max() < 1e-14


@pytest.mark.parametrize("degree", ORBITS)
def test_polynomials_have_their_means(degree):
    n, w = lebedev(degree)
    axis = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    t = n @ (axis / axis.norm())
    for power in range(degree + 1):
        mean = 0.0 if power % 2 else 1 / (power + 1)
        assert abs(float(w @ t**power) - mean) < 1e-14
    assert abs(float(w @ t ** (degree + 1)) - 1 / (degree + 2)) > 1e-9  # it says how far it goes


@pytest.mark.parametrize("degree", [7, 23])
def test_turns_and_mirrors_of_the_cube_exchange_the_directions(degree):
    n, w = lebedev(degree)
    for g in er.groups.cube().components:
        for h in (g, -g):
            apart = (n @ h.T - n[:, None]).abs().amax(-1)
            assert float(apart.amin(1).max()) < 1e-12
            assert torch.equal(w[apart.argmin(1)], w)


def test_a_higher_degree_is_refused():
    with pytest.raises(ValueError, match="at most 23"):
        lebedev(24)
