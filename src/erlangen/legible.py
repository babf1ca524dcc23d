"""Names of files and classes, which may hold anything, as text that every page, figure and terminal shows."""

import re

# halves of characters, which stand for bytes that are no UTF-8; what steers a terminal, but tab and newline
_ILLEGIBLE = re.compile(r"[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f]")


def legible(text: str) -> str:
    """The text with a replacement character for each that cannot be shown.

    Example:
        >>> legible("caf\\udce9.png")
        'caf\ufffd.png'
    """
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", text)
