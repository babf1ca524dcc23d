"""Other libraries in environments of their own, which see our torch and ours: two sides in one process."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import NamedTuple

from benchmarks.records import ROOT

CACHE = Path(tempfile.gettempdir()) / "erlangen-benchmarks"
READY = "ready.txt"


class Peer(NamedTuple):
    """Another library.

    Attributes:
        name: as it is imported.
        packages: what pip installs.
        options: of pip.
        tools: programs that its installation needs.
    """

    name: str
    packages: tuple[str, ...]
    options: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class Unavailable(RuntimeError):
    """A peer that cannot be installed here, with the reason."""


def python_of(peer: Peer | None, cache: Path = CACHE) -> Path:
    """The interpreter that has the peer; ours where there is none.

    Raises:
        Unavailable: where a tool is missing or pip fails.
    """
    if peer is None:
        return Path(sys.executable)
    folder = cache / peer.name
    python, note = folder / "bin" / "python", "\n".join([*peer.packages, sys.executable])
    if not (folder / READY).exists() or (folder / READY).read_text() != note:
        _make(folder, python, peer)
        (folder / READY).write_text(note)
    return python


def _make(folder: Path, python: Path, peer: Peer) -> None:
    missing = [tool for tool in peer.tools if shutil.which(tool) is None]
    if missing:
        raise Unavailable(f"{peer.name} is built by {missing[0]}, which is missing: apt install {missing[0]}")
    venv.create(folder, clear=True, with_pip=bool(peer.packages))
    # its own packages come first, so numpy<2 there hides ours; nothing is ever installed into ours
    theirs = next(folder.glob("lib/python*/site-packages"))
    (theirs / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    if peer.packages:
        install = [python, "-m", "pip", "install", "--quiet", *peer.options, *peer.packages]
        run = subprocess.run(install, capture_output=True, text=True)
        if run.returncode:
            raise Unavailable(f"{peer.name} could not be installed:\n{run.stderr.strip()[-500:]}")


def surroundings() -> dict[str, str]:
    """Of a process that measures: our source, and one thread unless it asks for more."""
    seen = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return os.environ | {"PYTHONPATH": seen, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
