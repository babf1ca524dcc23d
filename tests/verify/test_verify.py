"""The proof has to fail where there is something to find."""

import numpy as np
import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.domains import Symmetry

PLANE = er.Plane(rotations=4, reflections=True)


def small(plane=PLANE):
    net = er.models.UNet(plane, 1, 1, width=4, depth=1)
    return er.verify.randomized(net, torch.randn(1, 1, 16, 16))


def test_the_table_says_what_is_exact_and_what_is_not():
    report = er.verify.equivariance(small(), torch.randn(1, 1, 17, 20), PLANE, show=False)
    kinds = {row.element.name: row.kind for row in report.rows}
    assert kinds["turn 90"] == kinds["flip"] == kinds["flip, turn 270"] == "exact here"
    assert kinds["turn 45"] == "not in the group"  # of four turns
    eight = er.Plane(rotations=8)
    eighths = er.verify.equivariance(small(eight), torch.randn(1, 1, 17, 20), eight, show=False)
    assert {row.element.name: row.kind for row in eighths.rows}["turn 22.5"] == "interpolated"
    assert report.worst <= 1e-5
    assert report.worst_gradient <= 1e-3
    assert report.worst_interpolated > 0.01
    text = str(report)
    assert "turn 22.5" in text
    assert f"worst exact {report.worst:.1e}" in text


@pytest.mark.parametrize(("rotations", "in_group"), [(8, {90, 180, 270}), (6, {180}), (3, set())])
def test_turns_outside_of_the_group_are_named(rotations, in_group):
    plane = er.Plane(rotations=rotations)
    report = er.verify.equivariance(small(plane), torch.randn(1, 1, 12, 12), plane, show=False)
    for row in report.rows:
        if row.element.name in ("turn 90", "turn 180", "turn 270"):
            assert (row.kind == "exact here") == (int(row.element.name[5:]) in in_group)
            # a quarter turn is no element of C6, but one of the twelve turns of its finer fibre
            assert (row.output < 1e-4) == (int(row.element.name[5:]) in in_group or rotations == 6)
        if "flip" in row.element.name:
            assert row.kind == "not in the group"
    assert ("no element is exact here" in str(report)) is not any(row.element.is_exact for row in report.rows)
    assert "nan" not in str(report)


class Broken(nn.Module):
    """An equivariant network with one flaw."""

    def __init__(self, flaw: str):
        super().__init__()
        self.net, self.flaw = small(), flaw

    def forward(self, x):
        y = self.net(x)
        if self.flaw == "ramp":
            return y + 0.1 * torch.linspace(0, 1, y.shape[-1])
        if self.flaw == "crop":
            return torch.roll(y, 1, -1)
        return y + (0.01 * x.roll(1, -1) - 0.01 * x.roll(1, -1).detach())  # shows in gradients alone


@pytest.mark.parametrize("flaw", ["ramp", "crop", "gradient"])
def test_flaws_are_found(flaw):
    x = torch.randn(1, 1, 16, 16)
    sound = er.verify.equivariance(small(), x, PLANE, show=False)
    report = er.verify.equivariance(Broken(flaw), x, PLANE, show=False)
    if flaw == "gradient":
        assert report.worst <= 1e-5
        assert report.worst_gradient > 30 * sound.worst_gradient
    else:
        assert report.worst > 1e-3


def test_an_unequivariant_layer_is_found_by_name():
    torch.manual_seed(3)
    net = nn.Sequential(
        er.nn.Lift(PLANE, 1, 2, 5),
        er.nn.ReLU(PLANE),
        er.nn.Project(PLANE),
        nn.Conv2d(2, 2, 3, padding=1),
        er.nn.Correlation(er.Plane(), 2, 1, 3),
    )
    report = er.verify.equivariance(net, torch.randn(1, 1, 15, 15), PLANE, layers=True, show=False)
    worst = {}
    for row in report.layers:
        if row.exact:
            worst[row.layer] = max(worst.get(row.layer, 0.0), row.output)
    before = [worst[name] for name in ("0 (Lift)", "1 (ReLU)", "2 (Project)")]
    assert max(before) <= 1e-5
    assert worst["3 (Conv2d)"] > 0.1
    assert "3 (Conv2d)" in str(report)


