"""Layers: `Lift`, `Correlation`, `Project`, and what stands between them, on any domain.

Signatures are torch's, with the domain first. May import domains and everything below, no models.
"""

from typing import TYPE_CHECKING

from erlangen.doors import doors

if TYPE_CHECKING:
    from erlangen.nn.correlation import Correlation, Lift
    from erlangen.nn.low_pass import LowPass
    from erlangen.nn.measure import l1_loss, mean, mse_loss
    from erlangen.nn.nonlinearity import Gated, Pointwise, Polynomial, ReLU, SiLU
    from erlangen.nn.norm import Norm
    from erlangen.nn.project import GlobalPool, Project
    from erlangen.nn.pullback import Pullback, Pushforward
    from erlangen.nn.resample import Down, Pool, Up
else:
    __getattr__, __dir__ = doors(__name__)

__all__ = [
    "Correlation",
    "Down",
    "Gated",
    "GlobalPool",
    "Lift",
    "LowPass",
    "Norm",
    "Pointwise",
    "Polynomial",
    "Pool",
    "Project",
    "Pullback",
    "Pushforward",
    "ReLU",
    "SiLU",
    "Up",
    "l1_loss",
    "mean",
    "mse_loss",
]
