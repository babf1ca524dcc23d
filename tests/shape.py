"""The shape of a package, read from its source: nothing is imported, nothing runs."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DEEPEST = 2  # edges between classes of our own
LONGEST = 28  # lines, of 95 functions in 100
FLOORS = [  # an arrow may point to an earlier floor, or stay in its own room
    ["arguments", "doors", "operators", "version"],
    ["shared", "legible", "groups", "conventions"],
    ["geometry", "kernels"],
    ["harmonics"],
    ["engines"],
    ["domains"],
    ["spaces", "formula"],
    ["nn"],
    ["models"],
    ["figures", "verify"],
    ["train", "doctor"],
    ["commands"],
    ["cli"],
    ["__main__"],
]
CHANGES = {"clear", "pop", "setdefault", "update"}  # of vars(x)
BESIDE = {("verify", "figures"), ("kernels", "geometry")}
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


class File(NamedTuple):
    """A file's syntax: the tree, and all nodes of it."""

    tree: ast.Module
    nodes: list[ast.AST]


Files = dict[str, File]  # by the dotted name of each


def files_of(package: Path) -> Files:
    """The files of a package, such as src/erlangen."""
    trees = {_dotted(path, package.parent): ast.parse(path.read_text()) for path in package.rglob("*.py")}
    return {name: File(tree, list(ast.walk(tree))) for name, tree in trees.items()}


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# who imports whom


def imports_of(files: Files) -> dict[str, set[str]]:
    """The files that each file imports: at its top, within functions, for type checkers, and by name."""
    return {name: set(_imported(file, files)) - {name} for name, file in files.items()}


def _imported(file: File, files: Files) -> Iterator[str]:
    for node in file.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module in files:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from full & set(files)
            if full - set(files):
                yield node.module
        elif _called(node) == "import_module":
            named = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            yield from named & set(files)


def _called(node: ast.AST) -> str:
    """The last name of what is called; empty for what is no call."""
    function = getattr(node, "func", node)
    return getattr(function, "attr", getattr(function, "id", "")) if isinstance(node, ast.Call) else ""


def circles_of(imports: dict[str, set[str]]) -> list[list[str]]:
    """The files that import each other, circle by circle."""
    reached = {name: _reached(name, imports) for name in imports}
    circles = {tuple(sorted(b for b in reached[a] if a in reached[b])) for a in imports if a in reached[a]}
    return [list(circle) for circle in sorted(circles)]


def _reached(name: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = {name}
    while waiting:
        waiting = set().union(*(imports[one] for one in waiting)) - found
        found |= waiting
    return found


def rooms_of(files: Files) -> set[str]:
    """The files and folders at the top of the package."""
    return {_room(name) for name in files} - {""}


def _room(name: str) -> str:
    return name.partition(".")[2].partition(".")[0]


def upward_imports_of(files: Files) -> list[str]:
    """Imports from a floor that is no lower, but for the package's own first file, which imports all."""
    arrows = sorted((a, b) for a, found in imports_of(files).items() for b in found if _room(a) and _room(b))
    return [
        f"{a} imports {b}"
        for a, b in arrows
        if LEVEL[_room(b)] >= LEVEL[_room(a)] and _room(a) != _room(b) and (_room(a), _room(b)) not in BESIDE
    ]


# who reaches for whose private names


def private_uses_of(files: Files) -> list[str]:
    """Where ``x._name`` is used of an x that is neither ``self`` nor defined in the same file, and where a
    class uses or gives anew a private name of an ancestor in another file."""
    found = [(name, line, use) for name, file in files.items() for line, use in _private(file)]
    for full, ancestors in lineage_of(files).items():
        home, others = full.rpartition(".")[0], set(ancestors) - {full}
        far = [one for one in others if one.rpartition(".")[0] != home]
        theirs = set().union(*(_own(one, files) for one in far))
        theirs -= set().union(*(_own(one, files) for one in others - set(far)))
        found += [
            (home, node.lineno, f"{full.rpartition('.')[2]}.{name} of an ancestor")
            for node in ast.walk(_class(full, files))
            for name in theirs & {getattr(node, "attr", getattr(node, "name", ""))}
            if isinstance(node, ast.FunctionDef)
            or ast.unparse(node).startswith(("self.", "cls.", "super()."))
        ]
    return [f"{name}:{line} {use}" for name, line, use in sorted(found)]


def _class(full: str, files: Files) -> ast.ClassDef:
    home, _, name = full.rpartition(".")
    nodes = (node for node in files[home].nodes if isinstance(node, ast.ClassDef))
    return next(node for node in nodes if node.name == name)


def _own(full: str, files: Files) -> set[str]:
    """The private names that a class gives: methods, and attributes of ``self`` or of the class."""
    names: set[str] = set()
    for node in ast.walk(_class(full, files)):
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Store):
            names.add(ast.unparse(node).removeprefix("self."))
    return {name for name in names if _is_private(name)}


