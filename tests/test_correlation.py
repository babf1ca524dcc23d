"""The formula itself, against answers known by other means."""

import math

import numpy as np
import pytest
import torch
from spaces import se2_grid

import erlangen as er


def gaussian(s: float):
    """The density of the normal distribution of standard deviation s."""
    return lambda v: torch.exp(-v.square().sum(-1) / (2 * s**2)) / math.sqrt(2 * math.pi * s**2)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_gaussian_smooths_a_gaussian(sampled):
    """N(0, s) * N(0, t) = N(0, sqrt(s^2 + t^2)), sampled or as a function."""
    line = er.Euclidean(1).grid(256, spacing=0.1)
    s, t = 0.4, 0.7
    f = gaussian(t)
    smooth = er.correlate(line, gaussian(s), f(line.points) if sampled else f, radius=4.0, nodes=64)
    expected = gaussian(math.hypot(s, t))(line.points)
    torch.testing.assert_close(smooth, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("wave", [0.5, 2.0])
def test_a_gaussian_damps_a_wave(wave):
    line = er.Euclidean(1).grid(64, spacing=0.1)

    def f(p):
        return torch.sin(wave * p[..., 0] + 0.3)

    smooth = er.correlate(line, gaussian(0.5), f, radius=4.5, nodes=64)
    expected = math.exp(-0.5 * (0.5 * wave) ** 2) * f(line.points)
    torch.testing.assert_close(smooth, expected, rtol=0, atol=1e-7)


def test_correlation_and_convolution_differ_by_a_flip():
    line = er.Euclidean(1).grid(40, spacing=0.25)

    def one_sided(v):
        return torch.where(v[..., 0] > 0, torch.exp(-v[..., 0].clamp_min(0.0)), 0.0)

    impulse = torch.zeros(40).double()
    impulse[20] = 1.0
    correlated, convolved = (op(line, one_sided, impulse) for op in (er.correlate, er.convolve))
    assert float(correlated[21:].abs().max()) == 0.0  # (k * f)(x) = k(y - x): looks ahead
    assert float(convolved[:20].abs().max()) == 0.0  # k(x - y): looks back
    torch.testing.assert_close(convolved[21:40], correlated[1:20].flip(0))


def legendre(l: int, t: torch.Tensor) -> torch.Tensor:
    return [torch.ones_like(t), t, (3 * t**2 - 1) / 2, (5 * t**3 - 3 * t) / 2][l]


def zonal(radius: float):
    """A smooth zonal kernel and kappa(t), t the cosine of the angle."""

    def kernel(v):
        r = v.norm(dim=-1)
        return torch.cos(0.5 * math.pi * r / radius).clamp_min(0.0) ** 4

    return kernel


def eigenvalue(l: int, radius: float) -> float:
    """lambda_l = 2 pi int kappa(t) P_l(t) dt."""
    import numpy as np

    t, w = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(200))
    angle = radius * (t + 1) / 2  # over the angle, where the kernel is smooth
    kappa = zonal(radius)(angle[:, None])
    return float(2 * math.pi * (w * kappa * legendre(l, angle.cos()) * angle.sin()).sum() * radius / 2)


def spherical_harmonic(l: int):
    axis = torch.tensor([0.48, -0.6, 0.64]).double()
    return lambda p: legendre(l, p @ axis)


@pytest.mark.parametrize("l", [0, 1, 2, 3])
def test_spherical_harmonics_are_eigenfunctions(l):
    """k * Y_lm = lambda_l Y_lm; no interpolation with a callable f, so the quadrature alone errs."""
    ball, radius, f = er.Sphere().grid(6), 1.3, spherical_harmonic(l)
    found = er.correlate(ball, zonal(radius), f, radius=radius, nodes=24)
    torch.testing.assert_close(found, eigenvalue(l, radius) * f(ball.points), rtol=0, atol=1e-10)


