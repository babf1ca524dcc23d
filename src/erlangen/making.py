"""Where what layers share is made."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def making() -> Iterator[None]:
    """Tables and domains are shared, so they are made on the CPU, without gradients, and are no inference
    tensors, whatever is set where they happen to be made first."""
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        yield
