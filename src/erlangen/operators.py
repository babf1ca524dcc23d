"""Functions as operators of torch: opaque to its compilers, whole in its graphs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack


class Operator:
    """A function of tensors as the operator `name`, which changes none of them and returns no view.

    What `torch.library.custom_op` does, but for one thing: the first call of that one loads torch's compiler,
    a second of every process, be anything compiled or not.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=()))
        torch.library.impl(name, "default", function)
        space, own = name.split("::")
        self.name, self.apply = name, getattr(getattr(torch.ops, space), own).default
        self.within_func: type[torch.autograd.Function] | None = None

    def __call__(self, *given: Any) -> Any:
        if self.within_func is not None and transformed():
            return self.within_func.apply(*given)
        return self.apply(*given)

    def differentiate(self, backward: Callable[..., Any], keep: Callable[..., Any]) -> None:
        """Its gradient, as of `torch.library.register_autograd`, and within `torch.func`."""
        torch.library.register_autograd(self.name, backward, setup_context=keep)

        def of_arguments(ctx: Any, *grads: Tensor) -> tuple:  # lists of tensors have none
            return tuple([None if isinstance(grad, list) else grad for grad in backward(ctx, *grads)])

        parts = {"forward": self.apply, "setup_context": keep, "backward": of_arguments}
        members = {name: staticmethod(part) for name, part in parts.items()}
        self.within_func = type(
            self.name, (torch.autograd.Function,), {**members, "generate_vmap_rule": True}
        )

    def map(self, along: int, out: int) -> None:
        """Let `torch.func.vmap` put what it maps beside what lies along an axis, which is treated alike.

        Args:
            along: an axis of the first tensor; the others are tables, the same for all.
            out: where it is in the result.
        """

        def mapped(info: Any, in_dims: tuple, x: Tensor, *others: Any) -> tuple[Tensor, int]:
            x = x.movedim(in_dims[0], along)
            y = self.apply(x.flatten(along, along + 1), *others)
            return y.unflatten(out, x.shape[along : along + 2]), out

        torch.library.register_vmap(self.name, mapped)


def operator(name: str) -> Callable[[Callable[..., Any]], Operator]:
    """A function as an `Operator`."""
    return lambda function: Operator(name, function)


# What every layer asks, after `torch.compiler.is_compiling()`: torch's own, with no call of ours around them
in_func = peek_interpreter_stack  # torch.func's innermost transform, or None
in_trace = torch.jit.is_tracing  # type: ignore[attr-defined]


def transformed() -> bool:
    """Whether `torch.func` is at work, which knows operations of torch, and none of our own."""
    return not torch.compiler.is_compiling() and in_func() is not None


def followed() -> bool:
    """Whether `torch.func` or `torch.jit.trace` notes down what is done: operations of torch only."""
    return not torch.compiler.is_compiling() and (in_func() is not None or in_trace())