@pytest.mark.parametrize("l", [1, 3])
def test_sampled_spherical_harmonics_converge(l):
    """Sampled: the kernel has a fourth-order zero at its edge, and the error falls at least as N^-4."""
    errors, radius, f = [], 1.3, spherical_harmonic(l)
    for size in (12, 24, 48):
        ball = er.Sphere().grid(size)
        at = ball.points[:: size // 12, :: size // 6]
        found = er.correlate(ball, zonal(radius), f(ball.points), at=at, radius=radius)
        errors.append(float((found - eigenvalue(l, radius) * f(at)).abs().max()))
    assert errors[1] < errors[0] / 2**4
    assert errors[2] < errors[1] / 2**4
    assert errors[2] < 2e-6


@pytest.mark.parametrize("in_field", ["scalar", "regular"])
def test_the_strip_is_the_cylinder_of_twice_the_length(in_field):
    """Fields on the strip are fields on its double cover that the deck transformation leaves alone."""
    length, width, n, m = 8.0, 5.0, 16, 10
    strip, cover = er.Moebius(length, width).grid(n, m), er.Cylinder(2 * length, width).grid(2 * n, m)
    radius = 1.9

    def bump(v):  # even across the band, or H would move it
        return torch.exp(-v.square().sum(-1)) * (1 + v[..., 0] + v[..., 1] ** 2)

    if in_field == "scalar":
        f = torch.randn(n, m).double()
        above = torch.cat([f, f.flip(1)])
        found = er.correlate(strip, bump, f, radius=radius)
        expected = er.correlate(cover, bump, above, radius=radius)[:n]
    else:
        F = torch.randn(2, n, m).double()  # F(p, 1) is what the mirrored frame sees

        def kernel(v, h):
            return bump(v) * (1 + 0.7 * v[..., 1]) * (2 + h[..., 1, 1])

        found = er.correlate(strip, kernel, F, radius=radius, in_field="regular", out_field="regular")
        # upstairs the two sheets of the frame bundle are two scalar fields on the cylinder
        sheets = [torch.cat([F[0], F[1].flip(1)]), torch.cat([F[1], F[0].flip(1)])]
        mirror = torch.tensor([1.0, -1.0]).double()
        expected = torch.zeros_like(F)
        for i, sign in enumerate((1.0, -1.0)):
            for j, other in enumerate((1.0, -1.0)):
                h = torch.diag(torch.tensor([1.0, sign * other])).double()

                def part(v, i=i, h=h):
                    v = v * mirror if i else v
                    return kernel(v, h.expand(*v.shape[:-1], 2, 2))

                expected[i] += er.correlate(cover, part, sheets[j], radius=radius)[:n]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_regular_field_on_the_plane_is_a_scalar_field_on_se2():
    """Lifting is nothing but a function of frames: SE(2) acting on itself, any kernel."""
    turns, size, radius = 4, 4, 1.9
    group = se2_grid(turns, size)
    plane = er.Plane(rotations=turns, shape=(size, size))
    F = torch.randn(turns, size, size).double()  # F(h_i, row, column)

    def profile(r, h):
        return torch.exp(-r.square().sum(-1)) * (
            1 + r[..., 0] + 0.3 * r[..., 1] + 0.5 * h[..., 0, 0] + h[..., 1, 0]
        )

    def cut(r, h):
        return profile(r, h) * (r.norm(dim=-1) < radius)

    on_plane = er.correlate(plane, cut, F, in_field="regular", out_field="regular")
    u = group.frames.point.flatten(0, -2)  # group elements, flattened matrices
    g = u.unflatten(-1, (3, 3))
    relative = torch.linalg.inv(g)[:, None] @ g  # g^{-1} g'
    kernel = cut(relative[..., :2, 2], relative[..., :2, :2])
    # the grid of the group counts columns, then y upward; images count rows downward
    field = F.permute(0, 2, 1).flip(2).flatten()
    on_group = (kernel * group.weights.flatten()) @ field
    weight = float(plane.fibre.weight)
    on_group = on_group.view(turns, size, size).flip(2).permute(0, 2, 1)
    scale = weight / (2 * math.pi / turns)
    torch.testing.assert_close(on_plane, scale * on_group, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "domain",
    [
        er.Plane(shape=(6, 6)),
        er.Sphere().grid(6),
        er.Moebius(8.0, 5.0).grid(8, 5),
        er.Euclidean(3, "isometries").grid(3, 3, 3),
    ],
    ids=str,
)
def test_kernels_that_the_structure_group_moves_are_refused(domain):
    def kernel(v):
        return torch.exp(-v.square().sum(-1)) * (1 + v[..., 1])

    f = torch.randn(domain.shape).double()
    with pytest.raises(
        ValueError, match=r"moves this kernel: max .* expected at most .*Symmetrize it .*or lift"
    ):
        er.correlate(domain, kernel, f, radius=1.2)
    symmetric = er.kernels.symmetrize(kernel, domain.geometry.structure, 24)
    assert er.correlate(domain, symmetric, f, radius=1.2).shape == f.shape
    if domain.fibre is not None:
        assert er.correlate(domain, kernel, f, radius=1.2, out_field="regular").shape[1:] == f.shape


def test_matrix_kernels_that_the_structure_group_moves_are_refused():
    plane = er.Plane(rotations=4, shape=(5, 5))

    def lopsided(v):
        shape = torch.tensor([[1.0, 2.0], [0.0, 0.5]]).double()
        return torch.exp(-v.square().sum(-1))[..., None, None] * shape

    fields = {"in_field": "vector", "out_field": "vector"}
    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(plane, lopsided, torch.randn(2, 5, 5), **fields)

    def spiral(v):
        turn = torch.tensor([[1.0, -2.0], [2.0, 1.0]]).double()  # commutes with turns
        return torch.exp(-v.square().sum(-1))[..., None, None] * turn

    assert er.correlate(plane, spiral, torch.randn(2, 5, 5), **fields).shape == (2, 5, 5)

    def of_the_frame(v, h):
        return torch.exp(-v.square().sum(-1)) * (1 + v[..., 0] + h[..., 0, 0])

    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(plane, of_the_frame, torch.randn(4, 5, 5), in_field="regular")


def test_small_lopsided_kernels_are_seen_and_sharp_round_ones_are_not_refused():
    ball = er.Sphere().grid(24)

    def small(v):
        return torch.where(v.norm(dim=-1) < 0.12, 1 + 10 * v[..., 0], 0.0)

    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(ball, small, ball.points[..., 0])
    for edge, radius in ((2.5, 4.0), (1.5, 4.0), (3.5, 12.0), (1.0, 2.0)):
        er.correlate(
            er.Plane(), lambda v, e=edge: (v.norm(dim=-1) <= e).double(), torch.randn(5, 5), radius=radius
        )
    with pytest.raises(ValueError, match="vanishes at all"):
        er.correlate(er.Plane(), lambda v: 0 * v[..., 0], torch.randn(5, 5), radius=2.0)


def test_the_antipode_has_no_mass_in_the_tangent_measure():
    ball = er.Sphere(measure="tangent").grid(12)
    y = er.correlate(ball, lambda v: torch.exp(-v.square().sum(-1)), torch.ones(12, 24).double())
    assert abs(float(y.mean()) - math.pi) < 0.05


def test_numbers_of_other_kinds():
    line = er.Euclidean(1).grid(16)

    def kernel(v):
        return torch.exp(-v.square().sum(-1))

    one = er.correlate(line, kernel, torch.ones(16).double())
    torch.testing.assert_close(er.correlate(line, kernel, torch.ones(16, dtype=torch.int64)), one.float())
    torch.testing.assert_close(er.correlate(line, kernel, torch.ones(16).numpy()), one.float())
    wave = torch.exp(1j * line.points[..., 0])
    y = er.correlate(line, kernel, wave)
    torch.testing.assert_close(y.real, er.correlate(line, kernel, wave.real))
    torch.testing.assert_close(y.imag, er.correlate(line, kernel, wave.imag))
    called = er.correlate(line, kernel, lambda p: torch.exp(1j * p[..., 0]), radius=5.0, nodes=64)
    assert called.is_complex()
    with pytest.raises(ValueError, match=r"expected .*: frame components .* in, .* out"):
        er.correlate(line, lambda v: torch.exp(-v.square()), torch.ones(16))


def test_batches_dtypes_and_refusals():
    plane = er.Plane(shape=(5, 6))

    def kernel(v):
        return torch.exp(-v.square().sum(-1))

    f = torch.randn(2, 3, 5, 6)
    y = er.correlate(plane, kernel, f)
    assert y.shape == f.shape
    assert y.dtype == torch.float32
    torch.testing.assert_close(y[1, 2], er.correlate(plane, kernel, f[1, 2]))
    with pytest.raises(ValueError, match="give radius=, the support of the kernel"):
        er.correlate(plane, kernel, lambda p: p[..., 0])
    with pytest.raises(ValueError, match="beyond which a kernel would meet itself"):
        er.correlate(er.Sphere().grid(4), kernel, torch.randn(4, 8), radius=4.0)
    with pytest.raises(ValueError, match=r"defined on R\^n only"):
        er.convolve(er.Sphere().grid(4), kernel, torch.randn(4, 8), radius=1.0)
    with pytest.raises(ValueError, match=r"space axes \(4, 4\), expected \(5, 6\)"):
        er.correlate(plane, kernel, torch.randn(4, 4))
    with pytest.raises(ValueError, match="expected a scalar or regular field; sample it instead"):
        er.correlate(
            plane,
            lambda v: torch.exp(-v.square().sum(-1))[..., None, None] * torch.eye(2).double(),
            lambda p: p,
            radius=1.0,
            in_field="vector",
            out_field="vector",
        )


def test_measures_are_real_quadratures():
    """Refining the grid converges instead of rescaling."""
    answers = []
    for n in (24, 36, 48):
        plane = er.Euclidean(2, "isometries").grid(n, n, spacing=8.0 / n)
        f = torch.exp(-plane.points.square().sum(-1))
        at = plane.points[n // 2, n // 2][None]
        y = er.correlate(plane, lambda v: torch.exp(-2 * v.square().sum(-1)), f, at=at, radius=3.0)
        answers.append(float(y))
    # int exp(-2 |v|^2) exp(-|x + v|^2) dv = pi / 3 exp(-2/3 |x|^2), half a sample from the centre
    for n, y in zip((24, 36, 48), answers, strict=True):
        assert abs(y - math.pi / 3 * math.exp(-2 / 3 * 2 * (4.0 / n) ** 2)) < 2e-5


def test_gathering_and_summing_agree_on_smooth_fields():
    """The callable's fixed nodes against the weighted sum over samples, on a curved space."""
    ball, radius, f = er.Sphere().grid(24, rotations=8), 0.9, spherical_harmonic(3)

    def kernel(v):
        return zonal(radius)(v) * (1 + v[..., 0] - 0.5 * v[..., 1])

    carried = er.correlate(ball, kernel, f, radius=radius, out_field="regular", nodes=24)
    summed = er.correlate(ball, kernel, f(ball.points), radius=radius, out_field="regular")
    assert float(carried.abs().max()) > 0.05
    torch.testing.assert_close(summed, carried, rtol=0, atol=2e-4)


def bump(v):
    return torch.exp(-v.square().sum(-1))


def torus(x):
    return torch.diag_embed(torch.stack([(2 + x[..., 1].cos()) ** 2, torch.ones_like(x[..., 0])], -1))


TORUS = er.Chart(torus, 2, periods=(2 * math.pi,) * 2)
SOME = {
    "plane": (lambda: er.Euclidean(2, "isometries").grid(7, 6), 2.0, {}),
    "volume": (lambda: er.Euclidean(3, "isometries").grid(3, 4, 3), 2.0, {}),
    "strip": (lambda: er.Moebius(8.0, 5.0).grid(8, 5), 1.9, {"out_field": "regular"}),
    "sphere": (lambda: er.Sphere().healpix(2, rotations=4), 1.2, {"out_field": "regular"}),
    "SE(2)": (lambda: se2_grid(4, 4), 2.0, {}),
    "hyperbolic": (lambda: er.Hyperbolic(2).grid(0.9, 4), 0.8, {}),
    "torus": (lambda: TORUS.grid(6, 4), 1.4, {}),
}


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("sampled", [True, False])
def test_the_formula_at_points_is_that_of_the_samples(name, sampled):
    make, radius, fields = SOME[name]
    domain = make()

    def signal(p):
        return torch.sin(p[..., 0]) + p[..., -1] ** 2

    f = signal(domain.points) if sampled else signal
    options = {"radius": radius, "nodes": 8, **fields}
    whole = er.correlate(domain, bump, f, **options).flatten(-domain.space_axes)
    u = domain.frames.flat
    some = torch.tensor([[0, 3], [5, 2]])
    at = u.point[some] if name not in ("torus",) else u.at(some)  # which has frames of its own
    found = er.correlate(domain, bump, f, at=at, **options)
    assert found.shape == (*whole.shape[:-1], 2, 2)
    torch.testing.assert_close(found, whole[..., some], rtol=0, atol=1e-12)
    one = er.correlate(domain, bump, f, at=u.at(4), **options)
    torch.testing.assert_close(one, whole[..., 4], rtol=0, atol=1e-12)


def test_a_space_and_a_function_need_no_samples():
    axis = torch.eye(3).double()
    for l in (1, 2, 3):
        f, radius = spherical_harmonic(l), 1.3
        found = er.correlate(er.Sphere(), zonal(radius), f, at=axis, radius=radius, nodes=24)
        torch.testing.assert_close(found, eigenvalue(l, radius) * f(axis), rtol=0, atol=1e-10)


def test_frames_decide_what_vectors_and_lifted_fields_are_seen_in():
    plane = er.Euclidean(2, "roto-translations")
    grid = plane.grid(7, 7)
    h = er.groups.StructureGroup.cyclic(12).components[1]
    u = plane.frames(torch.tensor([[0.3, 0.2], [-0.5, 1.0]]).double())
    f = torch.randn(7, 7).double()

    def gradient(v):
        return (bump(v)[..., None] * v)[..., None]

    options = {"radius": 3.0, "out_field": "vector"}
    straight, turned = (er.correlate(grid, gradient, f, at=w, **options) for w in (u, u.turn(h)))
    torch.testing.assert_close(turned, h.T @ straight, rtol=0, atol=1e-12)
    assert float((turned - straight).abs().max()) > 0.1


def test_points_that_are_none_are_refused():
    ball, f = er.Sphere(), lambda q: q[..., 0]
    x = torch.eye(3)[:1]
    with pytest.raises(ValueError, match=r"\(2, 0, 0\) is no point of"):
        er.correlate(ball, bump, f, at=2 * x, radius=1.0)
    with pytest.raises(ValueError, match="points are not finite"):
        er.correlate(ball, bump, f, at=math.nan * x, radius=1.0)
    with pytest.raises(ValueError, match=r"at has shape \(1, 2\), expected \(\*places, 3\)"):
        er.correlate(ball, bump, f, at=x[:, :2], radius=1.0)
    with pytest.raises(ValueError, match="or a function f, and at= points"):
        er.correlate(ball, bump, f, radius=1.0)
    with pytest.raises(ValueError, match="or a function f, and at= points"):
        er.correlate(ball, bump, torch.randn(4, 8), at=x, radius=1.0)
    with pytest.raises(ValueError, match="to= and at= both"):
        er.correlate(ball.grid(4), bump, torch.randn(4, 8), at=x, to=ball.grid(6), radius=1.0)
    with pytest.raises(ValueError, match="beyond the edge of"):
        er.correlate(er.Cylinder(4.0, 2.0), bump, f, at=torch.tensor([[1.0, 3.0]]), radius=0.5)
    with pytest.raises(ValueError, match=r"moves this kernel: max .* is .* of its maximum"):
        er.correlate(ball, lambda v: 1 + v[..., 0], f, at=x, radius=1.0)


def by_the_group(domain, kernel, f, index):
    """``sum_q w_q k(g^{-1} q) f(q)``, with g any element that takes the origin to p."""
    space, q = domain.geometry, domain.points.flatten(0, -2)
    totals = []
    for p in q[index]:
        g = space.section(p) @ space.stabilizer().sample(1, seed=3)[0]
        seen = space.act(torch.linalg.inv(g), space.frames(q)).point
        totals.append((domain.weights.flatten() * kernel(seen) * f.flatten()).sum())
    return torch.stack(totals)


def rotations_of_the_sphere():
    space = er.HomogeneousSpace(
        er.groups.SO(3), torch.eye(3).double()[2], lambda g, p: (g @ p[..., None])[..., 0]
    )
    ball = er.Sphere().healpix(1)
    return space.samples(ball.points, ball.weights)


ON_SPACE = {  # kernels on the space itself, which the stabilizer of the origin leaves alone
    "plane": (
        lambda: er.Euclidean(2, "isometries").grid(6, 6),
        lambda q: torch.exp(-q.square().sum(-1)),
    ),
    "plane, any kernel": (
        lambda: er.Euclidean(2).grid(6, 6),
        lambda q: torch.exp(q[..., 0] - q[..., 1] ** 2),
    ),
    "sphere": (lambda: er.Sphere().grid(6), lambda q: torch.exp(3 * q[..., 2])),
    "SE(2)": (lambda: se2_grid(3, 4), lambda q: torch.exp(-(q[..., 2] ** 2) - q[..., 5]) * (1 + q[..., 1])),
    "hyperbolic": (lambda: er.Hyperbolic(2).grid(0.9, 4), lambda q: torch.exp(-q[..., 0])),
    "SO(3) / SO(2)": (rotations_of_the_sphere, lambda q: torch.exp(3 * q[..., 2])),
}


@pytest.mark.parametrize("name", ON_SPACE)
def test_kernels_on_the_space_are_moved_by_the_group(name):
    make, kernel = ON_SPACE[name]
    domain = make()
    f = torch.randn(domain.weights.shape).double()
    index = torch.tensor([0, 7, 11])
    expected = by_the_group(domain, kernel, f, index)
    at = domain.points.flatten(0, -2)[index]
    found = er.correlate(domain, kernel, f, at=at, kernel_on="space")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    one = er.kernels.moved(domain.geometry, kernel, at[1], radius=1.0)(domain.points)
    torch.testing.assert_close((domain.weights * one * f).sum(), expected[1], rtol=0, atol=1e-9)


def test_kernels_on_the_sphere_have_the_eigenvalues_of_funk_and_hecke():
    """kappa(t) = exp(3 t) on all of S^2: lambda_l = 2 pi int kappa P_l dt, on harmonics sampled exactly."""
    ball = er.Sphere().grid(24)
    t, w = map(torch.from_numpy, np.polynomial.legendre.leggauss(60))
    for l in range(4):
        f = spherical_harmonic(l)(ball.points)
        found = er.correlate(
            ball, lambda q: torch.exp(3 * q[..., 2]), f, kernel_on="space", at=ball.points[::5, 1]
        )
        expected = 2 * math.pi * (w * torch.exp(3 * t) * legendre(l, t)).sum() * f[::5, 1]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_kernels_on_a_chart_go_by_its_exponential():
    def on_space(x):
        return 1 / (1 + TORUS.distance(TORUS.origin.expand_as(x), x) ** 2)

    p = torch.tensor([[0.4, 0.9]]).double()

    def f(x):
        return torch.sin(x[..., 0]) + torch.cos(x[..., 1])

    found = er.correlate(TORUS, on_space, f, at=p, kernel_on="space", radius=0.8, nodes=8)
    expected = er.correlate(TORUS, lambda v: 1 / (1 + v.square().sum(-1)), f, at=p, radius=0.8, nodes=8)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_kernels_on_the_space_that_the_stabilizer_moves_are_refused():
    ball = er.Sphere().grid(4)
    with pytest.raises(ValueError, match=r"moves this kernel.*mean over .*stabilizer.*or lift"):
        er.correlate(ball, lambda q: q[..., 0], torch.randn(4, 8), kernel_on="space")
    lifted = er.Sphere().grid(4, rotations=4)
    f = torch.randn(4, 8).double()
    out = er.correlate(
        lifted, lambda q: q[..., 0], f, kernel_on="space", out_field="regular", at=lifted.points[0, :1]
    )
    # the frames at p are those of g with g p0 = p, turned: k(g^{-1} q) is the component of q along each axis
    u = lifted.frames.at((0, slice(0, 1)))
    axes = u.basis @ lifted.fibre.elements[:, :, 0].T
    expected = torch.einsum("pmi,yxm,yx->ip", axes, lifted.points, lifted.weights * f)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="moves this kernel"):
        er.kernels.moved(er.Sphere(), lambda q: q[..., 0], torch.eye(3)[0])


@pytest.mark.parametrize("kernel_on", ["space", "tangent"])
def test_at_no_points_there_are_no_values(kernel_on):
    ball = er.Sphere().grid(4)
    signals = [(ball, torch.randn(2, 4, 8)), (ball.geometry, lambda q: q[..., 2])]
    for places in ((0,), (3, 0)):
        for domain, f in signals:
            at = torch.zeros(*places, 3)
            k = er.correlate(domain, lambda x: 1 + 0 * x[..., 0], f, at=at, kernel_on=kernel_on, radius=1.0)
            assert k.shape == (*((2,) if domain is ball else ()), *places)


@pytest.mark.parametrize("carried", [er.kernels.moved, er.kernels.transported])
def test_kernels_are_carried_to_points_of_the_space(carried):
    strip = er.Moebius(2.0, 1.0)
    for space, p, why in (
        (er.Sphere(), [0.0, 0.0, 2.0], "is no point of"),
        (er.Sphere(), [0.0, math.nan, 1.0], "not finite"),
        (strip, [0.0, 0.7], "beyond the edges"),
    ):
        with pytest.raises(ValueError, match=why):
            carried(space, lambda x: 1 + 0 * x[..., 0], torch.tensor(p))


def test_a_kernel_is_transported_as_vectors_are():
    """(Gamma k)(Gamma w) = k(w): on the sphere along a great circle, on the torus along lines."""
    for space, p, w in (
        (er.Sphere(symmetry="axis"), torch.tensor([0.6, 0.0, 0.8]), torch.tensor([0.1, 0.3, 0.0])),
        (TORUS, torch.tensor([3.6, 2.8]), torch.tensor([0.2, -0.1])),
    ):
        p, w, p0 = p.double(), w.double(), space.origin
        ways = torch.stack([space.exp(p0, t * space.log(p0, p)) for t in torch.arange(1, 5) / 4])
        arrived = space.parallel_transport(p0, space.log(p0, p), w)

        def kernel(v):
            return 1 + v.square().sum(-1)

        u = space.frames(p0)
        components = space.components(u, w[:, None])[:, 0]
        carried = er.kernels.transported(space, kernel, p, along=ways)
        torch.testing.assert_close(carried(arrived), kernel(components), rtol=0, atol=1e-7)
        other = er.kernels.transported(space, kernel, p)
        torch.testing.assert_close(other(arrived), carried(arrived), rtol=0, atol=1e-7)


def test_kernels_that_holonomy_moves_are_not_transported():
    strip, p = er.Moebius(4.0, 2.0), torch.tensor([1.0, 0.3])
    round_it = torch.tensor([[1.5, 0.0], [3.0, 0.0], [4.5, 0.0], [5.0, -0.3]])

    def even(v):
        return v[..., 0] + v[..., 1] ** 2

    there, back = (er.kernels.transported(strip, even, p, along=way) for way in (None, round_it))
    w = torch.randn(5, 2).double()
    torch.testing.assert_close(there(w), back(w))
    with pytest.raises(ValueError, match="reflection of axis 1 moves this kernel"):
        er.kernels.transported(strip, lambda v: v[..., 1], p)
    with pytest.raises(ValueError, match=r"along ends .* expected a path from the origin to p"):
        er.kernels.transported(strip, even, p, along=round_it[:2])
    with pytest.raises(ValueError, match=r"p has shape \(3,\), expected \(2,\)"):
        er.kernels.transported(strip, even, torch.zeros(3))
