"""What `predict` wrote to a folder, noted there, so that it replaces nothing else and reads none of it."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from erlangen.train.folders import same_name
from erlangen.train.writing import KEPT, make_folder, sync_folder, write_whole, writing

NOTES = ".erlangen-predict.jsonl"  # a line for each file: its name in the folder, the SHA-256 of its content
APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)


class Outputs:
    """The files that `predict` wrote to a folder, or will.

    What goes to a file is noted, down to the disc, before the file is put in its place, and that it is there
    afterwards. Killed between, either is taken for its own: the file of before, or the new one. A line that
    was cut off counts for nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder, folder / NOTES
        self.noted: dict[str, set[str]] = {}  # what a file may hold
        self.given_up: set[Path] = set()
        if self.notes.is_file() and not self.notes.is_symlink():
            for line in self.notes.read_bytes().splitlines():
                self._remember(line)

    def _remember(self, line: bytes) -> None:
        try:
            note = json.loads(line)
            name, digest, there = note["file"], note["sha256"], note["there"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if isinstance(name, str) and isinstance(digest, str):
            before = set() if there else self.noted.get(one_spelling(name), set())
            self.noted[one_spelling(name)] = before | {digest}

    def names(self, name: str) -> bool:
        """Whether a file of this name, as a path from the folder, was written, changed since or not."""
        return one_spelling(name) in self.noted

    def wrote(self, name: str, file: Path) -> bool:
        """Whether the file is what was written under this name, and nobody changed it since."""
        if not self.names(name) or file.is_symlink() or not file.is_file():
            return False
        with open(file, "rb") as opened:
            digest = hashlib.sha256()
            while part := opened.read(2**20):
                digest.update(part)
        return digest.hexdigest() in self.noted[one_spelling(name)]

    def claim(self, files: Iterable[Path], overwrite: bool = False) -> list[Path]:
        """Make sure that files in the folder can be written and that nobody else's are lost to them.

        Args:
            files: what is to be written.
            overwrite: lose what others wrote, or changed, in their places.

        Returns:
            What will be lost.

        Raises:
            ValueError: for what others wrote in these places, be it under names that differ in case or in
                how accents are spelled only; for links on the way; for names that the system does not take.
            OSError: if nothing can be written to the folder.
        """
        files = list(files)
        for parent in {parent for file in files for parent in file.relative_to(self.folder).parents}:
            way = self.folder / parent
            if parent != Path() and (way.is_symlink() or (way.exists() and not way.is_dir())):
                raise ValueError(
                    f"{way} is a link or a file, expected a folder for masks, or nothing; links are not "
                    "followed: take it away, or give another --out (out=)"
                )
        there: dict[Path, dict[str, list[Path]]] = {}
        foreign: dict[Path, Path] = {}
        for file in files:
            if file.parent not in there:
                there[file.parent] = _by_spelling(file.parent)
            for found in there[file.parent].get(one_spelling(file.name), []):
                if found.is_dir() or not self.wrote(self._name(file), found):
                    foreign[file] = found
        folders = [found for found in foreign.values() if found.is_dir() and not found.is_symlink()]
        if foreign and (folders or not overwrite):
            lost = folders or list(foreign.values())
            mend = "" if folders else ", or --overwrite (overwrite=True) to lose them"
            raise ValueError(
                f"{self.folder} holds {len(lost)} files that predict did not write, or that were changed "
                f"since, in the place of its own ({some(lost, self.folder)}), expected none; give another "
                f"--out (out=){mend}"
            )
        self.given_up = set(foreign)
        make_folder(self.folder)
        long = [file for file in files if _is_too_long(self.folder / file.name)]
        if long:
            raise ValueError(
                f"{len(long)} names of files to be written are too long ({long[0].name} first, of "
                f"{len(os.fsencode(long[0].name))} bytes), expected what the system takes; give those "
                "photographs shorter names"
            )
        with writing(self.notes):
            os.close(os.open(self.notes, APPENDING, 0o666))
        sync_folder(self.folder)
        return [found for file, found in foreign.items() if os.path.lexists(file)]

    def write(self, file: Path, content: bytes) -> None:
        """Note a file's content, then put it in its place.

        Raises:
            ValueError: if somebody else has put another there since `claim`.
            OSError: if the disc is full; what was there before is unharmed.
        """
        name = self._name(file)
        if file not in self.given_up and os.path.lexists(file) and not self.wrote(name, file):
            raise ValueError(
                f"{file} was written by another program meanwhile, expected no file there but predict's own; "
                "give another --out (out=)"
            )
        digest = hashlib.sha256(content).hexdigest()
        with writing(file, KEPT):
            self._note({"file": name, "sha256": digest, "there": False})
        make_folder(file.parent)
        write_whole(file, content)
        self.given_up.discard(file)
        with suppress(OSError):  # then two contents are taken for its own, until the next time
            self._note({"file": name, "sha256": digest, "there": True})

    def _note(self, note: dict[str, str | bool]) -> None:
        line = json.dumps(note).encode()
        with open(os.open(self.notes, APPENDING, 0o666), "ab") as notes:
            notes.write(b"\n" + line)  # a line before that was cut off ends here
            notes.flush()
            if not note["there"]:
                os.fsync(notes.fileno())
        self._remember(line)

    def _name(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def written_among(files: Iterable[Path]) -> dict[Path, bool]:
    """Those of the files that `predict` wrote, to any folder above, and whether they are as it wrote them."""
    known: dict[Path, Outputs] = {}
    found: dict[Path, bool] = {}
    resolved: dict[Path, Path] = {}
    for file in files:
        parent = resolved.setdefault(file.parent, file.parent.resolve())
        for folder in (parent, *parent.parents):
            if folder not in known:
                known[folder] = Outputs(folder)
            name = (parent / file.name).relative_to(folder).as_posix()
            if known[folder].names(name):
                found[file] = found.get(file, False) or known[folder].wrote(name, file)
    return found


def one_spelling(name: str) -> str:
    """The same for names that some systems take for one: capital letters or not, accents joined or not."""
    return same_name(same_name(name).casefold())


def some(files: Iterable[Path], folder: Path, count: int = 3) -> str:
    """The first few, by their paths from a folder."""
    names = [file.relative_to(folder).as_posix() for file in files]
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _is_too_long(file: Path) -> bool:
    """Whether the system does not take the name, of which it says so where no such file is, too."""
    try:
        os.lstat(file)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _by_spelling(folder: Path) -> dict[str, list[Path]]:
    """The entries of a folder, by what their names are one with."""
    entries: dict[str, list[Path]] = {}
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            entries.setdefault(one_spelling(entry.name), []).append(entry)
    return entries
