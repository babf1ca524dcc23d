"""One public contract, run over every layer and network there is."""

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import erlangen as er


def over_the_plane(plane, turns):
    """Turns at each sample of the plane, elements of SE(2)."""
    angle = torch.arange(turns).double() * (2 * torch.pi / turns)
    R = er.groups.SE(2).exp(torch.stack([0 * angle, 0 * angle, angle], -1))
    space, g = er.GroupSpace(er.groups.SE(2)), plane.geometry.section(plane.points) @ R[:, None, None]
    return space.samples(space.point(g), plane.weights.expand(turns, -1, -1))


C8, D4, ISO = er.Plane(rotations=8), er.Plane(rotations=4, reflections=True), er.Plane()
LINE = er.Euclidean(1).grid(20)
SPACE = er.Euclidean(3, "isometries").grid(5, 6, 4)
STRIP = er.Moebius(8.0, 5.0).grid(8, 5)
KLEIN = er.KleinBottle(8.0, 6.0).grid(8, 6)
TORUS = er.SurfaceOfRevolution(steps=2).grid(8, 8, rotations=4, nodes=4)
ELLIPSOID = er.Ellipsoid(steps=2).grid(5, 8, nodes=4)
SPHERE = er.Sphere().grid(6, rotations=4)
PIXELS = er.Sphere().healpix(1, degrees=2)
BALL, ZONAL = er.Sphere().grid(8, rotations=3), er.Sphere().grid(8)
FEW, FEWER = er.Sphere().grid(5), er.Sphere().grid(4)
FLAT = er.Euclidean(2, "roto-translations").grid(4, 3)
ABOVE = over_the_plane(FLAT, 6)
REGULAR = {"in_field": "regular", "out_field": "regular"}

