"""Flat 3-manifolds whose decks turn by half, a third, a quarter, a sixth: samples go on beyond seams."""

import itertools
import math

import pytest
import torch

import erlangen as er
from erlangen.domains import KernelSpec, Samples
from erlangen.groups.structure import turn

CUBE = torch.eye(3, dtype=torch.float64)
PRISM = torch.tensor([[1.0, 0.0, 0.0], [0.5, math.sqrt(0.75), 0.0], [0.0, 0.0, 1.2]], dtype=torch.float64)
LEANING = torch.tensor([[1.0, 0.1, 0.0], [0.7, 0.9, 0.0], [0.0, 0.0, 1.2]], dtype=torch.float64)
FORMS = {  # the turn, the sides of the cell, the samples
    "dicosm": (2, CUBE, (8, 6, 6)),
    "tricosm": (3, PRISM, (8, 8, 4)),
    "tetracosm": (4, CUBE, (6, 6, 8)),
    "hexacosm": (6, PRISM, (6, 6, 8)),
    "dicosm, leaning": (2, LEANING, (6, 8, 8)),
}


def form(name):
    """Two shifts, and a step along the third side with a turn about it."""
    order, sides, shape = FORMS[name]
    A = torch.eye(3, dtype=torch.float64)
    A[:2, :2] = turn(torch.tensor(2 * math.pi / order, dtype=torch.float64))
    decks = [er.Deck(torch.eye(3), sides[0]), er.Deck(torch.eye(3), sides[1]), er.Deck(A, sides[2])]
    return er.FlatQuotient(decks, [math.inf] * 3, name=name), shape


def noise(domain, field, channels=2):
    rho = domain.representation(field)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *(rho.dim,) * rho.has_axis, *domain.shape, generator=generator).double()


