"""The same network on another domain: one state, seen from elsewhere."""

import copy
import gc
import pickle
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import erlangen as er


def plane(size):
    return er.Plane(rotations=4, shape=(size, size))


def masked(size):
    grid = er.FlatTorus((1.0, 1.0)).grid(size, size)
    return grid.masked(grid.points[..., 0] < 0.3)


def revolution(size):
    return er.SurfaceOfRevolution(steps=2).grid(size, size, rotations=4, nodes=4)


# name: a domain of each size, what networks on it are told, two sizes
KINDS = {
    "plane": (plane, {}, 16, 20),
    "any plane": (lambda n: er.Plane(rotations=4), {}, 0, 1),
    "torus": (lambda n: er.FlatTorus((1.0, 1.0)).grid(n, n), {}, 16, 32),
    "masked": (masked, {}, 16, 32),
    "strip": (lambda n: er.Moebius(8.0, 5.0).grid(n, n), {}, 8, 16),
    "sphere": (lambda n: er.Sphere().grid(n, rotations=3), {}, 16, 32),
    "sphere, local": (lambda n: er.Sphere().grid(n, rotations=3), {"radius": 0.6}, 8, 16),
    "fewer degrees": (lambda n: er.Sphere().grid(n), {}, 16, 12),
    "coefficients": (lambda n: er.Sphere().harmonics(n, rotations=3), {}, 8, 12),
    "projective plane": (lambda n: er.ProjectivePlane().grid(n), {}, 8, 16),
    "healpix": (lambda n: er.Sphere().healpix(n), {"radius": 1.2}, 2, 4),
    "revolution": (revolution, {"radius": 0.8}, 8, 16),
}


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    make, options, size, finer = KINDS[request.param]
    net = er.models.UNet(make(size), 1, 1, width=2, depth=1, **options)
    return net.eval(), make(size), make(finer)


def noise(domain, channels=1, dtype=torch.float32):
    rho = domain.representation("scalar")
    parts = domain.parts(rho)
    shape = domain.shape or (12, 14)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *[parts] * (parts is not None), *shape, generator=generator, dtype=dtype)


def test_networks_move_with_their_weights(kind):
    net, home, there = kind
    moved = net.on(there)
    assert isinstance(moved, er.models.UNet)
    assert moved.domain is there
    assert er.on(net, there) is moved
    assert moved.on(there) is moved
    assert er.on(moved, net.domain) is net
    assert er.on(net, net.domain) is net
    here, elsewhere = net.state_dict(keep_vars=True), moved.state_dict(keep_vars=True)
    assert list(here) == list(elsewhere)
    assert all(here[name] is elsewhere[name] for name in here)
    y = moved(noise(there))
    assert y.shape == noise(there).shape
    y.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    again = net.on(home)  # another domain that is the same
    torch.testing.assert_close(again(noise(home)), net(noise(home)), rtol=0, atol=0)


def test_copies_and_pickles_are_of_the_module(kind):
    net, _, there = kind
    moved = net.on(there)
    x, y = noise(there), moved(noise(there))
    for twin in (copy.deepcopy(moved), pickle.loads(pickle.dumps(moved))):
        torch.testing.assert_close(twin(x), y, rtol=0, atol=0)
        assert twin.head.weight is not net.head.weight
    both = copy.deepcopy(nn.ModuleList([net, moved]))
    assert both[0].head.weight is both[1].head.weight
    assert moved.encoder[0] is net.on(there).encoder[0]
    twin = pickle.loads(pickle.dumps(moved.encoder[1]))
    assert len(list(twin.parameters())) == len(list(net.encoder[1].parameters()))


def test_networks_that_moved_are_saved_as_what_they_are(tmp_path):
    net = er.models.UNet(plane(16), 3, 1, width=2, depth=1).eval()
    model = er.train.Predictor(net.on(plane(20)), size=16, task=er.train.Task(("cell", "none"), True))
    er.save(model, tmp_path / "model.safetensors")
    x = torch.randn(1, 3, 20, 20)
    torch.testing.assert_close(er.load(tmp_path / "model.safetensors").net(x), net.on(plane(20))(x))


TORUS, FINER = (er.FlatTorus((1.0, 1.0)).grid(n, n) for n in (8, 16))


def small():
    return nn.Sequential(er.nn.Correlation(TORUS, 1, 2, 3), er.nn.Norm(TORUS, 2), nn.Dropout(0.5))


def test_views_never_get_old():
    net = small()
    moved, x = er.on(net, FINER), noise(FINER)
    net.eval()
    assert not moved.training
    assert not moved[1].training
    moved.train()
    assert net[1].training
    moved(x)
    assert float(net[1].running_mean.abs().sum()) > 0  # counted once, for both
    assert int(net[1].num_batches_tracked) == 1
    net.eval().double()
    assert moved(x.double()).dtype == torch.float64
    moved.float()
    assert net[1].running_var.dtype == torch.float32
    net.load_state_dict({name: torch.zeros_like(value) for name, value in net.state_dict().items()})
    assert float(moved(x).detach().abs().max()) == 0.0
    net.append(er.nn.Correlation(TORUS, 2, 1, 3))
    assert moved(x).shape == (2, 1, 16, 16)
    assert moved[3].domain is FINER
    net[2] = nn.Identity()
    assert isinstance(moved[2], nn.Identity)
    net[1].momentum = 0.3
    assert moved[1].momentum == 0.3
    seen = []
    net[0].register_forward_hook(lambda module, *_: seen.append(module))
    moved(x)
    assert seen == [moved[0]]
    with pytest.raises(TypeError):
        moved.append(nn.ReLU())  # the module itself takes layers