def test_constants_prove_nothing_and_are_refused():
    x = torch.randn(1, 1, 9, 9)
    with pytest.raises(ValueError, match="a constant commutes with everything"):
        er.verify.equivariance(
            er.models.UNet(PLANE, 1, 1, 2, 1).eval(), torch.zeros_like(x), PLANE, show=False
        )


def test_own_elements_and_other_spaces():
    ball = er.Sphere().grid(24, rotations=4)
    net = nn.Sequential(er.nn.Lift(ball, 1, 2, radius=0.8), er.nn.Project(ball, "mean")).double()
    x = ball.points[..., 0] * ball.points[..., 1] + ball.points[..., 2]
    rotation = torch.linalg.qr(torch.randn(3, 3).double()).Q
    rotation *= torch.linalg.det(rotation)
    line = er.Euclidean(1).grid(12)
    with pytest.raises(ValueError, match="pass elements=, as matrices g"):
        er.verify.equivariance(er.nn.ReLU(line), torch.randn(1, 1, 12), line, show=False)
    element = Symmetry("some rotation", rotation, False, True)
    report = er.verify.equivariance(net, x[None, None], ball, [element], gradients=False, show=False)
    assert 0 < report.worst_interpolated < 0.02


def test_shifts_are_exact_where_everything_is_periodic():
    plane = er.Plane(rotations=4)
    layer = er.nn.Lift(plane, 1, 2, 3, padding_mode="circular")
    report = er.verify.equivariance(layer, torch.randn(1, 1, 8, 8), plane, show=False)
    kinds = {row.element.name: row.kind for row in report.rows}
    assert kinds["shift (3, -2)"] == "exact here"
    assert report.worst <= 1e-5


def test_classifiers_are_invariant():
    net = er.verify.randomized(er.models.Classifier(PLANE, 1, 3, 2, 1))
    report = er.verify.equivariance(net, torch.randn(2, 1, 13, 13), PLANE, show=False)
    assert report.worst <= 1e-5
    floors = {row.kind: row.floor for row in report.rows}
    assert floors["interpolated"] is None  # the answer is not interpolated, the photograph is


def test_the_commuting_square_has_one_scale_and_leaves_out_what_was_not_seen():
    x, pale = torch.rand(1, 3, 32, 32), nn.Conv2d(3, 1, 1)
    with torch.no_grad():
        pale.weight.mul_(0.01)
        pale.bias.fill_(-7.0)  # g N(f) is 0 beyond the edges, far from all that N says
    square = er.verify.equivariance(pale, x, er.Plane(rotations=8), show=False).square
    assert square is not None
    assert square.name == "turn 45"
    seen = square.seen[0, 0]
    assert seen[16, 16]
    assert not seen[0, 0]
    assert not seen[-1, -1]
    axes = square.picture().axes
    found, carried, computed, difference = (axes[i].images[0].get_array() for i in (3, 4, 5, 2))
    assert np.ma.getmaskarray(carried)[0, 0]
    assert np.ma.getmaskarray(difference)[0, 0]
    assert found.min() == 0
    assert found.max() == 1
    middle = slice(12, 20)
    assert np.abs(carried - computed)[middle, middle].max() < 0.3  # the same grey is the same number
    assert computed[middle, middle].std() > 0.02


