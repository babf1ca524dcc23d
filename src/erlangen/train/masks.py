"""Masks as other programs write them, understood by the values of the whole data set.

A mask of one thing says where it is in many ways: 0 and 1, 0 and 255, ids of objects, painted colours, shades
that compression or resampling left at the edges, opaque and transparent. A file's format tells none of
them, and neither does a single file: an empty mask that was compressed holds faint values, and so does
another one of 0 and 1. So one decision is made from the values of all masks, and kept with the data.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Num, UInt8

from erlangen.train.decoding import Decoded, Facts, Source, decode

Array = np.ndarray
IGNORED = 255  # the class index of pixels that do not count
MANY = 32  # more colours or values than that are shades, not classes
CODED = 4096  # distinct fractions that are told apart in one mask
BLACK_IS_ZERO = {"JPEG", "MPO", "TIFF"}  # under loss too, where the colours of others round to 1
EDGE = 1 / 8  # of the range of values: so near an end of it a value is that end, with noise
MOST = 3 / 4  # of pixels
MAY_BE_EXACT = {"AVIF", "HEIF"}  # whose files do not say; elsewhere loss leaves no number what it was
FEW = 16  # levels of grey, of which one is more than noise
BINS = 64  # of a histogram
STRIP = 2**22  # pixels that are compared at once


@dataclass(frozen=True)
class MaskReading:
    """How the masks of a data set are read.

    Attributes:
        cut: values above it are the thing; None where the values are the classes.
        opaque: whether the values are how opaque pixels are, instead of how bright.
        clear_is_empty: whether a mask that is transparent all over is empty, since others are drawn by
            transparency; else its colours count.
        why: in words, for people.
        notes: what they should look at.
    """

    cut: float | None = 0.0
    opaque: bool = False
    clear_is_empty: bool = False
    why: str = ""
    notes: tuple[str, ...] = ()


def read_mask(
    path: Source, classes: int = 2, ignore: int | None = None, reading: MaskReading | None = None
) -> UInt8[Array, "height width"]:
    """The class of every pixel; `IGNORED` where the mask has the value `ignore`.

    Args:
        path: the file.
        classes: 2 for a thing and its background; of more the values are the classes, from 0 on, in one
            channel, or as indices into a palette.
        ignore: the value of pixels that do not count.
        reading: how the data set's masks are read; None decides it from this one.

    Raises:
        ValueError: for a file that is no image, or a truncated one, for values that are no classes, and for
            what `how_to_read` refuses.
    """
    mask = Mask(path, decode(path, "a mask"))
    reading = decide([mask.seen(classes, ignore)], classes, ignore) if reading is None else reading
    if reading.cut is None:
        index = mask.numbered(ignore).astype(np.uint8)
    elif mask.is_clear and reading.clear_is_empty:
        index = np.zeros(mask.numbers.shape[:2], np.uint8)
    else:
        index = ((mask.opaque if reading.opaque else mask.shades) > reading.cut).astype(np.uint8)
    if ignore is not None:
        index[mask.numbered(ignore) == ignore] = IGNORED
    return index


def how_to_read(masks: Sequence[Source], classes: int = 2, ignore: int | None = None) -> MaskReading:
    """The one decision for all masks of a data set, from the values of all of them.

    Of a thing and its background:

    - where each mask has but one value beside 0, that value is the thing;
    - values that lie in areas are ids of objects, all of one thing, as painted colours are;
    - values that lie between the ends only along edges are what compression or resampling left: what is
      above half of the range of the data set is the thing;
    - where all is black and only transparency varies, the opaque is the thing.

    Raises:
        ValueError: naming the file, for masks that can be read in more than one way, or in none.
    """
    return decide(
        [Mask(path, decode(path, "a mask")).seen(classes, ignore) for path in masks], classes, ignore
    )


@dataclass(frozen=True, eq=False)
class Mask:
    """The file of a mask, decoded."""

    path: Source
    decoded: Decoded

    @cached_property
    def stored(self) -> Num[Array, "height width *bands"]:
        """As they stand in the file: a stored 1 is the thing, even where zero is declared white."""
        values, facts = self.decoded.values, self.decoded.facts
        if facts.white_is_zero and values.dtype in (np.uint8, np.uint16):
            return (2**facts.bits - 1 - values).astype(values.dtype)
        return values

    @cached_property
    def numbers(self) -> Num[Array, "height width *bands"]:
        """Numbers, or indices into a palette, or colours, transparent or not."""
        values = self.stored
        return values[..., 0] if values.ndim == 3 and self.is_grey else values

    def numbered(self, ignore: int | None) -> Num[Array, "height width *bands"]:
        """The same; what is transparent is 0, but for what does not count, which viewers need not show."""
        if self.alpha is None or self.numbers.ndim == 3:
            return self.numbers
        return np.where((self.alpha > 0) | (self.numbers == ignore), self.numbers, 0)

    @cached_property
    def is_clear(self) -> bool:
        """Whether all is transparent, so that alpha shows nothing."""
        return self.decoded.alpha is not None and not self.decoded.alpha.any()

    @cached_property
    def alpha(self) -> Num[Array, "height width"] | None:
        """How opaque each pixel is, 0 to 255; None where it says nothing."""
        alpha = self.decoded.alpha
        return None if alpha is None or self.is_clear or (alpha == 255).all() else alpha

    @cached_property
    def is_grey(self) -> bool:
        """Whether colours differ by no more than compression explains."""
        if self.decoded.values.ndim == 2:
            return True
        values = self.decoded.values
        bands = [values[..., band] for band in range(3)]  # numpy is slow along so short an axis
        spread = float((np.maximum.reduce(bands) - np.minimum.reduce(bands)).max(initial=0))
        return spread <= (EDGE * float(values.max(initial=0)) if self.decoded.facts.lossy else 0)

    @cached_property
    def palette(self) -> Num[Array, "256 3"] | None:
        """The colours of indices; None where they do not tell the indices apart, so that these count."""
        palette = self.decoded.palette
        if palette is None or self.alpha is not None:
            return palette
        found = palette[counted(self.decoded.values)[0]]
        return palette if palette.any() and len(np.unique(found, axis=0)) == len(found) else None

    @property
    def is_inverted(self) -> bool:
        """Whether the index 0 occurs, and another one is darker."""
        if self.palette is None or self.alpha is not None:
            return False
        found = counted(self.decoded.values)[0]
        bright = self.palette[found].max(-1)
        return bool(found[0] == 0 and (bright < bright[0]).any())

    @cached_property
    def shades(self) -> Num[Array, "height width"]:
        """How bright each pixel is: its number, or its largest colour; what is transparent is 0.

        The largest also under loss, which keeps brightness best: blue is all but black in brightness.
        """
        values = self.stored
        if self.palette is not None:
            values = self.palette.max(-1)[values]
        elif values.ndim == 3:
            values = np.maximum.reduce([values[..., band] for band in range(3)])
        if self.alpha is None:
            return values
        return (values * (self.alpha / 255)).round().astype(values.dtype)

    @property
    def opaque(self) -> Num[Array, "height width"]:
        """How opaque each pixel is, 0 to 255."""
        alpha = self.decoded.alpha
        return np.full(self.shades.shape, 255, np.uint8) if alpha is None else alpha

    def seen(self, classes: int, ignore: int | None) -> "Seen":
        """What the decision needs to know of this mask.

        Raises:
            ValueError: for values that no decision could read.
        """
        facts = self.decoded.facts
        coloured = self.numbers.ndim == 3
        if ignore is not None and coloured:
            raise ValueError(
                f"{self.path} is in colours, so no pixel has the value {ignore} that is not to count, "
                "expected one channel of numbers, or a palette; export it as greyscale or as an indexed PNG"
            )
        if facts.kind == "f" and not np.isfinite(self.stored).all():
            raise ValueError(
                f"{self.path} holds NaN or infinity, expected a number at every pixel: 0 where nothing is; "
                "replace them, or export it as PNG"
            )
        if classes > 2:
            _expect_classes(self.path, facts, self.numbered(ignore), classes, ignore)
            nothing = np.zeros(0, int)
            return Seen(self.path, facts, nothing, nothing, nothing, nothing, nothing)
        shades = self.shades if ignore is None else self.shades[self.numbered(ignore) != ignore]
        values, counts = counted(shades)
        asks = np.count_nonzero(values) > 1 or (facts.lossy and len(values) > 1)
        flat, level, slope = areas(self.shades, values) if asks else np.zeros((3, len(counts)), int)
        drawn = self.alpha is not None and bool((self.alpha != self.alpha[0, 0]).any())
        return Seen(
            self.path,
            facts,
            values,
            counts,
            flat,
            level,
            slope,
            self.painted(),
            drawn,
            drawn and not shades.any(),
            self.is_clear,
            self.is_inverted,
        )

    def painted(self) -> frozenset[tuple[int, ...]]:
        """The colours that occur, of many a few more than `MANY`; none, if all are grey."""
        if self.palette is not None:
            there = slice(None) if self.alpha is None else self.alpha > 0
            found = self.palette[counted(self.decoded.values[there])[0]]
        elif self.numbers.ndim == 3:
            step = 1 + self.numbers.shape[0] * self.numbers.shape[1] // STRIP
            some = self.numbers[::step]
            some = some if self.alpha is None else some * (self.alpha[::step, :, None] > 0)
            found = np.unique(some.reshape(-1, 3), axis=0)
        else:
            return frozenset()
        if not (found != found[:, :1]).any():
            return frozenset()
        return frozenset(tuple(colour) for colour in found[: 2 * MANY].tolist())


@dataclass(frozen=True, eq=False)
class Seen:
    """The values of one mask, without those that do not count.

    Attributes:
        path, facts: of the file.
        values, counts: how bright pixels are, and how many are.
        flat: how many of them lie in a square of three by three that has the same value all over.
        level: how many lie in one whose values are close to each other.
        slope: how many have a larger value beside them, and a smaller one.
        colours: that occur, if there are any but grey ones; of more than `MANY`, some.
        drawn: whether transparency varies.
        only_alpha: whether it does, and all is black.
        clear: whether all is transparent; the values are those that are hidden.
        inverted: whether an index of a palette is darker than the index 0.
    """

    path: Source
    facts: Facts
    values: Num[Array, "n"]
    counts: Num[Array, "n"]
    flat: Num[Array, "n"]
    level: Num[Array, "n"]
    slope: Num[Array, "n"]
    colours: frozenset[tuple[int, ...]] = frozenset()
    drawn: bool = False
    only_alpha: bool = False
    clear: bool = False
    inverted: bool = False

    @property
    def top(self) -> float:
        """The largest value."""
        return float(self.values.max(initial=0))

    @property
    def thing(self) -> list[float]:
        """The values that are not 0."""
        return [float(value) for value in self.values if value != 0]


def decide(masks: Sequence[Seen], classes: int = 2, ignore: int | None = None) -> MaskReading:
    """`how_to_read`, from what was seen of each mask."""
    if classes > 2:
        indexed = all("P" in mask.facts.mode for mask in masks)
        what = "the indices into the palette" if indexed else "the values"
        return MaskReading(None, why=f"{what} are the classes")
    reading = _one_thing(masks, ignore)
    inverted = [mask for mask in masks if mask.inverted]
    if not inverted:
        return reading
    note = (
        f"in {len(inverted)} of {len(masks)} masks ({inverted[0].path.name} first) an index of the palette "
        "is darker than the index 0: colours count, so that the brighter is the thing; if 0 is the "
        "background, export the masks with a palette that begins with black"
    )
    return replace(reading, notes=(*reading.notes, note))


def _one_thing(masks: Sequence[Seen], ignore: int | None) -> MaskReading:
    """Of a thing and its background."""
    if any(mask.drawn for mask in masks) and any(mask.clear for mask in masks):
        shown = [_hidden(mask) if mask.clear else mask for mask in masks]
        return replace(_one_thing(shown, ignore), clear_is_empty=True)
    if any(mask.only_alpha for mask in masks):
        return _opaque(masks)
    values, counts, flat, level, slope = _together(masks)
    _expect_positive(masks, values)
    if all(len(mask.thing) <= 1 for mask in masks) and not _faint(masks):
        return _two_valued(masks, values)
    if _are_numbers(masks, values, counts, flat, level, slope):
        return _ids(masks, values)
    return _shades(masks, values, counts, ignore)


def _hidden(mask: Seen) -> Seen:
    """A mask that is transparent all over, among others that are drawn by transparency: an empty one.

    Raises:
        ValueError: for one whose hidden colours vary.
    """
    if len(mask.values) > 1:
        raise ValueError(
            f"{mask.path} is transparent all over, and something is drawn in what it hides, where the "
            "transparency of others counts, expected one kind; export it as greyscale PNG without "
            "transparency: 0 where nothing is, 255 where the thing is"
        )
    nothing = np.zeros(len(mask.values), int)
    return replace(
        mask, values=nothing, flat=nothing, level=nothing, slope=nothing, colours=frozenset(), clear=False
    )


def _opaque(masks: Sequence[Seen]) -> MaskReading:
    coloured = [mask for mask in masks if mask.thing]
    plain = [mask for mask in masks if not mask.only_alpha and mask.facts.mode not in ("RGBA", "LA", "PA")]
    if coloured or plain:
        one = next(mask for mask in masks if mask.only_alpha)
        other = (coloured or plain)[0]
        raise ValueError(
            f"{one.path} is black all over and only its transparency varies, {other.path.name} is no such "
            "mask, expected one kind; export it as greyscale PNG: 0 where nothing is, 255 where the thing is"
        )
    why = "by their transparency, since all are black: what is more than half opaque is the thing"
    return MaskReading(127.5, opaque=True, why=why, notes=(f"the masks are read {why}",))


def _two_valued(masks: Sequence[Seen], values: Array) -> MaskReading:
    """Beside 0 each mask has one value at most, which is the thing whatever it is."""
    things = Counter(value for mask in masks for value in mask.thing)
    if not things:
        return MaskReading(why="all are 0: nothing is the thing")
    if any(mask.colours for mask in masks):
        return _ids(masks, values)
    _expect_background(masks, values)
    if len(things) == 1:
        return MaskReading(why=f"0 is the background, {_number(next(iter(things)))} the thing")
    some = [f"{_number(value)} in {count}" for value, count in things.most_common()]
    why = f"what is not 0 is the thing: {_listed(some, 4)} of {len(masks)} masks"
    return MaskReading(why=why, notes=(f"the masks differ in their values, and {why}",))


def _ids(masks: Sequence[Seen], values: Array) -> MaskReading:
    """Numbers of objects, or colours: all of one thing."""
    _expect_background(masks, values)
    colours = _colours(masks) - {(0, 0, 0)}
    if colours:
        many = "many" if len(colours) > MANY else str(len(colours))
        why = f"painted in {many} colour{'s' * (len(colours) > 1)}, which all count as the thing"
        mend = "if they are classes, export the masks as indexed PNG and say how many: --classes"
        notes = (f"the masks are {why}; {mend}",) if len(colours) > 1 else ()
        return MaskReading(why=f"what is not black is the thing: {why}", notes=notes)
    found = [_number(value) for value in values if value != 0]
    why = f"hold the values {_listed(found, 6)}, which all count as the thing, as ids of objects do"
    mend = "if they are classes, say how many: --classes"
    if values[-1] == IGNORED and len(found) <= MANY:
        mend += f"; if {IGNORED} does not count: --ignore {IGNORED}"
    return MaskReading(why=f"what is not 0 is the thing: they {why}", notes=(f"the masks {why}; {mend}",))


def _shades(masks: Sequence[Seen], values: Array, counts: Array, ignore: int | None) -> MaskReading:
    """Most near the ends, and some between: what is above half of the range is the thing."""
    low, high = _ends(values, counts)
    cut, reach = (low + high) / 2, EDGE * (high - low)
    one = max(masks, key=lambda mask: len(mask.values))
    if ignore is not None:
        lost = "is compressed with loss" if one.facts.lossy else f"holds {len(one.values)} shades"
        raise ValueError(
            f"{one.path} {lost}, so that no pixel surely has the value {ignore} that is not to count, "
            "expected exact numbers of classes; export it as PNG"
        )
    bright = counts[values > low + reach].sum()
    between = counts[np.minimum(np.abs(values - low), np.abs(values - high)) > reach].sum()
    astray = between > MOST * bright or between > counts.sum() / 2
    if astray or low + 2 * reach < values[0] < high - reach:
        raise ValueError(
            f"{one.path} holds {len(one.values)} values from {_number(one.values[0])} to "
            f"{_number(one.values[-1])}, and {100 * between / counts.sum():.0f} % of all pixels are near "
            "neither end, expected 0 where nothing is and one other value where the thing is, or ids of "
            "objects; export the masks as PNG"
        )
    dim = [mask for mask in masks if 0 < mask.top <= cut]
    for mask in dim:
        _expect_noise(mask, high)
    why = (
        f"cut at half: values lie between {_number(low)} and {_number(high)}, as compression or resampling "
        f"leaves them ({100 * between / counts.sum():.2g} % of pixels), and above {_number(cut)} is the thing"
    )
    if dim:
        top = max(mask.top for mask in dim)
        why += f"; {len(dim)} of {len(masks)} masks hold nothing above {_number(top)} and are empty"
    return MaskReading(cut, why=why, notes=(f"the masks are {why}",))


def _ends(values: Array, counts: Array) -> tuple[float, float]:
    """The two values that the others are noise of, or lie between.

    Where there are but a few levels a noise of one is as large as they are: the most common one is taken.
    Else the most common above half of the range, since compression and resampling overshoot.
    """
    low, high = float(values[0]), float(values[-1])
    exact = (values == np.round(values)).all()
    above = values > (0 if exact and high <= FEW else (low + high) / 2)
    bins = np.round((values[above] - low) * (BINS / (high - low))).astype(int)
    most = np.bincount(bins, counts[above]).argmax()
    peak = values[above][bins == most]
    return min(low, 0.0) if exact else 0.0, float(peak[counts[above][bins == most].argmax()])


def _faint(masks: Sequence[Seen]) -> bool:
    """Whether a mask that lost numbers has but faint ones, compared with the others."""
    top = max((mask.top for mask in masks), default=0.0)
    return any(mask.facts.lossy and 0 < mask.top < 2 * EDGE * top for mask in masks)


def _are_numbers(
    masks: Sequence[Seen], values: Array, counts: Array, flat: Array, level: Array, slope: Array
) -> bool:
    """Whether values are numbers of objects, which lie in areas, not shades, which lie along edges.

    Raises:
        ValueError: for numbers that compression changed.
    """
    if (values != np.round(values)).any() or values[0] < 0:
        return False
    lossy = next((mask for mask in masks if mask.facts.lossy and len(mask.thing) > 1), None)
    high = _ends(values, counts)[1]
    near = EDGE * high
    inner = (values > near) & (values < high - near)
    if lossy is None and values[-1] <= 2 * MANY:  # small ids may be thin, a rim is one value between two
        return inner.sum() <= 2 or slope[inner].sum() < MOST * counts[inner].sum()
    if values[-1] <= FEW:
        return False
    if not inner.any():
        faint = (values > 0) & (values <= near)
        few = faint.sum() <= 1 or flat[faint].sum() >= MOST * counts[faint].sum()
        return few and lossy is None and not _faint(masks)
    between = counts[inner].sum()
    exact, rough = flat[inner].sum() >= MOST * between, level[inner].sum() >= between / 2
    if exact and inner.sum() > MANY and between < counts[values >= high - near].sum():
        return False  # shades again, enlarged
    if rough and (lossy is not None or not exact):
        one = lossy or max(masks, key=lambda mask: len(mask.values))
        raise ValueError(
            f"{one.path} holds areas of several values, as ids of objects or colours are, and they are "
            f"{'compressed with loss' if lossy else 'no exact numbers'}, expected exact ones; export it "
            "as PNG from what it was drawn in"
        )
    return exact


def _expect_positive(masks: Sequence[Seen], values: Array) -> None:
    """ValueError for values below 0, but for what resampling overshoots between fractions."""
    exact = (values == np.round(values)).all()
    if len(values) and values[0] < (0 if exact else -values[-1] / 2):
        one = next(mask for mask in masks if values[0] in mask.values)
        raise ValueError(
            f"{one.path} holds the value {_number(values[0])}, expected 0 where nothing is, and values above "
            f"where the thing is; export it so, or say that it does not count (--ignore {_number(values[0])})"
        )


def _expect_background(masks: Sequence[Seen], values: Array) -> None:
    """ValueError where several values or colours occur, and none is 0."""
    colours = sorted(_colours(masks))
    several = [str(colour) for colour in colours] or [_number(value) for value in values]
    if len(several) > 1 and values[0] > 0:
        raise ValueError(
            f"the masks in {masks[0].path.parent} ({masks[0].path.name} first) hold {_listed(several, 4)}, "
            f"{'black' if colours else '0'} nowhere, expected it where nothing is; export them as PNG with 0 "
            "for the background, or say which value does not count (--ignore)"
        )


def _expect_noise(mask: Seen, high: float) -> None:
    """ValueError for a dark mask whose numbers lie in areas: it has another scale, and is not empty."""
    lit = mask.values > 0
    areas = mask.flat[lit].sum() >= MOST * mask.counts[lit].sum()
    if mask.facts.lossy:  # noise in blocks is flat too, but leaves no areas of 0
        parts = mask.values >= mask.top / 2, ~lit
        areas = all(mask.flat[part].sum() >= mask.counts[part].sum() / 4 for part in parts)
        areas &= mask.top > 2 or mask.facts.format in BLACK_IS_ZERO
    else:
        areas |= len(mask.values) == 2
    if areas and not lit.all():
        raise ValueError(
            f"{mask.path} holds areas of values up to {_number(mask.top)}, where others go up to "
            f"{_number(high)}, expected one scale in all masks; export it as the others"
        )


def _expect_classes(path: Source, facts: Facts, numbers: Array, classes: int, ignore: int | None) -> None:
    """ValueError for values that are no classes."""
    if numbers.ndim == 3:
        raise ValueError(
            f"{path} is in colours, expected the number of the class at every pixel: one channel "
            f"of values 0 to {classes - 1}, or a palette; export it as an indexed PNG"
        )
    values = counted(numbers)[0].tolist()
    strange = [value for value in values if value not in range(classes) and value != ignore]
    if facts.lossy and (strange or facts.format not in MAY_BE_EXACT):
        raise ValueError(
            f"{path} is compressed with loss, expected exact numbers of classes; export it as PNG"
        )
    if strange:
        raise ValueError(
            f"{path} holds the value {_number(strange[0])}, expected 0 to {classes - 1} for {classes} "
            "classes; give the number of classes (--classes), or say that it does not count "
            f"(--ignore {_number(strange[0])})"
        )


def counted(values: Array) -> tuple[Array, Array]:
    """The values that occur, in order, and how often; of very many fractions roundings."""
    if values.dtype in (np.uint8, np.uint16):
        flat, length = values.reshape(-1), int(np.iinfo(values.dtype).max) + 1
        counts = np.zeros(length, int)
        for start in range(0, flat.size, STRIP):  # numpy copies what it counts to 8 bytes a number
            counts += np.bincount(flat[start : start + STRIP], minlength=length)
        found = np.flatnonzero(counts)
        return found, counts[found]
    found, counts = np.unique(values, return_counts=True)
    if len(found) > CODED and (found != np.round(found)).any():
        scale = CODED / 2.0 ** np.ceil(np.log2(np.abs(found).max()))
        found, place = np.unique(np.round(found * scale) / scale, return_inverse=True)
        counts = np.bincount(place, counts).astype(int)
    return found, counts


def areas(values: Num[Array, "height width"], found: Array) -> Num[Array, "3 n"]:
    """How many pixels of each value lie in a square of three by three of one value, or of close ones, and
    how many in the middle of one that holds larger and smaller ones."""
    counts = np.zeros((3, len(found)), int)
    if min(values.shape) < 3 or (found != np.round(found)).any():
        return counts  # fractions number nothing
    step = max(STRIP // values.shape[1], 4)
    close = EDGE / 2 * (float(found[-1]) - float(found[0]))
    for top in range(0, values.shape[0], step):
        before = min(top, 2)
        part = values[top - before : top + step + 2]  # with two rows more on either side
        if len(part) < 3:
            continue
        most, least, middle = _nine(part, np.maximum), _nine(part, np.minimum), part[1:-1, 1:-1]
        spread = most.astype(np.float64) - least
        own = slice(before, before + step)
        where = np.zeros((3, *part.shape), bool)
        where[2, 1:-1, 1:-1] = (least < middle) & (middle < most)
        for place, bound in zip(where, (0, close), strict=False):
            for rows in range(3):
                for columns in range(3):
                    corner = slice(rows, len(part) - 2 + rows), slice(columns, part.shape[1] - 2 + columns)
                    place[corner] |= spread <= bound
        for count, place in zip(counts, where, strict=True):
            inside = part[own][place[own]]
            index = np.searchsorted(found, inside).clip(max=len(found) - 1)
            count += np.bincount(index[found[index] == inside], minlength=len(found))
    return counts


def _nine(values: Array, best: np.ufunc) -> Array:
    """The largest or least of every square of three by three."""
    rows = best(best(values[:-2], values[1:-1]), values[2:])
    return best(best(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _together(masks: Sequence[Seen]) -> tuple[Array, ...]:
    """The values of all masks, how often they occur, and how often flat, level and on a slope."""
    values, place = np.unique(np.concatenate([mask.values for mask in masks]), return_inverse=True)
    numbers = np.concatenate(
        [np.stack([mask.counts, mask.flat, mask.level, mask.slope]) for mask in masks], 1
    )
    return values, *(np.bincount(place, number, len(values)) for number in numbers)


def _colours(masks: Sequence[Seen]) -> frozenset[tuple[int, ...]]:
    return frozenset[tuple[int, ...]]().union(*(mask.colours for mask in masks))


def _listed(words: Sequence[str], count: int) -> str:
    """The first and, of many, the last."""
    return ", ".join(words) if len(words) <= count else f"{', '.join(words[: count - 1])} ... {words[-1]}"


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
