"""The most memory that a call takes, in a process of its own."""

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

MIB = 2**20
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(maker: Callable[..., Callable[[], object]], *arguments: object, here: bool = False) -> float:
    """MiB above what the process has before, of two calls of ``maker(*arguments)``.

    A process of its own makes the call, with as many threads as torch has here. Before it counts as what all
    processes have: torch, the network, the input.

    Args:
        maker: a function of a module.
        arguments: what JSON can say.
        here: in this process instead, whose memory may be there already.
    """
    if here:
        return _added(maker(*arguments))
    name = f"{maker.__module__}:{maker.__qualname__}"
    told = json.dumps([name, list(arguments), torch.get_num_threads()])
    command = [sys.executable, "-c", "from benchmarks import memory; memory.tell()", told]
    seen = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # what is found here is found there
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | seen)
    if run.returncode:
        raise RuntimeError(f"{name}{arguments} failed in its process:\n{run.stderr[-2000:]}")
    return float(run.stdout.splitlines()[-1])


def tell() -> None:
    """What the child does: print the MiB."""
    from erlangen.train.device import keep_freed_memory

    name, arguments, threads = json.loads(sys.argv[-1])
    module, _, function = name.partition(":")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    keep_freed_memory()  # as trainings do
    print(_added(getattr(importlib.import_module(module), function)(*arguments)))


def _added(task: Callable[[], object]) -> float:
    before = _resident("VmRSS")
    if FORGET.exists():
        FORGET.write_text("5")  # the peak so far
    for _ in range(2):
        task()
    return _resident("VmHWM") - before


def _resident(line: str) -> float:
    """MiB, now (VmRSS) or at most (VmHWM); without /proc always at most."""
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            MIB if sys.platform == "darwin" else 1024
        )
    found = next(row for row in STATUS.read_text().splitlines() if row.startswith(line))
    return int(found.split()[1]) / 1024
