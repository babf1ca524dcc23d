"""Which mask is whose, by names: one rule for a whole set, such as ``*_mask`` for ``*``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FIRST = 3  # images, each of whose masks may tell the rule
SAMPLE = 16  # images on which a rule is tried before it is tried on all
EQUAL = "files of equal stems"


@dataclass(frozen=True)
class Rule:
    """Of an image whose stem is ``before + core + after``, the mask's is another before and after.

    Folders stay the same: of ``x/a`` the stem is a. No rule cuts a word or a number: 1 is no part of 11.
    """

    image: tuple[str, str] = ("", "")
    mask: tuple[str, str] = ("", "")

    def mask_of(self, key: str) -> str | None:
        """The key of the mask; None where the rule does not fit."""
        folder, slash, stem = key.rpartition("/")
        before, after = self.image
        core = stem[len(before) : len(stem) - len(after)]
        if not any(map(str.isalnum, core)) or stem != before + core + after:
            return None
        ends = ((before, core), (core, after), (self.mask[0], core), (core, self.mask[1]))
        return None if any(map(_cut, *zip(*ends, strict=True))) else folder + slash + _around(self.mask, core)

    def pairs(self, images: Sequence[str], masks: Mapping[str, object]) -> dict[str, str]:
        """The masks of those images that have one."""
        found = {image: self.mask_of(image) for image in images}
        return {image: mask for image, mask in found.items() if mask is not None and mask in masks}

    @property
    def is_equal(self) -> bool:
        """Whether masks have the stems of their images."""
        return self.image == self.mask == ("", "")

    def __str__(self) -> str:
        return EQUAL if self.is_equal else f"{_around(self.image, '*')} with {_around(self.mask, '*')}"


def rules_between(images: Mapping[str, object], masks: Mapping[str, object]) -> list[tuple[Rule, dict]]:
    """The rules that give most images a mask, each with its pairs, no two of them with the same pairs.

    Equal stems come alone, where no other rule gives more.
    """
    keys = list(images)
    best: list[tuple[Rule, dict]] = [(Rule(), Rule().pairs(keys, masks))]
    if len(best[0][1]) == len(keys):
        return best
    some = keys[:: max(len(keys) // SAMPLE, 1)]
    for rule in dict.fromkeys(_rules(keys, list(masks))):
        tells_nothing = len(keys) == 1 and any(map(str.isdigit, "".join(rule.image)))  # 01 with 03
        if tells_nothing or 2 * len(rule.pairs(some, masks)) < len(some):
            continue
        pairs = rule.pairs(keys, masks)
        more = len(pairs) - len(best[0][1])
        if more > 0:
            best = [(rule, pairs)]
        elif not more and not best[0][0].is_equal and all(pairs != other for _, other in best):
            best.append((rule, pairs))
    return best


def common(names: Sequence[str]) -> int:
    """With how many letters all of them begin."""
    differ = (i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1)
    return next(differ, min(map(len, names), default=0))


def _rules(images: Sequence[str], masks: Sequence[str]) -> Iterator[Rule]:
    """Those that could be: by what all stems have in common, and by what an image shares with a mask."""
    yield Rule(_affixes(images), _affixes(masks))
    for image in images[:FIRST]:
        folder, _, stem = image.rpartition("/")
        for mask in masks:
            other, _, name = mask.rpartition("/")
            if other == folder:
                yield from _shared(stem, name)


def _affixes(keys: Sequence[str]) -> tuple[str, str]:
    """What all stems begin and end with, as far as that cuts no word."""
    stems = [key.rpartition("/")[2] for key in keys]
    before, after = common(stems), common([stem[::-1] for stem in stems])
    while any(_cut(stem[:before], stem[before:]) for stem in stems):
        before -= 1
    while any(_cut(stem[: len(stem) - after], stem[len(stem) - after :]) for stem in stems):
        after -= 1
    return (stems[0][:before], stems[0][len(stems[0]) - after :]) if stems else ("", "")


def _shared(image: str, mask: str) -> Iterator[Rule]:
    """By the longest part of both stems, without words that it cuts."""
    for length in range(len(image), 0, -1):
        places = [i for i in range(len(image) - length + 1) if image[i : i + length] in mask]
        for i in places:
            part = image[i : i + length]
            for j in (j for j in range(len(mask)) if mask.startswith(part, j)):
                start, end = _uncut(image, mask, i, j, length)
                if start < end:
                    yield Rule((image[: i + start], image[i + end :]), (mask[: j + start], mask[j + end :]))
        if places:
            return


def _uncut(image: str, mask: str, i: int, j: int, length: int) -> tuple[int, int]:
    """From where to where, within a part of both, no word is cut."""
    whole = [k for k in range(length + 1) if not (_cut_at(image, i + k) or _cut_at(mask, j + k))]
    return (whole[0], whole[-1]) if whole else (0, 0)


def _around(affixes: tuple[str, str], core: str) -> str:
    return affixes[0] + core + affixes[1]


def _cut_at(name: str, place: int) -> bool:
    return _cut(name[:place], name[place:])


def _cut(one: str, other: str) -> bool:
    """Whether a word or a number goes on from one part to the other; a capital letter begins a word."""
    if not one or not other or not (one[-1].isalnum() and other[0].isalnum()):
        return False
    left, right = one[-1], other[0]
    return left.isalpha() == right.isalpha() and not (left.islower() and right.isupper())
