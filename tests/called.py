"""Which functions of the library a call calls: counted, never timed."""

import gc
import sys
from collections import Counter
from collections.abc import Callable

import erlangen as er

PLACE = er.__file__.removesuffix("__init__.py")  # a clone, with torch in it, may have the library's name too


def called(function: Callable[[], object]) -> Counter[str]:
    """How often each function of the library is called, as ``"geometry/frame.py at"``."""
    found: Counter[str] = Counter()

    def seen(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PLACE):
            found[frame.f_code.co_filename.removeprefix(PLACE) + " " + frame.f_code.co_name] += 1

    before = sys.getprofile()
    gc.collect()
    gc.disable()  # finalizers of networks that others have left are functions of the library too
    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(before)
        gc.enable()
    return found
