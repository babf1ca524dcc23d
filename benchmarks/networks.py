"""The networks that are set beside each other, and what is asked of each: a training step, an answer."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import erlangen as er
from benchmarks.timing import Effort
from erlangen.train import Loss, Predictor, Settings, Task
from erlangen.train.fit import default_network
from erlangen.train.gradient import Gradient
from erlangen.train.plain import PlainUNet

# by name, what differs from the settings of `erlangen train`: a new preset is one line
SETTINGS: dict[str, dict] = {
    "fast": {},
    "exact": {"preset": "exact"},
    "as escnn's": {
        "width": 5,
        "taps": "rings",
        "nonlinearity": "relu",
        "oversampling": 1,
        "consistency": 0.0,
    },
}
PLAIN = "plain U-Net"


def network(name: str) -> nn.Module:
    """From 3 colours to one logit."""
    if name == PLAIN:
        return PlainUNet(width=16)
    return default_network(Task(), Settings().changed(**SETTINGS[name]))


def compared(effort: Effort) -> dict[str, nn.Module]:
    """The plain one and ours, by name."""
    return {name: network(name) for name in (PLAIN, *ours(effort))}


def ours(effort: Effort) -> list[str]:
    """The names of ours."""
    return effort(list(SETTINGS), list(SETTINGS)[:1])


def parameters_of(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def consistency_of(name: str) -> float:
    """What a network's training asks logits to turn by."""
    return Settings().changed(**SETTINGS[name]).consistency_for(Task()) if name in SETTINGS else 0.0


def step(
    net: nn.Module, batch: int, side: int, amp: bool = False, consistency: float = 0.0
) -> Callable[[], object]:
    """A gradient and AdamW, as `erlangen train` takes them, on one batch."""
    model = Predictor(net).train()
    gradient = Gradient(model, Loss(model.task, consistency=consistency), amp)
    optimizer = torch.optim.AdamW(model.parameters())
    image, truth = torch.rand(batch, 3, side, side), (torch.rand(batch, side, side) > 0.9).to(torch.uint8)
    asked = (torch.rand(batch // 2),) if consistency else ()  # by how much half of the crops are turned

    def one() -> None:
        gradient(image, truth, *asked)
        optimizer.step()

    return one


def step_of(name: str, batch: int, side: int, amp: bool = False) -> Callable[[], object]:
    """`step` of a network by its name, for a process of its own."""
    return step(network(name), batch, side, amp, consistency_of(name))


def answer(net: nn.Module, x: Tensor, amp: bool = False) -> Callable[[], Tensor]:
    """One forward without a gradient."""

    @torch.no_grad()
    def one() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            return net(x)

    return one


def settled(net: nn.Module) -> nn.Module:
    """With statistics that norms saw, in eval mode: what is asked for answers."""
    with torch.no_grad():
        net.train()(torch.rand(2, 3, 48, 48))
    return net.eval()


def frozen(net: nn.Module) -> nn.Module:
    """By `er.freeze` where there is one."""
    freeze = getattr(er, "freeze", None)
    return net if freeze is None else freeze(net)


def folded(net: PlainUNet) -> PlainUNet:
    """A copy whose norms are part of the convolutions before them, by torch's own function."""
    net = copy.deepcopy(net).eval()
    for block in (m for m in net.modules() if isinstance(m, nn.Sequential)):
        for i in range(len(block) - 1):
            if isinstance(block[i], nn.Conv2d) and isinstance(block[i + 1], nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(block[i], block[i + 1]), nn.Identity()
    return net


def differentiated(layer: nn.Module, x: Tensor) -> Callable[[], tuple[Tensor, ...]]:
    """Forward, and the gradient in the input and all parameters."""
    x, weights = (
        x.detach().clone(memory_format=torch.preserve_format).requires_grad_(),
        list(layer.parameters()),
    )
    with torch.no_grad():
        like = torch.randn_like(layer(x))
    return lambda: torch.autograd.grad(layer(x), [x, *weights], like)
