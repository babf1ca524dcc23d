"""Matrix Lie groups: every family, and what follows from the generators alone."""

import math

import pytest
import torch

from erlangen import groups

FAMILIES = {
    # dimension, components, compact, unimodular
    "T(2)": (groups.T(2), 2, 1, False, True),
    "SO(2)": (groups.SO(2), 1, 1, True, True),
    "SO(3)": (groups.SO(3), 3, 1, True, True),
    "SO(4)": (groups.SO(4), 6, 1, True, True),
    "O(3)": (groups.O(3), 3, 2, True, True),
    "SE(2)": (groups.SE(2), 3, 1, False, True),
    "SE(3)": (groups.SE(3), 6, 1, False, True),
    "E(2)": (groups.E(2), 3, 2, False, True),
    "SO+(1,2)": (groups.SO(1, 2), 3, 1, False, True),
    "SO+(1,3)": (groups.SO(1, 3), 6, 1, False, True),
    "scalings": (groups.scalings(2), 1, 1, False, True),
    "SIM(2)": (groups.SIM(2), 4, 1, False, False),
    "GL(2)": (groups.GL(2), 4, 2, False, True),
    "SL(2)": (groups.SL(2), 3, 1, False, True),
    "Heisenberg": (groups.heisenberg(), 3, 1, False, True),
    "SU(2)": (groups.SU(2), 3, 1, True, True),
    "C6": (groups.cyclic(6), 0, 6, True, True),
    "D4": (groups.dihedral(4), 0, 8, True, True),
    "cube": (groups.cube(), 0, 24, True, True),
    "icosahedron": (groups.icosahedron(), 0, 60, True, True),
    "SO(2) x SO(3)": (groups.product(groups.SO(2), groups.SO(3)), 4, 1, True, True),
    "O(1) x O(2)": (groups.product(groups.O(1), groups.O(2)), 1, 4, True, True),
    "R^2 with SL(2)": (groups.semidirect(groups.SL(2)), 5, 1, False, True),
}


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return FAMILIES[request.param]


def some(group, count=60, seed=0):
    return group.sample(count, radius=None if group.is_compact else 1.2, seed=seed)


def test_the_families_are_what_their_names_say(family):
    group, dim, components, compact, unimodular = family
    assert (group.dim, len(group.components)) == (dim, components)
    assert (group.is_compact, group.is_unimodular) == (compact, unimodular)


def test_products_and_inverses_stay_inside(family):
    group = family[0]
    g, h = some(group), some(group, seed=1)
    assert group.defect(g @ h).max() < 1e-9
    assert group.defect(group.inverse(g)).max() < 1e-9
    off = g + 0.05 * torch.randn(*g.shape, generator=torch.Generator().manual_seed(0)).double()
    if group.dim < group.size**2:
        assert group.defect(off).min() > 1e-4


