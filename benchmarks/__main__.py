"""The door: `python -m benchmarks all`, or one suite of it; `... page` only writes the page."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.environments import CACHE, Unavailable, python_of, surroundings
from benchmarks.page import write
from benchmarks.part import EFFORTS
from benchmarks.records import RESULTS, ROOT, place, read, source
from benchmarks.suites import SUITES

LONGEST, PATIENT = 600, 3600  # seconds of a part; of a hasty one, where others use the machine


def main() -> int:
    """Measure what has no record of this source, write the page; how many parts could not be measured."""
    asked, failed = arguments(), 0
    for suite, part in parts(asked):
        trouble = measure(suite, part, asked)
        print(f"{suite} {part}: {trouble or 'done'}", flush=True)
        failed += trouble is not None
    if asked.effort != "small":
        print(f"written: {write(RESULTS)}")
    return failed


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="+", choices=[*SUITES, "all", "page"], help="what to measure")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts of it alone")
    parser.add_argument("--again", action="store_true", help="also what has a record of this source")
    parser.add_argument(
        "--effort",
        choices=list(EFFORTS),
        default="whole",
        help="hasty: two rounds, where five or more are meant; small: one call at a tiny size, no page",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where other libraries are installed")
    asked = parser.parse_args()
    if asked.only and not list(parts(asked)):
        names = ", ".join(part for suite in SUITES for part in SUITES[suite].parts)
        parser.error(
            f"there is no part {' '.join(asked.only)} of {' '.join(asked.what)}, expected of {names}"
        )
    return asked


def parts(asked: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The suite and the name of each; of all, what needs a GPU only where there is one."""
    everything = set(SUITES) - ({"gpu"} if not torch.cuda.is_available() else set())
    for suite in SUITES:
        if suite in asked.what or ("all" in asked.what and suite in everything):
            yield from ((suite, part) for part in SUITES[suite].parts if part in (asked.only or [part]))


def measure(suite: str, part: str, asked: argparse.Namespace) -> str | None:
    """Fill the record of a part, unless there is one as good; what went wrong, else None."""
    folder = asked.cache / "small" if asked.effort == "small" else RESULTS
    record, rounds = read(folder, suite, part), EFFORTS[asked.effort].rounds
    if record and record["source"] == source() and record["rounds"] >= rounds and not asked.again:
        return None
    try:
        python = python_of(SUITES[suite].peer, asked.cache)
    except Unavailable as reason:
        return str(reason)
    file = place(folder, suite, part)
    command = [python, "-m", "benchmarks.part", suite, part, file, asked.effort]
    longest = PATIENT if asked.effort == "hasty" else LONGEST
    try:
        run = subprocess.run(command, cwd=ROOT, env=surroundings(), timeout=longest, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        return f"no answer in {longest} seconds"
    return run.stderr.decode().strip()[-3000:] if run.returncode else None


if __name__ == "__main__":
    sys.exit(main())
