"""A training step does little: operations, bytes moved and bytes kept are counted, never timed."""

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

import erlangen as er
from erlangen.train.turning import inconsistency

SILENT = {"detach", "empty", "empty_like", "lift_fresh", "_unsafe_view", "_reshape_alias"}
CONVOLUTIONS = {"convolution", "convolution_backward"}


def channels_last(x):
    """As convolutions give it on devices with numbers; meta forgets the format."""
    return x.contiguous(memory_format=torch.channels_last) if x.is_meta and x.dim() == 4 else x


class Counted(TorchDispatchMode):
    """What torch is asked for: operations that are no views, the bytes of these, and what is left."""

    def __init__(self):
        super().__init__()
        self.operations = self.moved = 0
        self.made = {}

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        out = op(*args, **(kwargs or {}))
        if op._schema.name.split("::")[1] in CONVOLUTIONS:
            out = tree_map_only(torch.Tensor, channels_last, out)
        if not op.is_view and op._schema.name.split("::")[1] not in SILENT:
            self.operations += 1
            given = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
            self.moved += sum(t.numel() * t.element_size() for t in given)
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.made[StorageWeakRef(storage)] = storage.nbytes()
        return out

    @property
    def kept(self):
        """Bytes of what was made and is still there."""
        return sum(size for storage, size in self.made.items() if not storage.expired())


def default_network(**options):
    options = {"width": 5, "kernel_size": 3, **options}
    return er.models.UNet(er.Plane(rotations=8), 3, 1, blocks=2, separable=False, **options)


SMOOTH = {"taps": "smooth", "nonlinearity": "silu"}
FAST = {"width": (2, 6, 12, 24), "oversampling": 1, **SMOOTH}
EXACT = {"width": (2, 4, 8, 16), "kernel_size": 5, "low_pass": True, **SMOOTH}
# options of a network, and the operations of a step, those of its loss too
STEPS = {
    "relu, finer fibre": ({}, 299),
    "fast": (FAST, 225),
    "fast, finer fibre": ({**FAST, "oversampling": 2}, 299),
    "exact": (EXACT, 359),
    "exact, own samples": ({**EXACT, "oversampling": 1}, 284),
}


def a_step(net, x):
    net.zero_grad(set_to_none=True)
    net(x).square().mean().backward()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_few_operations(name):
    """Those of another device than a CPU, where each is a kernel to be launched."""
    options, most = STEPS[name]
    net, x = default_network(**options).to("meta"), torch.randn(2, 3, 64, 64, device="meta")
    a_step(net, x)
    with Counted() as counted:
        a_step(net, x)
    assert counted.operations <= most


def test_a_step_that_asks_logits_to_turn_takes_few_more():
    logits = torch.randn(4, 1, 64, 64, device="meta", requires_grad=True)
    angles = torch.rand(2, device="meta")
    inconsistency(logits, angles).backward()
    with Counted() as counted:
        inconsistency(logits, angles).backward()
    assert counted.operations <= 56


def test_a_norm_takes_few_operations():
    norm, x = er.nn.Norm(er.Plane(rotations=8), 3).to("meta"), torch.randn(2, 3, 8, 9, 9, device="meta")
    with Counted() as counted:
        norm(x)
    assert counted.operations <= 4  # the kernel, the batch counted, a copy of what is not channels last


def test_a_step_moves_few_bytes():
    """On a CPU, in units of the fields of all its correlations."""
    net, x = default_network(), torch.randn(2, 3, 64, 64)
    a_step(net, x)
    with Counted() as counted:
        a_step(net, x)
    assert counted.moved <= 680e6, counted.moved