# name: the layer, the shape it takes, the shape it gives
LAYERS = {
    "lift": (lambda **k: er.nn.Lift(C8, 3, 4, 5, **k), (3, 9, 10), (4, 8, 9, 10)),
    "isotropic": (lambda **k: er.nn.Correlation(ISO, 3, 4, 5, **k), (3, 9, 10), (4, 9, 10)),
    "any kernel": (
        lambda **k: er.nn.Correlation(er.Plane(symmetry="translations"), 3, 4, 3, **k),
        (3, 9, 10),
        (4, 9, 10),
    ),
    "regular": (lambda **k: er.nn.Correlation(C8, 2, 4, 5, **REGULAR, **k), (2, 8, 9, 8), (4, 8, 9, 8)),
    "regular, D4": (lambda **k: er.nn.Correlation(D4, 2, 2, 3, **REGULAR, **k), (2, 8, 7, 8), (2, 8, 7, 8)),
    "separable": (
        lambda **k: er.nn.Correlation(C8, 2, 4, 5, separable=True, **REGULAR, **k),
        (2, 8, 9, 8),
        (4, 8, 9, 8),
    ),
    "separable, scalar": (
        lambda **k: er.nn.Correlation(ISO, 2, 4, 5, separable=True, **k),
        (2, 9, 8),
        (4, 9, 8),
    ),
    "groups": (
        lambda **k: er.nn.Correlation(C8, 4, 2, 3, groups=2, **REGULAR, **k),
        (4, 8, 7, 8),
        (2, 8, 7, 8),
    ),
    "stride": (
        lambda **k: er.nn.Correlation(C8, 2, 3, 5, stride=2, **REGULAR, **k),
        (2, 8, 9, 8),
        (3, 8, 5, 4),
    ),
    "dilation": (
        lambda **k: er.nn.Correlation(C8, 2, 3, 3, dilation=2, **REGULAR, **k),
        (2, 8, 9, 8),
        (3, 8, 9, 8),
    ),
    "point": (lambda **k: er.nn.Correlation(C8, 2, 3, 1, **REGULAR, **k), (2, 8, 9, 8), (3, 8, 9, 8)),
    "projection": (
        lambda **k: er.nn.Correlation(C8, 2, 3, 3, in_field="regular", **k),
        (2, 8, 9, 8),
        (3, 9, 8),
    ),
    "vectors": (
        lambda **k: er.nn.Correlation(C8, 2, 3, 3, in_field="regular", out_field="vector", **k),
        (2, 8, 9, 8),
        (3, 2, 9, 8),
    ),
    "line": (lambda **k: er.nn.Correlation(LINE, 2, 3, 5, **k), (2, 20), (3, 20)),
    "space": (lambda **k: er.nn.Correlation(SPACE, 2, 3, 3, **k), (2, 5, 6, 4), (3, 5, 6, 4)),
    "strip": (lambda **k: er.nn.Lift(STRIP, 2, 3, radius=2.5, **k), (2, 8, 5), (3, 2, 8, 5)),
    "strip, regular": (
        lambda **k: er.nn.Correlation(STRIP, 2, 3, radius=2.5, **REGULAR, **k),
        (2, 2, 8, 5),
        (3, 2, 8, 5),
    ),
    "strip, vectors": (
        lambda **k: er.nn.Correlation(STRIP, 2, 3, 3, in_field="regular", out_field="vector", **k),
        (2, 2, 8, 5),
        (3, 2, 8, 5),
    ),
    "strip, pool": (lambda **k: er.nn.Pool(STRIP, "max", exact_shifts=True), (3, 2, 8, 5), (3, 2, 4, 3)),
    "strip, unet": (
        lambda **k: build(er.models.UNet, STRIP, 2, depth=1, kernel_size=3, exact_shifts=True, **k),
        (3, 8, 5),
        (1, 8, 5),
    ),
    "klein": (
        lambda **k: er.nn.Correlation(KLEIN, 2, 4, 3, groups=2, **REGULAR, **k),
        (2, 2, 8, 6),
        (4, 2, 8, 6),
    ),
    "sphere": (
        lambda **k: er.nn.Correlation(SPHERE, 2, 3, radius=1.0, separable=True, **REGULAR, **k),
        (2, 4, 6, 12),
        (3, 4, 6, 12),
    ),
    "to other samples": (
        lambda **k: er.nn.Correlation(FEW, 2, 3, radius=1.0, to=FEWER, **k),
        (2, 5, 10),
        (3, 4, 8),
    ),
    "to the group": (
        lambda **k: er.nn.Lift(FLAT, 2, 3, radius=1.6, to=ABOVE, **k),
        (2, 4, 3),
        (3, 6, 4, 3),
    ),
    "pullback": (lambda **k: er.nn.Pullback(FLAT, ABOVE), (2, 4, 3), (2, 6, 4, 3)),
    "pushforward": (lambda **k: er.nn.Pushforward(ABOVE, FLAT, "max"), (2, 6, 4, 3), (2, 4, 3)),
    "torus of revolution": (
        lambda **k: er.nn.Correlation(TORUS, 2, 3, radius=1.0, **REGULAR, **k),
        (2, 4, 8, 8),
        (3, 4, 8, 8),
    ),
    "torus of revolution, down": (lambda **k: er.nn.Down(TORUS), (3, 4, 8, 8), (3, 4, 4, 4)),
    "torus of revolution, unet": (
        lambda **k: build(er.models.UNet, TORUS, 2, depth=1, radius=0.8, **k),
        (3, 8, 8),
        (1, 8, 8),
    ),
    "ellipsoid, pool": (lambda **k: er.nn.Pool(ELLIPSOID), (3, 5, 8), (3, 3, 4)),
    "ellipsoid, classifier": (
        lambda **k: build(er.models.Classifier, ELLIPSOID, 2, depth=1, radius=0.8, **k),
        (3, 5, 8),
        (1,),
    ),
    "sphere, zonal": (lambda **k: er.nn.Correlation(SPHERE, 2, 3, **k), (2, 6, 12), (3, 6, 12)),
    "sphere, zonal on points": (lambda **k: er.nn.Correlation(PIXELS, 2, 3, **k), (2, 12), (3, 12)),
    "sphere, global lift": (lambda **k: er.nn.Lift(SPHERE, 2, 3, **k), (2, 6, 12), (3, 4, 6, 12)),
    "sphere, global": (
        lambda **k: er.nn.Correlation(SPHERE, 2, 3, rings=3, **REGULAR, **k),
        (2, 4, 6, 12),
        (3, 4, 6, 12),
    ),
    "sphere, global, to vectors": (
        lambda **k: er.nn.Correlation(SPHERE, 2, 4, rings=3, groups=2, out_field="vector", **k),
        (2, 6, 12),
        (4, 2, 6, 12),
    ),
    "sphere, separable": (
        lambda **k: er.nn.Correlation(SPHERE, 2, 3, rings=3, separable=True, **REGULAR, **k),
        (2, 4, 6, 12),
        (3, 4, 6, 12),
    ),
    "sphere, relu": (lambda **k: er.nn.ReLU(SPHERE), (2, 4, 6, 12), (2, 4, 6, 12)),
    "sphere, silu": (lambda **k: er.nn.SiLU(SPHERE), (2, 4, 6, 12), (2, 4, 6, 12)),
    "sphere, gated": (lambda **k: er.nn.Gated(SPHERE, 2, **k), (2, 4, 6, 12), (2, 4, 6, 12)),
    "sphere, down": (lambda **k: er.nn.Down(SPHERE), (2, 4, 6, 12), (2, 4, 3, 6)),
    "sphere, unet": (lambda **k: build(er.models.UNet, BALL, 2, **k), (3, 8, 16), (1, 8, 16)),
    "sphere, classifier": (lambda **k: build(er.models.Classifier, ZONAL, 2, **k), (3, 8, 16), (1,)),
    "polynomial": (lambda **k: er.nn.Polynomial(C8, 3, 3, **k), (3, 8, 9, 8), (3, 8, 9, 8)),
    "norm": (lambda **k: er.nn.Norm(C8, 3, **k), (3, 8, 9, 8), (3, 8, 9, 8)),
    "norm, nothing learned": (lambda **k: er.nn.Norm(C8, 3, affine=False, **k), (3, 8, 9, 8), (3, 8, 9, 8)),
    "norm, scalar": (lambda **k: er.nn.Norm(ISO, 3, **k), (3, 9, 8), (3, 9, 8)),
    "norm, vector": (lambda **k: er.nn.Norm(C8, 3, field="vector", **k), (3, 2, 9, 8), (3, 2, 9, 8)),
    "relu": (lambda **k: er.nn.ReLU(C8), (3, 8, 9, 8), (3, 8, 9, 8)),
    "silu": (lambda **k: er.nn.SiLU(C8), (3, 8, 9, 8), (3, 8, 9, 8)),
    "pointwise": (lambda **k: er.nn.Pointwise(D4, torch.tanh), (3, 8, 9, 8), (3, 8, 9, 8)),
    "gated": (lambda **k: er.nn.Gated(C8, 3, **k), (3, 8, 9, 8), (3, 8, 9, 8)),
    "gated, low-passed": (lambda **k: er.nn.Gated(C8, 3, low_pass=True, **k), (3, 8, 9, 8), (3, 8, 9, 8)),
    "sphere, low-passed": (
        lambda **k: er.nn.Gated(SPHERE, 2, low_pass=True, **k),
        (2, 4, 6, 12),
        (2, 4, 6, 12),
    ),
    "low-pass": (lambda **k: er.nn.LowPass(C8), (3, 8, 9, 8), (3, 8, 9, 8)),
    "gated, vector": (lambda **k: er.nn.Gated(C8, 3, "vector", **k), (3, 2, 9, 8), (3, 2, 9, 8)),
    "project, max": (lambda **k: er.nn.Project(C8, "max"), (3, 8, 9, 8), (3, 9, 8)),
    "project, mean": (lambda **k: er.nn.Project(C8, "mean"), (3, 8, 9, 8), (3, 9, 8)),
    "pool": (lambda **k: er.nn.Pool(C8, "max"), (3, 8, 9, 8), (3, 8, 5, 4)),
    "down": (lambda **k: er.nn.Down(C8), (3, 8, 9, 8), (3, 8, 5, 4)),
    "down, band-limited": (lambda **k: er.nn.Down(C8, resampling="band-limited"), (3, 8, 9, 8), (3, 8, 5, 4)),
    "global": (lambda **k: er.nn.GlobalPool(ISO), (3, 9, 8), (3,)),
    "unet": (lambda **k: build(er.models.UNet, C8, 2, depth=2, **k), (3, 13, 16), (1, 13, 16)),
    "unet, full": (lambda **k: build(er.models.UNet, C8, 2, separable=False, **k), (3, 13, 16), (1, 13, 16)),
    "unet, two blocks": (
        lambda **k: build(er.models.UNet, C8, 2, 1, blocks=2, **k),
        (3, 13, 16),
        (1, 13, 16),
    ),
    "unet, isotropic": (lambda **k: build(er.models.UNet, ISO, 2, **k), (3, 13, 16), (1, 13, 16)),
    "unet, gated": (
        lambda **k: build(er.models.UNet, C8, 2, nonlinearity="gated", **k),
        (3, 13, 16),
        (1, 13, 16),
    ),
    "unet, polynomial": (
        lambda **k: build(er.models.UNet, C8, 2, 0, nonlinearity="polynomial", **k),
        (3, 13, 16),
        (1, 13, 16),
    ),
    "unet, exact shifts": (
        lambda **k: build(er.models.UNet, C8, 2, exact_shifts=True, padding_mode="circular", **k),
        (3, 16, 8),
        (1, 16, 8),
    ),
    "classifier": (lambda **k: build(er.models.Classifier, C8, 2, **k), (3, 13, 16), (1,)),
}


