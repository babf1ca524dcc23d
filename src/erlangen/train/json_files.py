"""JSON that others wrote: an object, or a ValueError that says what was found."""

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 512 * 2**20


def read_object(path: Path, expected: str) -> dict[str, Any]:
    """The object that a file holds.

    Args:
        path: the file.
        expected: what it should be, for people.

    Raises:
        ValueError: naming the file, for one that is too large, or holds something else.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(
                f"{path} has {size:,} bytes, expected at most {MOST_BYTES:,}; split it into several files, "
                "or draw the masks as PNG"
            )
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}), expected {expected}; export it again") from error
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}), expected {expected}; export it again") from error
    if not isinstance(found, dict):
        kind = {list: "a list", str: "a text", type(None): "nothing"}.get(type(found), "a number")
        raise ValueError(f"{path} holds {kind}, expected {expected}; export it again as that")
    return found
