"""Files written whole: a reader, a full disc or a kill finds the old file or the new one, never a part."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEPT = "what was there before is unharmed"
# a name that is there already is never opened, be it a file, a link, or a link to nothing
EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def write_whole(path: Path, content: bytes) -> None:
    """Write beside `path` under a random hidden name, then put that file in its place, by one rename.

    A link at `path` is replaced by the file, and what it pointed to stays as it is. The permissions are those
    of a new file (the umask's). What a killed process leaves beside is hidden, is no image and no network,
    and is in nobody's way.

    Raises:
        OSError: naming `path`; what was there before is still there, and nothing is left beside it.
    """
    with writing(path, KEPT):
        beside = path.with_name(f".{secrets.token_hex(8)}.part")  # short, however long the name is
        descriptor = os.open(beside, EXCLUSIVE, 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Ask the disc to keep the names in a folder, where the system can.

    The files are whole without it; after a loss of power it may be the old ones that are there.
    """
    with suppress(OSError):  # not every file system takes it, nor Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: Path) -> None:
    """With all that it lies in; nothing, if it is there."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path, kept: str = "nothing there was changed") -> Iterator[None]:
    """An OSError inside says which file, what is still there, and how to mend it."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error}); {kept}; make room there, or name another place"
        ) from error
