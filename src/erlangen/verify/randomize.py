"""A module that has something to hide: random biases and statistics, as after training."""

import copy

import torch
from torch import nn


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """A copy in eval mode whose zero biases and trivial statistics are random.

    A fresh network has zero biases and unit statistics, and hides what breaks its equivariance.

    Args:
        module: stays as it is.
        seed: of the random numbers; the global generator is left alone.
    """
    module = copy.deepcopy(module).eval()
    generator = torch.Generator().manual_seed(seed)

    def noise(like: torch.Tensor) -> torch.Tensor:
        sample = torch.randn(like.shape, generator=generator, dtype=torch.float64)
        return sample.to(like)

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.3 * noise(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.2 * noise(buffer))
            elif name.endswith("running_var"):
                buffer.mul_(torch.exp(0.3 * noise(buffer)))
    return module
