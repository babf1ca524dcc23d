"""How tables and domains are made, which all layers share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import attrgetter

import torch
import torch._C as core
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

TRACE, SET_TRACE = (attrgetter(f"_{verb}_tracing_state")(core) for verb in ("get", "set"))


@contextmanager
def shared() -> Iterator[None]:
    """What is made here is shared: on the CPU, without gradients, and no inference tensors, whatever is set
    where a table or a domain happens to be made first. `torch.func` and `torch.jit.trace` do not see it."""
    with torch.inference_mode(False), torch.no_grad(), _on_cpu():
        if torch.compiler.is_compiling():
            yield
            return
        trace = TRACE()
        SET_TRACE(None)
        try:
            with temporarily_clear_interpreter_stack():
                yield
        finally:
            SET_TRACE(trace)


def _on_cpu() -> AbstractContextManager[object]:
    """What is made there is on the CPU; no context where it is anyway, since one asks at every operation."""
    is_needed = torch.compiler.is_compiling() or torch.get_default_device().type != "cpu"
    return torch.device("cpu") if is_needed else nullcontext()
