"""Constant tables: made once in float64, cast at use, shared by all layers, in no state_dict."""

import torch
from torch import Tensor

from erlangen.shared import shared


class Table:
    """A float64 (or integer) tensor with its casts to the dtypes and devices that asked for it."""

    def __init__(self, value: Tensor) -> None:
        with shared():  # a clone of an inference tensor is an ordinary one
            self.value = value.clone() if value.is_inference() else value.detach()
        self._casts: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def like(self, x: Tensor) -> Tensor:
        """The table in the dtype (if it is not an index) and on the device of x."""
        dtype = x.dtype if self.value.is_floating_point() else self.value.dtype
        key = (dtype, x.device)
        cast = self._casts.get(key)
        if cast is None:
            if torch.compiler.is_compiling():
                return self.value.to(dtype=dtype, device=x.device)
            with shared():
                cast = self._casts[key] = self.value.to(dtype=dtype, device=x.device)
        return cast

    def __deepcopy__(self, memo: object) -> "Table":
        return self
