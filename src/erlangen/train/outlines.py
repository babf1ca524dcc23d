"""Outlines and run lengths as pixels.

A pixel belongs to a polygon if its centre lies inside: pixel ``(row, column)`` has its centre at
``x = column + 1/2``, ``y = row + 1/2``. Where a polygon meets itself, an odd number of turns is inside.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

Array = np.ndarray
CHUNKS = 7  # of five bits, in a number of compressed run lengths


def filled(corners: Float[Array, "n 2"], height: int, width: int) -> Bool[Array, "height width"]:
    """The pixels of a polygon, by its corners (x, y).

    Each edge changes the side of all pixels to its right, whose centres lie between its ends in height.
    """
    crossed = np.zeros((height, width + 1), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        low, high = np.clip(np.ceil(np.array(sorted((y0, y1))) - 0.5), 0, height).astype(int)
        rows = np.arange(low, high)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            crossed[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= True
    return np.logical_xor.accumulate(crossed, 1)[:, :width]


def of_runs(runs: Sequence[int], height: int, width: int) -> Bool[Array, "height width"]:
    """From the lengths of runs of 0 and 1 in turn, 0 first, column by column.

    Raises:
        ValueError: for runs that are not as many pixels as there are.
    """
    wrong = [run for run in runs if isinstance(run, bool) or not isinstance(run, int) or run < 0]
    if wrong:
        raise ValueError(f"a run of {wrong[0]!r:.40} pixels, expected whole numbers from 0 on")
    if sum(runs) != height * width:
        raise ValueError(f"runs of {sum(runs):,} pixels, expected {height * width:,} ({width} x {height})")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, int))
    return np.ascontiguousarray(values.reshape(width, height).T)


def runs_of(text: str) -> list[int]:
    """The lengths that a text of compressed ones holds.

    A number is chunks of five bits, the lowest first, each a letter from ``0`` on; its sixth bit says
    that another follows, the fifth of the last one is the sign. From the fourth number on it is the
    difference to the one before the last.

    Raises:
        ValueError: for letters that are none of these, and for a text that ends within a number.
    """
    runs: list[int] = []
    for number in _numbers(text):
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    return runs


def _numbers(text: str) -> Iterable[int]:
    number = chunks = 0
    for letter in text:
        bits = ord(letter) - ord("0")
        if not 0 <= bits < 64:
            raise ValueError(f"the letter {letter!r} in compressed run lengths, expected those from 0 to o")
        number |= (bits & 31) << (5 * chunks)
        chunks += 1
        if chunks > CHUNKS:
            raise ValueError(f"a number of more than {CHUNKS} letters in compressed run lengths")
        if not bits & 32:
            yield number - (1 << 5 * chunks if bits & 16 else 0)
            number = chunks = 0
    if chunks:
        raise ValueError("compressed run lengths that end within a number, expected whole ones")
