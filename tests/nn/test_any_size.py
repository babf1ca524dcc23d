"""Networks that are compiled and exported once, for photographs of every size."""

import json
import warnings

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import erlangen as er

C8 = er.Plane(rotations=8)


def network(kind=er.models.UNet, plane=C8, **options):
    net = kind(plane, 3, 1, width=2, depth=1, **options)
    return er.verify.randomized(net, torch.randn(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_second_size_is_compiled_once_more_and_then_never():
    """Sizes of one parity, then of the others: the second compilation knows them all."""
    net = network(kernel_size=3)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    with torch.no_grad():
        for height, width in ((12, 16), (13, 9), (7, 18), (20, 5), (16, 16)):
            x = torch.randn(2, 3, height, width)
            close(compiled(x), net(x))
    assert counter.frame_count == 2


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize(("height", "width"), [(12, 8), (13, 8), (4, 9), (7, 5), (3, 2)])
def test_resampling_for_any_size_is_the_one_for_a_known_size(circular, height, width):
    """Down, up and the maximum, as traced for any size, at each parity."""
    from erlangen.engines import any_size, halving

    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    closes = [circular and size % 2 == 0 for size in (height, width)]
    numbers = [1 - size % 2 if circular else False for size in (height, width)]
    both = [True, True]
    across = halving.circular
    coarse = any_size.downsample(x, numbers, across, both, halving.gaussian, halving.blurred)
    torch.testing.assert_close(coarse, halving.downsample(x, closes), rtol=1e-12, atol=1e-12)
    fine = any_size.upsample(coarse, x.shape[2:], numbers, across, both)
    torch.testing.assert_close(fine, halving.upsample(coarse, x.shape[2:], closes), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("size", [(9, 8), (10, 12), (11, 7), (12, 13)])
def test_a_stride_for_any_size_is_the_one_for_a_known_size(stride, size):
    from erlangen.engines import any_size

    layer = er.nn.Correlation(C8, 2, 3, 5, stride=stride, dtype=torch.float64)
    engine, x = layer.domain.engine(layer.spec), torch.randn(1, 2, *size, dtype=torch.float64)
    one, width = any_size.filters(engine.filters(layer.weight).tensors, stride, size)
    y = torch.nn.functional.conv2d(x, one, layer.bias, stride, width)
    torch.testing.assert_close(y, layer(x), rtol=1e-12, atol=1e-12)


def test_a_kernel_at_one_point_and_a_stride_are_told_that_some_sizes_have_nothing_to_see():
    layer = er.nn.Correlation(er.Plane(), 2, 3, 1, stride=3)
    x = torch.randn(1, 2, 10, 10)
    for axis in (2, 3):
        torch._dynamo.mark_dynamic(x, axis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception, match="take kernel_size=3, or sizes that are constants"):
            torch.compile(layer, backend="eager", fullgraph=True)(x)


SIZES = ((1, 12, 8), (2, 13, 8), (3, 9, 21), (1, 5, 3))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    net = network(plane=er.Plane(rotations=4), kernel_size=3)
    return net, er.export(net, tmp_path_factory.mktemp("exported") / "net.pt2", notes={"classes": ["apple"]})


def test_an_exported_program_takes_every_size_and_batch(exported):
    """Even, odd, not square, small: one file."""
    net, file = exported
    notes = {"about.json": ""}
    program = torch.export.load(file, extra_files=notes).module()
    for size in SIZES:
        x = torch.randn(size[0], 3, *size[1:])
        close(program(x), net(x))
    assert json.loads(notes["about.json"]) == {"classes": ["apple"]}
    assert [f.name for f in file.parent.iterdir()] == ["net.pt2"]


def test_an_export_that_fails_leaves_nothing_behind():
    """No table that was made while it was traced: later calls, eager and exported, are right."""
    net = network(kernel_size=3).double().eval()
    x = torch.randn(2, 3, 10, 9, dtype=torch.float64)

    class Fails(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x) + x.new_zeros(x.shape[0], 1, 4, x.shape[-1])

    with pytest.raises(Exception):  # noqa: B017, PT011  (whichever torch has for it)
        torch.export.export(Fails(), (x,), dynamic_shapes=({2: torch.export.Dim.DYNAMIC},))
    fresh = er.models.UNet(er.Plane(rotations=8), 3, 1, width=2, depth=1, kernel_size=3).double().eval()
    fresh.load_state_dict(net.state_dict())
    for size in ((10, 9), (11, 16)):
        z = torch.randn(2, 3, *size, dtype=torch.float64)
        torch.testing.assert_close(net(z), fresh(z), rtol=1e-12, atol=1e-12)
    program = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(program(x), net(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["unet", "classifier"])
@pytest.mark.filterwarnings("ignore")
def test_onnx_runtime_gives_the_same_at_every_size(kind, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install 'erlangen[export]'")
    circular = {"padding_mode": "circular", "kernel_size": 3, "plane": er.Plane(rotations=4)}
    net = network() if kind == "unet" else network(er.models.Classifier, pooling="max", **circular)
    session = runtime.InferenceSession(str(er.export(net, tmp_path / "net.onnx", notes={"a": 1})))
    assert session.get_modelmeta().custom_metadata_map["about.json"] == '{"a": 1}'
    for batch, height, width in SIZES:
        x = torch.randn(batch, 3, height, width)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), net(x).detach(), rtol=1e-5, atol=1e-5)


def test_what_cannot_be_exported_is_told(tmp_path):
    net = network(kernel_size=3)
    with pytest.raises(ValueError, match=r"ends in \.pt2 or \.onnx"):
        er.export(net, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"call \.eval\(\)"):
        er.export(net.train(), tmp_path / "net.pt2")
    with pytest.raises(ValueError, match="repeat it"):
        er.export(net.eval(), tmp_path / "net.pt2", torch.randn(1, 3, 8, 8))
    with pytest.raises(ValueError, match="give example="):
        er.export(torch.nn.Conv2d(1, 1, 3).eval(), tmp_path / "net.pt2")
    shifts = network(exact_shifts=True, padding_mode="circular", kernel_size=3)
    with pytest.raises(ValueError, match="exact_shifts, whose phases"):
        er.export(shifts, tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())