@pytest.mark.parametrize("name", FORMS)
def test_holonomy_distance_and_radius(name):
    space, _ = form(name)
    order, sides, _ = FORMS[name]
    assert str(space.holonomy()) == str(space.structure) == f"C{order}"
    A, span = space.generators[2].matrix, range(-4, 5)
    shifts = torch.tensor(list(itertools.product(span, span))).double() @ sides[:2]
    p, q = 2 * torch.rand(2, 20, 3, generator=torch.Generator().manual_seed(0)).double()
    turned = [q @ torch.linalg.matrix_power(A, k).T + k * sides[2] for k in range(-3, 4)]
    images = (torch.stack(turned)[:, :, None] + shifts).movedim(1, 0).flatten(1, 2)
    true = (images - p[:, None]).norm(dim=-1).amin(1)
    torch.testing.assert_close(space.distance(p, q), true, rtol=1e-9, atol=0)
    torch.testing.assert_close(space.distance(space.exp(p, space.log(p, q)), q), 0 * true, rtol=0, atol=1e-12)
    flat = float(torch.linalg.vector_norm(shifts[shifts.norm(dim=-1) > 0.1], dim=-1).min())
    assert space.injectivity_radius == pytest.approx(min(flat, float(sides[2].norm())) / 2, rel=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_seams_are_what_the_geometry_says(name):
    """Fields continued across seams, against a sum over samples whose frames the geometry carries."""
    space, shape = form(name)
    domain = space.grid(*shape)
    plain = Samples(space, domain.points, domain.weights, fibre=domain.fibre)
    for i, o in (("scalar", "scalar"), ("scalar", "regular"), ("vector", "vector"), ("regular", "regular")):
        spec = KernelSpec(i, o, radius=0.35, rings=2)
        one, other = domain.engine(spec), plain.engine(spec)
        f = noise(domain, i, 4)
        w = torch.randn(4, 2, len(one.power), generator=torch.Generator().manual_seed(0)).double()
        torch.testing.assert_close(one.apply(f, w, 2), other.apply(f, w, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("exact_shifts", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_networks_commute_with_what_permutes_the_samples(name, exact_shifts):
    space, shape = form(name)
    domain = space.grid(*shape)
    x = noise(domain, "scalar", 1)[:1]
    torch.manual_seed(1)
    net = er.models.UNet(domain, 1, 1, 3, 1, kernel_size=3, exact_shifts=exact_shifts).double()
    net = er.verify.randomized(net, x)
    report = er.verify.equivariance(net, x, domain, show=False, gradients=False)
    exact = {row.element.name: row.output for row in report.rows if row.kind == "exact here"}
    assert ("shift (0, 0, 1)" in exact) == exact_shifts
    assert all(value < 1e-12 for value in exact.values())
    assert len(exact) > 4


def test_a_space_whose_decks_carry_no_grid_to_itself_has_samples():
    """The axis of the half turn lies aside, and its sides lean."""
    aside = torch.tensor([0.3, 0.2, 0.9], dtype=torch.float64)
    half = er.Deck(torch.diag(torch.tensor([-1.0, -1.0, 1.0])), aside)
    decks = [er.Deck(torch.eye(3), LEANING[0]), er.Deck(torch.eye(3), LEANING[1]), half]
    space = er.FlatQuotient(decks, [math.inf] * 3)
    with pytest.raises(ValueError, match="do not carry samples"):
        space.grid(8, 9, 7)
    domain = space.samples()
    assert float(domain.weights.sum()) == pytest.approx(0.83 * 0.9, rel=1e-12)
    p = domain.points[::40]
    apart = space.distance(p[:, None], domain.points).topk(2, largest=False).values[:, 1]
    torch.testing.assert_close(apart, apart[:1].expand(len(p)), rtol=1e-9, atol=0)


def test_gradients_cross_the_seams():
    space, _ = form("tricosm")
    domain = space.grid(3, 3, 2)
    layer = er.nn.Correlation(domain, 1, 1, radius=0.45, in_field="vector", out_field="vector").double()
    f = noise(domain, "vector", 1)[:1].requires_grad_()
    assert torch.autograd.gradcheck(layer, f)
    assert torch.autograd.gradgradcheck(lambda f: layer(f).sin(), f)


def test_a_mirror_beside_zero_is_the_same_bottle():
    """The mirror of a Klein bottle may lie anywhere that it carries samples to samples."""
    across = er.Deck.along(1, 6.0, (1, 1))
    glide = er.Deck(torch.diag(torch.tensor([1.0, -1.0])), torch.tensor([8.0, 2.0]))
    moved = er.FlatQuotient([glide, across], [math.inf] * 2).grid(8, 6)
    bottle = er.KleinBottle(8.0, 6.0).grid(8, 6)
    f = noise(bottle, "regular")
    torch.manual_seed(0)
    one = er.nn.Correlation(bottle, 2, 2, 3, in_field="regular", out_field="regular").double()
    torch.manual_seed(0)
    other = er.nn.Correlation(moved, 2, 2, 3, in_field="regular", out_field="regular").double()
    torch.testing.assert_close(other(f.roll(1, -1)), one(f).roll(1, -1), rtol=0, atol=1e-13)


def test_what_is_refused():
    space, _ = form("tetracosm")
    with pytest.raises(
        ValueError, match=r"do not carry samples of \(6, 4, 8\) to each other, expected sizes"
    ):
        space.grid(6, 4, 8)
    third = form("tricosm")[0].generators[2]
    cubic = [er.Deck(torch.eye(3), CUBE[0]), er.Deck(torch.eye(3), CUBE[1]), third]
    with pytest.raises(ValueError, match="come home elsewhere, expected one that carries the lattice"):
        er.FlatQuotient(cubic, [math.inf] * 3)
    with pytest.raises(ValueError, match="the deck 0 keeps a point, about which there would be a cone"):
        er.FlatQuotient([er.Deck(torch.diag(torch.tensor([1.0, -1.0])), CUBE[1, :2])], [math.inf] * 2)
    endless = er.Deck(
        torch.block_diag(turn(torch.tensor(0.5, dtype=torch.float64)), torch.ones(1, 1)), CUBE[2]
    )
    with pytest.raises(ValueError, match=r"the deck 0 has no power up to 12 .* er.MappingTorus"):
        er.FlatQuotient([endless], [math.inf] * 3)
    domain, g = space.grid(6, 6, 8), torch.eye(4, dtype=torch.float64)
    g[0, 3] = 1 / 6
    with pytest.raises(ValueError, match=r"carries some points that are one on tetracosm to two"):
        domain.act(g, noise(domain, "scalar"))
