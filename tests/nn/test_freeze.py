"""Frozen copies: the same answers with fewer operations, and nothing that could make them old."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import erlangen as er
from erlangen.nn.frozen import FrozenCorrelation

C8 = er.Plane(rotations=8)
REGULAR = {"in_field": "regular", "out_field": "regular"}
UNET, CLASSIFIER = er.models.UNet, er.models.Classifier
NETWORKS = {
    "C8": lambda: UNET(C8, 3, 1, width=3, depth=2),
    "C8, full, two blocks": lambda: UNET(C8, 3, 1, 3, 2, separable=False, kernel_size=3, blocks=2),
    "D8": lambda: UNET(er.Plane(rotations=8, reflections=True), 3, 1, width=2, depth=1),
    "C6": lambda: UNET(er.Plane(rotations=6), 3, 1, width=3, depth=2),
    "isotropic": lambda: UNET(er.Plane(), 3, 1, width=4, depth=2),
    "gated": lambda: UNET(C8, 3, 1, width=3, depth=2, nonlinearity="gated"),
    "polynomial": lambda: UNET(C8, 3, 1, width=3, depth=2, nonlinearity="polynomial"),
    "reflected": lambda: UNET(C8, 3, 1, width=3, depth=1, padding_mode="reflect", projection="max"),
    "classes": lambda: CLASSIFIER(C8, 3, 4, width=2, depth=1),
    "classes, isotropic": lambda: CLASSIFIER(er.Plane(), 3, 4, width=4, depth=2),
}


class Operations(TorchDispatchMode):
    """Counts the operations of torch, unless told those that are no views."""

    count, views = 0, False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += self.views or not function.is_view
        return function(*args, **(kwargs or {}))


def operations(net, x):
    with torch.no_grad():
        net(x)
        with Operations() as seen:
            net(x)
    return seen.count


def learned(net, channels=3, size=(20, 16)):
    torch.manual_seed(0)
    return er.verify.randomized(net, torch.randn(2, channels, *size))


def chain(*, bias=True, domain=C8):
    return learned(
        nn.Sequential(
            er.nn.Lift(domain, 3, 4, 5, bias=bias),
            er.nn.Norm(domain, 4),
            er.nn.ReLU(domain),
            er.nn.Correlation(domain, 4, 4, 5, separable=True, bias=bias, **REGULAR),
            er.nn.Norm(domain, 4),
        )
    )


def worst(one, other, *x):
    with torch.no_grad():
        y, z = one(*x), other(*x)
    return float((y - z).abs().max() / y.abs().max())


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_the_same_at_every_size(name):
    net = learned(NETWORKS[name]())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    frozen = er.freeze(net)
    double = copy.deepcopy(net).double()
    for size in ((48, 48), (97, 128), (17, 12)):
        x = torch.randn(1, 3, *size)
        assert worst(net, frozen, x) < 1e-5
    x = torch.randn(2, 3, 17, 12, dtype=torch.float64)
    assert worst(double, er.freeze(double), x) < 1e-12
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())
    net.train()


def test_a_photograph_takes_few_operations_views_counted():
    """Around its 22 convolutions, 15 nonlinearities and 15 filters."""
    kind = {"separable": False, "kernel_size": 3, "blocks": 2, "nonlinearity": "silu", "oversampling": 1}
    net = UNET(C8, 3, 1, 2, 3, low_pass=True, **kind)
    net, x = er.freeze(learned(net)), torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        net(x)
        with Operations() as seen:
            seen.views = True
            net(x)
    assert seen.count <= 309, seen.count  # of 501


def test_fewer_operations():
    """No filter is made, no norm is left; a correlation is one operation."""
    net = learned(UNET(C8, 3, 1, 2, 3, separable=False, kernel_size=3, blocks=2))
    x = torch.randn(1, 3, 32, 32)
    correlations = sum(isinstance(part, er.nn.Correlation) for part in net.modules())
    norms = sum(isinstance(part, er.nn.Norm) for part in net.modules())
    before, after = operations(net, x), operations(er.freeze(net), x)
    assert before - after >= 4 * norms + 2 * correlations
    names = Names()
    with torch.no_grad(), names:
        er.freeze(net)(x)
    assert "aten.native_batch_norm.default" not in names.seen
    assert names.seen.count("aten.convolution.default") <= correlations + 6


class Names(TorchDispatchMode):
    """The names of operations."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("bias", [True, False])
