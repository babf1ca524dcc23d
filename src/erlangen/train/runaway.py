"""When a training has run away: it does worse than a network that has learned nothing, and goes on to."""

from statistics import fmean, median

FAR, WORSE = 3.0, 1.5  # times the loss of the untrained network: on the way; in the end


def is_away(losses: list[float], untrained: float, factor: float) -> bool:
    """Whether the mean of these losses is above so many times that of the untrained network.

    And most of them are above it, not a few that are large: batches differ.
    """
    return fmean(losses) > factor * untrained and median(losses) > untrained


def steps_away(losses: list[float], untrained: float) -> int:
    """How many of the last losses are all above that of the untrained network."""
    within = [i for i, loss in enumerate(losses) if loss <= untrained]
    return len(losses) - 1 - within[-1] if within else len(losses)
