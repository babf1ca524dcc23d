"""Networks on lattices as ordinary modules: the same answers, and nothing of the library in them."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

import erlangen as er

C8, SCALAR = er.Plane(rotations=8), er.Plane()
REGULAR = {"in_field": "regular", "out_field": "regular"}
UNET, CLASSIFIER = er.models.UNet, er.models.Classifier
TORUS, CYLINDER = er.FlatTorus((16.0, 12.0)).grid(16, 12), er.Cylinder(16.0, 12.0).grid(16, 12)
LINE, SPACE = er.Euclidean(1).grid(21), er.Euclidean(3, "isometries").grid(5, 6, 4)
NETWORKS = {  # a network, and the sizes of what it is shown
    "C8": (lambda: UNET(C8, 3, 1, width=3, depth=2), None),
    "C8, full, two blocks": (
        lambda: UNET(C8, 3, 2, 3, 2, separable=False, kernel_size=3, blocks=2, oversampling=1),
        None,
    ),
    "D8": (lambda: UNET(er.Plane(rotations=8, reflections=True), 3, 1, width=2, depth=1), None),
    "C6": (lambda: UNET(er.Plane(rotations=6), 3, 1, width=3, depth=2), None),
    "isotropic": (lambda: UNET(SCALAR, 3, 1, width=4, depth=2), None),
    "gated": (lambda: UNET(C8, 3, 1, width=3, depth=2, nonlinearity="gated"), None),
    "polynomial": (lambda: UNET(C8, 3, 1, width=3, depth=1, nonlinearity="polynomial"), None),
    "silu": (lambda: UNET(C8, 3, 1, width=3, depth=1, nonlinearity="silu"), None),
    "reflected, maximum": (
        lambda: UNET(C8, 3, 1, width=3, depth=1, padding_mode="reflect", projection="max"),
        None,
    ),
    "classes": (lambda: CLASSIFIER(C8, 3, 4, width=2, depth=1, pooling="max"), None),
    "classes, isotropic": (lambda: CLASSIFIER(SCALAR, 3, 4, width=4, depth=2), None),
    "torus": (lambda: UNET(TORUS, 3, 1, width=2, depth=1, padding_mode="circular"), [(16, 12)]),
    "cylinder": (lambda: UNET(CYLINDER, 3, 1, width=2, depth=1), [(16, 12)]),
    "line": (lambda: UNET(LINE, 3, 1, width=3, depth=2), [(21,)]),
    "space": (lambda: UNET(SPACE, 3, 1, width=2, depth=1, kernel_size=3), [(5, 6, 4)]),
    "layers": (
        lambda: nn.Sequential(
            er.nn.Lift(C8, 3, 4, 5),
            er.nn.Norm(C8, 4),
            er.nn.Pointwise(C8, torch.tanh),
            er.nn.Correlation(C8, 4, 6, 3, groups=2, dilation=2, **REGULAR),
            er.nn.Polynomial(C8, 6, 3),
            er.nn.Norm(C8, 6),
            er.nn.Correlation(C8, 6, 2, 3, in_field="regular", out_field="vector", padding_mode="circular"),
            er.nn.Gated(C8, 2, "vector"),
        ),
        None,
    ),
}
SIZES = [(48, 48), (37, 40), (17, 12), (9, 9)]


def learned(net, size=(20, 16)):
    torch.manual_seed(0)
    return er.verify.randomized(net, torch.randn(2, 3, *size))


def worst(net, plain, x):
    with torch.no_grad():
        y, z = net(x), plain(x)
    return float((y - z).abs().max() / y.abs().max())


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_the_same_at_every_size(name):
    build, sizes = NETWORKS[name]
    net = learned(build(), (sizes or [(20, 16)])[0])
    plain = er.to_plain(net)
    double = copy.deepcopy(net).double()
    exact = er.to_plain(double)
    for size in sizes or SIZES:
        assert worst(net, plain, torch.randn(2, 3, *size)) < 3e-5
        assert worst(double, exact, torch.randn(1, 3, *size, dtype=torch.float64)) < 1e-12


ELSEWHERE = """
import sys
sys.modules["erlangen"] = sys.modules["jaxtyping"] = None
import torch
for file in sys.argv[1:]:
    net, x, y = torch.load(file, weights_only=False)
    print(max(float((net(x[s]) - y[s]).abs().max() / y[s].abs().max()) for s in x))
    net.double()
    assert net(x[17, 12].double()).dtype == torch.float64, file
