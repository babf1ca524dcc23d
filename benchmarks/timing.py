"""Times, taken in turns: a ratio holds where a time does not."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import torch

T = TypeVar("T")
Task = Callable[[], object]
SHORT = 5e-3  # seconds; what takes less is called several times between two looks at the clock
MOST = 60  # rounds


class Effort(NamedTuple):
    """How much to do.

    Attributes:
        small: one call of each thing at a tiny size, which the suite tries.
        rounds: at least so many that count, after `warm` ones that do not.
        patience: goes on for so many times the seconds that a line of a table asks for, on the wall.
    """

    small: bool = False
    rounds: int = 5
    warm: int = 2
    patience: float = 1.0

    def __call__(self, full: T, tiny: T) -> T:
        """The one that fits: ``side = effort(128, 16)``."""
        return tiny if self.small else full


SMALL = Effort(small=True, rounds=1, warm=0)
HASTY = Effort(rounds=2, warm=1, patience=0.0)  # where others use the machine, and to try what is new


class Ratio(NamedTuple):
    """The median over rounds, and the quartiles: how far it scatters."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, above: list[float], below: list[float]) -> "Ratio":
        """Of two tasks of the same rounds, round by round: what slows the machine slows both."""
        each = [a / b for a, b in zip(above, below, strict=True)]
        low, _, high = statistics.quantiles(each, n=4) if len(each) > 1 else (each[0],) * 3
        return cls(statistics.median(each), low, high)


def clock_of(threads: int) -> Callable[[], float]:
    """The processor's time, which others on the machine hardly change; with several threads the wall's."""
    return time.process_time if threads == 1 else time.perf_counter


def interleaved(tasks: Mapping[str, Task], effort: Effort, seconds: float = 12.0) -> dict[str, list[float]]:
    """Seconds of one call of each task, in each round; every other round goes backward.

    After rounds that do not count there are as many as fit into the seconds, not fewer than the effort's.
    """
    clock, found = clock_of(torch.get_num_threads()), {name: [] for name in tasks}
    if effort.small:
        return {name: [_timed(task, 1, clock)] for name, task in tasks.items()}
    calls = dict.fromkeys(tasks, 1)
    for _ in range(effort.warm):
        for name, task in tasks.items():
            calls[name] = max(1, round(SHORT / max(_timed(task, calls[name], clock), 1e-7)))
    start, names = time.monotonic(), list(tasks)
    for turn in range(MOST):
        gc.collect()
        for name in names if turn % 2 else names[::-1]:
            found[name].append(_timed(tasks[name], calls[name], clock))
        if turn + 1 >= effort.rounds and time.monotonic() - start > effort.patience * seconds:
            break
    return found


def _timed(task: Task, calls: int, clock: Callable[[], float]) -> float:
    gc.disable()
    start = clock()
    for _ in range(calls):
        task()
    seconds = clock() - start
    gc.enable()
    return max(seconds / calls, 1e-9)


def median(seconds: list[float]) -> float:
    """Of the rounds."""
    return statistics.median(seconds)
