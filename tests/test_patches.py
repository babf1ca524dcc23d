"""What a contributor adds is one new file and one line in one ``__init__.py``, and nothing else.

Each folder of ``tests/patches`` is such an addition, and what is asked of it: the file, `check.py`. They are
put into a copy of the source, which then still has the shape that the house rules ask for: all into one, as
none of them names another.
"""

import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

from paths import ROOT
from shape import faults_of

SOURCE = ROOT / "src" / "erlangen"
PATCHES = ROOT / "tests" / "patches"


class Patch(NamedTuple):
    """Where the one file goes, and what it exports there."""

    room: str
    names: str


ADDITIONS = {
    "cone": Patch("spaces", "Cone"),
    "cube_fibre": Patch("groups", "CubeFibre"),
    "hexagonal_torus": Patch("spaces", "HexagonalTorus"),
    "fourier": Patch("engines", "fourier"),
    "cubed_sphere": Patch("spaces", "cubed_sphere"),
}
ALL = """
import runpy, sys
for check in sys.argv[1:]:
    print(check, file=sys.stderr)
    runpy.run_path(check)
"""


def apply(name: str, package) -> None:
    """The file, and the line."""
    room, names = ADDITIONS[name]
    shutil.copy(PATCHES / name / f"{name}.py", package / room)
    with (package / room / "__init__.py").open("a") as file:
        file.write(f"from erlangen.{room.replace('/', '.')}.{name} import {names} as {names}\n")


def test_every_addition_is_tried():
    assert {path.parent.name for path in PATCHES.glob("*/check.py")} == set(ADDITIONS)


def test_the_page_shows_the_file():
    page = (ROOT / "docs" / "your_own_space.md").read_text()
    assert f"```python\n{(PATCHES / 'cone' / 'cone.py').read_text()}```" in page
    assert all(f"(../tests/patches/{name}/{name}.py)" in page for name in ADDITIONS)


def test_no_addition_names_another():
    for name in ADDITIONS:
        text = "".join((PATCHES / name / file).read_text() for file in (f"{name}.py", "check.py"))
        others = {one for other in ADDITIONS if other != name for one in (other, ADDITIONS[other].names)}
        assert [one for one in others if re.search(rf"\b{one}\b", text)] == []


def test_an_addition_is_one_file_and_one_line(tmp_path):
    package = tmp_path / "src" / "erlangen"
    shutil.copytree(SOURCE, package)
    for name in ADDITIONS:
        apply(name, package)
    assert faults_of(package) == faults_of(SOURCE)
    path = os.pathsep.join([str(package.parent), str(PATCHES)])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALL, *(str(PATCHES / name / "check.py") for name in ADDITIONS)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
