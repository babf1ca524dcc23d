"""Names that a folder opens at their first use: what nobody asks for is not loaded."""

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from sys import modules
from typing import Any


def doors(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    The names are those that it imports under ``if TYPE_CHECKING:``, where those who only read find them too.
    None may be that of its own file: once that is loaded, Python takes the file for it.

    Raises:
        AttributeError: for a name that is not there.
    """
    source = modules[package].__spec__.loader.get_source(package)  # type: ignore[union-attr]
    homes = dict(_homes(ast.parse(source)))

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        found = import_module(f"{home}.{name}") if home == package else getattr(import_module(home), name)
        setattr(modules[package], name, found)  # asked once
        return found

    return get, lambda: sorted({*vars(modules[package]), *homes})


def _homes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names imported for those who check types, and from where."""
    for block in tree.body:
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING":
            lines = (line for line in block.body if isinstance(line, ast.ImportFrom))
            yield from ((alias.name, str(line.module)) for line in lines for alias in line.names)
