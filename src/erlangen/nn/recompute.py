"""Less memory for the gradient: parts keep only what comes in, and are computed twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from erlangen.operators import followed

VERSION = attrgetter("_version")
Pass = Literal["none", "first", "again"]
# whether a part is computed that keeps its input only, in this thread; compilers need not ask
PASS: ContextVar[Pass] = ContextVar("PASS", default="none")


def stored(field: Tensor, *parts: nn.Module) -> Tensor:
    """The parts in turn, of which only the field is kept for the gradient; the rest is computed again then.

    The same numbers, by the weights, modes and precision of the first time; running statistics are counted
    once. Compilers choose themselves what they compute again, and `torch.func` keeps what it needs: they take
    the parts as they are. Forward hooks of these are called both times.

    Raises:
        RuntimeError: in the backward pass, if weights were changed in place since.
    """
    watched = isinstance(field, Tensor) and torch.is_grad_enabled()  # a trace by torch.fx knows no tensors
    if not watched or torch.compiler.is_compiling() or followed():
        for part in parts:
            field = part(field)
        return field
    # random numbers have no state that can be read while a GPU's kernels are recorded
    capturing = field.is_cuda and torch.cuda.is_current_stream_capturing()
    part = _Twice(parts[0] if len(parts) == 1 else nn.Sequential(*parts))
    random: Any = {"preserve_rng_state": not capturing}
    return checkpoint(part, field, use_reentrant=False, context_fn=_passes, **random)


class Stored(nn.Sequential):
    """Layers one after the other, in runs that are `stored`.

    Args:
        layers: all of them.
        ends: after which of them a run ends.
    """

    def __init__(self, *layers: nn.Module, ends: Sequence[int]) -> None:
        super().__init__(*layers)
        self.ends = tuple(ends)

    def forward(self, input: Tensor) -> Tensor:
        layers = list(self)
        for start, end in pairwise((0, *self.ends, len(layers))):
            input = stored(input, *layers[start:end])
        return input


class _Twice:
    """A part, with the weights and modes that it had when it was called first."""

    def __init__(self, part: nn.Module) -> None:
        self.part, self.calls = part, 0
        self.tensors = dict(chain(part.named_parameters(), part.named_buffers()))
        self.modes = [module.training for module in part.modules()]
        still = (
            buffer for module in part.modules() if not module.training for buffer in module.buffers(False)
        )
        self.read = [(tensor, _version(tensor)) for tensor in chain(part.parameters(), still)]

    def __call__(self, field: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 1:
            return self.part(field)
        if any(_version(tensor) != version for tensor, version in self.read):
            raise RuntimeError(
                f"weights of this {type(self.part).__name__} were changed in place between the forward and "
                "the backward pass, which computes it again of them; expected them as they were: call "
                "backward() first, or build the network with recompute=False"
            )
        with _in_modes(self.part, self.modes):
            now = chain(self.part.named_parameters(), self.part.named_buffers())
            if all(self.tensors.get(name) is tensor for name, tensor in now):
                return self.part(field)
            return torch.func.functional_call(self.part, self.tensors, (field,))


@contextmanager
def _in_modes(part: nn.Module, modes: list[bool]) -> Iterator[None]:
    """Training or not, each module of a part as it was."""
    changed = [m for m, mode in zip(part.modules(), modes, strict=True) if m.training != mode]
    for module in changed:
        module.training = not module.training
    try:
        yield
    finally:
        for module in changed:
            module.training = not module.training


def _passes() -> "tuple[_During, _During]":
    return _During("first"), _During("again")


class _During:
    """Says which pass it is; entered once for each backward pass."""

    def __init__(self, which: Pass) -> None:
        self.which: Pass = which
        self.tokens: list[Token[Pass]] = []

    def __enter__(self) -> None:
        self.tokens.append(PASS.set(self.which))

    def __exit__(self, *_: object) -> None:
        PASS.reset(self.tokens.pop())


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else VERSION(tensor)
