"""The gradient of a step: kernel by kernel or, on a GPU, as one graph of kernels."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from erlangen.train.losses import Loss

if TYPE_CHECKING:
    from erlangen.train.predictor import Predictor

WARM = 3  # steps before one is recorded: what torch chooses once, such as algorithms, is chosen by then
LARGEST = 1.0  # norm of the gradient of all parameters together


class Gradient:
    """The loss of a batch, whose gradient, clipped, is left in the parameters' ``grad``.

    A step of these networks is some hundred small kernels, and a GPU waits longer for them to be launched
    than it computes. So one step is recorded there (`torch.cuda.CUDAGraph`) and from then on replayed on
    the same memory, for batches of the same shape: the same kernels, hence the same numbers. A network that
    cannot be recorded, since it asks the GPU for a number on its way, goes on kernel by kernel.

    Args:
        model, loss: what is differentiated, where it is.
        amp: whether the network computes in bfloat16.
    """

    def __init__(self, model: "Predictor", loss: Loss, amp: bool) -> None:
        self.model, self.loss, self.amp = model, loss, amp
        self.device = model.mean.device
        self.recordable = self.device.type == "cuda"
        self.recorded: Recorded | None = None
        self.beside = torch.cuda.Stream(self.device) if self.recordable else None
        self.warm = 0

    def __call__(self, image: Tensor, truth: Tensor) -> float:
        """Of images ``(batch, 3, h, w)`` in [0, 1] and their class indices, wherever they are."""
        if self.recorded is not None:
            return self.recorded(image, truth)
        image, truth = image.to(self.device), truth.to(self.device)
        if not self.recordable:
            return self._computed(image, truth).item()
        if self.warm < WARM:
            return self._warmed(image, truth)
        generator = torch.cuda.default_generators[image.get_device()]
        before = generator.clone_state()
        try:
            self.recorded = Recorded(self._computed, image, truth)
        except RuntimeError as error:
            generator.graphsafe_set_state(before)  # as it was: it is left in the middle of the recording
            self._launch_from_now_on(str(error).splitlines()[0])
            return self._computed(image, truth).item()
        return self.recorded(image, truth)

    def _computed(self, image: Tensor, truth: Tensor) -> Tensor:
        kind, cached = self.device.type, not self.recordable
        with torch.autocast(kind, torch.bfloat16, enabled=self.amp, cache_enabled=cached):
            logits = self.model(image)
        loss = self.loss(logits.float(), truth)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST)
        return loss.detach()

    def _warmed(self, image: Tensor, truth: Tensor) -> float:
        """On a stream of its own, as torch asks of the steps before one that is recorded."""
        now = torch.cuda.current_stream(self.device)
        self.beside.wait_stream(now)  # type: ignore[union-attr]
        with torch.cuda.stream(self.beside), numbers_asked() as asked:
            loss = self._computed(image, truth)
        now.wait_stream(self.beside)  # type: ignore[arg-type]
        self.warm += 1
        if asked and self.warm == WARM:  # the first steps ask for what is then kept
            self._launch_from_now_on(asked[0])
        return loss.item()

    def _launch_from_now_on(self, reason: str) -> None:
        self.recordable = False
        warnings.warn(
            f"a step of this network cannot be recorded as one CUDA graph ({reason}), so its kernels are "
            "launched one by one, which is slower; expected a forward pass that asks the GPU for no number, "
            "such as by .item() or by a mask as an index",
            stacklevel=4,
        )


class Recorded:
    """A function of tensors of these shapes, on one GPU, to be replayed at once."""

    def __init__(self, function: Callable[..., Tensor], *inputs: Tensor) -> None:
        self.inputs, self.graph = [x.clone() for x in inputs], torch.cuda.CUDAGraph()
        with torch.cuda.device(inputs[0].device), torch.cuda.graph(self.graph):
            self.output = function(*self.inputs)

    def __call__(self, *inputs: Tensor) -> float:
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.graph.replay()
        return self.output.item()


@contextmanager
def numbers_asked() -> Iterator[list[str]]:
    """What torch says of every time that the GPU is asked for a number meanwhile."""
    asked: list[str] = []
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield asked
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    asked += [str(w.message).splitlines()[0] for w in caught if "called a synchronizing" in str(w.message)]
