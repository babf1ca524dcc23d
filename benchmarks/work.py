"""What a call does, counted by its operations: arithmetic, bytes, operations, tensors alive at once."""

import math
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

NO_WORK = {"_unsafe_view", "empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"}


class Work(TorchDispatchMode):
    """A context that counts all operations within, those of the gradient too.

    Attributes:
        each: how often there is an operation of so many flops and bytes. Flops are the multiplications
            and additions of matrix products, convolutions, Fourier transforms and sparse operators; what
            goes element by element has none. Bytes are what it reads and writes. Views are no operations.
        peak: the most bytes of tensors alive at once, of those that were made within.
    """

    def __init__(self) -> None:
        super().__init__()
        self.each: Counter[tuple[int, int]] = Counter()
        self.alive = self.peak = 0
        self.seen: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        results = _dense(out)
        for x in results:
            self._hold(x)
        if not func.is_view and name not in NO_WORK and results:
            size = sum(map(_size, [*_dense((args, kwargs)), *results]))
            self.each[_flops(func, name, args, kwargs, out), size] += 1
        return out

    @property
    def operations(self) -> int:
        """How many there are that compute or copy."""
        return self.each.total()

    @property
    def flops(self) -> int:
        """Of all operations."""
        return sum(count * flops for (flops, _), count in self.each.items())

    @property
    def bytes(self) -> int:
        """Read and written by all operations."""
        return sum(count * size for (_, size), count in self.each.items())

    def _hold(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        if storage in self.seen:
            return
        self.seen[storage] = size = storage.nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._let_go, size)

    def _let_go(self, size: int) -> None:
        self.alive -= size


def work_of(task: Callable[[], object]) -> Work:
    """Of the second call: what is made once has been made."""
    task()
    with Work() as work:
        task()
    return work


def _dense(values: Any) -> list[Tensor]:
    """The tensors among them; of a sparse one, its entries and where they are."""
    parts: list[Tensor] = []
    for x in tree_leaves(values):
        if isinstance(x, Tensor) and x.layout == torch.strided:
            parts.append(x)
        elif isinstance(x, Tensor) and x.layout == torch.sparse_coo:
            parts += [x._indices(), x._values()]
    return parts


def _size(x: Tensor) -> int:
    """Bytes of its numbers; what is broadcast is read once."""
    return min(x.numel() * x.element_size(), x.untyped_storage().nbytes())


def _flops(func: Any, name: str, args: tuple, kwargs: dict, out: Any) -> int:
    if name == "convolution_backward":
        return _convolution_backward(*args)
    if func.overloadpacket in flop_registry:
        return flop_registry[func.overloadpacket](*args, **kwargs, out_val=out)
    if func.namespace == "erlangen" and name in OURS:
        return OURS[name](*args)
    if name in ("_fft_r2c", "_fft_c2r", "_fft_c2c"):
        longer = max(args[0], out, key=torch.Tensor.numel)
        return _fourier(
            longer.numel(), math.prod(longer.shape[axis] for axis in args[1]), longer.is_complex()
        )
    return 0


def _convolution_backward(grad: Tensor, x: Tensor, weight: Tensor, *others: Any) -> int:
    """As many as forward for each gradient that is asked for; torch's own count forgets groups."""
    transposed, asked = others[4], others[-1]
    return 2 * (x if transposed else grad).numel() * weight[0].numel() * sum(asked[:2])


def _fourier(count: int, length: int, is_complex: bool) -> int:
    """Of `count` numbers, in transforms of that length: 5 n log2 n each, half of it for real ones."""
    return round((5 if is_complex else 2.5) * count * math.log2(max(length, 2)))


def _stencil(x: Tensor, column: Tensor, offsets: Tensor, weights: Tensor, *_: Any) -> int:
    return 2 * weights.numel() * x.shape[-1]


def _ring(x: Tensor, band: Tensor, table: Tensor, *_: Any) -> int:
    columns = x.shape[-1]
    return 4 * table.numel() * columns + _fourier(x.numel(), x.numel() // columns, False)


# operators of the package that torch sees as one; a complex product is four of real numbers
OURS = {
    "stencil_apply": _stencil,
    "stencil_adjoint": _stencil,
    "ring_apply": _ring,
    "ring_adjoint": _ring,
}


def kept_for_gradient(forward: Callable[[], Tensor], parameters: list[Tensor]) -> int:
    """Bytes of the tensors that a forward keeps for its gradient, parameters left out; each storage once."""
    known = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        result = forward()
    del result  # until here what was kept was alive, so that no two had the same address
    return sum(kept.values())
