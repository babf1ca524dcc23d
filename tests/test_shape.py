"""The shape of the whole: files in layers, closed doors, short lines of descent, short functions.

`tests/shape.py` reads it from the source, so that a copy with an addition can be asked the same
(tests/test_patches.py).
"""

import pytest
from paths import ROOT
from shape import (
    LONGEST,
    ancestry_of,
    circles_of,
    deep_classes_of,
    files_of,
    imports_of,
    percentile,
    private_uses_of,
    sizes_of,
)


@pytest.fixture(scope="module")
def files():
    return files_of(ROOT / "src" / "erlangen")


def test_no_files_import_each_other_in_a_circle(files):
    """Imports within functions and those for type checkers are imports."""
    assert circles_of(imports_of(files)) == []


def test_private_names_stay_within_their_file(files):
    assert private_uses_of(files) == []


def test_lines_of_descent_are_short(files):
    assert deep_classes_of(files) == []


def test_functions_fit_a_screen(files):
    """Lines from ``def`` to the last one, docstring and comments among them."""
    assert percentile(sizes_of(files)) <= LONGEST


def test_one_name_has_one_home():
    """A file of another room may have the same name only where it is the engine of that idea."""
    homes = {}
    for path in (ROOT / "src" / "erlangen").rglob("*.py"):
        homes.setdefault(path.name, []).append(path.parent.name)
    homes.pop("__init__.py")
    shared = {name: rooms for name, rooms in homes.items() if len(rooms) > 1}
    assert [name for name, rooms in shared.items() if len(rooms) > 2 or "engines" not in rooms] == []


# what the tests above would find


@pytest.fixture
def package(tmp_path):
    """A package of two files that has every fault."""
    root = tmp_path / "demo"
    root.mkdir()
    (root / "__init__.py").write_text("from demo.one import One\n")
    (root / "one.py").write_text(
        "def f():\n    from demo import two\n    return two\n\n"
        "class One:\n    def _hidden(self): ...\n    def _given(self): ...\n"
    )
    (root / "two.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "import demo\n"
        "if TYPE_CHECKING:\n    from demo.one import One\n"
        "class Two(demo.One): ...\n"
        "class Three(Two):\n"
        "    def _given(self):\n        return self._hidden()\n"
        "    def f(self, one):\n        return one._secret, self._own\n"
        "    @classmethod\n"
        "    def g(cls, other):\n        other._own = 1\n        vars(other).pop(cls)\n"
    )
    return files_of(root)


def test_circles_through_functions_and_annotations_are_seen(package):
    assert circles_of(imports_of(package)) == [["demo", "demo.one", "demo.two"]]


def test_private_names_of_others_are_seen(package):
    assert private_uses_of(package) == [
        "demo.two:7 Three._given of an ancestor",
        "demo.two:8 Three._hidden of an ancestor",
        "demo.two:10 one._secret",
        "demo.two:14 vars(other).pop",
    ]


def test_descent_is_followed_through_what_a_package_passes_on(package):
    assert ancestry_of(package)["demo.two.Three"] == ["demo.two.Three", "demo.two.Two", "demo.one.One"]


def test_lines_are_counted_from_the_head(package):
    assert max(sizes_of(package).values()) == 3
