"""Normalization: torch's where all samples weigh the same, the measure's where they do not."""

import pytest
import torch
from torch import nn

import erlangen as er


@pytest.mark.parametrize("momentum", [0.1, None])
def test_scalars_on_the_plane_are_normalized_as_torch_does(momentum):
    ours, theirs = (
        norm.double()
        for norm in (er.nn.Norm(er.Plane(), 3, momentum=momentum), nn.BatchNorm2d(3, momentum=momentum))
    )
    for _ in range(3):
        x = torch.randn(4, 3, 5, 6).double() * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_statistics_are_shared_along_the_fibre():
    norm = er.nn.Norm(er.Plane(rotations=8), 2).double()
    y = norm(torch.randn(3, 2, 8, 5, 5).double() * torch.arange(1, 9).view(8, 1, 1) + 4)
    torch.testing.assert_close(y.mean((0, 2, 3, 4)), torch.zeros(2).double(), rtol=0, atol=1e-10)
    assert float(y.detach()[:, :, 7].std() / y.detach()[:, :, 0].std()) > 4


@pytest.mark.parametrize("in_training", [True, False])
def test_the_sphere_is_measured_by_area(in_training):
    """The same function, turned: what a mean over samples, dense at the poles, would tell apart."""
    ball = er.Sphere().grid(24)
    x, _, z = ball.points.unbind(-1)
    norm = er.nn.Norm(ball, 1, affine=False).double().train()
    upright, lying = (norm(f.square()[None, None]) for f in (z, x))
    if not in_training:
        norm.eval()
        upright, lying = (norm(f.square()[None, None]) for f in (z, x))
    weights = ball.weights / ball.weights.sum()
    torch.testing.assert_close((upright * weights).sum(), (lying * weights).sum(), rtol=0, atol=1e-10)
    torch.testing.assert_close((upright**2 * weights).sum(), (lying**2 * weights).sum(), rtol=0, atol=1e-10)
    if in_training:
        torch.testing.assert_close(
            upright.pow(2).mul(weights).sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-3
        )


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    "domain", [er.Plane(rotations=8), er.Plane(), er.Euclidean(1, "isometries").grid(35)]
)
def test_what_other_devices_compute_is_the_same(domain, momentum, monkeypatch):
    """There, and where it is compiled, it is torch's own kernel, on rows of channels."""
    shape = (3, 2, *([len(domain.fibre)] if domain.fibre else []), *(domain.shape or (5, 7)))
    x = (torch.randn(shape, dtype=torch.float64) * 2 + 1).requires_grad_()
    found = []
    for compiled in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda compiled=compiled: compiled)
        norm = er.nn.Norm(domain, 2, momentum=momentum).double()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 2.0]))
        y = norm(x)
        grads = torch.autograd.grad((y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum(), (x, norm.weight))
        found.append((y, *grads, *norm.buffers()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("size", [96, 97])
def test_statistics_of_many_samples_are_exact_in_float32(size):
    """Added up one after the other, as torch's kernel does, they would be off by 1e-4."""
    torch.manual_seed(0)
    x = torch.randn(8, 2, 8, size, size) + 1
    norm, exact = er.nn.Norm(er.Plane(rotations=8), 2), er.nn.Norm(er.Plane(rotations=8), 2).double()
    ways = []
    for layer, field in ((norm, x), (exact, x.double())):
        field = field.requires_grad_()
        y = layer(field)
        g = torch.autograd.grad((y * x.detach().relu()).sum(), (field, *layer.parameters()))
        ways.append((y.detach(), *g, layer.running_mean, layer.running_var))
    for one, other in zip(*ways, strict=True):
        assert float((one - other).norm() / other.norm()) < 2e-5


def test_torch_func_differentiates_it():
    norm = er.nn.Norm(er.Plane(rotations=4), 2, track_running_stats=False).double()
    x = torch.randn(3, 2, 2, 4, 5, 5, dtype=torch.float64)

    def of(f):
        return (norm(f) ** 3).sum()

    grads = torch.func.vmap(torch.func.grad(of))(x)
    for f, g in zip(x, grads, strict=True):
        f = f.clone().requires_grad_()
        torch.testing.assert_close(g, torch.autograd.grad(of(f), f)[0])


def test_statistics_that_torch_func_keeps_to_itself_are_refused():
    """Those of a part that vmap or grad hides; what is mapped with its statistics is remembered by each."""
    norm, x = er.nn.Norm(er.Plane(rotations=4), 2), torch.randn(3, 2, 2, 4, 5, 5)
    with pytest.raises(ValueError, match=r"torch.func.vmap or grad keeps to itself, .*: call eval\(\)"):
        torch.func.vmap(norm)(x)
    with pytest.raises(ValueError, match="keeps to itself"):
        torch.func.grad(lambda f: norm(f).sin().sum())(x[0])
    assert norm.num_batches_tracked == 0
    torch.func.replace_all_batch_norm_modules_(norm)
    torch.testing.assert_close(torch.func.vmap(norm)(x)[1], norm(x[1]))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_several_norms_mapped_at_once_remember_each_their_own():
    norms = [er.nn.Norm(er.Plane(), 2) for _ in range(3)]
    parameters, buffers = torch.func.stack_module_state(norms)
    x = torch.randn(3, 4, 2, 5, 5)

    def of(parameters, buffers, x):
        return torch.func.functional_call(norms[0], (parameters, buffers), (x,))

    y = torch.func.vmap(of)(parameters, buffers, x)
    for i, norm in enumerate(norms):
        torch.testing.assert_close(y[i], norm(x[i]))
        torch.testing.assert_close(buffers["running_var"][i], norm.running_var)


def test_a_single_value_is_its_own_mean():
    norm = er.nn.Norm(er.Plane(), 2)
    y = norm(torch.tensor([3.0, -4.0]).view(1, 2, 1, 1))
    assert not y.any()
    assert norm.running_var.isfinite().all()


WITH_NOTHING = {
    "plane": lambda: er.Plane(shape=(8, 8)),
    "plane, C8": lambda: er.Plane(rotations=8, shape=(8, 8)),
    "plane, masked": lambda: er.Plane(rotations=4).masked(torch.ones(8, 8, dtype=torch.bool)),
    "volume": lambda: er.Euclidean(3).grid(8, 8, 8),
    "moebius": lambda: er.Moebius(16.0, 12.0).grid(16, 12),
    "rings": lambda: er.Sphere().grid(8),
    "rings, lifted": lambda: er.Sphere().grid(8, rotations=3),
    "rings, masked": lambda: er.Sphere().grid(8, mask=torch.arange(128).view(8, 16) % 5 != 1),
    "coefficients": lambda: er.Sphere().harmonics(8),
    "coefficients, lifted": lambda: er.Sphere().harmonics(8, rotations=3),
    "projective plane": lambda: er.ProjectivePlane().grid(8),
    "chart": lambda: er.Chart(
        lambda x: torch.eye(2).to(x).expand(*x.shape, 2), 2, periods=(8.0, 8.0), steps=1
    ).grid(8, 8),
}


def no_fields(domain, field, channels=2):
    parts = domain.parts(domain.representation(field))
    shape = (0, channels, *([] if parts is None else [parts]), *domain.shape)
    return torch.randn(shape, requires_grad=True)


@pytest.mark.parametrize("name", WITH_NOTHING)
def test_an_empty_batch_is_taken_as_by_torch(name):
    """No NaN, no error: counted, statistics as they were, a gradient of zeros, in every layer."""
    domain, theirs = WITH_NOTHING[name](), nn.BatchNorm2d(2)
    theirs.running_var.fill_(5.0)
    theirs(torch.randn(0, 2, 3, 3)).sum().backward()
    for field in dict.fromkeys((domain.default_field, "scalar", "vector")):
        ours, x = er.nn.Norm(domain, 2, field=field), no_fields(domain, field)
        ours.running_var.fill_(5.0)
        y = ours(x)
        assert y.shape == x.shape
        y.sum().backward()
        assert x.grad.shape == x.shape
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
        for buffer, value in theirs.state_dict().items():
            if buffer in ours.state_dict():
                torch.testing.assert_close(ours.state_dict()[buffer], value)
        assert ours.eval()(x).shape == x.shape
    if name == "chart":  # costly, and its layers are those of other samples
        return
    reach = {"radius": 1.2} if name == "rings, masked" else {}
    x = no_fields(domain, "scalar")
    for nonlinearity in ("relu", "gated", "polynomial"):
        net = er.models.UNet(domain, 2, 1, width=2, depth=1, nonlinearity=nonlinearity, **reach)
        for mode in (True, False):
            y = net.train(mode)(x)
            assert y.shape == (0, 1, *x.shape[2:])
            y.sum().backward()
        assert all(b.isfinite().all() for b in net.buffers())
        assert all(not p.grad.any() for p in net.parameters() if p.grad is not None)


def test_conversion_to_norms_without_a_domain_is_refused():
    net = er.models.UNet(er.Plane(rotations=4), 3, 1, width=2, depth=1)
    before = {name: type(module) for name, module in net.named_modules()}
    with pytest.raises(ValueError, match=r"convert_sync_batchnorm .* would drop its domain.*leave out"):
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert {name: type(module) for name, module in net.named_modules()} == before
    assert type(nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(2))) is nn.SyncBatchNorm


def test_polynomials_of_coefficients_weigh_channels_and_not_the_batch():
    """Whichever way the square is taken, by values or with its harmonics at once."""
    domain = er.Sphere().harmonics(6)
    layer = er.nn.Polynomial(domain, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    f = domain.analyze(torch.randn(2, 2, 6, 12).double())
    a, b = layer.weight[:, :, None, None, None]
    finer = domain.finer(domain.representation("scalar"), 1.5)
    square = finer.quadratic(f, torch.zeros(2).double(), torch.ones(2).double())
    torch.testing.assert_close(layer(f), a * f + b * square)
    torch.testing.assert_close(super(type(finer), finer).quadratic(f, *layer.weight), layer(f))
