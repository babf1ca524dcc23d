"""Networks that are compiled and exported once, for photographs of every size."""

import warnings

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import erlangen as er

C8 = er.Plane(rotations=8)


def network(kind=er.models.UNet, plane=C8, **options):
    net = kind(plane, 3, 1, width=2, depth=1, **options)
    return er.verify.randomized(net, torch.randn(2, 3, 12, 9, generator=torch.Generator().manual_seed(0)))


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
