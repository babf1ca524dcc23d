"""The house rules that a machine can keep."""

import ast
from pathlib import Path

import pytest
from paths import ROOT

PACKAGE = ROOT / "src" / "erlangen"
# an arrow may point to an earlier floor, or stay in its own room
FLOORS = [
    ["arguments", "version"],
    ["making", "legible", "groups", "conventions"],
    ["geometry", "kernels"],
    ["harmonics"],
    ["engines"],
    ["domains"],
    ["spaces", "correlation"],
    ["nn"],
    ["models"],
    ["figures", "verify"],
    ["train", "doctor"],
    ["commands"],
    ["cli"],
    ["__main__"],
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "erlangen":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("erlangen.")}
    return found


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    here = room_of(path)
    if here == "__init__":
        return
    for room in imported_rooms(path) - {here}:
        if room not in LEVEL:  # names of the package itself, such as __version__
            continue
        lower = LEVEL[room] < LEVEL[here]
        beside = (here, room) in {("verify", "figures"), ("kernels", "geometry")}
        assert lower or beside, f"{here} may not import {room}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_documented_and_refuse_politely(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a file says what lives there"
    assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)], "raise, do not assert"


def test_public_names_are_documented():
    import erlangen as er

    for module in (er, er.nn, er.models, er.verify, er.groups, er.kernels, er.figures, er.train):
        for name in module.__all__:
            assert (getattr(module, name).__doc__ or "").strip(), f"{module.__name__}.{name}"