@pytest.mark.parametrize("nonlinearity", ["relu", "silu", "gated"])
def test_a_lifted_network_keeps_as_much_as_its_channels(nonlinearity):
    """Of each block two fields: what its norm takes, and what the next correlation does."""
    kept = []
    for domain in (er.Plane(rotations=8), er.Plane()):
        net = er.models.UNet(domain, 3, 1, width=4, depth=2, nonlinearity=nonlinearity)
        x = torch.randn(2, 3, 64, 64)
        a_step(net, x)
        with Counted() as counted:
            y = net(x)
        kept.append(counted.kept)
        assert y.requires_grad
    assert kept[0] <= 8 * kept[1]


@pytest.mark.parametrize(("width", "kernel"), [((2, 6, 12, 24), 3), ((2, 4, 8, 16), 5)])
@pytest.mark.parametrize("low_pass", [False, True])
def test_networks_without_a_finer_fibre_keep_little_too(width, kernel, low_pass):
    """Full kernels, two blocks, a batch of two of 128 pixels; of 64 filters weigh more: 9 to 10."""
    options = {"separable": False, "blocks": 2, "nonlinearity": "silu", "taps": "smooth", "oversampling": 1}
    options |= {"width": width, "kernel_size": kernel, "low_pass": low_pass}
    kept, x = [], torch.randn(2, 3, 128, 128)
    lifted = er.Plane(rotations=8)
    for domain, again in ((er.Plane(), False), (lifted, False), (lifted, True)):
        net = er.models.UNet(domain, 3, 1, recompute=again, **options)
        net(x[:, :, :16, :16])
        with Counted() as counted:
            y = net(x)
        kept.append(counted.kept)
        assert y.requires_grad
    assert kept[1] <= 8 * kept[0], kept
    assert kept[2] <= 2.3 * kept[0], kept


LAYERS = {
    "relu": lambda plane: er.nn.ReLU(plane),
    "relu as it is": lambda plane: er.nn.ReLU(plane, oversampling=1),
    "gated": lambda plane: er.nn.Gated(plane, 3),
    "polynomial": lambda plane: er.nn.Polynomial(plane, 3, limit=4.0),
    "cubic": lambda plane: er.nn.Polynomial(plane, 3, degree=3),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_made_again_is_the_same(name, training):
    """Bit for bit: a product by one forgets where its result came from, and keeps it."""
    plane = er.Plane(rotations=4)
    norm, layer = er.nn.Norm(plane, 3).train(training), LAYERS[name](plane)
    x = torch.randn(2, 3, 4, 7, 6, requires_grad=True)
    ways = []
    for forgotten in (False, True):
        y = norm(x)
        assert hasattr(y, "again")
        y = layer(y * 1.0 if forgotten else y)
        g = torch.linspace(-1, 1, y.numel()).view_as(y)
        ways.append(torch.autograd.grad((y * g).sum(), (x, norm.weight, norm.bias, *layer.parameters())))
    for one, other in zip(*ways, strict=True):
        assert torch.equal(one, other)


def test_what_was_changed_in_place_is_kept():
    plane = er.Plane(rotations=4)
    norm, layer = er.nn.Norm(plane, 3), er.nn.ReLU(plane)
    x = torch.randn(2, 3, 4, 7, 6, requires_grad=True)
    for change in (lambda y: y.add_(1.0), lambda y: y.relu_()):
        (one,) = torch.autograd.grad(layer(change(norm(x))).square().sum(), x)
        (other,) = torch.autograd.grad(layer(change(norm(x) * 1.0)).square().sum(), x)
        assert torch.equal(one, other)


def test_second_derivatives_go_through():
    plane = er.Plane(rotations=4)
    layers = torch.nn.Sequential(er.nn.Norm(plane, 2), er.nn.Gated(plane, 2)).double()
    x = torch.randn(1, 2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda f: layers(f).sin(), x)


def test_no_past_is_written(tmp_path):
    y = er.nn.Norm(er.Plane(rotations=4), 2)(torch.randn(1, 2, 4, 3, 3, requires_grad=True))
    torch.save(y, tmp_path / "y.pt")
    assert torch.equal(torch.load(tmp_path / "y.pt", weights_only=False), y)
