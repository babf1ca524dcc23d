"""Smooth taps: isotropic nearly over the whole band, by the symbols of their samples."""

import math

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.kernels import Rings, Smooth

CASES = [(2, 2), (2, 3), (2, 4), (2, 5), (3, 3)]


def symbol(kernel, term, degree, waves, shift):
    """sum_j psi_c(x_j) exp(i k x_j) over the lattice of step one, moved, for each c: ``(waves, c)``."""
    reach = math.ceil(kernel.radius) + 1
    axes = [np.arange(-reach, reach + 1) + s for s in shift]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, kernel.n)
    v = torch.from_numpy(x)
    taps = kernel.profile(term, degree, v.norm(dim=-1))[:, None] * kernel.angular(degree, v)
    return np.exp(1j * waves @ x.T) @ taps.numpy()


def turned(n, degrees):
    """A turn about the last axis (of the plane: its own)."""
    t = math.radians(degrees)
    g = np.eye(n)
    g[:2, :2] = [[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]]
    return g


def band(n, count=400):
    """Waves evenly in the ball |k| < 4/5 pi."""
    k = np.random.default_rng(0).uniform(-math.pi, math.pi, (count * 3, n))
    return k[np.linalg.norm(k, axis=1) < 0.8 * math.pi]


def defect(kernel, term, degree, shift, degrees=31.0):
    """|S(g k) - rho(g) S(k)| in the mean over the ball, relative: no isotropic part is taken."""
    k, g = band(kernel.n), turned(kernel.n, degrees)
    d = torch.from_numpy(np.random.default_rng(1).standard_normal((40, kernel.n)))
    Y, Yg = (kernel.angular(degree, x).numpy() for x in (d, d @ torch.from_numpy(g).T))
    rho = np.linalg.lstsq(Y, Yg, rcond=None)[0]  # Y(g x) = Y(x) rho
    here = symbol(kernel, term, degree, k, shift)
    there = symbol(kernel, term, degree, k @ g.T, shift)
    return np.linalg.norm(there - here @ rho) / np.linalg.norm(here)


@pytest.mark.parametrize(("n", "count"), CASES)
def test_symbols_turn_with_the_waves(n, count):
    kernel = Smooth(n, float(count), count)
    for term, degree in kernel.terms:
        most = 0.05 if (term, degree, count) != (1, 0, 2) else 0.09
        assert defect(kernel, term, degree, [0.0] * n) < most
    assert defect(kernel, 0, 0, [0.0] * n) < 0.005


def test_rings_are_far_from_it():
    assert defect(Rings(2, 1.5, 2), 0.5, 1, [0.0, 0.0]) > 0.3


@pytest.mark.parametrize(("n", "count"), CASES)
def test_half_a_step_beside_the_symbol_is_nearly_the_same(n, count):
    kernel, k = Smooth(n, float(count), count), band(n)
    for term, degree in kernel.terms:
        here = symbol(kernel, term, degree, k, [0.0] * n)
        for halves in range(1, n + 1):
            there = symbol(kernel, term, degree, k, [0.5] * halves + [0.0] * (n - halves))
            assert np.linalg.norm(there - here) / np.linalg.norm(here) < (
                0.1 if term == 0 else 0.3 if count > 2 else 0.5
            )


@pytest.mark.parametrize(("n", "count"), [(1, 2), (1, 5), *CASES])
def test_of_unit_norm_on_the_lattice_in_any_unit(n, count):
    for unit in (1.0, 0.125):
        kernel = Smooth(n, unit * count, count)
        for term, degree in kernel.terms:
            x = unit * np.stack(np.meshgrid(*[np.arange(-count, count + 1.0)] * n, indexing="ij"), -1)
            v = torch.from_numpy(x.reshape(-1, n))
            taps = kernel.profile(term, degree, v.norm(dim=-1))[:, None] * kernel.angular(degree, v)
            assert float(taps.square().sum(0).mean()) * unit ** (2 * n) == pytest.approx(1, rel=1e-9)


def test_many_functions_where_many_samples_are():
    terms = {count: Smooth(2, float(count), count).terms for count in (2, 3, 4)}
    assert [sum(l == degree for _, l in terms[2]) for degree in range(2)] == [2, 1]
    assert [sum(l == degree for _, l in terms[3]) for degree in range(4)] == [2, 2, 1, 1]
    assert [sum(l == degree for _, l in terms[4]) for degree in range(5)] == [3, 3, 2, 2, 1]
    assert {l for _, l in Smooth(2, 3.0, 3, degree=1).terms} == {0, 1}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(12, 9), (11, 10)])
def test_layers_commute_with_turns_of_the_grid_at_every_size(size, stride):
    plane = er.Plane(rotations=4, reflections=True)
    layer = er.nn.Lift(plane, 2, 3, 5, stride, taps="smooth").double()
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    assert er.verify.equivariance(layer, x, plane, show=False).worst < 1e-12


def test_too_many_samples_are_refused():
    with pytest.raises(ValueError, match="kernels of at most 15 samples, not 17; give rings=8"):
        er.nn.Correlation(er.Plane(), 1, 1, 17, taps="smooth")


def test_a_radius_is_as_many_samples_as_this_family_takes():
    """Seven: more than solved taps have, in the words of smooth ones where they are too many."""
    layer = er.nn.Correlation(er.Plane(), 1, 1, radius=7.5, taps="smooth")
    assert layer.spec.rings == 7
    assert er.nn.Correlation(er.Plane(), 1, 1, radius=7.5, taps="solved").spec.rings == 5
    with pytest.raises(ValueError, match=r'taps="smooth" with rings=9 on a radius of 7\.5 samples'):
        er.nn.Correlation(er.Plane(), 1, 1, radius=7.5, rings=9, taps="smooth")
