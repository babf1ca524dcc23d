"""What several files make together, or a part of one: it is read as a file is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

F = TypeVar("F", covariant=True)
R = TypeVar("R", covariant=True)


@dataclass(frozen=True)
class Parts(ABC, Generic[F, R]):
    """In the place of the path of a photograph, a volume or a mask.

    Attributes:
        path: where it would lie, were it one file.
        files: what it is made of.
    """

    path: Path
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Its own, as of a path."""
        return self.path.name

    @property
    def parent(self) -> Path:
        """The folder, as of a path."""
        return self.path.parent

    def __str__(self) -> str:
        return str(self.path)

    @abstractmethod
    def examine(self) -> F:
        """How it holds what it holds.

        Raises:
            ValueError: naming the file that cannot be read.
        """

    @abstractmethod
    def read(self) -> R:
        """All that it holds.

        Raises:
            ValueError: naming the file that cannot be read, or that does not go with the others.
        """


def files_of(entry: object) -> tuple[Path, ...]:
    """The files of an entry of a data set: itself, or its parts; none of a number."""
    return entry.files if isinstance(entry, Parts) else (entry,) if isinstance(entry, Path) else ()