def test_norms_fold_into_the_sequence_before_them(bias):
    net, x = chain(bias=bias), torch.randn(1, 3, 13, 10)
    frozen = er.freeze(net)
    names = Names()
    with torch.no_grad(), names:
        frozen(x)
    assert not [name for name in names.seen if "batch_norm" in name]
    assert worst(net, frozen, x) < 1e-5


def test_what_lies_between_is_what_it_was():
    """For whoever asks a part by itself, walks through them, or hooks into them."""

    class Walk(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.layers = layers

        def forward(self, x):
            found = []
            for layer in self.layers:
                x = layer(x)
                found.append(x.mean((1, 2)) if x.dim() == 5 else x)
            return torch.stack(found)

    net, x = Walk(chain()), torch.randn(1, 3, 13, 10)
    frozen = er.freeze(net)
    assert worst(net, frozen, x) < 1e-5
    seen = {}
    for name, module in (("own", net.layers), ("frozen", frozen.layers)):
        module[3].register_forward_hook(lambda _, __, y, name=name: seen.__setitem__(name, y))
    assert worst(net.layers, frozen.layers, x) < 1e-5
    torch.testing.assert_close(seen["own"], seen["frozen"], rtol=1e-5, atol=1e-5)


def test_shared_layers_are_frozen_once_and_right():
    lift, norm = er.nn.Lift(C8, 3, 3, 5), er.nn.Norm(C8, 3)
    same = er.nn.Correlation(C8, 3, 3, 5, **REGULAR)
    norms = er.nn.Norm(C8, 3), er.nn.Norm(C8, 3)
    net = learned(nn.Sequential(lift, norm, same, norms[0], er.nn.ReLU(C8), same, norms[1], same))
    frozen, x = er.freeze(net), torch.randn(1, 3, 9, 9)
    assert frozen[2] is frozen[5] is frozen[7]
    assert worst(net, frozen, x) < 1e-5


@pytest.mark.parametrize("change", ["statistics of the batch", "other channels", "masked", "vectors"])
def test_what_does_not_fold_stays(change):
    domain, field, x = C8, "regular", torch.randn(2, 3, 9, 8)
    if change == "masked":
        domain = er.Plane(rotations=8).masked(torch.arange(72).view(9, 8) % 5 != 1)
    if change == "vectors":
        field = "vector"
    options = {"track_running_stats": change != "statistics of the batch"}
    net = nn.Sequential(
        er.nn.Correlation(domain, 3, 4, 3, out_field=field), er.nn.Norm(domain, 4, field=field, **options)
    )
    net = er.verify.randomized(net, x)
    frozen = er.freeze(net)
    assert bool(frozen[0].partner) == (change in ("other channels", "vectors"))
    assert worst(net, frozen, x) < 1e-5


def test_masked_without_bias_folds():
    domain = er.Plane(rotations=8).masked(torch.arange(72).view(9, 8) % 5 != 1)
    x = torch.randn(2, 3, 9, 8)
    net = nn.Sequential(er.nn.Lift(domain, 3, 4, 3, bias=False), er.nn.Norm(domain, 4))
    net = er.verify.randomized(net, x)
    frozen = er.freeze(net)
    assert frozen[0].partner
    assert worst(net, frozen, x) < 1e-5


def test_torch_norms_fold_behind_scalars():
    plane = er.Plane()
    net = learned(nn.Sequential(er.nn.Correlation(plane, 3, 4, 5), nn.BatchNorm2d(4)))
    frozen = er.freeze(net)
    assert frozen[0].partner
    assert worst(net, frozen, torch.randn(2, 3, 9, 8)) < 1e-5


def test_a_state_that_is_loaded_makes_filters_anew():
    net, other = learned(NETWORKS["C8"]()), NETWORKS["C8"]()
    torch.manual_seed(1)
    other = er.verify.randomized(other, torch.randn(2, 3, 20, 16))
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.1)
    frozen, x = er.freeze(net), torch.randn(1, 3, 20, 16)
    assert worst(other, frozen, x) > 0.01
    copied = copy.deepcopy(frozen)
    for one in (frozen, copied):
        one.load_state_dict(other.state_dict())
        assert worst(other, one, x) < 1e-5
    norms = [part for part in frozen.modules() if isinstance(part, er.nn.Norm)]
    before = [part for part in net.modules() if isinstance(part, er.nn.Norm)]
    for one, two in zip(norms, before, strict=True):
        one.load_state_dict(two.state_dict())  # a norm alone
    for one, two in zip(other.modules(), net.modules(), strict=True):
        if isinstance(one, er.nn.Norm):
            one.load_state_dict(two.state_dict())
    assert worst(other, frozen, x) < 1e-5


