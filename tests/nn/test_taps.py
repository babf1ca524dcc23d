"""Which taps a layer has, what solved ones bring between the grid's angles, and states of the others."""

import io

import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.domains import Symmetry
from erlangen.train.recipe import options_of
from erlangen.train.settings import Settings

PLANE = er.Plane(rotations=8)
REGULAR = {"in_field": "regular", "out_field": "regular"}


def square_lattices():
    return {
        "line": er.Euclidean(1, "isometries").grid(9),
        "plane": er.Plane(),
        "plane of angles": PLANE,
        "volume": er.Euclidean(3, "isometries").grid(5, 5, 5, spacing=0.5),
        "strip": er.Moebius(8.0, 5.0).grid(8, 5),
        "masked": er.Euclidean(2, "isometries").grid(5, 5).masked(torch.eye(5, dtype=torch.bool)),
    }


@pytest.mark.parametrize("name", square_lattices())
def test_square_lattices_can_have_solved_taps(name):
    domain = square_lattices()[name]
    layer = er.nn.Correlation(domain, 1, 1, 3, taps="solved")
    assert layer.spec.taps == "solved"
    assert layer.spec.radius == pytest.approx(2 * domain.spacing)
    assert 'taps="solved"' in repr(layer)
    plain = er.nn.Correlation(domain, 1, 1, 3)
    assert plain.spec.taps == "rings"
    assert "taps" not in repr(plain)
    assert plain.spec.radius == pytest.approx(1.5 * domain.spacing)


def test_other_samples_are_told_so():
    lopsided = er.domains.Grid(er.Euclidean(2), (8, 8), torch.diag(torch.tensor([1.0, 2.0])))
    askew = er.FlatTorus(lattice=torch.tensor([[4.0, 0.0], [2.0, 12**0.5]])).grid(8, 8)
    for domain in (lopsided, askew):
        assert domain.spacing is None
        with pytest.raises(ValueError, match="expected a lattice of equal, perpendicular steps"):
            er.nn.Correlation(domain, 1, 1, 3, taps="solved")


def defect(net, x, **fields):
    elements = [Symmetry(f"turn {a:g}", PLANE.turn(a), False, True) for a in (22.5, 45)]
    report = er.verify.equivariance(net, x, PLANE, elements, gradients=False, show=False, **fields)
    return report.worst_interpolated


@pytest.mark.parametrize(("size", "solved", "times"), [(3, 5e-4, 5), (5, 5e-4, 3)])
def test_linear_layers_between_the_grids_angles(photograph, size, solved, times):
    x, errors = photograph[..., 24:-24, 24:-24], {}
    for taps in ("rings", "solved"):
        torch.manual_seed(0)
        first = er.nn.Lift(PLANE, 3, 4, size, taps=taps, dtype=torch.float64)
        second = er.nn.Correlation(PLANE, 4, 4, size, taps=taps, dtype=torch.float64, **REGULAR)
        errors[taps] = defect(nn.Sequential(first, second), x, out_field="regular")
    assert errors["solved"] < solved
    assert errors["rings"] > times * errors["solved"]


def test_separable_layers_leave_room_for_what_is_mixed():
    """A kernel of degree l raises frequencies by l: half of the fibre's limit for each."""
    for rotations, degree in ((8, 1), (16, 3), (4, 3)):
        plane = er.Plane(rotations=rotations)
        layer = er.nn.Correlation(plane, 2, 2, 5, separable=True, taps="solved", **REGULAR)
        assert max(l for _, l in layer.spec.polar(2).terms) == degree
    assert (
        er.nn.Correlation(PLANE, 2, 2, 5, separable=True, degree=2, taps="solved", **REGULAR).spec.degree == 2
    )
    assert (
        er.nn.Correlation(PLANE, 2, 2, 5, degree=1, taps="solved", **REGULAR).weight.shape[2] == 45
    )  # as of rings


def test_states_of_other_taps_are_refused():
    """Some have as many coefficients."""
    rings, solved = (er.nn.Correlation(PLANE, 2, 2, 3, taps=taps, **REGULAR) for taps in ("rings", "solved"))
    assert rings.weight.shape == solved.weight.shape
    file = io.BytesIO()
    torch.save(rings.state_dict(), file)
    file.seek(0)
    state = torch.load(file)
    with pytest.raises(RuntimeError, match=r"of taps='rings'.*build it with taps='rings'"):
        nn.Sequential(solved)[0].load_state_dict(state)
    rings.load_state_dict(state)
    solved.load_state_dict(solved.state_dict())
    solved.load_state_dict(dict(solved.state_dict()))  # which tells no version


def test_networks_hold_the_taps_they_chose():
    assert er.models.UNet(PLANE, 3, 1, 2, 1).options.taps == "rings"
    net = er.models.UNet(PLANE, 3, 1, 2, 1, kernel_size=(3, 11), taps=("solved", "rings"))
    assert net.lift[0].spec.taps == "solved"
    assert net.encoder[1].correlation.spec.taps == "rings"


@pytest.mark.parametrize("taps", ["rings", "solved", "smooth"])
def test_networks_are_saved_with_their_taps(taps, tmp_path):
    net = er.verify.randomized(er.models.UNet(PLANE, 3, 1, 2, 1, kernel_size=3, taps=taps))
    mean, std = torch.zeros(3), torch.ones(3)
    er.save(er.train.Predictor(net, mean, std, task=er.train.Task()), tmp_path / "net.safetensors")
    again = er.load(tmp_path / "net.safetensors")
    x = torch.rand(1, 3, 12, 16)
    assert again.net.options.taps == taps
    torch.testing.assert_close(again(x), er.train.Predictor(net, mean, std, task=er.train.Task()).eval()(x))


def test_what_was_saved_before_there_was_a_choice_has_rings():
    assert options_of({"width": 2, "depth": 1, "kernel_size": 3}).taps == "rings"
    assert options_of({"width": 2, "depth": 1, "kernel_size": 3, "taps": "solved"}).taps == "solved"
    facts = Settings().facts()
    assert Settings.of(facts).network.taps == Settings().network.taps
    assert (
        Settings.of({name: value for name, value in facts.items() if name != "taps"}).network.taps == "rings"
    )
