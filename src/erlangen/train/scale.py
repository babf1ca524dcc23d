"""Which number is black and which is white: of deep photographs decided once for all of a set.

A file of 8 bits says it itself: 0 and 255. Of 16 bits a sensor fills 10, 12 or 14, measurements have other
ranges, and one broken pixel says nothing about either. The network keeps what was decided.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8

from erlangen.train.decoding import Decoded, decode, examine

Array = np.ndarray
Values = tuple[float, float]  # the numbers that are black and white
BYTES: Values = (0.0, 255.0)
DEPTHS = (8, 10, 12, 14, 16)  # bits that sensors and files have
TRIMMED = 0.002  # of the pixels at either end may be broken
SAMPLE = 2**22  # pixels of one photograph that are looked at
FEW = 1 / 8  # of a depth's numbers: a range that fills less is spread over all shades


def values_of(paths: Sequence[Path]) -> Values:
    """The numbers that are black and white in these photographs; 0 and 255 for files of 8 bits.

    Raises:
        ValueError: for files that cannot be read, and for sets of several depths, naming one of each.
    """
    facts = [examine(path) for path in paths]
    kinds = ["8 bits" if not f.is_deep else "floating point" if f.kind == "f" else "more bits" for f in facts]
    first = dict(zip(reversed(kinds), reversed(paths), strict=True))
    if len(first) > 1:
        counts = ", ".join(f"{kinds.count(kind)} of {kind} ({path.name})" for kind, path in first.items())
        raise ValueError(
            f"the photographs are of several depths: {counts}; expected one, since "
            "black and white are the same numbers for all; export them again at one depth"
        )
    if "8 bits" in first or not first:
        return BYTES
    ranges = [robust_range(decode(path)) for path in paths]
    low, high = min(low for low, _, _ in ranges), max(high for _, high, _ in ranges)
    return _nominal(low, high, all(whole for _, _, whole in ranges), "floating point" in first)


def values_of_numbers(named: Iterable[tuple[str, Num[Array, "..."]]]) -> Values:
    """The same of arrays, each with the name of its file: 0 and 255 where all are bytes."""
    ranges, bytes_only, is_float = [], True, False
    for name, numbers in named:
        ranges.append(robust_range_of(numbers, name))
        bytes_only, is_float = bytes_only and numbers.dtype == np.uint8, is_float or numbers.dtype.kind == "f"
    if bytes_only:
        return BYTES
    low, high = min(low for low, _, _ in ranges), max(high for _, high, _ in ranges)
    return _nominal(low, high, all(whole for _, _, whole in ranges), is_float)


def robust_range(decoded: Decoded) -> tuple[float, float, bool]:
    """`robust_range_of` a photograph."""
    return robust_range_of(decoded.values, decoded.facts.name)


def robust_range_of(numbers: Num[Array, "..."], name: str) -> tuple[float, float, bool]:
    """The least and the largest number but for broken pixels, and whether all are whole.

    Broken is what lies farther from the middle 99.6 % of the pixels than these spread.

    Raises:
        ValueError: for floating point without a finite number.
    """
    numbers = numbers.reshape(-1)
    numbers = numbers[:: max(numbers.size // SAMPLE, 1) | 1]
    numbers = numbers[np.isfinite(numbers)].astype(np.float64) if numbers.dtype.kind == "f" else numbers
    if not numbers.size:
        raise ValueError(
            f"{name} holds no finite number, expected a photograph or volume; export it again, "
            "or take it away"
        )
    spare = min(max(1, int(TRIMMED * numbers.size)), (numbers.size - 1) // 2)
    ends = np.partition(numbers, (spare, numbers.size - 1 - spare))
    low, high = float(ends[spare]), float(ends[-1 - spare])
    beyond = high - low
    kept = numbers[(numbers >= low - beyond) & (numbers <= high + beyond)].astype(np.float64)
    return float(kept.min()), float(kept.max()), bool((kept == np.rint(kept)).all())


def as_bytes_of(
    numbers: Num[Array, "height width *bands"], values: Values
) -> UInt8[Array, "height width *bands"]:
    """``255 (numbers - low) / (high - low)``, rounded and cut off at both ends; NaN is black."""
    low, high = values
    with np.errstate(invalid="ignore", over="ignore"):  # NaN that signals, numbers beyond all bounds
        shares = (numbers.astype(np.float64) - low) * (255 / (high - low))
    shares = np.nan_to_num(shares, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    return np.rint(shares, out=shares).clip(0, 255, out=shares).astype(np.uint8)


def values_for(decoded: Decoded, learned: Values | None) -> Values:
    """The numbers that are black and white in a photograph, given those that a network learned from.

    Args:
        decoded: a photograph.
        learned: None where they are not known: 0 and 255 for 8 bits, else what the photograph itself tells.

    Raises:
        ValueError: for a photograph of another depth than those that were learned from.
    """
    name, is_deep = decoded.facts.name, decoded.facts.is_deep
    if learned is None or (learned == BYTES and not is_deep):
        return BYTES if not is_deep else _nominal(*robust_range(decoded), decoded.facts.kind == "f")
    low, high, _ = robust_range(decoded)
    apart = low < 0 or high > 255 if learned == BYTES else _mostly_beyond(decoded.values, learned)
    unit = decoded.facts.kind == "f" and 0 < high <= 1 and learned[1] - learned[0] >= 255
    if not is_deep or apart or unit:
        raise ValueError(
            f"{name} holds numbers from {low:.6g} to {high:.6g} in {decoded.facts.bits} bits, expected "
            f"photographs with black at {learned[0]:.6g} and white at {learned[1]:.6g}, as the network "
            "learned; export it as those were, or train on photographs like this one"
        )
    return learned


def says_values(values: Values) -> str | None:
    """A sentence for the user; None for 8 bits, which hold no surprise."""
    if values == BYTES:
        return None
    return (
        f"in all photographs {values[0]:.6g} is taken as black and {values[1]:.6g} as white, which the "
        "network keeps; what lies beyond is cut off there"
    )


def _nominal(low: float, high: float, whole: bool, is_float: bool) -> Values:
    """The range of the sensor or the file in which the numbers lie, or their own."""
    if is_float and low >= 0 and high <= 1:
        return (0.0, 1.0)
    if whole and low >= 0:
        top = next((2.0**bits - 1 for bits in DEPTHS if high < 2**bits), high)
        spread = high - low
        return (low, high) if top > 255 and 0 < spread < FEW * top else (0.0, top)
    return (low, high) if low < high else (min(low, 0.0), max(high, 0.0))


def _mostly_beyond(numbers: Array, values: Values) -> bool:
    """Whether more than half of the numbers lie beyond black and white."""
    some = numbers.reshape(-1)[:: max(numbers.size // SAMPLE, 1) | 1]
    return float(((some < values[0]) | (some > values[1])).mean()) > 0.5