def build(network, domain, width, depth=1, dtype=None, device=None, **options):
    return network(domain, 3, 1, width, depth, **options).to(device=device, dtype=dtype)


@pytest.fixture(params=LAYERS, ids=str)
def case(request):
    return LAYERS[request.param]


def ready(layer: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """In eval mode with random biases and statistics of random fields, so that no signal dies on its way."""
    dtype = next((p.dtype for p in layer.parameters()), torch.float32)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return er.verify.randomized(layer, x)


def test_shape_and_dtype(case):
    build_layer, shape, out = case
    for dtype in (torch.float32, torch.float64):
        y = build_layer(dtype=dtype).eval()(torch.randn(2, *shape, dtype=dtype))
        assert tuple(y.shape) == (2, *out)
        assert y.dtype == dtype


def test_gradients_are_right(case):
    build_layer, shape, _ = case
    layer = ready(build_layer(dtype=torch.float64), shape)
    x = torch.randn(1, *shape, dtype=torch.float64, requires_grad=True)
    parameters = tuple(layer.parameters())
    assert torch.autograd.gradcheck(
        lambda x, *_: layer(x), (x, *parameters), fast_mode=True, nondet_tol=1e-12
    )


def test_gradients_are_right_in_training(case):
    build_layer, shape, _ = case
    layer = build_layer(dtype=torch.float64).train()
    if any(isinstance(m, er.nn.Norm) for m in layer.modules()):
        x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
        c = torch.randn_like(layer(x))
        assert torch.autograd.gradcheck(lambda x: (layer(x) * c).sum(), (x,), fast_mode=True)


def test_second_derivatives_are_right(case):
    build_layer, shape, _ = case
    layer = build_layer(dtype=torch.float64).train()
    if any(isinstance(m, er.models.UNet | er.models.Classifier) for m in layer.modules()):
        pytest.skip("the layers that networks are made of are tried one by one")
    x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
    c = torch.randn_like(layer(x))
    assert torch.autograd.gradgradcheck(lambda x: ((layer(x) - c) ** 2).sum(), (x,), fast_mode=True)


def test_each_sample_has_its_gradient(case):
    """By `torch.func.vmap` of `grad`, in one go."""
    build_layer, shape, _ = case
    layer = ready(build_layer(dtype=torch.float64), shape)
    x = torch.randn(3, *shape, dtype=torch.float64)

    def of(weights, x):
        return torch.func.functional_call(layer, weights, (x[None],)).sin().sum()

    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    grads, of_x = torch.func.vmap(torch.func.grad(of, (0, 1)), (None, 0))(weights, x)
    for i, one in enumerate(x):
        one = one.clone().requires_grad_()
        expected = torch.autograd.grad(of({}, one), (one, *layer.parameters()))
        for found, true in zip((of_x, *grads.values()), expected, strict=True):
            assert float((found[i] - true).abs().max()) <= 1e-10 * float(true.abs().max())


def test_device_meta(case):
    build_layer, shape, out = case
    layer = build_layer(device="meta").eval()
    assert tuple(layer(torch.randn(2, *shape, device="meta")).shape) == (2, *out)


def test_copies_keep_the_domain_and_the_answer(case):
    build_layer, shape, _ = case
    layer = ready(build_layer(), shape)
    x = torch.randn(2, *shape)
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)
    for one, other in zip(layer.modules(), twin.modules(), strict=True):
        if hasattr(one, "domain"):
            assert one.domain is other.domain
    again = pickle.loads(pickle.dumps(layer))
    torch.testing.assert_close(again(x), layer(x), rtol=0, atol=0)


