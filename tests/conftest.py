"""What all tests share."""

import gc
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected lives as long as the process: no garbage is looked for in it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def in_full_precision():
    """Without TF32, whose products have ten bits."""
    from erlangen.train.device import full_precision

    with full_precision():
        yield


@pytest.fixture(scope="session")
def photograph() -> torch.Tensor:
    """A smooth photograph, (1, 3, 129, 129) in float64: a drawn scene behind a soft lens."""
    from erlangen.train.scenes import draw

    colours, _ = draw(129, np.random.default_rng(7))
    x = torch.from_numpy(colours).permute(2, 0, 1)[None]
    t = torch.arange(-8, 9).double()
    line = torch.exp(-t.square() / (2 * 2.0**2))
    kernel = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 17, 17)
    x = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (8, 8, 8, 8), mode="reflect"), kernel, groups=3)
    return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)
