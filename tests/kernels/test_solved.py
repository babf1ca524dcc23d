"""Solved taps: how isotropic their symbols are, on every lattice that strides make, and as functions of v."""

import itertools

import pytest
import torch

import erlangen as er
from erlangen.kernels import Rings, Solved, sphere_rule, spherical_harmonics

WAVES = torch.tensor([0.15, 0.3, 0.5, 0.7, 0.85, 1.0], dtype=torch.float64)


def lattice(kernel, halves=()):
    """The samples within reach, moved by half a step along some axes."""
    reach = int(kernel.radius) + 1
    axes = [torch.arange(-reach, reach + 1).double() + 0.5 * (axis in halves) for axis in range(kernel.n)]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    return x[x.norm(dim=-1) < kernel.radius]


def error(kernel, degree, halves=(), k=WAVES):
    """What the symbols of all functions of a degree lack to be isotropic, in proportion, at each |k|."""
    x, (toward, w) = lattice(kernel, halves), sphere_rule(kernel.n, 16)
    Y = spherical_harmonics(kernel.n, degree)(toward)  # (q, c)
    phase = torch.einsum("k,qn,jn->kqj", k, toward, x)
    wave = (-1) ** (degree // 2) * (torch.sin(phase) if degree % 2 else torch.cos(phase))
    rest, whole = 0.0, 0.0
    for term in (term for term, l in kernel.terms if l == degree):
        taps = kernel.profile(term, degree, x.norm(dim=-1))[:, None] * kernel.angular(degree, x)
        symbol = torch.einsum("kqj,jc->kqc", wave, taps)
        g = torch.einsum("kqc,q,qc->k", symbol, w, Y) / Y.shape[1]
        isotropic = g[:, None, None] * Y
        rest = rest + torch.einsum("kqc,q->k", (symbol - isotropic).square(), w)
        whole = whole + torch.einsum("kqc,q->k", isotropic.square(), w)
    return (rest / whole).sqrt()


@pytest.mark.parametrize(
    ("n", "count", "degrees"),
    [(1, 2, 1), (1, 3, 1), (2, 2, 1), (2, 3, 3), (2, 4, 3), (2, 5, 3), (3, 2, 1), (3, 3, 3)],
)
def test_symbols_are_isotropic_within_a_thousandth(n, count, degrees):
    kernel = Solved(n, count, count)
    assert max(l for _, l in kernel.terms) == degrees
    for degree in range(degrees + 1):
        assert float(error(kernel, degree).max()) < 1e-3


def test_rings_were_off_by_four_per_cent():
    assert 0.035 < float(error(Rings(2, 1.5, 2), 1).max()) < 0.045


@pytest.mark.parametrize(("n", "count", "most"), [(2, 2, 0.03), (2, 3, 0.02), (3, 2, 0.02), (3, 3, 0.06)])
def test_between_samples_the_symbol_is_nearly_the_same(n, count, most):
    """Strides see the kernel there at even sizes."""
    kernel = Solved(n, count, count)
    for halves in itertools.chain.from_iterable(itertools.combinations(range(n), i) for i in range(1, n + 1)):
        for degree in {l for _, l in kernel.terms}:
            assert float(error(kernel, degree, halves, WAVES[2:]).max()) < most


@pytest.mark.parametrize(
    ("n", "count", "counts"),
    [(1, 2, [2, 1]), (1, 3, [3, 2]), (2, 2, [2, 1]), (2, 3, [3, 2, 1, 1]), (3, 3, [3, 2, 1, 1])],
)
def test_as_many_functions_as_so_many_taps_resolve(n, count, counts):
    terms = Solved(n, 1.0, count).terms
    assert [sum(l == degree for _, l in terms) for degree in range(len(counts))] == counts
    assert len(terms) == sum(counts)
    assert {l for _, l in Solved(n, 1.0, count, degree=1).terms} == {0, 1}


@pytest.mark.parametrize(("n", "count"), [(1, 3), (2, 2), (2, 3), (2, 5), (3, 3)])
def test_taps_are_orthonormal_and_kernels_vanish_at_their_radius(n, count):
    """On a lattice of any unit; at the centre only degree 0 does not vanish."""
    for unit in (1.0, 0.25):
        kernel = Solved(n, unit * count, count)
        x = unit * lattice(Solved(n, count, count))
        for degree in {l for _, l in kernel.terms}:
            terms = [term for term, l in kernel.terms if l == degree]
            R = torch.stack([kernel.profile(term, degree, x.norm(dim=-1)) for term in terms])
            gram = R @ R.T * unit ** (2 * n)
            torch.testing.assert_close(gram, torch.eye(len(terms)).double(), rtol=0, atol=1e-9)
            for term in terms:
                there = kernel.profile(
                    term, degree, torch.tensor([0.0, kernel.radius, 2.0 * kernel.radius]).double()
                )
                assert (there[1:] == 0).all()
                assert (float(there[0]) == 0) == (degree > 0)


def test_degree_zero_spans_a_delta_and_a_laplacian():
    kernel = Solved(2, 2.0, 2)
    x = lattice(kernel)
    taps = torch.stack([kernel.profile(term, 0, x.norm(dim=-1)) for term, l in kernel.terms if l == 0])
    delta = (x.norm(dim=-1) == 0).double()
    assert float((delta - taps.T @ (taps @ delta)).norm()) < 0.01
    flat = taps[0] * taps[1].sum() - taps[1] * taps[0].sum()  # a combination that constants do not see
    moment = (flat * x.square().sum(-1)).sum() / flat.norm()
    assert abs(float(moment)) > 1


PLANES = {
    "isotropic": er.Plane(),
    "C8": er.Plane(rotations=8),
    "D4": er.Plane(rotations=4, reflections=True),
}


def layer_on(plane, size, **options):
    """Two fields of the plane's own type to three, in float64."""
    field = plane.default_field
    options = {"in_field": field, "out_field": field, "dtype": torch.float64, "taps": "solved", **options}
    torch.manual_seed(0)
    return er.nn.Correlation(plane, 2, 3, size, bias=False, **options)


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize(("size", "separable"), [(3, False), (5, False), (5, True)])
def test_layers_sum_their_kernel(name, size, separable):
    """The lattice engine, the generic one and the formula."""
    plane = PLANES[name].sized((8, 7))
    layer = layer_on(plane, size, separable=separable)
    twin = layer_on(plane, size, separable=separable, engine="stencil")
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(1, 2, *(() if plane.fibre is None else (len(plane.fibre),)), 8, 7, dtype=torch.float64)
    torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=1e-11)
    beyond = torch.tensor([[layer.spec.radius, 0.0], [3.0, 3.0]], dtype=torch.float64)
    assert (layer.kernel(beyond) == 0).all()


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize("options", [{}, {"separable": True}, {"stride": 2}, {"dilation": 2}])
@pytest.mark.parametrize("size", [(9, 9), (8, 11)])
def test_the_grids_own_turns_commute(name, options, size):
    plane, layer = PLANES[name], layer_on(PLANES[name], 5, **options)
    x = torch.randn(1, 2, *(() if plane.fibre is None else (len(plane.fibre),)), *size, dtype=torch.float64)
    exact = [element for element in plane.symmetries() if element.is_exact]
    report = er.verify.equivariance(
        layer, x, plane, exact, in_field=plane.default_field, out_field=plane.default_field, show=False
    )
    assert report.worst < 1e-11
    assert layer(x).std() > 0.1


def test_what_cannot_be_solved_is_refused():
    plane = er.Plane()
    with pytest.raises(ValueError, match="expected a lattice of equal, perpendicular steps"):
        er.nn.Correlation(er.Sphere().grid(8), 1, 1, radius=0.5, taps="solved")
    wide = er.domains.Grid(er.Euclidean(2, "isometries"), (8, 8), torch.diag(torch.tensor([1.0, 2.0])))
    with pytest.raises(ValueError, match="expected a lattice of equal, perpendicular steps"):
        er.nn.Correlation(wide, 1, 1, 3, taps="solved")
    with pytest.raises(ValueError, match="at most 9 samples"):
        er.nn.Correlation(plane, 1, 1, 11, taps="solved")
    with pytest.raises(
        ValueError, match="expected at least 2, and at most 3; take a larger kernel, or rings=3"
    ):
        er.nn.Correlation(plane, 1, 1, 5, rings=4, taps="solved")
    assert er.nn.Correlation(plane, 1, 1, 11, rings=5, taps="solved").weight.shape == (1, 1, 5)  # stretched
