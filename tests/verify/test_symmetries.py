"""The exact symmetries of any samples are found from the group and the samples."""

import math

import pytest
import torch
from spaces import se2_grid

import erlangen as er
from erlangen.domains import Grid

CUBE = er.groups.StructureGroup.finite(er.groups.cube().components)


def torus(x):
    return torch.diag_embed(torch.stack([(2 + x[..., 1].cos()) ** 2, torch.ones_like(x[..., 0])], -1))


def hexagon():
    """Seven samples of the triangular lattice."""
    angle = math.pi / 3 * torch.arange(6).double()
    points = torch.cat([torch.zeros(1, 2).double(), torch.stack([angle.cos(), angle.sin()], -1)])
    plane = er.Euclidean(2, "roto-translations")
    return er.domains.Samples(plane, points, torch.ones(7).double())


def equator():
    """Seven samples of a great circle."""
    angle = 2 * math.pi / 7 * torch.arange(7).double()
    points = torch.stack([angle.cos(), angle.sin(), 0 * angle], -1)
    return er.Sphere(symmetry="isometries").samples(points, torch.ones(7).double())


def homogeneous():
    """HEALPix samples of the sphere as a space of a user's own."""
    pole = torch.eye(3).double()[2]
    space = er.HomogeneousSpace(er.groups.SO(3), pole, lambda g, p: (g @ p[..., None])[..., 0])
    ball = er.Sphere().healpix(2)
    return space.samples(ball.points, ball.weights)


FOUND = {  # the domain, how many elements, and some of their names
    "cube": (lambda: er.Euclidean(3, structure=CUBE).grid(4, 4, 4), 23, "turn 90 about axis 0"),
    "volume": (lambda: er.Euclidean(3, "isometries").grid(4, 4, 4), 47, "turn 120 about (1, 1, 1)"),
    "bricks": (lambda: er.Euclidean(3, "isometries").grid(4, 3, 5), 7, "mirror of axis 2"),
    "plane": (lambda: er.Euclidean(2, "isometries").grid(6, 4), 3, "turn 180"),
    "square": (lambda: er.Euclidean(2, "isometries").grid(5, 5), 7, "flip, turn 90"),
    "oblong": (lambda: steps(er.Euclidean(2, "isometries"), [[1.0, 0], [0, 2.0]]), 3, "flip"),
    "rhombic": (lambda: steps(er.Euclidean(2, "isometries"), [[1.0, 0], [0.5, 0.75**0.5]]), 3, "turn 180"),
    "hexagon": (hexagon, 5, "turn 60"),
    "row": (lambda: er.Euclidean(2, "isometries").grid(5, 1), 3, "turn 180"),
    "layer": (lambda: er.Euclidean(3, "isometries").grid(4, 4, 1), 15, "mirror of axis 2"),
    "rod": (lambda: er.Euclidean(3, "roto-translations").grid(1, 5, 1), 3, "turn 180 about axis 2"),
    "equator": (equator, 27, "mirror of axis 2"),
    "line": (lambda: er.Euclidean(1, "isometries").grid(6), 1, "flip"),
    "translations": (lambda: er.Euclidean(2).grid(4, 4), 0, ""),
    "sphere": (lambda: er.Sphere().grid(6), 6, "turn 30 about the axis"),
    "sphere, mirrored": (lambda: er.Sphere(symmetry="isometries").grid(6), 9, "mirror of axis 2"),
    "HEALPix": (lambda: er.Sphere().healpix(2), 7, "turn 90 about axis 2"),
    "icosahedron": (lambda: er.Sphere().icosahedral(1), 59, "turn 72 about axis 2"),
    "SO(3) / SO(2)": (homogeneous, 7, "turn 90 about axis 2"),
    "SE(2)": (lambda: se2_grid(4, 4), 3, "turn 90"),
    "torus": (lambda: er.Chart(torus, 2, periods=(2 * math.pi,) * 2).grid(8, 6), 7, "shift (1.571, 0)"),
    "ellipsoid": (lambda: er.Ellipsoid((1.0, 1.2, 1.5)).grid(6), 7, "turn 180 about axis 0"),
    "window": (
        lambda: er.Euclidean(2, "isometries").grid(5, 5).masked(torch.eye(5, dtype=torch.bool)),
        3,
        "turn 180",
    ),
}


