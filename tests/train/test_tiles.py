"""Tiles give the answer of the whole."""

import subprocess
import sys

import pytest
import torch

import erlangen as er
from erlangen.train import Predictor, tiles
from erlangen.train.tiles import in_tiles, spans, tiling


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("size", [(97, 128), (121, 75), (40, 150)], ids=str)
def test_tiles_are_identical_to_the_whole(depth, size):
    x = torch.rand(1, 3, *size).double()
    net = er.models.UNet(er.Plane(rotations=4), 3, 2, 2, depth)
    model = er.verify.randomized(Predictor(net).double(), x).requires_grad_(False)
    whole = model(x)
    assert float(whole.std()) > 1e-3
    torch.testing.assert_close(in_tiles(model, x, 50, model.net), whole, rtol=0, atol=1e-11)


@pytest.mark.parametrize("blocks", [1, 2])
def test_what_lies_within_reach_matters_and_beyond_it_does_not(blocks):
    net = er.models.UNet(
        er.Plane(rotations=4), 1, 1, 2, 2, nonlinearity="gated", blocks=blocks, kernel_size=3
    )
    net = er.verify.randomized(net.double(), torch.randn(1, 1, 160, 160).double())
    x = torch.randn(1, 1, 160, 160).double().requires_grad_()
    (grad,) = torch.autograd.grad(net(x)[0, 0, 80, 80], x)
    rows = grad[0, 0].abs().amax(1).nonzero()[:, 0]
    reach = max(80 - int(rows.min()), int(rows.max()) - 80)
    assert 0.6 * net.receptive_radius < reach <= net.receptive_radius


@pytest.mark.parametrize("length", [1, 7, 64, 65, 100, 1023])
def test_spans_cover_every_sample_once_on_the_coarse_grids_of_the_whole(length):
    covered = []
    for outer, inner in spans(length, 30, 8, 20):
        covered += range(inner.start, inner.stop)
        assert outer.start % 8 == 0
        assert (outer.stop - outer.start) % 8 == length % 8 or outer.stop == length
        assert outer.start <= inner.start < inner.stop <= outer.stop
    assert covered == list(range(length))


def test_networks_that_see_everything_are_refused():
    net = er.models.UNet(er.Plane(), 1, 1, 2, 1, padding_mode="circular")
    with pytest.raises(ValueError, match="predict the whole image"):
        in_tiles(net, torch.randn(1, 1, 8, 8), 4, net)


def test_predictions_in_tiles(run):
    x = torch.rand(1, 3, 90, 130)
    (whole,), (tiled,) = er.predict(run.model, x), er.predict(run.model, x, tile=40)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


FAULTS = """
import resource, torch, erlangen as er
from erlangen.train import Predictor, tiles

torch.set_num_threads(1)
model = Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 4, 1, kernel_size=3))
x = torch.rand(1, 3, 640, 640)  # fields of 26 MB, and copies of several
faults = []
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    er.predict(model, x)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults[1:]))  # a buffer may still find its place in the second
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_memory_of_one_answer_serves_the_next():
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 2000, "pages of 4 kB that the kernel cleared; 60,000 where memory is handed back"


@pytest.mark.parametrize("shape", [(4096, 4096), (1500, 8000), (1031, 1033), (90, 20000)], ids=str)
@pytest.mark.parametrize("pixels", [2_000_000, 600_000, 10_000_000])
def test_tiles_hold_what_memory_does_and_overlap_least(shape, pixels):
    unet = er.models.UNet(er.Plane(rotations=4), 3, 1, 2, 2, kernel_size=3)
    step, reach = 2 ** len(unet.down), unet.receptive_radius

    def seen(sides):
        cut = [list(spans(length, side, step, reach)) for length, side in zip(shape, sides, strict=True)]
        rows, columns = ([outer.stop - outer.start for outer, _ in axis] for axis in cut)
        return max(rows) * max(columns), sum(rows) * sum(columns)

    most, all_together = seen(tiling(shape, unet, pixels))
    assert most <= pixels
    square = next(side for side in range(20000, 0, -step) if seen((side, side))[0] <= pixels)
    assert all_together <= 1.02 * seen((square, square))[1]


BOUND = """
import re, torch, erlangen as er
from erlangen.train import Predictor, room

torch.set_num_threads(1)
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
model = Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 4, 1, kernel_size=3))
er.predict(model, torch.rand(1, 3, 64, 64))
x = torch.rand(1, 3, 1200, 1100)
room.machine_memory, before = lambda: (200 << 20, None), peak()
(bounded,), bound = er.predict(model, x), peak() - before
room.machine_memory, before = lambda: (200 << 30, None), peak()
(whole,), free = er.predict(model, x), peak() - before
print(bound, bound + free, float((bounded - whole).abs().max()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_an_answer_takes_no_more_memory_than_there_is():
    run = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=True)
    bound, whole, difference = (float(word) for word in run.stdout.split())
    assert bound < 200 << 20 < whole
    assert difference < 1e-5


def test_many_photographs_go_by_parts_that_memory_holds(monkeypatch):
    model = Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 2, 1)).eval()
    x, seen = torch.rand(5, 3, 32, 24), []
    whole = model(x).detach()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    monkeypatch.setattr(tiles, "TILE", 16)
    monkeypatch.setattr(tiles, "samples_that_fit", lambda *_: 2 * 32 * 24 + 5)
    torch.testing.assert_close(tiles.answer(model, x), whole, rtol=0, atol=1e-5)
    assert seen == [2, 2, 1]
    seen.clear()
    monkeypatch.setattr(tiles, "samples_that_fit", lambda *_: None)
    tiles.answer(model, x)
    assert seen == [5], "where nobody knows, all at once"
