"""One part, in a process of its own: `python -m benchmarks.part SUITE PART FILE EFFORT`."""

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.records import commit, keep, machine, source, versions
from benchmarks.suites import SUITES
from benchmarks.timing import HASTY, SMALL, Effort

EFFORTS = {"small": SMALL, "hasty": HASTY, "whole": Effort()}


def measured(suite: str, part: str, effort: Effort) -> dict[str, Any]:
    """The record of a part."""
    from erlangen.train.device import keep_freed_memory

    keep_freed_memory()  # as trainings do
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # asked first: files may change while it runs
    facts = {"source": source(), "commit": commit(), "rounds": effort.rounds, "small": effort.small}
    rows = getattr(importlib.import_module(SUITES[suite].module), part)(effort)
    peer = SUITES[suite].peer
    others = [] if peer is None else [package.partition("==")[0] for package in peer.packages[:1]]
    return {"suite": suite, "part": part, **facts, **machine(), "versions": versions(*others), "rows": rows}


def main() -> None:
    suite, part, file, effort = sys.argv[1:]
    warnings.filterwarnings("ignore", module="(escnn|e3nn|torch_harmonics|py3nj)")
    keep(Path(file), measured(suite, part, EFFORTS[effort]))


if __name__ == "__main__":
    main()