def test_half_precision_and_autocast():
    net, x = learned(NETWORKS["C8"]()), torch.randn(1, 3, 20, 16)
    expected, frozen = net(x).detach(), er.freeze(net)
    half = copy.deepcopy(frozen).bfloat16()(x.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        auto = frozen(x)
    for y in (half, auto):
        assert float((y.float() - expected).norm() / expected.norm()) < 0.1


def test_gradients_of_inputs_are_those_of_the_original():
    net = learned(NETWORKS["C8"]()).double()
    x = torch.randn(1, 3, 9, 8, dtype=torch.float64, requires_grad=True)
    one, other = (torch.autograd.grad(f(x).square().sum(), x)[0] for f in (net, er.freeze(net)))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_it_stays_frozen():
    net = learned(NETWORKS["C8"]())
    frozen = er.freeze(net)
    for part in (frozen, frozen.encoder[0]):
        with pytest.raises(ValueError, match=r"this \w+ is frozen: .* er.freeze it again"):
            part.train()
    assert not any(part.training for part in frozen.modules())
    frozen.train(False)
    layer = er.freeze(er.nn.Correlation(er.FlatTorus((8.0, 8.0)).grid(8, 8), 1, 1, 3))
    with pytest.raises(ValueError, match=r"expected the network that it was made of: er.freeze\(er.on"):
        er.on(layer, er.FlatTorus((8.0, 8.0)).grid(16, 16))
    assert er.on(frozen, frozen.domain) is frozen


def test_a_network_elsewhere_is_frozen_there():
    torch.manual_seed(0)
    net = UNET(er.FlatTorus((1.0, 1.0)).grid(16, 16), 1, 1, width=2, depth=1)
    net = er.verify.randomized(net, torch.randn(2, 1, 16, 16))
    fine = er.on(net, er.FlatTorus((1.0, 1.0)).grid(32, 32))
    frozen = er.freeze(fine)
    assert type(frozen) is UNET
    assert worst(fine, frozen, torch.randn(1, 1, 32, 32)) < 1e-5
    assert any(isinstance(part, FrozenCorrelation) and part.partner for part in frozen.modules())


def test_parametrized_weights_become_weights():
    net = learned(NETWORKS["C8"]())
    layer = net.encoder[0].correlation
    nn.utils.parametrizations.spectral_norm(layer, "weight")
    net.eval()
    frozen, x = er.freeze(net), torch.randn(1, 3, 13, 12)
    assert worst(net, frozen, x) < 1e-5
    assert "encoder.0.correlation.weight" in frozen.state_dict()
    assert hasattr(net.encoder[0].correlation, "parametrizations")


def test_layers_of_ones_own_just_run():
    class Halved(er.nn.Correlation):
        def forward(self, field):
            return super().forward(field) / 2

    net = learned(nn.Sequential(Halved(er.Plane(), 3, 4, 3), er.nn.Norm(er.Plane(), 4)))
    assert worst(net, er.freeze(net), torch.randn(1, 3, 9, 9)) < 1e-6


def test_proofs_and_compilers_take_it():
    net = learned(NETWORKS["C8"]())
    frozen, x = er.freeze(net), torch.randn(1, 3, 17, 16)
    reports = [
        er.verify.equivariance(f, x, C8, layers=True, gradients=False, show=False) for f in (net, frozen)
    ]
    assert reports[1].worst < 1e-4
    assert [row.layer for row in reports[0].layers] == [row.layer for row in reports[1].layers] or len(
        reports[0].layers
    ) == len(reports[1].layers)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = torch.compile(frozen, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(y, frozen(x), rtol=1e-4, atol=1e-5)


def test_refusals_and_warnings():
    with pytest.raises(ValueError, match=r"module is \[\], expected a torch.nn.Module"):
        er.freeze([])
    net = NETWORKS["isotropic"]()
    with pytest.warns(UserWarning, match="in training mode and its norms have seen no batch"):
        er.freeze(net)
    compiled = torch.compile(net.eval(), backend="eager")
    with pytest.raises(ValueError, match=r"was replaced .* torch.compile\(er.freeze\(net\)\)"):
        er.freeze(compiled)