def test_pictures_and_the_page(tmp_path, capsys):
    report = er.verify.equivariance(small(), torch.randn(1, 1, 16, 16), PLANE)
    assert "worst exact" in capsys.readouterr().out
    assert report.plot(tmp_path / "bars.png").stat().st_size > 2000
    page = report.html(tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64") == 2
    assert "http" not in page


def test_what_cannot_be_said_is_not_a_number():
    plane, x = er.Plane(rotations=3), torch.randn(1, 1, 12, 12)
    report = er.verify.equivariance(small(plane), x, plane, show=False)
    assert report.worst != report.worst  # no turn of the pixel grid lies in C3
    calls = []

    class Sometimes(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * float("nan") if len(calls) == 3 else x.tanh()

    report = er.verify.equivariance(Sometimes(), x, PLANE, gradients=False, show=False)
    assert report.worst != report.worst


def test_invariants_must_vary_with_the_input():
    x = torch.randn(1, 3, 12, 12)
    net = er.models.Classifier(PLANE, 3, 5, 2, 1).eval()
    nn.init.zeros_(net.head.weight)
    with pytest.raises(ValueError, match="does not vary"):
        er.verify.equivariance(net, x, PLANE, show=False)

    class Corner(nn.Module):
        def forward(self, x):
            return 1e5 + x[:, 0, 0, :3]

    assert er.verify.equivariance(Corner(), x, PLANE, gradients=False, show=False).worst > 0.01


def test_measuring_changes_nothing():
    net = er.models.UNet(PLANE, 1, 1, 2, 1)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    er.verify.equivariance(net, torch.randn(1, 1, 12, 12), PLANE, show=False)
    for name, t in net.state_dict().items():
        assert torch.equal(t, before[name]), name


def test_randomized_learns_the_statistics_of_an_input():
    net, x = nn.Sequential(er.nn.Norm(er.Plane(), 1)), 5 + 3 * torch.randn(4, 1, 16, 16)
    y = er.verify.randomized(net, x)(x)
    assert abs(float(y.detach().std()) - 1) < 0.6
    assert net[0].momentum == 0.1
    assert float(net[0].running_mean) == 0.0


def test_randomized_leaves_the_module_alone():
    net = er.models.UNet(PLANE, 1, 1, 2, 1)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    state = torch.random.get_rng_state()
    other = er.verify.randomized(net)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, t in net.state_dict().items():
        assert torch.equal(t, before[name])
    assert any(not torch.equal(t, before[n]) for n, t in other.state_dict().items())
    assert net.training
    assert not other.training


@pytest.mark.parametrize("out_field", ["vector", "sign"])
def test_fields_are_moved_as_what_they_are(out_field):
    """Vectors have as many axes as regular fields, signs as scalars: the layer says which they are."""
    plane = er.Plane(rotations=4, reflections=True)
    net = nn.Sequential(
        er.nn.Lift(plane, 1, 3, 5),
        er.nn.ReLU(plane),
        er.nn.Correlation(plane, 3, 2, 5, in_field="regular", out_field=out_field),
    )
    x = torch.randn(2, 1, 16, 16)
    told = er.verify.equivariance(er.verify.randomized(net), x, plane, show=False, layers=True)
    assert told.worst < 1e-5
    hidden = lambda x: net(x)  # noqa: E731
    wrapped = nn.Module()
    wrapped.forward = hidden
    assert er.verify.equivariance(wrapped, x, plane, out_field=out_field, show=False).worst < 1e-5
    if out_field == "sign":
        assert er.verify.equivariance(wrapped, x, plane, show=False).worst > 0.1
    else:
        with pytest.raises(
            ValueError, match=r"regular fields .* have 8 components; expected another out_field="
        ):
            er.verify.equivariance(wrapped, x, plane, show=False)


def test_elements_may_be_matrices():
    ball, g = er.Sphere().grid(8), er.groups.SO(3).sample(1)[0]
    net = er.nn.Correlation(ball, 1, 1, dtype=torch.float64)
    x = ball.synthesize(torch.randn(1, 1, 8, 8, dtype=torch.complex128).tril())
    report = er.verify.equivariance(net, x, ball, [g.float()], show=False)
    assert [row.kind for row in report.rows] == ["interpolated"]
    assert report.rows[0].output < 1e-6
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected a Symmetry, or a matrix \(3, 3\)"):
        er.verify.equivariance(net, x, ball, [torch.eye(2)], show=False)
