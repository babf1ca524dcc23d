"""The projective plane through the sphere's harmonics: against the formula, and under any rotation."""

import math
import sys
from pathlib import Path

import pytest
import torch

import erlangen as er
from erlangen.domains import KernelSpec
from erlangen.engines import Hemispheres
from erlangen.harmonics import antipodal

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from rotations import rotation, values_at
from spaces import field_shape
from test_engines import literal_kernel

L, N = 6, 5
PLANE = er.ProjectivePlane().grid(L, rotations=N)
EVEN = er.ProjectivePlane().grid(L, kind="equiangular, no poles", rotations=N)
BALL = er.Sphere().grid(L, rotations=N)
EVEN_BALL = er.Sphere().grid(L, kind="equiangular, no poles", rotations=N)
FIELDS = ["scalar", "regular", "vector", "sign"]
NONE = {("scalar", "sign"), ("sign", "scalar")}


@pytest.mark.parametrize("in_field", FIELDS)
@pytest.mark.parametrize("out_field", FIELDS)
@pytest.mark.parametrize("rotations", [3, 4], ids=["odd fibre", "even fibre"])
def test_engine_is_the_formula(in_field, out_field, rotations):
    plane = er.ProjectivePlane().grid(4, 6, rotations=rotations)
    spec = KernelSpec(in_field, out_field, radius=math.inf, rings=2)
    if (in_field, out_field) in NONE:
        with pytest.raises(ValueError, match="allows no kernel from"):
            plane.engine(spec)
        return
    engine = plane.engine(spec)
    f = torch.randn(1, 1, *field_shape(plane, in_field), dtype=torch.float64)
    w = torch.randn(1, 1, len(engine.power), dtype=torch.float64)
    y = engine.apply(f, w)[:, 0]
    kernel = literal_kernel(engine.basis, w[0, 0], in_field, out_field)
    expected = er.correlate(plane, kernel, f[:, 0], in_field=in_field, out_field=out_field)
    assert float(expected.abs().max()) > 1e-2
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


class Field:
    """A random field: a polynomial in the entries of the frame, the same at (p, E) and at (-p, -E)."""

    def __init__(self, kind, channels=3, terms=12):
        self.kind, most = kind, (N - 1) // 2
        self.a = torch.randn(terms, channels, dtype=torch.float64)
        self.p, self.e, self.d = torch.randn(3, terms, 3, dtype=torch.float64)
        self.p = torch.nn.functional.normalize(self.p, dim=1)
        first, second = {"regular": (most, most - 1), "vector": (1, 0)}.get(kind, (0, 0))
        self.j, self.k = (torch.randint(0, m + 1, (terms,)) for m in (first, second))
        self.k = torch.minimum(self.k, most - self.j).clamp_min(0)
        if kind == "vector":
            self.j[:] = 1
        room = L - 1 - self.j - self.k  # degrees below L
        odd = (self.j + self.k + (kind == "sign")) % 2
        self.i = room - (room - odd) % 2
        self.i[1::2] = self.i[1::2].clamp_max(odd[1::2] + 2)

    def __call__(self, domain, g=None):
        u = domain.frames if g is None else domain.geometry.act(g.T, domain.frames)
        powers = (u.point @ self.p.T) ** self.i  # (*space, t)
        if self.kind == "sign":
            side = torch.linalg.det(torch.cat([u.basis, u.point[..., None]], -1))
            powers = powers * side[..., None]
        if self.kind in ("scalar", "sign"):
            return (powers @ self.a).movedim(-1, 0)[None]
        if self.kind == "vector":
            along = torch.einsum("...md,tm->...td", u.basis, self.e)
            return torch.einsum("...t,...td,tc->cd...", powers, along, self.a)[None]
        axes = torch.einsum("...md,hdk->...hmk", u.basis, domain.fibre.elements)
        one, other = (torch.einsum("...hm,tm->...ht", axes[..., i], w) for i, w in ((0, self.e), (1, self.d)))
        return torch.einsum("...t,...ht,tc->ch...", powers, one**self.j * other**self.k, self.a)[None]


def lifted(y, kind):
    return Hemispheres(antipodal(PLANE.representation(kind))).up(y.double())


def fields(a, b):
    return {"in_field": a, "out_field": b}


