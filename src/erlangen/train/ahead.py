"""What is read from files beside what is computed: in threads, in order, a few at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1
) -> Generator[Callable[[], Result], None, None]:
    """For each item, in order, a call that gives ``function(item)`` or raises its error; the next are begun.

    Args:
        function: releases Python's lock for most of its time, as decoders do.
        items: one is taken when it is begun.
        threads: so many results are made, or wait, beside the one that was given last.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "erlangen-ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result
            while waiting:
                yield waiting.popleft().result
        finally:  # what has not begun never does; the pool waits for the others
            for future in waiting:
                future.cancel()
