"""The most memory that a call takes, in a process of its own."""

import ctypes
import importlib
import json
import mmap
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

MIB = 2**20
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FILLED = MIB // 16  # bytes at once


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
    _hand_back()
    with _peak_is_now():
        before = _most()
        for _ in range(2):
            task()
            # freed memory is often not found again: glibc cuts a few bytes off it, to align what lies there,
            # and keeps those apart, so that a tensor of the same size is laid beside the hole
            _hand_back()
        return _most() - before


def _hand_back() -> None:
    """Give freed memory to the kernel, where the allocator can: else it hides what is taken next."""
    with suppress(AttributeError, OSError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _peak_is_now() -> Iterator[None]:
    """The peak so far is forgotten; where the kernel refuses that, memory is filled up to it meanwhile."""
    with suppress(OSError):
        FORGET.write_text("5")
    past, filled = _most(), []
    while _most() <= past and len(filled) * FILLED < past * MIB:
        filled.append(mmap.mmap(-1, FILLED))
        filled[-1].write(b"\1" * FILLED)
    yield
    for pages in filled:
        pages.close()


def _most() -> float:
    """MiB that the process had at its peak."""
    if not STATUS.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (MIB if sys.platform == "darwin" else 1024)
    found = next(row for row in STATUS.read_text().splitlines() if row.startswith("VmHWM"))
    return int(found.split()[1]) / 1024