def steps(space, rows):
    return Grid(space, (4, 4), torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize("name", FOUND)
def test_the_elements_that_permute_the_samples_are_found(name):
    make, count, one = FOUND[name]
    domain = make()
    found = {s.name: s for s in domain.symmetries()}
    assert len(found) == count
    assert one in found or not found
    for s in found.values():
        if not s.permutes:
            assert s.name.startswith("tilt")
            continue
        f = torch.randn(domain.weights.shape).double()
        moved = domain.act(s.matrix, f)
        kept, there = (x[domain.weights > 0].sort().values for x in (f, moved))
        torch.testing.assert_close(kept, there, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["cube", "square", "layer", "sphere", "HEALPix", "icosahedron", "SE(2)", "torus"]
)
def test_layers_commute_with_them_to_rounding(name):
    domain = FOUND[name][0]()
    layer = er.nn.Correlation(domain, 1, 2, radius=2.0, out_field=domain.default_field)
    net = torch.nn.Sequential(layer, er.nn.ReLU(domain)).double()
    x = torch.randn(1, 1, *domain.weights.shape).double()
    report = er.verify.equivariance(er.verify.randomized(net, x), x, domain, show=False)
    assert sum(row.kind == "exact here" for row in report.rows) >= 3
    assert report.worst < 1e-9
    assert report.worst_gradient < 1e-9


def test_matrices_that_permute_the_samples_are_exact():
    ball = er.Sphere().icosahedral(1)
    turn = ball.symmetries()[10].matrix
    layer = er.nn.Correlation(ball, 1, 1, radius=1.0).double()
    x = torch.randn(1, 1, *ball.shape).double()
    tilt = er.groups.SO(3).exp(torch.tensor([0.3, 0.2, 0.1]).double())
    report = er.verify.equivariance(layer, x, ball, [turn, tilt], show=False)
    assert [row.kind for row in report.rows] == ["exact here", "interpolated"]
    assert report.worst < 1e-11


class Halved(torch.nn.Module):
    """A layer, whose result goes to half the samples and back."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.down, self.up = layer, er.nn.Down(layer.domain), er.nn.Up(layer.domain)

    def forward(self, x):
        return self.up(self.down(self.layer(x)), x.shape[2:])


def test_exact_is_what_permutes_the_coarser_samples_too():
    """A shift by one of a grid that a layer halves is none of the coarser one, a shift by two is."""
    chart = er.Chart(torus, 2, periods=(2 * math.pi,) * 2).grid(12, 8)
    layer = er.nn.Correlation(chart, 1, 1, radius=1.2)
    net = Halved(layer).double()
    shifts = torch.eye(3).double().repeat(2, 1, 1)
    shifts[:, 0, 2] = 2 * math.pi / 12 * torch.tensor([1.0, 2.0]).double()
    x = torch.randn(1, 1, 12, 8).double()
    report = er.verify.equivariance(net, x, chart, list(shifts), show=False)
    assert [row.kind for row in report.rows] == ["interpolated", "exact here"]
    assert report.worst < 1e-9 < report.worst_interpolated
    report = er.verify.equivariance(layer, x, chart, list(shifts), show=False)
    assert [row.kind for row in report.rows] == ["exact here", "exact here"]


def test_fibres_that_a_turn_does_not_permute_interpolate():
    ball = er.Sphere().icosahedral(1, rotations=4)
    kinds = {s.name: s.permutes for s in ball.symmetries()}
    assert len(kinds) < 59  # turns by a fifth turn frames by angles between the fibre's
    free = ball.symmetry_of(er.Sphere().icosahedral(1).symmetries()[0].matrix)
    assert free.in_group


def test_isometries_that_break_the_gluing_are_none():
    strip = er.Moebius(8.0, 4.0).grid(8, 4)
    across = torch.eye(3).double()
    across[1, 2] = 1.0
    assert not strip.symmetry_of(across).permutes


def test_a_space_that_differs_between_the_samples_has_no_shift():
    """A metric that is 1 at all samples, and waves between them, here more than there."""

    def metric(x):
        wave = 1 + (4 * x[..., 0]).sin() ** 2 * (1 + 0.5 * x[..., 0].cos())
        return torch.diag_embed(torch.stack([wave, torch.ones_like(wave)], -1))

    chart = er.Chart(metric, 2, periods=(2 * math.pi,) * 2)
    names = {s.name for s in chart.grid(8, 4).symmetries()}
    assert not {name for name in names if name.startswith("shift (0.7854, 0)")}
    assert "shift (0, 1.571)" in names


@pytest.mark.parametrize("rotations", [None, 4])
@pytest.mark.parametrize("symmetry", ["rotations", "isometries"])
def test_samples_on_a_ring_at_a_pole_are_permuted(symmetry, rotations):
    """They lie at one point, and are told apart by their frames."""
    ball = er.Sphere(symmetry=symmetry).grid(7, 12, kind="equiangular", rotations=rotations)
    exact = [s for s in ball.symmetries() if s.is_exact]
    names = {s.name for s in exact}
    assert names >= {"turn 30 about the axis", "turn 90 about the axis", "turn 180 about axis 0"}
    assert ("mirror of axis 1" in names) == (symmetry == "isometries")
    for field in ("scalar", "vector", *["regular"] * (rotations is not None)):
        layer = er.nn.Correlation(ball, 2, 2, radius=0.9, in_field=field, out_field=field).double()
        rho = ball.representation(field)
        x = torch.randn(1, 2, *(rho.dim,) * rho.has_axis, *ball.shape).double()
        y = layer.requires_grad_(False)(x)
        if field == "scalar":
            torch.testing.assert_close(ball.act(exact[0].matrix, x), x.roll(1, -1), rtol=0, atol=1e-12)
        for s in exact:
            off = layer(ball.act(s.matrix, x, field)) - ball.act(s.matrix, y, field)
            assert float(off.abs().max()) < 1e-12 * float(y.abs().max()), (field, s.name)


def test_shifts_once_round_a_torus_are_no_symmetries():
    """What two matrices do to all samples is one element, and those that do nothing are none."""
    diagonal = er.FlatTorus((4.0, 4.0), symmetry="isometries").grid(4, 4, mask=torch.eye(4) > 0)
    found, x = diagonal.symmetries(), torch.randn(1, 1, 4, 4).double()
    assert {s.name for s in found if s.is_shift} == {"shift (1, 1)", "shift (2, 2)", "shift (3, 3)"}
    moved = torch.cat([diagonal.hide(x), *[diagonal.act(s.matrix, x) for s in found]]).flatten(1)
    assert len(moved.round(decimals=9).unique(dim=0)) == len(found) + 1 == 8
