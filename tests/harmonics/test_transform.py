"""The transform: round trips, harmonics it must find, gradients, what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

import erlangen as er
from erlangen.groups import CircleFibre, regular, standard, trivial
from erlangen.harmonics import Parallels, Transform, frequencies, gauss_legendre

FIELDS = {
    "scalar": trivial(),
    "vector": standard(2),
    "regular, 5": regular(CircleFibre(5, False, 2 * math.pi)),
    "regular, 8": regular(CircleFibre(8, False, 2 * math.pi)),
}


def phi(rings: Parallels) -> torch.Tensor:
    return 2 * math.pi * torch.arange(rings.longitudes).double() / rings.longitudes


def coefficients(L: int, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    c = torch.randn(L, L, dtype=dtype).tril()
    c[:, 0] = c[:, 0].real.to(dtype)
    return c


@pytest.mark.parametrize("L", [2, 15, 64, 256])
@pytest.mark.parametrize(("dtype", "bar"), [(torch.complex64, 2e-6), (torch.complex128, 1e-12)], ids=str)
@pytest.mark.parametrize("kind", ["gauss-legendre", "equiangular", "equiangular, no poles"])
def test_round_trip(L, dtype, bar, kind):
    ball = er.Sphere().grid(L + (kind == "equiangular"), 2 * L, kind=kind)
    assert ball.degrees == L
    c = coefficients(L, dtype)
    back = ball.analyze(ball.synthesize(c))
    assert back.dtype == dtype
    assert float((back - c).norm() / c.norm()) < bar


def test_it_finds_each_harmonic():
    ball = er.Sphere().grid(9, 20)
    rings = gauss_legendre(9, 20)
    for l, m in ((0, 0), (3, 2), (8, 8), (7, 0), (5, 1)):
        Y = sph_harm_y(l, m, rings.theta[:, None].numpy(), phi(rings).numpy())
        c = ball.analyze(torch.from_numpy(np.stack([Y.real, Y.imag])))
        expected = torch.zeros(9, 9, dtype=torch.complex128)
        expected[l, m] = 1
        torch.testing.assert_close(c[0] + 1j * c[1], expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("J", [6, 7])
def test_fields_of_every_type_come_back(name, J):
    rho = FIELDS[name]
    of, transform = frequencies(rho), Transform(gauss_legendre(J, 2 * J))
    c = torch.randn(J, J, 2, 3, len(of.columns), dtype=torch.complex128)
    f = transform.synthesize(c, of)
    assert f.shape == (2, 3, *((rho.dim,) if rho.has_axis else ()), J, 2 * J)
    torch.testing.assert_close(transform.synthesize(transform.analyze(f, of), of), f, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", FIELDS)
def test_a_column_is_the_function_on_so3(name):
    """F(Rz(phi) Ry(theta) Rz(gamma)) is summed from D^l_mn itself, at the frames of the field."""
    rho = FIELDS[name]
    of, J = frequencies(rho), 5
    rings = gauss_legendre(J, 2 * J)
    c = Transform(rings).analyze(torch.randn(1, 1, *((rho.dim,) * rho.has_axis), J, 2 * J).double(), of)
    f = Transform(rings).synthesize(c, of)[0, 0]
    waves = torch.zeros(len(of.columns), J, 2 * J, dtype=torch.complex128)
    from erlangen.harmonics import wigner

    for i, n in enumerate(of.columns):
        j = of.columns.index(-n)
        for m in range(-J + 1, J):
            w = wigner(rings.theta, J, [m], n)[0]  # (l, j)
            here = c[:, m, 0, 0, i] if m >= 0 else (-1) ** (m - n) * c[:, -m, 0, 0, j].conj()
            waves[i] += (here @ (w + 0j))[:, None] * torch.exp(1j * m * phi(rings))
    values = torch.einsum("dn,njk->djk", of.waves_out, waves)
    assert float(values.imag.abs().max()) < 1e-12
    torch.testing.assert_close(values.real if rho.has_axis else values[0].real, f, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["scalar", "vector"])
def test_gradients(name):
    of, transform = frequencies(FIELDS[name]), Transform(gauss_legendre(5, 10))
    f = torch.randn(1, 2, *((2,) if name == "vector" else ()), 5, 10).double().requires_grad_()
    c = transform.analyze(f.detach(), of).requires_grad_()
    for run, x in ((transform.analyze, f), (transform.synthesize, c)):
        assert torch.autograd.gradcheck(lambda x, run=run: run(x, of), (x,))
        assert torch.autograd.gradgradcheck(lambda x, run=run: run(x, of), (x,), fast_mode=True)


def test_it_compiles():
    ball = er.Sphere().grid(8)
    f = torch.randn(2, 8, 16, dtype=torch.float64)
    run = torch.compile(lambda f: ball.synthesize(ball.analyze(f)), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(run(f), ball.synthesize(ball.analyze(f)), atol=1e-12, rtol=0)


def test_a_phase_turns_the_rings():
    rings = gauss_legendre(6, 12)
    turned = Parallels(rings.theta, 12, rings.quadrature, 6, phase=0.3)
    c = coefficients(6)[..., None, None, None]
    of = frequencies(trivial())
    f = Transform(turned).synthesize(c, of)
    shifted = c * torch.exp(0.3j * torch.arange(6).double()).view(1, -1, 1, 1, 1)
    torch.testing.assert_close(f, Transform(rings).synthesize(shifted, of), atol=1e-13, rtol=0)
    torch.testing.assert_close(Transform(turned).analyze(f, of), c, atol=1e-13, rtol=0)


def test_tables_are_a_sixth_of_two_dense_ones():
    L = 128
    transform = Transform(gauss_legendre(L, 2 * L))
    tables = transform.tables((0,), False, torch.float32, torch.device("cpu"))
    assert sum(table.numel() for table in tables) < 2 * L**3 / 6


def test_refusals():
    rings = gauss_legendre(6, 12)
    with pytest.raises(ValueError, match="expected at least 13; take a bandwidth of at most 6"):
        Parallels(rings.theta, 12, rings.quadrature, 7)
    with pytest.raises(ValueError, match="expected ascending angles in radians from the north pole"):
        Parallels(rings.theta * 180 / math.pi, 12, rings.quadrature, 6)
    with pytest.raises(ValueError, match="take at most that, or a finer grid"):
        Transform(rings, 9)
    ball = er.Sphere().grid(6)
    with pytest.raises(ValueError, match="expected complex ones"):
        ball.synthesize(torch.randn(5, 5))


def test_compiled_code_sees_conjugates():
    """Below compiled code nothing resolves lazy conjugates: the operators must make none."""
    domain = er.Sphere().grid(4, rotations=4)
    of, transform = frequencies(regular(domain.fibre)), domain.transform

    def analyze(f):
        return transform.analyze(f, of)

    f = torch.randn(1, 2, 4, 4, 8)
    compiled = torch.compile(analyze, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(f), analyze(f))
    c = analyze(f)
    compiled = torch.compile(lambda c: transform.synthesize(c, of), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(c), transform.synthesize(c, of))
