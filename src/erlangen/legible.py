"""Names of files and classes, which may hold anything, as text that every page, figure and terminal shows."""

import re

# halves of characters, which stand for bytes that are no UTF-8; what steers a terminal, but tab and newline
_ILLEGIBLE = re.compile(r"[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ENDS_A_LINE = str.maketrans({"\n": "\\n", "\t": "\\t", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def legible(text: str) -> str:
    """The text with a replacement character for each that cannot be shown.

    Example:
        >>> legible("caf\\udce9.png")
        'caf\ufffd.png'
    """
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def legible_line(text: str) -> str:
    """`legible`, in one line: tabs and what ends a line are spelled, as in Python.

    Example:
        >>> print(legible_line("two\\nlines"))
        two\\nlines
    """
    return legible(text).translate(_ENDS_A_LINE)
