"""The surface: names stay, importing is quiet and light."""

import ast
import importlib
import inspect
import json
import operator
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from paths import ROOT
from torch.utils._python_dispatch import TorchDispatchMode

import erlangen as er

MODULES = [
    *("domains", "engines", "geometry", "groups", "harmonics", "kernels"),
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


BACKTICKED = re.compile(r"(?<!`)`([A-Za-z_]\w*)[^`]*`(?!`)")


def public():
    """What people reach, by its path: the names, and what is public in their classes."""
    for room, names in surface().items():
        for name in names:
            thing = getattr(importlib.import_module(room), name)
            yield f"{room}.{name}", thing
            for member in dir(thing) if inspect.isclass(thing) else ():
                if not member.startswith("_"):
                    yield f"{room}.{name}.{member}", inspect.getattr_static(thing, member)


def function_of(thing):
    """What a property, a class's method or a cached one runs."""
    for name in ("fget", "func", "__func__"):
        thing = getattr(thing, name, None) or thing
    return thing


def arguments_of(thing):
    try:
        return set(inspect.signature(function_of(thing)).parameters)
    except (TypeError, ValueError):
        return set()


def test_backticks_lead_to_what_people_reach():
    """In a public docstring: a public name, a public member or attribute of one, or an argument."""
    things = dict(public())
    known = {path.rpartition(".")[2] for path in things} | {"er", "erlangen", "torch"}
    for thing in things.values():
        known |= arguments_of(thing) | set(getattr(thing, "__annotations__", {}))
    lost = {}
    for path, thing in things.items():
        own = function_of(thing)
        if getattr(own, "__module__", "").startswith("erlangen") or inspect.ismodule(own):
            for name in BACKTICKED.findall(own.__doc__ or ""):
                if name not in known:
                    lost.setdefault(name, path)
    assert lost == {}


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


def loaded(code: str) -> list[str]:
    """The modules that some lines bring in a new process, beside those of torch, numpy and jaxtyping."""
    before, after = (
        "import sys, torch, numpy, jaxtyping; had = set(sys.modules)",
        "print(*set(sys.modules) - had)",
    )
    run = subprocess.run(
        [sys.executable, "-c", f"{before}\n{code}\n{after}"], capture_output=True, text=True, check=True
    )
    return sorted(run.stdout.split())


FIRST_LAYER = """
import erlangen as er

layer = er.nn.Correlation(er.Plane(rotations=8), 2, 2, 3, in_field="regular", out_field="regular")
layer(torch.randn(1, 2, 8, 9, 9))
"""


def test_import_is_light():
    """What makes an import slow is counted: our own files, and what torch and numpy do not bring already."""
    assert loaded("import erlangen") == ["erlangen", "erlangen.doors", "erlangen.version"]


def test_the_first_layer_loads_what_it_needs():
    """No harmonics, no figures, no networks, none of the other spaces; and no compiler of torch."""
    modules = loaded(FIRST_LAYER)
    own = [name for name in modules if name.split(".")[0] == "erlangen"]
    others = sorted(set(modules) - set(own))
    rooms = {name.split(".")[1] for name in own if "." in name}
    assert not rooms & {"harmonics", "models", "figures", "verify", "formula", "train"}
    assert {name for name in own if "spaces." in name} <= {
        f"erlangen.spaces.{name}" for name in ("plane", "centred", "euclidean", "scattered")
    }
    assert len(own) <= 78, "about 70 files; a door opens the others at their first use"
    assert len(others) <= 10, others
    assert all(name.startswith(("numpy.polynomial", "torch.utils._device")) for name in others), others


CURVED = """
import erlangen as er

sphere, torus = er.Sphere().grid(6, rotations=3), er.SurfaceOfRevolution(steps=2).grid(12, 8, rotations=3)
for domain, radius in ((sphere, None), (sphere, 0.9), (torus, 0.9)):
    layer = er.nn.Lift(domain, 1, 1, radius=radius)
    layer(torch.randn(1, 1, *domain.shape)).sum().backward()
"""


def test_layers_do_not_load_the_compiler():
    """Harmonics, rings and sparse operators, forward and backward; a second of processor time else."""
    assert not [name for name in loaded(CURVED) if name.startswith(("torch._dynamo", "torch._inductor"))]


ROOMS = "domains", "engines", "figures", "harmonics", "models", "nn", "spaces", "verify"
WITHOUT = {"cli", "commands", "doctor"}  # of the command line, whose extras may be missing
FOLDERS = {*MODULES, "halving"}


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_doors_open_all_names(room):
    """Each alone in a process of its own order of imports: no name is hidden by a file of its name."""
    name = f"erlangen.{room}".rstrip(".")
    package = importlib.import_module(name)
    for file in sorted(Path(package.__file__).parent.glob("*.py")):
        if not file.stem.startswith("__") and file.stem not in WITHOUT:
            importlib.import_module(f"{name}.{file.stem}")
    for public in package.__all__:
        found = getattr(package, public)
        assert not inspect.ismodule(found) or public in FOLDERS, public
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


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
