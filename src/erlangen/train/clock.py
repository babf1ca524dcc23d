"""A stopwatch."""

import time


class Clock:
    """The seconds that it ran, in its contexts, one in the other or one after the other."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.before, self.depth, self.since = seconds, 0, 0.0

    def __enter__(self) -> "Clock":
        if self.depth == 0:
            self.since = time.monotonic()
        self.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.before += time.monotonic() - self.since

    def add(self, seconds: float) -> None:
        """Those of another one."""
        self.before += seconds

    @property
    def seconds(self) -> float:
        """All until now."""
        return self.before + (time.monotonic() - self.since if self.depth else 0.0)
