"""Ctrl-C, and requests to end, wait for a moment at which nothing is lost."""

import signal
import threading
from types import FrameType
from typing import Any

REQUESTS = ("SIGTERM", "SIGHUP")  # of the system, of a scheduler, of a terminal that was closed


class Stop:
    """Keeps what arrives in its context until `check` asks for it: a second Ctrl-C interrupts nothing either.

    Signals that are ignored stay so (``nohup``), and requests to end that the program handles itself are left
    to it. Outside of the main thread, where Python lets nobody handle signals, nothing is kept.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            requests = [getattr(signal, name) for name in REQUESTS if hasattr(signal, name)]
            ours = [n for n in requests if signal.getsignal(n) == signal.SIG_DFL]
            if signal.getsignal(signal.SIGINT) not in (None, signal.SIG_IGN):
                ours.append(signal.SIGINT)
            self.before = {number: signal.signal(number, self._catch) for number in ours}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        self.caught = number if self.caught is None else self.caught

    def check(self) -> None:
        """Stop here, if that was asked for.

        Raises:
            KeyboardInterrupt: for Ctrl-C.
            SystemExit: for a request to end, with the exit code that shells give it, 143 for SIGTERM.
        """
        if self.caught == signal.SIGINT:
            raise KeyboardInterrupt
        if self.caught is not None:
            raise SystemExit(128 + self.caught)
