"""Pillow's warnings left out while files are read, be it in several threads at once."""

import warnings
from threading import Lock
from typing import Any


class Quiet:
    """Leaves out what Pillow warns of, while anybody is inside: damage that leaves a picture, and large ones.

    ``warnings.catch_warnings`` is for one thread: of two, the one that leaves last would bring the filters of
    the other back, and meanwhile the warnings of all are lost. This adds one filter, for Pillow's own only.
    """

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.added: list[Any] = []

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if not self._left():  # others may have put theirs back
                warnings.filterwarnings("ignore", module=r"PIL\b")
                self.added = list(warnings.filters[:1])

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                for one in self._left():
                    warnings.filters.remove(one)  # type: ignore[attr-defined]
                self.added = []

    def _left(self) -> list[Any]:
        """What was added, and is there."""
        return [one for one in self.added if one in warnings.filters]


QUIET = Quiet()