CASES = {
    "every degree": (lambda d, k: er.nn.Correlation(d, 3, 4, rings=L, **k), "scalar", "scalar"),
    "lift": (lambda d, k: er.nn.Lift(d, 3, 4, **k), "scalar", "regular"),
    "separable": (
        lambda d, k: er.nn.Correlation(d, 3, 4, separable=True, **fields("regular", "regular"), **k),
        "regular",
        "regular",
    ),
    "mean": (lambda d, k: er.nn.Project(d, "mean"), "regular", "scalar"),
    "norm": (lambda d, k: er.nn.Norm(d, 3, **k), "regular", "regular"),
    "square": (lambda d, k: er.nn.Polynomial(d, 3, **k), "regular", "regular"),
    "square of scalars": (lambda d, k: er.nn.Polynomial(d, 3, 2, "scalar", **k), "scalar", "scalar"),
} | {
    f"{a} to {b}": (lambda d, k, a=a, b=b: er.nn.Correlation(d, 3, 4, rings=3, **fields(a, b), **k), a, b)
    for a in FIELDS
    for b in FIELDS
    if (a, b) not in NONE
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("plane", "ball"), [(PLANE, BALL), (EVEN, EVEN_BALL)], ids=["Gauss", "even"])
@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 1e-5), (torch.float64, 1e-11)], ids=str)
def test_any_rotation(name, plane, ball, dtype, bar):
    build, a, b = CASES[name]
    layer = er.verify.randomized(build(plane, {"dtype": dtype}))
    f, g = Field(a), rotation()
    y = layer(f(plane).to(dtype)).detach()
    assert float(y.std()) > 1e-2 * float(y.abs().max())
    moved = lifted(layer(f(plane, g).to(dtype)).detach(), b)
    kind = "scalar" if b == "sign" else b
    expected = values_at(lifted(y, b), kind, ball, g)
    assert float((expected - lifted(y, b)).abs().max()) > 1e-2 * float(y.abs().max()), "g moves it"
    assert float((moved - expected).abs().max()) < bar * float(y.abs().max())


@pytest.mark.parametrize("kind", FIELDS)
def test_up_to_the_sphere_and_down(kind):
    f = Field(kind)
    if kind != "sign":  # which the sphere's own frames do not know
        torch.testing.assert_close(lifted(f(PLANE), kind), f(BALL), rtol=0, atol=1e-12)
    halves = Hemispheres(antipodal(PLANE.representation(kind)))
    torch.testing.assert_close(halves.down(halves.up(f(PLANE))), f(PLANE), rtol=0, atol=1e-12)


def test_coarser_and_back():
    fine = er.ProjectivePlane().grid(8, rotations=N)
    assert fine.coarser().shape == (2, 8)
    small = Field("regular")
    small.i, small.j, small.k = small.i * 0, small.j.clamp_max(1), small.k * 0
    small.i = small.j % 2  # degrees below 4
    down, up = er.nn.Down(fine, "regular"), er.nn.Up(fine, "regular")
    coarse = small(fine.coarser())
    torch.testing.assert_close(down(small(fine)), coarse, rtol=0, atol=1e-12)
    torch.testing.assert_close(up(coarse, fine.shape), small(fine), rtol=0, atol=1e-12)


def test_a_network_runs_unchanged_and_global_kernels_are_local_ones_to_the_quadrature():
    net = er.models.UNet(er.ProjectivePlane().grid(8, rotations=4), 1, 1, width=2, depth=1)
    assert net(torch.randn(1, 1, 4, 16)).shape == (1, 1, 4, 16)
    # a smooth even kernel, by harmonics and by the generic sum with its radius
    plane = er.ProjectivePlane().grid(32)
    f = (plane.points[..., 0] ** 2 + 0.5 * plane.points[..., 1] * plane.points[..., 2])[None, None]
    y = er.correlate(plane, lambda v: torch.cos(v.norm(dim=-1)) ** 2, f[:, 0])
    # int_{RP2} (p q)^2 (a q)^2 dq is known: half of the sphere's 4 pi (1 + 2 (a p)^2) / 15
    p = plane.points
    expected = 2 * math.pi * (1 + 2 * p[..., 0] ** 2 + p[..., 1] * p[..., 2]) / 15
    torch.testing.assert_close(y[0], expected, rtol=0, atol=1e-12)


def test_it_has_a_sphere_but_is_none():
    """What covers the sphere would cover the projective plane twice."""
    space = er.ProjectivePlane()
    for name in ("harmonics", "healpix", "icosahedral", "fibonacci", "from_latlon"):
        assert hasattr(space.sphere, name)
        assert not hasattr(space, name)


def test_refusals():
    turned = PLANE.reframed(torch.eye(2).double().expand(*PLANE.shape, 2, 2))
    with pytest.raises(ValueError, match="were turned, expected those along the meridians"):
        er.nn.Lift(turned, 1, 1)
    with pytest.raises(ValueError, match="expected the defaults on this domain"):
        er.nn.Correlation(PLANE, 1, 1, stride=2)
    with pytest.raises(ValueError, match="kind is 'other'"):
        er.ProjectivePlane().grid(4, kind="other")