def test_parametrizations_and_shared_layers_move():
    layer = er.nn.Correlation(TORUS, 1, 1, 3)
    net = nn.ModuleDict({"one": layer, "two": layer})
    before = er.on(net, FINER)["one"]
    assert er.on(net, FINER)["two"] is before
    parametrize.register_parametrization(layer, "weight", torch.nn.Tanh())
    after = er.on(net, FINER)["one"]
    assert after is not before
    torch.testing.assert_close(after.weight, layer.weight)
    after(noise(FINER)).sum().backward()
    assert layer.parametrizations.weight.original.grad is not None


def test_what_is_no_layer_is_seen_as_it_is():
    class Mine(nn.Module):
        scale = 1.0

        def __init__(self):
            super().__init__()
            self.where, self.coarse = TORUS, TORUS.coarser()
            self.layer = er.nn.Correlation(TORUS, 1, 1, 3)
            self.names = ["a"]
            self.scale = 2.0

        def forward(self, x):
            return self.scale * er.nn.mean(self.where, self.layer(x))

    net = Mine()
    moved = er.on(net, FINER)
    assert moved.where is FINER
    assert moved.coarse.is_same(FINER.coarser())
    assert moved.names is net.names
    x = noise(FINER)
    torch.testing.assert_close(moved(x), 2 * er.nn.mean(FINER, moved.layer(x)))


def test_nothing_is_held_longer_than_it_lives():
    net, there = small(), er.FlatTorus((1.0, 1.0)).grid(16, 16)
    there_is, net_is = weakref.ref(there), weakref.ref(net)
    er.on(net, there)(noise(there))
    del there
    gc.collect()
    assert there_is() is None
    moved = er.on(net, FINER)
    del net
    gc.collect()
    assert net_is() is None
    assert moved.eval()(noise(FINER)).shape == (2, 2, 16, 16)  # has all of its state
    assert pickle.loads(pickle.dumps(moved))[0].domain.is_same(FINER)


def levels():
    """A layer on the domain, and one on the coarser one."""
    coarse = TORUS.coarser()
    layers = er.nn.Correlation(TORUS, 1, 2, 3), er.nn.Norm(TORUS, 2), er.nn.Down(TORUS)
    return nn.Sequential(*layers, er.nn.Correlation(coarse, 2, 1, 3))


class OnMany(nn.Module):
    """A user's network, that says in its forward where it is."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, domain):
        return er.on(self.net, domain)(x)


def test_trained_on_many_domains_in_turn():
    torch.manual_seed(0)
    net = OnMany(er.models.UNet(TORUS, 1, 1, width=2, depth=1, kernel_size=3))
    step = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(15):
        for domain in (TORUS, FINER):
            x = torch.sin(2 * torch.pi * domain.points[..., 0]).float()[None, None]
            loss = (net(x, domain) - x.square()).square().mean()
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(float(loss.detach()))
    assert sum(losses[-2:]) < sum(losses[:2]) / 2


def distributed(rank, address, results):
    """Two steps on two domains in turn, on this process' part of the batch."""
    torch.manual_seed(0)
    store = torch.distributed.FileStore(address, results.shape[0])
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=results.shape[0])
    net = OnMany(er.models.UNet(TORUS, 1, 1, width=2, depth=1, kernel_size=3))
    twice = nn.parallel.DistributedDataParallel(net)
    step = torch.optim.SGD(net.parameters(), 0.1)
    for domain in (TORUS, FINER):
        step.zero_grad()
        twice(noise(domain) * (1 + rank), domain).square().mean().backward()
        step.step()
    results[rank] = torch.cat([p.detach().flatten() for p in net.parameters()])[:50]
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_distributed(processes, tmp_path):
    results = torch.zeros(processes, 50).share_memory_()
    arguments = str(tmp_path / "store"), results
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if processes == 1:
            distributed(0, *arguments)
        else:
            torch.multiprocessing.spawn(distributed, arguments, processes)
    assert float(results.abs().max()) > 0
    torch.testing.assert_close(results[0], results[-1], rtol=0, atol=0)  # gradients were shared


@pytest.mark.parametrize("domain", [TORUS, FINER], ids=["home", "finer"])
def test_compiles_whole_inside_a_forward(domain):
    net = OnMany(levels()).eval()
    x = noise(domain)
    net(x, domain)  # made now; within what is compiled it is only found
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x, domain), net(x, domain), rtol=1e-4, atol=1e-5)
        net.train()
        compiled(x, domain)
        assert int(net.net[1].num_batches_tracked) == 1  # the mode is seen


def test_compiles_on_many_domains_and_exports():
    net = OnMany(levels()).eval()
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(net, backend="aot_eager", dynamic=False)
        for domain in (FINER, TORUS):
            x = noise(domain)
            torch.testing.assert_close(compiled(x, domain), net(x, domain), rtol=1e-4, atol=1e-5)
        moved, x = er.on(net.net, FINER), noise(FINER)
        program = torch.export.export(moved, (x,))
    torch.testing.assert_close(program.module()(x), moved(x), rtol=1e-4, atol=1e-5)
    in_place = small().eval()
    in_place.compile(backend="aot_eager")  # its own calls are compiled, those of its views are not
    assert er.on(in_place, FINER)(noise(FINER)).shape == (2, 2, 16, 16)