def test_state_is_weights_alone_and_the_same_in_train_and_eval(case):
    build_layer, shape, _ = case
    layer = ready(build_layer(), shape)
    x = torch.randn(2, *shape)
    names = set(layer.state_dict())
    allowed = {"weight", "bias", "mixing", "running_mean", "running_var", "num_batches_tracked"}
    assert {name.split(".")[-1] for name in names} <= allowed
    layer(x)
    assert set(layer.train().state_dict()) == set(layer.eval().state_dict()) == names
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = build_layer().eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)


def test_compiles_whole_and_layers_once_for_every_size(case):
    """Any batch; on images any height and width, of either parity. Networks: tests/nn/test_any_size.py.

    Layers through torch's own graphs, with the gradient; of networks, which are made of them, one graph is
    captured.
    """
    build_layer, shape, _ = case
    layer = ready(build_layer(), shape)
    x, other, axes, backend = torch.randn(2, *shape), [3, *shape], [0], "aot_eager"
    if isinstance(layer, er.models.UNet | er.models.Classifier):
        other, axes, backend = [2, *shape], [], "eager"
    elif layer.domain.shape is None:
        other, axes = [3, *shape[:-2], shape[-2] + 3, shape[-1] + 5], [0, len(shape) - 1, len(shape)]
    for axis in axes:
        torch._dynamo.mark_dynamic(x, axis)  # fails where a size is taken for a constant
    z = torch.randn(other)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend=counter, fullgraph=True)
        found = compiled(x), compiled(z)
    torch.testing.assert_close(found[0], layer(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], layer(z), rtol=1e-4, atol=1e-5)
    assert counter.frame_count == 1


