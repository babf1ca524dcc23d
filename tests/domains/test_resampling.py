"""Reading between samples, averages and interpolation between domains, means and losses."""

import math

import pytest
import torch

import erlangen as er
from erlangen.domains import LocalPolynomials, Samples

SPHERE = er.Sphere()
MAKERS = {
    "gauss-legendre": lambda i: SPHERE.grid(8 * 2**i, rotations=3),
    "equiangular": lambda i: SPHERE.grid(8 * 2**i + 1, kind="equiangular", rotations=3),
    "healpix": lambda i: SPHERE.healpix(4 * 2**i, rotations=3),
    "icosahedral": lambda i: SPHERE.icosahedral(2 + i, rotations=3),
    "fibonacci": lambda i: SPHERE.fibonacci(200 * 4**i, rotations=3),
}


def function(p):
    x, y, z = p.unbind(-1)
    return x * y * z + x**3 - 2 * y * y + torch.sin(2 * z * x)


def lifted(u):
    """A function of frames, of frequencies 0 and 1."""
    b = torch.tensor([0.4, -1.1, 0.7]).double()
    return function(u.point) + (u.basis[..., 0] @ b) * (1 + u.point[..., 1])


def on_fibre(domain):
    turned = domain.frames.at((None,))
    elements = domain.fibre.elements.view(-1, *[1] * len(domain.shape), 2, 2)
    basis = turned.basis @ elements
    return lifted(type(turned)(turned.point.expand(*basis.shape[:-1]), basis))


def rotation():
    g = torch.linalg.qr(torch.tensor([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]).double())[0]
    return g * torch.linalg.det(g)


@pytest.mark.parametrize("name", MAKERS)
def test_moved_fields_converge_with_the_fourth_order(name):
    g, errors = rotation(), []
    for i in (0, 1):
        domain = MAKERS[name](i)
        moved = domain.act(g, function(domain.points))
        errors.append(float((moved - function(domain.points @ g)).abs().max()))
    assert errors[1] < 8e-3
    assert math.log2(errors[0] / errors[1]) > 2.7


@pytest.mark.parametrize("name", MAKERS)
def test_down_and_up_meet_the_function_and_turn_the_fibre(name):
    domain = MAKERS[name](1)
    coarse = domain.coarser()
    fine_f, coarse_f = on_fibre(domain)[None, None], on_fibre(coarse)[None, None]
    size = float(fine_f.max() - fine_f.min())
    up = er.nn.Up(domain)(coarse_f, domain.shape)
    assert float((up - fine_f).abs().max()) < 0.05 * size
    down = er.nn.Down(domain)(fine_f)
    assert float((down - coarse_f).abs().max()) < 0.08 * size
    ones = torch.ones(1, 1, *domain.shape).double()
    torch.testing.assert_close(er.nn.Down(domain, "scalar")(ones), torch.ones(1, 1, *coarse.shape).double())
    torch.testing.assert_close(
        er.nn.Up(domain, "scalar")(torch.ones(1, 1, *coarse.shape).double(), domain.shape), ones
    )


def test_fields_go_from_any_grid_to_any_other():
    for a in MAKERS:
        for b in MAKERS:
            source, target = MAKERS[a](1), MAKERS[b](0)
            f = source.to(target, function(source.points))
            assert float((f - function(target.points)).abs().max()) < 0.02
    F = source.to(target, on_fibre(source)[None], "regular")
    assert float((F[0] - on_fibre(target)).abs().max()) < 0.02
    with pytest.raises(ValueError, match=r"expected one geometry"):
        source.to(er.Euclidean(2).grid(4, 4), function(source.points))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_local_polynomials_are_exact_to_their_degree(degree):
    torch.manual_seed(0)
    points = torch.rand(300, 2).double()
    read = LocalPolynomials(er.Euclidean(2), points, degree)
    p = 0.2 + 0.6 * torch.rand(40, 2).double()
    index, weight = read.read(p)

    def monomial(x, i, j):
        return x[..., 0] ** i * x[..., 1] ** j

    for i in range(5):
        for j in range(5 - i):
            miss = (weight * monomial(points[index], i, j)).sum(-1) - monomial(p, i, j)
            if i + j <= degree:
                assert float(miss.abs().max()) < 1e-10
            elif i == degree + 1:
                assert float(miss.abs().max()) > 1e-8
    index, weight = read.read(points[:20])
    torch.testing.assert_close((weight * points[index, 0]).sum(-1), points[:20, 0], rtol=0, atol=1e-6)
    met = (weight * torch.randn(300, generator=torch.Generator().manual_seed(1)).double()[index]).sum(-1)
    expected = torch.randn(300, generator=torch.Generator().manual_seed(1)).double()[:20]
    torch.testing.assert_close(met, expected, rtol=0, atol=1e-5)


