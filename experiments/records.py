"""What all experiments do: take times in turns, say what they ran on, keep what came of it."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

import erlangen as er


def interleaved(
    tasks: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """The median seconds of each task, taken in turns after two that do not count.

    Of the processor, since others may use the machine; `time.perf_counter` for several threads.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 2):
        for name, task in tasks.items():
            start = clock()
            task()
            if turn >= 2:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def keep(file: Path, result: dict, **others: str) -> None:
    """Write a result as JSON, with the versions of what made it: ours, and of other packages."""
    ours = {"erlangen": er.__version__, "torch": torch.__version__}
    versions = ours | others | {"python": platform.python_version()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result | {"versions": versions}, indent=1) + "\n")
