"""Tori by any lattice: the formula, shifts and the turns of the lattice, in any basis and unit."""

import itertools
import math

import pytest
import torch

import erlangen as er
from erlangen.geometry.lattices import point_group, shortest
from erlangen.groups import StructureGroup

HEXAGONAL = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
SKEW = torch.tensor([[1.0, 0.2], [0.35, 0.8]], dtype=torch.float64)
FCC = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
LATTICES = {"hexagonal": HEXAGONAL, "skew": SKEW, "fcc": FCC}
ORDERS = {
    "hexagonal": 12,
    "skew": 2,
    "fcc": 48,
    "square": 8,
    "rectangular": 4,
    "rhombic": 4,
    "hexagonal prism": 24,
    "line": 2,
}
MORE = LATTICES | {
    "square": torch.eye(2, dtype=torch.float64),
    "rectangular": torch.diag(torch.tensor([1.0, 2.0], dtype=torch.float64)),
    "rhombic": torch.tensor([[1.0, 0.3], [1.0, -0.3]], dtype=torch.float64),
    "hexagonal prism": torch.block_diag(HEXAGONAL, torch.full((1, 1), 1.3, dtype=torch.float64)),
    "line": torch.full((1, 1), 2.0, dtype=torch.float64),
}
HEXAGON = er.FlatTorus(lattice=HEXAGONAL, symmetry="isometries")


def noise(domain, field, channels=2):
    rho = domain.representation(field)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, channels, *(rho.dim,) * rho.has_axis, *domain.shape, generator=generator).double()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", ORDERS)
