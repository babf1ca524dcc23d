"""How tables and domains are made, which all layers share."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def shared() -> Iterator[None]:
    """What is made here is shared: on the CPU, without gradients, and no inference tensors, whatever is set
    where a table or a domain happens to be made first."""
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        yield
