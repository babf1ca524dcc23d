"""What was measured, kept as JSON: one file for each part, so that a run goes on where it stopped."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
WRITERS = {"page.py", "drawing.py", "__main__.py"}  # what they are does not change what was measured


def source() -> str:
    """A digest of the package and of what measures it."""
    package = (ROOT / "src").rglob("*.py")
    ours = (file for file in (ROOT / "benchmarks").glob("*.py") if file.name not in WRITERS)
    whole = hashlib.sha256()
    for file in sorted([*package, *ours]):
        whole.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def commit() -> str:
    """The commit that is checked out; with a plus where files differ from it."""
    try:
        words = ("describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+")
        return subprocess.check_output(["git", "-C", ROOT, *words], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """What a time depends on, but for the shapes."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "processor": f"{platform.machine()}, {capability}, {_cores()} cores{_bfloat16()}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def versions(*others: str) -> dict[str, str]:
    """Of what computes."""
    names = ("torch", "numpy", *others)
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


def keep(file: Path, record: dict[str, Any]) -> None:
    """Write it, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=1) + "\n")
    unfinished.replace(file)


def read(folder: Path, suite: str, part: str) -> dict[str, Any] | None:
    """The record of a part, if there is one."""
    file = place(folder, suite, part)
    return json.loads(file.read_text()) if file.exists() else None


def place(folder: Path, suite: str, part: str) -> Path:
    """Where the record of a part is kept."""
    return folder / f"{suite}.{part}.json"


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def _bfloat16() -> str:
    """Whether it multiplies bfloat16 by itself."""
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    plain = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return ", bfloat16 by AMX" * amx + ", bfloat16 by AVX-512" * (plain and not amx)
