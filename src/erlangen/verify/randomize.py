"""A module that has something to hide: random biases and statistics, as after training."""

import copy
from typing import Any

import torch
from torch import nn

from erlangen.arguments import checked


@checked
def randomized(module: nn.Module, x: torch.Tensor | None = None, *, seed: int = 0) -> nn.Module:
    """A copy in eval mode whose zero biases and trivial statistics are random.

    A fresh network has zero biases and unit statistics, and hides what breaks its equivariance.

    Args:
        module: stays as it is.
        x: an input; norms take its statistics first, as a trained network has them. Without it signals may
            grow from layer to layer until no bias matters, or die.
        seed: of the random numbers; the global generator is left alone.
    """
    module = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(seed)

    def noise(like: torch.Tensor) -> torch.Tensor:
        sample = torch.randn(like.shape, generator=generator, dtype=torch.float64)
        return sample.to(like)

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.3 * noise(parameter))
        if x is not None:
            _learn_statistics(module, x)
        for norm in _norms(module):
            if norm.running_mean is not None and norm.running_var is not None:
                norm.running_mean.add_(0.2 * noise(norm.running_mean) * norm.running_var.sqrt())
                norm.running_var.mul_(torch.exp(0.3 * noise(norm.running_var)))
    return module.eval()


def _learn_statistics(module: nn.Module, x: torch.Tensor) -> None:
    """One step of training that changes nothing but running statistics, which become those of x."""
    norms = _norms(module)
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 1.0
    module.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _norms(module: nn.Module) -> list[Any]:
    kinds = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm
    return [m for m in module.modules() if isinstance(m, kinds)]
