import math

import pytest
import torch

from erlangen.groups import SE, CircleFibre, FiniteFibre, PlaneFibre, StructureGroup, fibre_of
from erlangen.groups.structure import turn


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (StructureGroup.trivial(2), "trivial"),
        (StructureGroup.cyclic(1), "trivial"),
        (StructureGroup.cyclic(6), "C6"),
        (StructureGroup.dihedral(4), "D4"),
        (
            StructureGroup.finite([torch.diag(torch.tensor([1.0, -1.0]))]),
            "Z2: reflection of axis 1",
        ),
        (StructureGroup.finite([turn(torch.tensor(math.pi / 2, dtype=torch.float64))]), "C4"),
        (StructureGroup.special_orthogonal(2), "SO(2)"),
        (StructureGroup.orthogonal(3), "O(3)"),
    ],
)
def test_names(group, name):
    assert str(group) == name


def test_closure_refuses_an_infinite_group():
    with pytest.raises(ValueError, match="more than 1000 elements; expected a finite group"):
        StructureGroup.finite([turn(torch.tensor(1.0))])


@pytest.mark.parametrize("group", [StructureGroup.orthogonal(3), StructureGroup.dihedral(3)])
def test_samples_are_orthogonal(group):
    h = group.sample()
    identity = torch.eye(group.dim).double().expand_as(h)
    torch.testing.assert_close(h @ h.mT, identity, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rotations", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("reflections", [False, True])
def test_regular_representation_is_a_representation(rotations, reflections):
    fibre = CircleFibre(rotations, reflections)
    for g in fibre.elements:
        for h in fibre.elements:
            product = fibre.regular(g) @ fibre.regular(h)
            torch.testing.assert_close(product, fibre.regular(g @ h), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rotations", [5, 8])
def test_any_angle_turns_a_band_limited_function_exactly(rotations):
    fibre = CircleFibre(rotations)
    grid = 2 * math.pi * torch.arange(rotations).double() / rotations
    m, a = (rotations - 1) // 2, 0.37
    f = torch.cos(m * grid + 0.3)
    torch.testing.assert_close(
        fibre.regular(turn(torch.tensor(a, dtype=torch.float64))) @ f,
        torch.cos(m * (grid - a) + 0.3),
    )


def test_mirrors_need_reflections():
    mirror = torch.diag(torch.tensor([1.0, -1.0])).double()
    with pytest.raises(ValueError, match="build planes with reflections=True"):
        CircleFibre(4).regular(mirror)


def test_elements_outside_of_a_finite_group_are_refused():
    fibre = FiniteFibre(StructureGroup.cyclic(4))
    with pytest.raises(ValueError, match="outside of C4"):
        fibre.regular(turn(torch.tensor(0.3)))
    with pytest.raises(ValueError, match="infinitely many elements"):
        FiniteFibre(StructureGroup.special_orthogonal(2))
    with pytest.raises(ValueError, match="rotations is 0"):
        CircleFibre(0)


def test_a_structure_group_has_one_fibre():
    dihedral, circle = StructureGroup.dihedral, StructureGroup.special_orthogonal
    about_z = StructureGroup(circle(3).algebra[:1], torch.eye(3).double()[None])
    strip = StructureGroup.finite([torch.diag(torch.tensor([1.0, -1.0]))])
    for H, options, kind, count in (
        (StructureGroup.trivial(2), {}, type(None), 0),
        (circle(2), {}, type(None), 0),
        (circle(2), {"rotations": 5, "reflections": False}, CircleFibre, 5),
        (StructureGroup.orthogonal(2), {"rotations": 5, "reflections": True}, CircleFibre, 10),
        (about_z, {"rotations": 5}, PlaneFibre, 5),
        (strip, {"reflections": True}, FiniteFibre, 2),
        (dihedral(4), {}, FiniteFibre, 8),
        (dihedral(4), {"rotations": 4}, CircleFibre, 8),
    ):
        fibre = fibre_of(H, **options)
        assert isinstance(fibre, kind)
        assert fibre is None or len(fibre) == count
    for H in (StructureGroup.cyclic(8), StructureGroup.trivial(2), circle(3), strip):
        with pytest.raises(ValueError, match=r"rotations is 4 where H = .*, expected None: the fibre"):
            fibre_of(H, 4)
    with pytest.raises(ValueError, match=r"reflections is True where H = SO\(2\), expected False or None: "):
        fibre_of(circle(2), 8, True)


def test_frequencies_add_up_to_everything():
    for fibre in (CircleFibre(8, True), CircleFibre(5), FiniteFibre(StructureGroup.cyclic(3))):
        torch.testing.assert_close(fibre.lowpass(None), torch.eye(len(fibre)).double())


def test_se2_exponential_and_logarithm():
    group = SE(2)
    v = torch.randn(200, 3).double()
    v[:, 2] = (2 * torch.rand(200).double() - 1) * math.pi
    torch.testing.assert_close(group.log(group.exp(v)), v, rtol=0, atol=1e-11)
    ad = group.ad(v)
    w = torch.randn(200, 3).double()
    X = group.generators
    bracket = torch.einsum("ni,iab->nab", v, X), torch.einsum("ni,iab->nab", w, X)
    expected = bracket[0] @ bracket[1] - bracket[1] @ bracket[0]
    found = torch.einsum("ni,iab->nab", (ad @ w[..., None])[..., 0], X)
    torch.testing.assert_close(found, expected)
