"""The gradient of a step: kernel by kernel or, on a GPU, as one graph of kernels."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from erlangen.models import Classifier, UNet
from erlangen.train.losses import Loss
from erlangen.train.plain import PlainUNet

if TYPE_CHECKING:
    from erlangen.train.predictor import Predictor

WARM = 3  # steps before one is recorded: what torch and the layers choose or make once is there by then
LARGEST = 1.0  # norm of the gradient of all parameters together


class Gradient:
    """The loss of a batch, whose gradient, clipped, is left in the parameters' ``grad``.

    NaN where the gradient is not finite, however finite the loss is.

    A step of these networks is some hundred small kernels, and a GPU waits longer for them to be launched
    than it computes. So there a step of our own networks is recorded (`Recorder`): the same kernels on the
    same memory, and so the same numbers. Other networks may decide something again at every step, or ask the
    GPU for a number, and go kernel by kernel.

    Args:
        model, loss: what is differentiated.
        amp: whether the network computes in bfloat16.
    """

    def __init__(self, model: "Predictor", loss: Loss, amp: bool) -> None:
        self.model, self.loss, self.amp = model, loss, amp
        self.recorder: Recorder | None = None
        self.place: tuple = ()

    @property
    def recordable(self) -> bool:
        """Whether steps are recorded, sooner or later."""
        ours = isinstance(self.model.net, UNet | Classifier | PlainUNet)
        return ours and self.model.mean.device.type == "cuda"

    @property
    def recorded(self) -> bool:
        """Whether one has been."""
        return self.recorder is not None and self.recorder.graph is not None

    def __call__(self, *batch: Tensor) -> float:
        """Of images ``(batch, channel, *space)`` in [0, 1] and what else the loss asks for, anywhere."""
        device = self.model.mean.device
        if not self.recordable:
            return self._computed(*(x.to(device) for x in batch)).item()
        weights = (*self.model.parameters(), *self.model.buffers())
        place = (*(x.shape for x in batch), *(tensor.data_ptr() for tensor in weights))
        if self.recorder is None or place != self.place:
            self.recorder, self.place = Recorder(self._computed, device), place
        return self.recorder(*batch)

    def forget(self) -> None:
        """Give back the memory of what was recorded; the next steps are as the first ones."""
        self.recorder = None

    def _computed(self, image: Tensor, *truth: Tensor) -> Tensor:
        kind, cached = self.model.mean.device.type, not self.recordable
        with torch.autocast(kind, torch.bfloat16, enabled=self.amp, cache_enabled=cached):
            logits = self.model(image)
        loss = self.loss(logits.float(), *truth)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST)
        return loss.detach() + 0 * norm  # one number to wait for: NaN where the gradient is not finite


class Recorder:
    """A function of tensors on a GPU: at first computed, then recorded (`torch.cuda.CUDAGraph`) and replayed.

    Args:
        function: of tensors of the same shapes at every call; all else that it uses stays where it is.
        device: the GPU.
    """

    def __init__(self, function: Callable[..., Tensor], device: torch.device) -> None:
        self.function, self.device = function, device
        self.stream = torch.cuda.Stream(device)  # torch asks for one beside the usual one
        self.graph: torch.cuda.CUDAGraph | None = None
        self.calls = 0

    def __call__(self, *inputs: Tensor) -> float:
        """The number that the function gives; the inputs may be anywhere."""
        self.calls += 1
        if self.calls <= WARM:
            return self._computed(inputs)
        if self.graph is None:
            self.graph = self._record(inputs)
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.graph.replay()
        return self.output.item()

    def _computed(self, inputs: tuple[Tensor, ...]) -> float:
        now = torch.cuda.current_stream(self.device)
        there = [x.to(self.device) for x in inputs]
        self.stream.wait_stream(now)
        with torch.cuda.stream(self.stream):
            result = self.function(*there).item()
        now.wait_stream(self.stream)
        return result

    def _record(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        graph, self.inputs = torch.cuda.CUDAGraph(), [x.to(self.device, copy=True) for x in inputs]
        with torch.cuda.device(self.device), torch.cuda.graph(graph, stream=self.stream):
            self.output = self.function(*self.inputs)
        return graph
