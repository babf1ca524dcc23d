import math

import pytest
import torch

import erlangen as er
from erlangen.groups import CircleFibre, Representation, StructureGroup, regular, standard, trivial
from erlangen.kernels import KernelBasis, Rings, sphere_rule, spherical_harmonics
from erlangen.kernels.directions import legendre, sphere_area
from erlangen.kernels.solve import solve, turned


@pytest.mark.parametrize(
    ("n", "degree", "count"),
    [(1, 0, 1), (1, 1, 1), (1, 2, 0), (2, 3, 2), (3, 2, 5), (3, 4, 9), (4, 3, 16)],
)
def test_harmonics_are_orthonormal_and_as_many_as_there_should_be(n, degree, count):
    Y = spherical_harmonics(n, degree)
    x, w = sphere_rule(n, degree + 2)
    values = Y(x)
    assert values.shape[-1] == count
    gram = torch.einsum("q,qa,qb->ab", w, values, values)
    torch.testing.assert_close(gram, torch.eye(count).double(), rtol=0, atol=1e-12)


def test_harmonics_of_the_plane_are_the_cosine_and_the_sine():
    t = torch.linspace(0, 6, 20).double()
    x = torch.stack([t.cos(), t.sin()], -1)
    expected = math.sqrt(2) * torch.stack([torch.cos(3 * t), torch.sin(3 * t)], -1)
    torch.testing.assert_close(spherical_harmonics(2, 3)(x), expected)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_zonal_harmonics_are_the_addition_theorem(n):
    x, y = torch.randn(2, 30, n).double()
    x, y = x / x.norm(dim=-1, keepdim=True), y / y.norm(dim=-1, keepdim=True)
    for degree in range(5):
        Y = spherical_harmonics(n, degree)
        sums = (Y(x) * Y(y)).sum(-1) / Y(x).shape[-1]
        torch.testing.assert_close(sums, legendre(n, degree, (x * y).sum(-1)))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rings_are_blurred_spheres(n):
    """The profile against the blur itself, by quadrature over the sphere of radius rho."""
    rings = Rings(n, 2.5, 3)
    x, w = sphere_rule(n, 60)
    v = 0.4 * torch.randn(20, n).double()
    for rho, degree in rings.terms:
        Y = spherical_harmonics(n, degree)
        gauss = torch.exp(-(v[:, None] - rho * x).square().sum(-1) / (2 * 0.75**2))
        blurred = torch.einsum("vq,q,qc->vc", gauss, w, Y(x))
        r = v.norm(dim=-1)
        found = rings.blurred(rho, degree, r)[:, None] * rings.angular(degree, v)
        window = rings.window(r)[:, None]
        torch.testing.assert_close(found, blurred * window, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rings_have_unit_norm_and_vanish_at_their_radius(n):
    rings = Rings(n, 0.5, 3)
    t = (torch.arange(4000).double() + 0.5) / 4000
    r = 0.5 * t
    for rho, degree in rings.terms:
        power = rings.profile(rho, degree, r).square() * r ** (n - 1)
        total = sphere_area(n) * power.sum() * 0.5 / 4000 * rings.unit**n
        assert abs(float(total) - 1) < 1e-6
        edge = rings.profile(rho, degree, torch.tensor([0.5, 0.6]).double())
        assert edge.abs().max() == 0
        centre = rings.profile(rho, degree, torch.zeros(1).double())
        assert (float(centre) == 0) == (degree > 0)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("radius", [0.05, 0.08, 0.1, 0.22, 1.0])
def test_profiles_read_from_pieces_are_those_of_the_formula(count, radius):
    rings = Rings(2, radius, count)
    r = torch.linspace(0, 1.1 * radius, 1 << 15, dtype=torch.float64)
    for rho, degree in rings.terms:
        exact = torch.cat([rings.profile(rho, degree, part) for part in r.split(1 << 13)])
        torch.testing.assert_close(rings.profile(rho, degree, r), exact, rtol=0, atol=1e-11)


def test_band_limit_by_radius():
    terms = Rings(2, 3.5, 4).terms
    highest = {}
    for rho, degree in terms:
        highest[round(rho, 3)] = degree
    assert list(highest.values()) == [0, 1, 1, 2]


FIELDS = {
    "scalar": lambda g: trivial(),
    "vector": lambda g: standard(g.dim),
    "sign": lambda g: er.groups.determinant(),
}
GROUPS = {
    "trivial": StructureGroup.trivial(2),
    "Z2": StructureGroup.finite([torch.diag(torch.tensor([1.0, -1.0]))]),
    "C4": StructureGroup.cyclic(4),
    "D3": StructureGroup.dihedral(3),
    "SO(2)": StructureGroup.special_orthogonal(2),
    "O(2)": StructureGroup.orthogonal(2),
    "SO(3)": StructureGroup.special_orthogonal(3),
    "O(3)": StructureGroup.orthogonal(3),
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("out", FIELDS)
@pytest.mark.parametrize("into", FIELDS)
def test_solutions_keep_the_constraint(group, into, out):
    H = GROUPS[group]
    rho_in, rho_out = FIELDS[into](H), FIELDS[out](H)
    basis = KernelBasis.build(H, Rings(H.dim, 2.5, 3), rho_in, rho_out)
    v = torch.randn(30, H.dim).double()
    for h in H.sample(seed=5):
        turned_kernel = basis(v @ h.T)
        expected = rho_out.matrix(h) @ basis(v) @ rho_in.inverse(h)
        torch.testing.assert_close(turned_kernel, expected, rtol=0, atol=1e-10)
    at_zero = basis(torch.zeros(H.dim).double())
    for h in H.sample():  # the centre tap commutes with all of H
        moved = rho_out.matrix(h) @ at_zero @ rho_in.inverse(h)
        torch.testing.assert_close(moved, at_zero, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("group", "counts"),
    [("trivial", 13), ("Z2", 7), ("SO(2)", 1), ("O(2)", 1), ("SO(3)", 1)],
)
def test_invariant_angular_kernels_up_to_degree_six(group, counts):
    """The dimensions that ../shared/oracles/manifold.py finds by other means."""
    H = GROUPS[group]
    assert sum(len(solve(H, trivial(), trivial(), degree)) for degree in range(7)) == counts


@pytest.mark.parametrize(("rotations", "reflections"), [(4, False), (3, True)])
@pytest.mark.parametrize("into", ["scalar", "vector", "regular"])
@pytest.mark.parametrize("out", ["scalar", "vector", "regular"])
def test_carrying_round_finds_the_whole_null_space(rotations, reflections, into, out):
    """Regular fields by Frobenius against the general null space, span for span."""
    fibre = CircleFibre(rotations, reflections)
    H = StructureGroup.finite(list(fibre.elements))
    fields = {"scalar": trivial(), "vector": standard(2), "regular": regular(fibre)}
    rho_in, rho_out = fields[into], fields[out]

    def anonymous(rho):
        return Representation(rho.name, rho.dim, rho.matrix)

    for degree in range(3):
        quick = solve(H, rho_in, rho_out, degree).flatten(1)
        general = solve(H, anonymous(rho_in), anonymous(rho_out), degree).flatten(1)
        torch.testing.assert_close(quick.T @ quick, general.T @ general, rtol=0, atol=1e-9)


def test_turning_harmonics_is_exact_at_every_angle():
    h = StructureGroup.special_orthogonal(3).sample(3)
    x = torch.randn(10, 3).double()
    x = x / x.norm(dim=-1, keepdim=True)
    Y = spherical_harmonics(3, 3)
    torch.testing.assert_close(Y(x @ h.mT), torch.einsum("kab,qb->kqa", turned(3, 3, h), Y(x)))


def test_band_limits_along_the_fibre():
    fibre = CircleFibre(8)
    H = StructureGroup.cyclic(8)
    basis = KernelBasis.build(H, Rings(2, 2.5, 3), regular(fibre), regular(fibre), 2, 3)
    values = basis(torch.randn(5, 2).double())
    too_high_in = torch.eye(8).double() - fibre.lowpass(2)
    too_high_out = torch.eye(8).double() - fibre.lowpass(3)
    assert (values @ too_high_in).abs().max() < 1e-12
    assert (too_high_out @ values).abs().max() < 1e-12


@pytest.mark.parametrize("group", ["Z2", "D3", "SO(2)", "O(3)"])
def test_symmetrize_makes_invariant(group):
    H = GROUPS[group]
    direction = torch.arange(1.0, H.dim + 1).double()

    def kernel(v):
        return torch.exp(-(v - 0.3 * direction.to(v)).square().sum(-1))

    assert er.kernels.defect(kernel, H, 1.5) > 0.1
    assert er.kernels.defect(er.kernels.symmetrize(kernel, H, 24), H, 1.5) < 1e-10


def test_refusals():
    with pytest.raises(ValueError, match="expected a positive length"):
        Rings(2, 0.0)
    with pytest.raises(ValueError, match="expected at least 1"):
        Rings(2, 1.0, 0)
    X = torch.zeros(2, 4, 4, dtype=torch.float64)
    X[0, 1, 0], X[0, 0, 1], X[1, 3, 2], X[1, 2, 3] = 1, -1, 1, -1
    torus = StructureGroup(X, torch.eye(4).double()[None])
    with pytest.raises(ValueError, match=r"expected a finite group, circles, SO\(n\) or O\(n\)"):
        er.kernels.symmetrize(lambda v: v[..., 0], torus)
    winding = StructureGroup((X[0] + 2**0.5 * X[1])[None], torch.eye(4).double()[None])
    with pytest.raises(ValueError, match="do not come round together, expected a closed group"):
        er.kernels.symmetrize(lambda v: v[..., 0], winding)


@pytest.mark.parametrize("speeds", [(1.0, 1.0), (2.0, 3.0)])
def test_symmetrize_goes_round_circles(speeds):
    """SO(2) turning two planes of R^5: what is left is the axis, the lengths, and where they beat."""
    X = torch.zeros(5, 5, dtype=torch.float64)
    for i, speed in zip((0, 2), speeds, strict=True):
        X[i + 1, i], X[i, i + 1] = speed, -speed
    group = er.groups.StructureGroup(X[None], torch.eye(5, dtype=torch.float64)[None])
    v = torch.randn(20, 5, dtype=torch.float64)
    mean = er.kernels.symmetrize(
        lambda v: v[..., 0] ** 2 + v[..., 1] + v[..., 2] * v[..., 4] + v[..., 4], group
    )
    torch.testing.assert_close(mean(v), v[..., :2].square().sum(-1) / 2 + v[..., 4], rtol=0, atol=1e-12)
    assert er.kernels.defect(mean, group, 1.0) < 1e-12
