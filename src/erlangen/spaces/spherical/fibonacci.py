"""The Fibonacci grid: a spiral of any number of points, of about equal area each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fibonacci(n: int) -> Float[Tensor, "n 3"]:
    """``z_i = 1 - (2 i + 1) / n``, each turned by the golden angle from the one before.

    Reference: Gonzalez 2010.
    """
    if n < 2:
        raise ValueError(f"n is {n}, expected at least 2 points")
    i = torch.arange(n).double()
    z = 1 - (2 * i + 1) / n
    phi = i * math.pi * (3 - math.sqrt(5))
    rho = torch.sqrt((1 - z) * (1 + z))
    return torch.stack([rho * phi.cos(), rho * phi.sin(), z], -1)
