"""The surface: names stay, importing is quiet and light."""

import ast
import json
import operator
import re
import subprocess
import sys
from functools import partial

from paths import ROOT
from torch.utils._python_dispatch import TorchDispatchMode

import erlangen as er

MODULES = [
    *("domains", "geometry", "groups", "harmonics", "kernels"),
    *("nn", "models", "verify", "figures", "train"),
]
# not that of ``python -m``, which runs a file
PATH = re.compile(r"(?<![\w.])(?<!-m )er(?:langen)?((?:\.[A-Za-z_]\w*)+)")


def surface() -> dict[str, list[str]]:
    names = {"erlangen": sorted(er.__all__)}
    for module in MODULES:
        names[f"erlangen.{module}"] = sorted(getattr(er, module).__all__)
    return names


def test_public_names_are_the_recorded_ones():
    recorded = json.loads((ROOT / "tests" / "api_surface.json").read_text())
    assert surface() == recorded, "changed on purpose? run: python tests/test_api.py"
    assert set(er.__all__) <= set(dir(er)), "those that are imported at their first use too"


def paths_in_words():
    """Every path ``er.name`` in a message or docstring of the package, and where it stands."""
    for file in sorted((ROOT / "src" / "erlangen").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for match in PATH.finditer(node.value):
                    yield match[1].removeprefix("."), f"{file.name}:{node.lineno}"


def test_words_send_people_to_public_names():
    public = {f"{room}.{name}" for room, names in surface().items() for name in names}
    for path, place in paths_in_words():
        operator.attrgetter(path)(er)  # is there
        room, name, *_ = [*path.split("."), ""]
        assert f"erlangen.{room}" in public, f"{place} sends people to er.{path}, which is not public"
        if room in MODULES and name:
            assert f"erlangen.{room}.{name}" in public, f"{place} sends people to er.{path}"


def test_import_is_quiet_and_needs_no_extras():
    code = (
        "import sys; import erlangen;"
        "extras = {'matplotlib', 'rich', 'tyro', 'torchmetrics', 'PIL', 'safetensors', 'scipy'};"
        "print(sorted(extras & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_import_is_light():
    """What makes an import slow is counted: our own files, and what torch and numpy do not bring already."""
    code = (
        "import sys, torch, numpy, jaxtyping; before = set(sys.modules); import erlangen;"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = run.stdout.split()
    own = [name for name in modules if name.split(".")[0] == "erlangen"]
    others = sorted(set(modules) - set(own))
    assert len(own) <= 175, "about 160 files; those of a command or of train are imported at their first use"
    assert len(others) <= 10, others
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names, others


class Operations(TorchDispatchMode):
    """Counts the operations of torch."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_the_default_network_is_built_at_once():
    """In so many operations of torch and calls of functions, on a domain that nothing was asked of before."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    build = partial(er.models.UNet, er.Plane(rotations=8), 3, 1)
    with Operations() as operations:
        build()
    build = partial(er.models.UNet, er.Plane(rotations=8), 3, 1)
    sys.setprofile(count)
    try:
        build()
    finally:
        sys.setprofile(None)
    assert operations.count <= 18_000
    assert calls <= 36_000


if __name__ == "__main__":
    text = json.dumps(surface(), indent=2) + "\n"
    (ROOT / "tests" / "api_surface.json").write_text(text)
