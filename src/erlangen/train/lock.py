"""One training, or one prediction, at a time in a folder."""

import errno
import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from erlangen.train.writing import make_folder, writing

OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
FAR = 1 << 30  # the byte that Windows locks: a locked one cannot be read, and the first ones say who it is


class FolderLock:
    """Keeps others out of a folder, until `release` or the end of the outermost context.

    The lock is the system's, on a file held open: of a process that was killed none is left, and a file that
    still lies there is no obstacle. What a fork copies holds nothing.

    Args:
        folder: made if it is missing; taken away if it is empty in the end.
        what: is at work there, "training" or "prediction"; those of the other kind are let in.

    Attributes:
        note: a sentence, where the file system knows no locks; None else.

    Raises:
        ValueError: if another one is in the folder, of this process or of another, which it names.
        OSError: if nothing can be written there.
    """

    def __init__(self, folder: str | Path, what: str = "training") -> None:
        self.folder, self.what, self.depth, self.descriptor = Path(folder), what, 0, -1
        self.note: str | None = None
        self._acquire()

    def __enter__(self) -> "FolderLock":
        if self.descriptor < 0:
            self._acquire()
        self.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.release()

    def release(self) -> None:
        """Let others in, and leave nothing behind."""
        if self.descriptor >= 0:
            self.finalizer()
            self.descriptor = -1

    def _acquire(self) -> None:
        made = not self.folder.exists()
        while self.descriptor < 0:
            make_folder(self.folder)
            mine = [lock for lock in list(HELD) if lock.descriptor >= 0 and lock.what == self.what]
            if any(_same(lock.folder, self.folder) for lock in mine):  # some locks keep out processes only
                raise self._taken(f"process {os.getpid()}, this one")
            self._try(self.folder / name_of(self.what), made)

    def _try(self, path: Path, made: bool) -> None:
        """Hold the file that bears the name; not one that lost it before it was held."""
        with writing(path):
            try:
                descriptor = os.open(path, OPEN, 0o666)
            except FileNotFoundError:  # another one ended, and took the empty folder along
                return
        try:
            _hold(descriptor)
        except OSError as error:
            if error.errno in TAKEN:
                holder = _read(descriptor)
                os.close(descriptor)
                raise self._taken(holder) from None
            self.note = (
                f"the file system of {self.folder} cannot lock files ({error}), so nothing keeps a second "
                f"{self.what} out of that folder: start none there"
            )
        if not _bears(descriptor, path):
            os.close(descriptor)
            return
        with suppress(OSError):  # a full disc: this only tells others who is here
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self.descriptor = descriptor
        self.finalizer = weakref.finalize(self, _free, descriptor, path, made)
        HELD.add(self)

    def _taken(self, holder: str) -> ValueError:
        return ValueError(
            f"another {self.what} is at work in {self.folder} ({holder}), expected one that no other uses; "
            f"give another --out (out=), or wait until that {self.what} has ended"
        )


def name_of(what: str) -> str:
    """The file that is locked."""
    return f".{what}.lock"


HELD: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


def _hold(descriptor: int) -> None:
    """OSError if another holds it, or if there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        os.lseek(descriptor, FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _free(descriptor: int, path: Path, made: bool) -> None:
    """Take the file away, then let it go: who holds it next sees that its name is gone, and makes another."""
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        os.close(descriptor)
    if made:
        with suppress(OSError):  # it is not empty
            path.parent.rmdir()


def _bears(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _read(descriptor: int) -> str:
    with suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.read(descriptor, 400).decode("utf-8", "replace") or "begun just now"
    return "of a process that is not known"


def _let_go_in_child() -> None:
    """The copy that a fork makes would hold the lock for as long as the child lives."""
    for lock in list(HELD):
        if lock.descriptor >= 0:
            lock.finalizer.detach()
            with suppress(OSError):
                os.close(lock.descriptor)
            lock.descriptor = -1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
