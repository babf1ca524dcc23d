"""The best network of a training so far."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Best:
    """The network of the best look so far, on the CPU; before all, the untrained one, without a score."""

    step: int
    loss: float
    score: float | None
    weights: dict[str, Tensor]

    def is_below(self, score: float, loss: float) -> bool:
        """Whether a look found better; of equal scores, whose loss is no larger."""
        return self.score is None or (rank(score), -loss) >= (rank(self.score), -self.loss)


def rank(score: float) -> float:
    """A score that orders: one that is no number is below all."""
    return score if math.isfinite(score) else -math.inf
