"""Longitude and latitude, and the frames along them."""

import torch
from torch import Tensor


def on_sphere(x: Tensor) -> Tensor:
    """The point of S^2 at a longitude and a latitude, ``(..., 2)`` to ``(..., 3)``."""
    phi, up = x.unbind(-1)
    return torch.stack([up.cos() * phi.cos(), up.cos() * phi.sin(), up.sin()], -1)


def south_east(p: Tensor) -> Tensor:
    """The columns e_theta, e_phi of Rz(phi) Ry(theta); phi = 0 at the poles."""
    x, y, z = p.unbind(-1)
    rho = torch.hypot(x, y)
    pole, divisor = rho == 0, rho.clamp_min(torch.finfo(rho.dtype).tiny)
    c = torch.where(pole, torch.ones_like(x), x / divisor)
    s = torch.where(pole, torch.zeros_like(y), y / divisor)
    south = torch.stack([z * c, z * s, -rho], -1)
    east = torch.stack([-s, c, torch.zeros_like(x)], -1)
    return torch.stack([south, east], -1)