def test_points_on_a_line_are_read_without_falling_over():
    points = torch.stack([torch.linspace(0, 1, 50), torch.zeros(50)], -1).double()
    index, weight = LocalPolynomials(er.Euclidean(2), points).read(torch.tensor([[0.503, 0.0]]).double())
    assert float((weight * points[index, 0] ** 2).sum()) == pytest.approx(0.503**2, abs=1e-6)


def test_any_samples_have_a_coarser_domain():
    space = er.Euclidean(2, "isometries")
    torch.manual_seed(0)
    points = torch.rand(400, 2).double() * 10
    domain = Samples(space, points, torch.full((400,), 0.25).double())
    coarse = domain.coarser()
    assert coarse.shape == (100,)
    assert float(coarse.weights.sum()) == pytest.approx(100.0)
    apart = torch.cdist(coarse.points, coarse.points) + 10 * torch.eye(100)
    assert float(apart.min()) > 0.4, "spread out"
    f = points[None, None, :, 0]
    inside = (coarse.points - 5).abs().amax(-1) < 4
    down = er.nn.Down(domain)(f)[0, 0]
    assert float((down - coarse.points[:, 0]).abs()[inside].mean()) < 0.2


@pytest.mark.parametrize("loss", ["mse_loss", "l1_loss"])
def test_losses_are_integrals(loss):
    p = {"mse_loss": 2, "l1_loss": 1}[loss]
    exact = {1: 0.5, 2: 1 / 3}[p]  # the mean of |z|^p over the sphere
    measured = []
    for ball in (SPHERE.grid(60), SPHERE.grid(61, kind="equiangular"), SPHERE.healpix(16)):
        z = ball.points[..., 2].expand(2, 3, *ball.shape)
        measured.append(float(getattr(er.nn, loss)(ball, z, torch.zeros_like(z))))
        each = getattr(er.nn, loss)(ball, z, 0 * z, "none")
        assert each.shape == (2, 3)
        assert float(getattr(er.nn, loss)(ball, z, 0 * z, "sum")) == pytest.approx(6 * measured[-1])
    assert measured == pytest.approx([exact] * 3, abs=2e-3)
    ball = SPHERE.grid(60)
    north = ball.masked(ball.points[..., 2] > 0)
    z = torch.where(north.mask, ball.points[..., 2], torch.nan)
    assert float(getattr(er.nn, loss)(north, z, 0 * z)) == pytest.approx(exact, abs=2e-2)


def test_losses_refuse_what_they_cannot_compare():
    ball = SPHERE.grid(4)
    with pytest.raises(ValueError, match="expected one shape"):
        er.nn.mse_loss(ball, torch.zeros(1, 4, 8), torch.zeros(4, 8))
    with pytest.raises(ValueError, match=r"has space axes \(4, 7\)"):
        er.nn.mse_loss(ball, torch.zeros(1, 4, 7), torch.zeros(1, 4, 7))
    with pytest.raises(ValueError, match="reduction is 'median', expected"):
        er.nn.mse_loss(ball, torch.zeros(1, 4, 8), torch.zeros(1, 4, 8), "median")