"""


def test_it_runs_where_the_library_is_not(tmp_path):
    files = [tmp_path / f"{name}.pt" for name in ("C8", "classes", "gated", "polynomial")]
    for file in files:
        net = learned(NETWORKS[file.stem][0]())
        x = {size: torch.randn(1, 3, *size) for size in SIZES}
        torch.save((er.to_plain(net), x, {size: net(one).detach() for size, one in x.items()}), file)
    run = subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, files)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    worst = [float(line) for line in run.stdout.split()]
    assert len(worst) == len(files)
    assert max(worst) < 3e-5


def test_it_is_made_of_torch_alone():
    plain = er.to_plain(learned(NETWORKS["C8"][0]()))
    kinds = {type(part).__module__.partition(".")[0] for part in plain.modules() if part is not plain}
    assert kinds == {"torch"}
    assert "erlangen" not in plain.code
    assert sum(isinstance(part, nn.Conv2d) for part in plain.modules()) == 14
    assert not any(isinstance(part, nn.BatchNorm2d) for part in plain.modules())


def test_what_a_plain_module_can_do_it_can(tmp_path):
    """Copied, cast, run in half precision, compiled, and trained: then it is no longer equivariant."""
    net = learned(NETWORKS["C8"][0]())
    plain, x = er.to_plain(net), torch.randn(1, 3, 16, 16)
    expected = net(x).detach()
    half = copy.deepcopy(plain).bfloat16()(x.bfloat16()).detach()
    assert float((half.float() - expected).norm() / expected.norm()) < 0.1
    torch._dynamo.reset()
    compiled = torch.compile(plain, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x).detach(), expected, rtol=1e-4, atol=1e-5)
    assert er.verify.equivariance(plain, x, C8, gradients=False, show=False).worst < 1e-4
    plain.train()
    optimizer = torch.optim.SGD(plain.parameters(), 0.01)
    loss = (plain(x) - torch.randn(1, 1, 16, 16)).square().mean()
    loss.backward()
    assert all(p.grad is not None for p in plain.parameters())
    optimizer.step()
    assert er.verify.equivariance(plain, x, C8, gradients=False, show=False).worst > 1e-3
    assert torch.equal(net(x).detach(), expected)
    moved = copy.deepcopy(plain).to("meta")
    assert moved(x.to("meta")).device.type == "meta"


def test_modules_of_ones_own_are_followed():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift, self.norm = er.nn.Lift(C8, 3, 4, 5), er.nn.Norm(C8, 4)
            self.project, self.last = er.nn.Project(C8), nn.Conv2d(8, 1, 1)

        def forward(self, x):
            y = self.lift(x)
            z = self.norm(y)
            return self.last(torch.cat([self.project(y), self.project(torch.relu(z))], 1))

    net = learned(Mine())
    assert worst(net, er.to_plain(net), torch.randn(2, 3, 13, 10)) < 1e-5


@pytest.mark.parametrize("copied", [er.freeze, er.to_plain])
def test_the_norm_that_is_folded_is_the_one_that_is_asked_for(copied):
    class Two(nn.Module):
        in_turn = (("layer", "first"),)

        def __init__(self):
            super().__init__()
            self.layer = er.nn.Lift(C8, 3, 4, 5)
            self.first, self.second = er.nn.Norm(C8, 4), er.nn.Norm(C8, 4)

        def forward(self, x):
            return torch.cat([self.layer.normed(x, norm) for norm in (self.first, self.second)], 1)

    net = learned(Two())
    assert worst(net, copied(net), torch.randn(2, 3, 13, 10)) < 1e-5


class Asking(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = er.nn.Correlation(SCALAR, 3, 1, 3)

    def forward(self, x):
        return self.layer(x) if x.mean() > 0 else x


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: er.nn.Correlation(er.Sphere().grid(6), 1, 1), "expected a lattice that ends or closes"),
        (
            lambda: er.nn.Lift(er.Moebius(8.0, 5.0).grid(8, 5), 1, 1, 3),
            "expected a lattice that ends or closes",
        ),
        (lambda: er.nn.Norm(SCALAR.masked(torch.ones(4, 4).bool()), 1), "expected a lattice that ends"),
        (lambda: er.nn.Correlation(C8, 1, 1, 3, stride=2), "stride=1 .* go down by er.nn.Down"),
        (lambda: er.nn.Correlation(TORUS, 1, 1, 3, engine="stencil"), "expected the lattice's own engine"),
        (lambda: er.nn.Norm(C8, 1, track_running_stats=False), "expected track_running_stats=True"),
        (lambda: er.nn.Down(C8, exact_shifts=True, circular=True), "expected exact_shifts=False"),
        (lambda: er.nn.Up(C8, circular=True), 'expected padding_mode="zeros"'),
        (Asking, r"cannot be traced \(.*\), expected one without questions"),
    ],
)
def test_what_has_no_plain_form_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        er.to_plain(build().eval())