def test_exponential_and_logarithm(family):
    group = family[0]
    v = 0.6 * torch.randn(100, group.dim, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(group.log(group.exp(v)), v, rtol=0, atol=1e-13)


def test_the_adjoint_is_a_homomorphism_and_ad_its_derivative(family):
    group = family[0]
    g, h = some(group), some(group, seed=1)
    torch.testing.assert_close(group.Ad(g @ h), group.Ad(g) @ group.Ad(h), rtol=0, atol=1e-9)
    v = 0.5 * torch.randn(20, group.dim, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(group.Ad(group.exp(v)), torch.matrix_exp(group.ad(v)), rtol=0, atol=1e-10)
    torch.testing.assert_close(group.modular(g @ h), group.modular(g) * group.modular(h))


def test_the_jacobian_is_that_of_the_exponential(family):
    """exp(v + e w) = exp(v) exp(e J w) to first order, by automatic differentiation."""
    group = family[0]
    if group.dim == 0:
        return
    v, w = 0.7 * torch.randn(2, group.dim, generator=torch.Generator().manual_seed(2)).double()
    _, moved = torch.autograd.functional.jvp(group.exp, v, w)
    torch.testing.assert_close(group.vee(group.inverse(group.exp(v)) @ moved), group.right_jacobian(v) @ w)


@pytest.mark.parametrize("name", ["SO(3)", "SE(3)", "SU(2)", "O(3)"])
def test_turns_by_pi_have_a_logarithm(name):
    group = FAMILIES[name][0]
    axes = torch.randn(50, group.dim, generator=torch.Generator().manual_seed(3)).double()
    if name == "SE(3)":
        axes[:, 3:] *= math.pi / axes[:, 3:].norm(dim=-1, keepdim=True)
    elif name == "SU(2)":  # half of the way to -1, which every direction reaches
        axes *= math.pi / 2 / axes.norm(dim=-1, keepdim=True)
    else:
        axes *= math.pi / axes.norm(dim=-1, keepdim=True)
    g = group.exp(axes)
    v = group.log(g)
    torch.testing.assert_close(group.exp(v), g, rtol=0, atol=1e-12)
    torch.testing.assert_close(v.norm(dim=-1), axes.norm(dim=-1), rtol=0, atol=1e-7)


def test_haar_measures():
    """Means of characters and coordinates over compact groups; of densities over a ball in another."""
    trace = groups.SO(3).sample(20_000).diagonal(dim1=1, dim2=2).sum(-1)
    assert float(trace.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(trace.square().mean()) == pytest.approx(1.0, abs=0.05)
    quaternion = groups.SU(2).sample(20_000)[:, :, 0]
    torch.testing.assert_close(
        quaternion.square().mean(0), torch.full((4,), 0.25).double(), atol=0.01, rtol=0
    )
    signs = torch.linalg.det(groups.O(3).sample(4000))
    assert float(signs.mean()) == pytest.approx(0.0, abs=0.06)
    assert len(torch.unique(groups.cube().sample(2000).flatten(1).round().int(), dim=0)) == 24
    boosts = groups.SO(1, 2).sample(20_000, radius=2.0)
    moved = torch.einsum("kab,b->ka", boosts, torch.tensor([1.0, 0.0, 0.0]).double())
    assert float(moved[:, 1:].mean(0).norm()) < 0.05
    # left-invariant: the density of exp coordinates is |det J|, so the mean of 1 / |det J| is known
    group = groups.SIM(2)
    v = group.log(group.sample(20_000, radius=1.0))
    inverse = 1 / torch.linalg.det(group.right_jacobian(v)).abs()
    even = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)).double()
    even = even / even.norm(dim=-1, keepdim=True) * torch.rand(20_000, 1).double() ** 0.25
    volume = torch.linalg.det(group.right_jacobian(even)).abs().mean()
    assert float(inverse.mean() * volume) == pytest.approx(1.0, abs=0.03)


def test_a_group_of_ones_own():
    """The affine maps of the line: two generators."""
    X = torch.zeros(2, 2, 2)
    X[0, 0, 1] = X[1, 0, 0] = 1.0
    group = groups.MatrixGroup(X, name="x -> a x + b")
    assert str(group) == "x -> a x + b"
    assert not group.is_unimodular
    g = group.exp(torch.tensor([0.3, math.log(2)]).double())
    assert float(g[0, 0]) == pytest.approx(2.0)
    assert float(group.modular(g)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("generators", "components", "message"),
    [
        (torch.ones(2, 2, 2), None, "depend on each other, expected a basis"),
        (groups.SL(2).generators[:2], None, "expected a Lie algebra: add those brackets"),
        (groups.SO(3).generators, torch.diag(torch.tensor([1.0, 2, 1]))[None], "moves the Lie algebra"),
        (torch.eye(2), None, r"expected a stack of square matrices \(k, d, d\); one by itself is X\[None\]"),
        (torch.full((1, 2, 2), math.nan), None, "hold nan"),
        (groups.SO(2).generators, torch.eye(3)[None], r"expected a stack of square matrices \(k, 2, 2\)"),
        (groups.SO(2).generators, torch.zeros(1, 2, 2), "a component is singular"),
        (groups.SO(2).generators, torch.diag(torch.tensor([1.0, -1]))[None], "not that of the identity"),
    ],
)
def test_what_is_no_group_is_refused(generators, components, message):
    with pytest.raises(ValueError, match=message):
        groups.MatrixGroup(generators, components)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: groups.finite(torch.stack([torch.eye(2), 2 * torch.eye(2)])), "products of elements are no"),
        (lambda: groups.cyclic(0), "order is 0, expected a whole number of at least 1"),
        (lambda: groups.T(0), "n is 0, expected a whole number of at least 1"),
        (lambda: groups.SO(3).exp(torch.zeros(4)), r"v has 4 components, expected the 3 of SO\(3\)"),
        (
            lambda: groups.SO(3).log(2 * torch.eye(3).double()),
            r"1 of the matrices are no exp\(v\) of SO\(3\)",
        ),
        (lambda: groups.SE(2).log(2 * torch.eye(3).double()), r"no exp\(v\) of SE\(2\)"),
        (lambda: groups.O(3).log(-torch.eye(3).double()), "expected elements of its identity component"),
        (lambda: groups.cyclic(4).log(groups.cyclic(4).components), r"3 of the matrices are no exp\(v\)"),
        (lambda: groups.SO(3).log(torch.eye(4)), r"shape \(4, 4\), expected matrices \(..., 3, 3\)"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_what_has_no_even_distribution_says_so():
    with pytest.raises(ValueError, match=r"SE\(3\) is not compact .*; give radius="):
        groups.SE(3).sample(3)
    with pytest.raises(ValueError, match=r"expected SU\(2\)"):
        groups.SU(3)


@pytest.mark.parametrize(
    ("name", "radius"),
    [
        ("SO(3)", math.pi),
        ("SO(4)", math.pi),
        ("SE(3)", math.pi),
        ("SU(2)", math.pi),
        ("SO+(1,2)", math.pi),
        ("Heisenberg", math.inf),
        ("T(2)", math.inf),
        ("SO(2) x SO(3)", math.pi),
    ],
)
def test_where_the_exponential_is_one_to_one(name, radius):
    assert FAMILIES[name][0].principal_radius == pytest.approx(radius, rel=1e-3)