def _private(file: File) -> Iterator[tuple[int, str]]:
    own = {node.name for node in file.tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))} | {
        "other"
    }
    here = set(_given(file))
    for node in file.nodes:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"import {a.name}") for a in node.names if _is_private(a.name))
        elif isinstance(node, ast.Attribute) and (_is_private(node.attr) or node.attr == "__dict__"):
            owner = ast.unparse(node.value)
            if owner not in {"self", "cls", "super()"} and not (owner in own and node.attr in here):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in CHANGES and _called(node.value) == "vars":
            yield node.lineno, ast.unparse(node)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _given(file: File) -> Iterator[str]:
    """The names of functions and attributes that a file gives."""
    for node in file.nodes:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target)


# inheritance


def deep_classes_of(files: Files) -> list[str]:
    """Classes with more than `DEEPEST` edges above them."""
    return [" < ".join(line) for line in ancestry_of(files).values() if len(line) - 1 > DEEPEST]


def ancestry_of(files: Files) -> dict[str, list[str]]:
    """For each class the longest line of its ancestors within the package, itself first."""
    bases = bases_of(files)

    def line(full: str) -> list[str]:
        return [full, *max((line(base) for base in bases[full]), key=len, default=[])]

    return {full: line(full) for full in bases}


def lineage_of(files: Files) -> dict[str, list[str]]:
    """For each class itself and all of its ancestors within the package."""
    bases = bases_of(files)

    def all_of(full: str) -> list[str]:
        return [full, *(one for base in bases[full] for one in all_of(base))]

    return {full: all_of(full) for full in bases}


def bases_of(files: Files) -> dict[str, list[str]]:
    """For each class those of the package that it names as its bases."""
    classes = {
        f"{name}.{node.name}": node
        for name, file in files.items()
        for node in file.nodes
        if isinstance(node, ast.ClassDef)
    }
    named = {
        full: [_resolved(ast.unparse(base), full.rpartition(".")[0], files) for base in node.bases]
        for full, node in classes.items()
    }
    return {full: [base for base in bases if base in classes] for full, bases in named.items()}


def _resolved(name: str, module: str, files: Files) -> str:
    """The full name of what a file calls by a name, followed through what others only pass on."""
    first, _, rest = name.partition("[")[0].partition(".")
    for node in files[module].tree.body:
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            if first == (alias.asname or alias.name):
                source = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                full = f"{source}.{rest}".rstrip(".")
                owner, _, last = full.rpartition(".")
                return _resolved(last, owner, files) if owner in files else full
    return f"{module}.{name}"


# files and functions


def unexplained_of(files: Files) -> list[str]:
    """Files that do not say what lives there, and asserts, which do not say how to mend what is wrong."""
    silent = [name for name, file in files.items() if not ast.get_docstring(file.tree)]
    asserts = [
        f"{name}:{node.lineno} assert"
        for name, file in files.items()
        for node in file.nodes
        if isinstance(node, ast.Assert)
    ]
    return sorted(silent) + sorted(asserts)


def sizes_of(files: Files) -> dict[str, int]:
    """The lines of each function, from its ``def`` to its last line, docstring and comments among them."""
    return {
        f"{name}.{node.name}:{node.lineno}": node.end_lineno - node.lineno + 1
        for name, file in files.items()
        for node in file.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno
    }


def percentile(sizes: dict[str, int], share: float = 0.95) -> int:
    """What such a share of the functions does not exceed."""
    return sorted(sizes.values())[int(share * (len(sizes) - 1))]


def faults_of(package: Path) -> list[str]:
    """Everything that the tests of shape ask of a package, of a copy with an addition as well."""
    files = files_of(package)
    circles = [" <-> ".join(circle) for circle in circles_of(imports_of(files))]
    strangers = sorted(rooms_of(files) ^ set(LEVEL))
    long = ["long functions"] * (percentile(sizes_of(files)) > LONGEST)
    return [
        *circles,
        *strangers,
        *upward_imports_of(files),
        *private_uses_of(files),
        *deep_classes_of(files),
        *unexplained_of(files),
        *long,
    ]
