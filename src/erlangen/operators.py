"""Functions as operators of torch: opaque to its compilers, whole in its graphs."""

from collections.abc import Callable
from typing import Any

import torch


def operator(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function of tensors as the operator `name`, which changes none of them and returns no view.

    What `torch.library.custom_op` does, but for one thing: the first call of that one loads torch's compiler,
    a second of every process, be anything compiled or not.
    """

    def registered(function: Callable[..., Any]) -> Callable[..., Any]:
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=()))
        torch.library.impl(name, "default", function)
        space, own = name.split("::")
        return getattr(getattr(torch.ops, space), own).default

    return registered