def test_the_point_group_is_solved_for(name, scale):
    lattice = scale * MORE[name]
    turned = torch.eye(len(lattice)).double()
    turned[-1, :] += torch.arange(len(lattice)).flip(0)  # another basis of it, askew
    for basis in (lattice, turned @ lattice):
        A = point_group(basis)
        assert len(A) == ORDERS[name]
        assert torch.equal(A[0], torch.eye(len(basis)).double())
        moved = basis @ A.mT @ torch.linalg.inv(basis)
        torch.testing.assert_close(moved, moved.round(), rtol=0, atol=1e-9)
    assert shortest(turned @ lattice) == pytest.approx(scale * shortest(MORE[name]), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", LATTICES)
def test_exp_log_and_distance_against_all_images(name, scale):
    lattice = scale * LATTICES[name]
    n, space = len(lattice), er.FlatTorus(lattice=lattice)
    reach = 12 if n == 2 else 6
    window = torch.tensor(list(itertools.product(range(-reach, reach + 1), repeat=n))).double() @ lattice
    p, q = scale * 3 * torch.rand(2, 40, n, generator=torch.Generator().manual_seed(0)).double()
    every = (q - p)[:, None] + window
    true = every.norm(dim=-1).amin(1)
    torch.testing.assert_close(space.distance(p, q), true, rtol=1e-9, atol=0)
    there = space.exp(p, space.log(p, q))
    torch.testing.assert_close(space.distance(there, q), 0 * true, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(space.home(p + lattice[0] - 2 * lattice[-1]), space.home(p))
    inside = space.home(p) @ torch.linalg.inv(lattice)
    assert bool(((inside > -1e-9) & (inside < 1)).all())
    loop = window[window.norm(dim=-1) > 1e-9 * scale].norm(dim=-1).min()
    assert space.injectivity_radius == pytest.approx(float(loop) / 2, rel=1e-12)
    assert str(space.holonomy()) == "trivial"


@pytest.mark.parametrize("name", LATTICES)
def test_the_engine_is_the_formula(name):
    space = er.FlatTorus(lattice=LATTICES[name])
    domain = space.grid(*(7, 6, 5)[: space.dim])
    radius = 0.95 * space.injectivity_radius
    spec = er.domains.KernelSpec("scalar", "scalar", radius=radius, rings=3)
    basis, f = domain.basis(spec), noise(domain, "scalar", 1)
    w = torch.randn(1, 1, len(basis), generator=torch.Generator().manual_seed(0)).double()
    found = domain.engine(spec).apply(f, w)
    expected = er.correlate(domain, lambda v: basis(v)[..., 0, 0] @ w.flatten(), f, radius=radius)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


@pytest.mark.parametrize("name", LATTICES)
def test_shifts_permute(name):
    space = er.FlatTorus(lattice=LATTICES[name])
    domain = space.grid(*(8, 6, 4)[: space.dim])
    layer, x = er.nn.Correlation(domain, 2, 3, 3).double(), noise(domain, "scalar")
    y, moves = layer(x), [s for s in domain.symmetries() if s.is_shift]
    assert len(moves) >= 4
    for move in moves:
        moved = domain.act(move.matrix, x)
        count = (move.matrix[:-1, -1] @ torch.linalg.inv(domain.steps)).round().long().tolist()
        torch.testing.assert_close(moved, x.roll(count, tuple(range(-space.dim, 0))), rtol=0, atol=0)
        torch.testing.assert_close(layer(moved), domain.act(move.matrix, y), rtol=0, atol=1e-13)


FIELDS = ("scalar", "sign", "vector", "spin2", "regular")


@pytest.mark.parametrize("group", ["D6", "C6"])
def test_layers_commute_with_the_turns_of_the_hexagonal_lattice(group):
    C6 = StructureGroup.cyclic(6)
    space = HEXAGON if group == "D6" else er.FlatTorus(lattice=HEXAGONAL, structure=C6)
    assert str(space.structure) == group
    domain = space.grid(6, 6)
    turns = [s for s in domain.symmetries() if s.name.startswith("turn ") and "," not in s.name]
    assert {s.name for s in turns} >= {"turn 60", "turn 120", "turn 180", "turn 240", "turn 300"}
    mirrors = [s for s in domain.symmetries() if s.name.startswith("mirror") and "," not in s.name]
    assert {s.in_group for s in mirrors} == {group == "D6"}
    layers = {"lift": (er.nn.Lift(domain, 2, 2, 5), "scalar", "regular")}
    for i, o in [(f, f) for f in FIELDS] + [("scalar", "vector"), ("regular", "spin2"), ("sign", "regular")]:
        layers[f"{i} to {o}"] = (er.nn.Correlation(domain, 2, 2, 5, in_field=i, out_field=o), i, o)
    for kind, (layer, i, o) in layers.items():
        x = noise(domain, i)
        y = layer.double().requires_grad_(False)(x)
        for s in (s for s in domain.symmetries() if s.in_group):
            off = layer(domain.act(s.matrix, x, i)) - domain.act(s.matrix, y, o)
            assert float(off.abs().max()) < 1e-12 * float(y.abs().max()), (kind, s.name)


@pytest.mark.parametrize("exact_shifts", [False, True])
@pytest.mark.parametrize("domain", [HEXAGON.grid(8, 8), er.FlatTorus(lattice=SKEW).grid(8, 12)], ids=str)
def test_networks_commute_with_what_permutes_the_samples(domain, exact_shifts):
    x = noise(domain, "scalar", 1)
    net = er.models.UNet(domain, 1, 1, 2, 1, kernel_size=3, exact_shifts=exact_shifts).double()
    net = er.verify.randomized(net, x)
    report = er.verify.equivariance(net, x, domain, show=False)
    exact = {row.element.name: row.output for row in report.rows if row.kind == "exact here"}
    assert ("turn 60" in exact) == (domain.geometry is HEXAGON)
    assert ("shift (1, 0)" in exact) == exact_shifts
    assert all(value < 1e-12 for value in exact.values())
    assert exact_shifts or min(r.output for r in report.rows if r.element.name == "shift (1, 0)") > 1e-3


@pytest.mark.parametrize("masked", [False, True])
def test_maxima_are_taken_over_what_the_turns_keep(masked):
    domain = HEXAGON.grid(8, 8)
    x = noise(domain, "regular")
    keeps = domain.masked(torch.ones(8, 8, dtype=torch.bool)) if masked else domain
    pool, coarse = er.nn.Pool(keeps, "max"), domain.coarser()
    y = pool(x)
    for s in domain.symmetries():
        if "shift" not in s.name:
            off = pool(domain.act(s.matrix, x, "regular")) - coarse.act(s.matrix, y, "regular")
            assert float(off.abs().max()) < 1e-12, s.name
    spike = torch.zeros_like(x)
    spike[..., 4, 4] = 1
    halving = er.engines.SkewHalving(domain.steps)
    assert len(halving.beside) == 7
    assert len(er.engines.SkewHalving(FCC).beside) == 19
    assert not torch.equal(pool(spike), er.nn.Down(keeps)(spike))


def test_strides_keep_the_turns():
    domain = HEXAGON.grid(8, 8)
    options = {"in_field": "regular", "out_field": "regular"}
    layer, x = er.nn.Correlation(domain, 2, 2, 3, stride=2, **options).double(), noise(domain, "regular")
    y, coarse = layer(x).detach(), domain.coarser()
    for s in domain.symmetries():
        if not s.is_shift and "shift" not in s.name:
            off = layer(domain.act(s.matrix, x, "regular")).detach() - coarse.act(s.matrix, y, "regular")
            assert float(off.abs().max()) < 1e-12 * float(y.abs().max()), s.name


def test_another_basis_of_the_same_lattice_is_the_same_torus():
    change = torch.tensor([[1.0, 0.0], [5.0, 1.0]], dtype=torch.float64)
    one, other = er.FlatTorus(lattice=HEXAGONAL), er.FlatTorus(lattice=change @ HEXAGONAL)
    p, q = torch.rand(2, 30, 2, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(one.log(p, q), other.log(p, q))
    a, b = one.grid(8, 8), other.grid(8, 8)
    index = (one.home(b.points) @ torch.linalg.inv(a.steps)).round().long() % 8
    x = noise(a, "scalar", 1)
    seen = x[..., index[..., 0], index[..., 1]]  # the samples of a in the order of b
    nets = []
    for domain in (a, b):
        torch.manual_seed(0)
        nets.append(er.models.UNet(domain, 1, 1, 2, 1, kernel_size=3).double())
    expected = nets[0](x)[..., index[..., 0], index[..., 1]]
    torch.testing.assert_close(nets[1](seen), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_other_units_change_nothing(scale):
    answers = []
    for s in (1.0, scale):
        domain = er.FlatTorus(lattice=s * HEXAGONAL, symmetry="isometries").grid(8, 8)
        torch.manual_seed(0)
        net = er.models.UNet(domain, 1, 1, 2, 1, kernel_size=3).double()
        answers.append(net(noise(domain, "scalar", 1)))
    torch.testing.assert_close(*answers, rtol=1e-9, atol=1e-9)


def test_down_and_up_keep_constants_and_what_is_linear():
    halving = er.engines.SkewHalving(SKEW / 8)
    around = er.engines.halving.circular
    one = torch.ones(1, 1, 8, 8).double()
    torch.testing.assert_close(halving.down(one, (True, True), around), one[..., :4, :4])
    torch.testing.assert_close(halving.up(one[..., :4, :4], (8, 8), (True, True), around), one)
    v = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")).double()[None]
    up = halving.up(v[..., ::2, ::2], (16, 16), (True, True), around)
    torch.testing.assert_close(up[..., 4:12, 4:12], v[..., 4:12, 4:12])


def test_what_is_refused():
    with pytest.raises(ValueError, match="rows are no basis, expected 2 independent"):
        er.FlatTorus(lattice=torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
    with pytest.raises(ValueError, match=r"lengths is \(1.0, 1.0\) and there is a lattice, expected one"):
        er.FlatTorus((1.0, 1.0), lattice=HEXAGONAL)
    with pytest.raises(ValueError, match=r"structure is trivial, which lacks turns .* holds Z2: reflection"):
        er.FlatQuotient(
            [er.Deck.along(0, 1.0, (1, -1))], [math.inf, 1.0], structure=StructureGroup.trivial(2)
        )
    with pytest.raises(ValueError, match="changes lengths, by 3, expected an orthogonal matrix"):
        er.FlatQuotient([er.Deck.along(0, 1.0, (1, 2))], [math.inf, 1.0])
    with pytest.raises(ValueError, match=r"leads along or turns an axis that has a width, \(1.0, 1.0\)"):
        er.FlatQuotient([er.Deck.along(0, 1.0, (1, 1))], [1.0, 1.0])
    decks = [er.Deck(torch.eye(3), torch.cat([side, torch.zeros(1)])) for side in HEXAGONAL]
    slab = er.FlatQuotient(decks, [math.inf, math.inf, 1.0]).grid(6, 6, 5)
    assert er.nn.Correlation(slab, 1, 1, 3)(torch.randn(1, 1, 6, 6, 5)).shape == (1, 1, 6, 6, 5)
    with pytest.raises(ValueError, match=r"axis 2 of .* has ends and other axes are not perpendicular"):
        er.nn.Down(slab)
    domain = HEXAGON.grid(7, 7)
    with pytest.raises(ValueError, match="expected even sizes there"):
        er.nn.Down(domain)(noise(domain, "regular"))


def test_fields_are_read_along_short_steps():
    """Between samples a field is the same in any basis of the lattice."""
    basis = torch.tensor([[1.0, 0.0], [0.3, 0.7]], dtype=torch.float64)
    long = torch.tensor([[1.0, 0.0], [10.0, 1.0]], dtype=torch.float64) @ basis
    u = torch.rand(2, 40, generator=torch.Generator().manual_seed(0)).double().T @ basis

    def waves(p):
        x = 2 * math.pi * p @ torch.linalg.inv(basis)
        return x[..., 0].cos() + x[..., 1].sin()

    for sides in (basis, long):
        domain = er.FlatTorus(lattice=sides).grid(24, 24)
        frames = domain.geometry.frames(u)
        found = domain.seen_from(frames, waves(domain.points))
        torch.testing.assert_close(found, waves(u), rtol=0, atol=1e-3)
