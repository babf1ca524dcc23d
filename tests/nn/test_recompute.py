"""`recompute=True`: the same gradients, of less that is kept."""

import copy

import pytest
import torch
from tests.nn.test_frugal import Counted
from torch import nn

import erlangen as er

NETWORKS = {
    "C4": (er.models.UNet, er.Plane(rotations=4), {}),
    "C4, max": (er.models.UNet, er.Plane(rotations=4), {"projection": "max", "nonlinearity": "gated"}),
    "isotropic": (er.models.UNet, er.Plane(), {"blocks": 2}),
    "classes": (er.models.Classifier, er.Plane(rotations=4), {"kernel_size": 3}),
}


def pair(kind, domain, options):
    """The same network twice, the second one computed again."""
    nets = [kind(domain, 2, 3, width=2, depth=1, recompute=again, **options) for again in (False, True)]
    nets[1].load_state_dict(nets[0].state_dict())
    return nets


def gradients(net, y, create_graph=False):
    return torch.autograd.grad(y.square().sum(), list(net.parameters()), create_graph=create_graph)


def expect_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_statistics_are_the_same(name, precision):
    nets, x = pair(*NETWORKS[name]), torch.randn(2, 2, 9, 12)
    found = []
    for net in nets:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            y = net(x)
        found.append(gradients(net, y.float()))
    expect_same(*found)
    expect_same(*(net.buffers() for net in nets))


def test_a_lifted_network_keeps_little():
    kept = []
    for domain, again in ((er.Plane(rotations=8), True), (er.Plane(), False)):
        net = er.models.UNet(domain, 3, 1, width=4, depth=2, recompute=again)
        x = torch.randn(2, 3, 64, 64)
        net(x).sum().backward()
        with Counted() as counted:
            y = net(x)
        kept.append(counted.kept)
        assert y.requires_grad
    assert kept[0] <= 3 * kept[1], kept


def test_modes_and_weights_are_those_of_the_first_time():
    """Between the two passes the network was set to eval; or it was called with weights of others."""
    nets, x = pair(*NETWORKS["C4"]), torch.randn(2, 2, 8, 8)
    found = []
    for net in nets:
        y = net(x)
        net.eval()
        found.append(gradients(net, y))
        net.train()
    expect_same(*found)
    found = []
    for net in nets:
        weights = {name: (p.detach() * 1.5).requires_grad_() for name, p in net.named_parameters()}
        y = torch.func.functional_call(net, weights, (x,))
        found.append(torch.autograd.grad(y.square().sum(), list(weights.values())))
    expect_same(*found)


def test_weights_that_changed_are_refused():
    net = pair(*NETWORKS["C4"])[1]
    y = net(torch.randn(1, 2, 8, 8))
    with torch.no_grad():
        net.lift[0].weight.add_(1)
    with pytest.raises(RuntimeError, match="changed in place between the forward and the backward pass"):
        y.sum().backward()


def test_second_derivatives():
    nets, x = pair(*NETWORKS["C4"]), torch.randn(2, 2, 8, 8)
    found = []
    for net in nets:
        first = gradients(net, net(x), create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), list(net.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_copies_for_inference_and_other_domains():
    for name in ("C4", "classes"):
        nets, x = pair(*NETWORKS[name]), torch.randn(1, 2, 9, 8)
        nets = [net.eval() for net in nets]
        expect_same(*([er.freeze(net)(x)] for net in nets))
        expect_same(*([er.to_plain(net)(x)] for net in nets))
    ball, finer = (er.Sphere().grid(n, rotations=3) for n in (8, 12))
    nets = [er.on(net, finer) for net in pair(er.models.UNet, ball, {})]
    x, found = torch.randn(1, 2, 12, 24), []
    for net in nets:
        net(x).square().sum().backward()
        found.append([p.grad for p in net.parameters()])
    expect_same(*found)


def test_randomness_is_the_same_again():
    nets, x = pair(*NETWORKS["C4"]), torch.randn(1, 2, 8, 8)
    found = []
    for net in nets:
        net.encoder[0] = nn.Sequential(net.encoder[0], nn.Dropout())
        torch.manual_seed(0)
        found.append(gradients(net, net(x)))
    expect_same(*found)


def test_it_is_an_option_of_what_is_saved(tmp_path):
    assert er.train.Settings().changed(recompute=True).network.recompute
    er.save(er.train.Predictor(er.models.UNet(er.Plane(), 3, 1, 2, 1, recompute=True)), tmp_path)
    net = er.load(tmp_path).net
    assert net.options.recompute
    assert copy.deepcopy(net).options.recompute