def test_exports(case):
    build_layer, shape, _ = case
    layer = ready(build_layer(), shape)
    x = torch.randn(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(layer, (x,))
    torch.testing.assert_close(program.module()(x), layer(x), rtol=1e-4, atol=1e-5)


def test_is_traced(case):
    """By `torch.jit.trace`, at the size that was shown and any batch."""
    build_layer, shape, _ = case
    layer = ready(build_layer(), shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes become constants, and torch.jit is called deprecated
        traced = torch.jit.trace(layer, torch.randn(2, *shape))
        file = io.BytesIO()
        torch.jit.save(traced, file)
        file.seek(0)
        traced = torch.jit.load(file)
    for batch in (1, 3):
        x = torch.randn(batch, *shape)
        torch.testing.assert_close(traced(x), layer(x), rtol=1e-4, atol=1e-5)


def test_autocast(case):
    build_layer, shape, out = case
    layer = ready(build_layer(), shape)
    x = torch.randn(2, *shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert tuple(y.shape) == (2, *out)
    expected = layer(x).detach()
    error = (y.detach().float() - expected).norm() / expected.norm()
    assert float(error) < (0.3 if isinstance(layer, er.models.UNet | er.models.Classifier) else 0.03)


def test_freezes(case):
    """The frozen copy answers alike, as do its copies, at other dtypes, and frozen again."""
    build_layer, shape, _ = case
    layer = ready(build_layer(dtype=torch.float64), shape)
    frozen = er.freeze(layer)
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x)
        scale = float(expected.abs().max())
        for twin in (frozen, copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen)), er.freeze(frozen)):
            assert float((twin(x) - expected).abs().max()) < 1e-12 * scale
        single = copy.deepcopy(frozen).float()(x.float())
        assert float((single - expected).abs().max()) < 1e-4 * scale
    assert set(frozen.state_dict()) == set(layer.state_dict())
    assert not any(p.requires_grad for p in frozen.parameters())
    with pytest.raises(ValueError, match="is frozen"):
        frozen.train()
    assert not frozen.eval().training


def test_representation_is_readable(case):
    assert "(" in repr(case[0]())
