"""Ordinary differential equations, by the classical method of Runge and Kutta, of fourth order."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame, broadcast

Velocity = Callable[[int, Tensor], Tensor]  # the time in half steps, and y, to y'
Turning = Callable[[Tensor, Tensor], Tensor]  # x (..., m) and x' to a matrix (..., m, m)


def runge_kutta(velocity: Velocity, y: Tensor, steps: int) -> Tensor:
    """``y(1)`` of ``y' = velocity(t, y)``, from ``y(0) = y``."""
    dt = 1 / steps
    for step in range(steps):
        a = velocity(2 * step, y)
        b = velocity(2 * step + 1, y + dt / 2 * a)
        c = velocity(2 * step + 1, y + dt / 2 * b)
        d = velocity(2 * step + 2, y + dt * c)
        y = y + dt / 6 * (a + 2 * b + 2 * c + d)
    return y


def geodesic(turning: Turning, u: Frame, v: Float[Tensor, "*#batch n"], steps: int) -> Frame:
    """The geodesic from u whose velocity keeps the components v: ``x' = E v``, ``E' = -turning(x, x') E``."""
    u, v = broadcast(u, v)
    column = v[..., None]

    def velocity(half: int, y: Tensor) -> Tensor:
        E = y[..., 1:]
        V = E @ column
        return torch.cat([V, -turning(y[..., 0], V[..., 0]) @ E], -1)

    end = runge_kutta(velocity, torch.cat([u.point[..., None], u.basis], -1), steps)
    return Frame(end[..., 0], end[..., 1:])


def linear(matrices: Float[Tensor, "k *batch n n"], E: Float[Tensor, "*#batch n m"]) -> Tensor:
    """``E(1)`` of ``E' = M(t) E``, with M at the ends and the middle of each step ``(2 steps + 1)``.

    A step is a matrix, since the equation is linear: all of them are made at once, then multiplied.
    """
    steps = len(matrices) // 2
    each = [matrices[:-1:2] / steps, matrices[1::2] / steps, matrices[2::2] / steps]
    one = torch.eye(matrices.shape[-1]).to(matrices).expand_as(each[0])
    for step in runge_kutta(lambda half, y: each[half] @ y, one, 1):
        E = step @ E
    return E
