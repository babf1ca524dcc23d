"""The slow proofs, part by part: `python tests/check_all.py [PART ...]`, what `make check-all` runs.

A part is a file of tests some of which are marked ``slow``. What passed is noted under .checks/ with a digest
of the package, the tests' helpers and the part itself, and is not run again until one of them changes.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
NOTES = ROOT / ".checks"


def parts() -> list[Path]:
    """The files that hold slow tests."""
    return [
        file for file in sorted(TESTS.rglob("test_*.py")) if "pytest.mark.slow" in file.read_text("utf-8")
    ]


def digest(part: Path) -> str:
    """Of all that the part's outcome depends on."""
    helpers = [file for file in TESTS.rglob("*.py") if not file.name.startswith("test_")]
    package = [
        file for file in (ROOT / "src").rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    settings = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    whole = hashlib.sha256()
    for file in sorted([part, *helpers, *package, *settings]):
        whole.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()


def run(part: Path) -> bool:
    """Whether all slow tests of the part pass, now or when nothing was other than now."""
    name, note = str(part.relative_to(TESTS)), NOTES / part.relative_to(TESTS).with_suffix(".passed")
    before = digest(part)
    if note.exists() and note.read_text() == before:
        print(f"{name:<50} passed before", flush=True)
        return True
    start = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "slow",
        "--numprocesses",
        "2",
        "--dist",
        "worksteal",
        str(part),
    ]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    print(
        f"{name:<50} {'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - start:.0f} s",
        flush=True,
    )
    if done.returncode == 0:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(before)
    return done.returncode == 0


def main(names: list[str]) -> int:
    """Run the parts whose names hold one of `names`, or all; 0 if each passed."""
    chosen = [part for part in parts() if not names or any(name in str(part) for name in names)]
    if not chosen:
        there = ", ".join(str(part.relative_to(TESTS)) for part in parts())
        print(f"no part is named {', '.join(names)}; there are {there}")
        return 1
    failed = [part for part in chosen if not run(part)]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} parts passed")
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
