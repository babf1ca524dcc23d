"""Decks without an order: Hantzsche and Wendt's flat space, lattices of more generators than dimensions."""

import copy
import itertools
import math
import pickle

import pytest
import torch

import erlangen as er

INF = math.inf


def deck(signs, shift):
    return er.Deck(torch.diag(torch.tensor(signs).double()), torch.tensor(shift).double())


SCREWS = deck([1.0, -1.0, -1.0], [0.5, 0.5, 0.0]), deck([-1.0, 1.0, -1.0], [0.0, 0.5, 0.5])
SPACE = er.FlatQuotient(SCREWS, [INF] * 3, name="Hantzsche-Wendt")


def points(count=60):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_images_of_a_frame_come_home_to_one():
    u = SPACE.frames(points())
    here = SPACE.glue(u)
    one, two = SCREWS
    for word in (one, two, one @ two, two @ one @ one, one.inverse @ two @ two @ one):
        there = SPACE.glue(word.act(u))
        torch.testing.assert_close(there.point, here.point, rtol=0, atol=1e-12)
        torch.testing.assert_close(there.basis, here.basis, rtol=0, atol=1e-12)
    again = SPACE.glue(here)
    torch.testing.assert_close(again.point, here.point, rtol=0, atol=0)


def test_distances_are_those_to_the_nearest_of_all_images():
    p, q = points(120).split(60)
    some = torch.tensor(list(itertools.product(range(-5, 6), repeat=3))).double()
    one, two = SCREWS
    turns = (one.power(2), one, two, one @ two)
    images = torch.stack([turn.image(q) for turn in turns])[:, None] + some[:, None]
    expected = (images - p).norm(dim=-1).amin((0, 1))
    torch.testing.assert_close(SPACE.distance(p, q), expected, rtol=0, atol=1e-12)
    assert SPACE.length == 0.5
    assert SPACE.injectivity_radius == 0.25


def test_every_generator_turns_the_axes_of_the_other():
    assert str(SPACE.holonomy()) == "D2"
    assert str(SPACE.structure) == "D2"
    with pytest.raises(ValueError, match="names no group of matrices"):
        SPACE.stabilizer()
    with pytest.raises(ValueError, match=r"has no natural grid, expected your own points: \.samples\(\)"):
        SPACE.grid(4, 4, 4)


def test_samples_fill_a_quarter_of_the_torus():
    domain = SPACE.samples()
    assert float(domain.weights.sum()) == pytest.approx(0.25)
    assert pickle.loads(pickle.dumps(domain)).is_same(domain)
    assert copy.deepcopy(SPACE).is_same(SPACE)


def test_a_correlation_is_that_on_the_torus_above():
    """Fields are those of the torus that covers it four times which the screws leave alone."""
    own, weights = SPACE.own_samples(128)
    below = SPACE.samples(own, weights)
    assert len(own) == 128
    above = er.FlatTorus((1.0, 1.0, 1.0), structure=SPACE.structure).grid(8, 8, 8)
    above = er.FlatTorus((1.0, 1.0, 1.0), structure=SPACE.structure).samples(
        above.points.flatten(0, 2) + 1 / 16, above.weights.flatten()
    )
    which = torch.cdist(SPACE.home(above.points), own).min(1)
    assert float(which.values.max()) < 1e-9
    options = {"radius": 0.24, "bias": False, "in_field": "scalar", "out_field": "scalar"}
    layers = [er.nn.Correlation(domain, 1, 1, **options).double() for domain in (below, above)]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(1, 1, 128, dtype=torch.float64)
    with torch.no_grad():
        y, lifted = layers[0](x), layers[1](x[..., which.indices])
    torch.testing.assert_close(lifted, y[..., which.indices], rtol=0, atol=1e-12)


def test_lifted_layers_are_the_formula():
    domain = SPACE.samples(*SPACE.own_samples(32))
    layer = er.nn.Correlation(domain, 1, 1, radius=0.249, in_field="regular", out_field="regular", bias=False)
    layer, x = layer.double(), torch.randn(1, 1, 4, *domain.shape, dtype=torch.float64)
    fibre = domain.representation("regular").fibre

    def kernel(v, h):
        K = layer.kernel(v)[..., 0, 0, :, :].detach()
        return (K[..., 0, :] * fibre.interpolate(h)).sum(-1) / fibre.weight

    fields = {"in_field": "regular", "out_field": "regular"}
    found = er.correlate(domain, kernel, x[:, 0], radius=0.249, **fields)
    torch.testing.assert_close(found, layer(x).detach()[:, 0], rtol=0, atol=1e-10)


def test_a_torus_of_more_decks_than_dimensions():
    shifts = [er.Deck(torch.eye(2), torch.tensor(v)) for v in ([1.0, 0.0], [0.0, 1.0], [0.5, 0.5])]
    torus = er.FlatQuotient(shifts, [INF] * 2)
    assert float(torus.samples().weights.sum()) == pytest.approx(0.5)
    assert torus.length == pytest.approx(math.sqrt(0.5))
    assert str(torus.group) == "T(2)"
    p = points()[:, :2]
    torch.testing.assert_close(torus.distance(p, p + torch.tensor([1.5, -0.5])), torch.zeros(60).double())


def test_what_is_refused():
    glides = [er.Deck.along(0, 1.0, (1, -1)), er.Deck.along(1, 1.0, (-1, 1))]
    with pytest.raises(ValueError, match=r"turn each other's axes, expected an order .* cones about them"):
        er.FlatQuotient(glides, [INF] * 2)
    dense = [er.Deck(torch.eye(2), torch.tensor(v)) for v in ([1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5])]
    with pytest.raises(ValueError, match="lie dense, expected a lattice"):
        er.FlatQuotient(dense, [INF] * 2)
