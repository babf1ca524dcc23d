"""Photographs or volumes and their masks, as people lay them out: what lies where, whose mask is which."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erlangen.train.listing import (
    MASKS,
    PHOTOGRAPHS,
    PICTURES,
    SPLITS,
    STACKS,
    Kind,
    below,
    by_key,
    class_folders,
    files_in,
    folders_named,
    key_of,
    kind_in,
    names_of,
    words_of,
)
from erlangen.train.pairing import Rule, rules_between
from erlangen.train.united import UnitedMasks, UnitedVolumes

CLASSES = "labelids"  # in names of Cityscapes, which has colours and ids of objects beside these
FOLDER_EACH = "a folder for each photograph; the masks in it are united, one for each object"


@dataclass(frozen=True)
class Pairs:
    """What is found in a folder.

    Attributes:
        images, masks: files, or what is put together of some.
        paired: by which rule, in words.
        dim: 2 for photographs, 3 for volumes.
        classes: names, if the layout has them; of two the first is the background.
        named_by: the file that has them.
        ignore: the value of masks that does not count, if the layout says one.
        exact: whether 0 is the background in all masks, and no number is a shade.
    """

    images: tuple[Any, ...]
    masks: tuple[Any, ...]
    paired: str
    dim: int = 2
    classes: tuple[str, ...] | None = None
    named_by: Path | None = None
    ignore: int | None = None
    exact: bool = False


def two_folders(folder: Path) -> Pairs | None:
    """One of photographs and one of masks, whose files and folders go together by their names."""
    photographs, masks = _folders_of(folder, "images", PHOTOGRAPHS), _folders_of(folder, "masks", MASKS)
    if not photographs or not masks:
        return None
    for several, what in ((photographs, "photographs"), (masks, "masks")):
        if len(several) > 1:
            raise ValueError(
                f"{folder} holds several folders that may be those of the {what} ({names_of(several)}), "
                f"expected one; rename it {'images' if what == 'photographs' else what}"
            )
    kind = kind_in(photographs[0])
    images, truths = by_key(photographs[0], kind), by_key(masks[0], kind)
    if not images or not truths:
        return None
    _expect_no_parts(folder, photographs[0], images)
    rule, pairs, said = _paired(images, truths, masks[0])
    alone = {key: truths[key] for key in sorted(truths.keys() - said.left_out - set(pairs.values()))}
    _expect_one_mask(rule, pairs, images, truths, alone)
    if alone:
        warnings.warn(
            f"{len(alone)} of {len(truths)} masks have no image and are left out: "
            f"{', '.join(path.name for path in list(alone.values())[:5])}; expected "
            f"{'a file of the same stem' if rule.is_equal else f'one ({rule})'} in {photographs[0]}",
            stacklevel=4,
        )
    return _found(pairs, images, truths, said.text, kind)


def folder_each(folder: Path) -> Pairs | None:
    """A folder for each photograph, with one of images, which holds it, and one with a mask for each object.

    So is Kaggle's Data Science Bowl 2018.
    """
    inside = class_folders(folder)
    each = [(path, folders_named(path, PHOTOGRAPHS), folders_named(path, MASKS)) for path in inside]
    whole = [(images[0], masks[0]) for _, images, masks in each if len(images) == len(masks) == 1]
    if len(whole) < 2:
        return None
    kind = kind_in(whole[0][0])
    photographs = [files_in(images, kind) for images, _ in whole]
    if any(len(files) != 1 for files in photographs):
        return None
    lacking = [path for path, images, masks in each if not (len(images) == len(masks) == 1)]
    lacking += [masks.parent for _, masks in whole if not files_in(masks, kind)]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(each)} folders in {folder} lack a photograph or its masks "
            f"({names_of(lacking)}), expected images/ with one and masks/ with at least one in each; add "
            "them (a black one where nothing is), or take these folders away"
        )
    united = UnitedMasks if kind.dim == 2 else UnitedVolumes
    masks = [(path, tuple(files_in(path, kind))) for _, path in whole]
    return Pairs(
        tuple(files[0] for files in photographs),
        tuple(files[0] if len(files) == 1 else united(path, files) for path, files in masks),
        FOLDER_EACH,
        kind.dim,
    )


def beside(folder: Path) -> Pairs | None:
    """Photographs and masks beside each other, the names of masks with a word for them: ``a``, ``a_mask``."""
    kind = kind_in(folder)
    photographs: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for file in below(folder, kind):
        key = key_of(folder, file, kind)
        if key in photographs or key in masks:
            return None  # of one stem, as photographs of a class may be
        (masks if MASKS & set(words_of(kind.stem(file))) else photographs)[key] = file
    if not photographs or not masks:
        return None
    if 2 * len(rules_between(photographs, masks)[0][1]) < len(photographs):
        return None
    rule, pairs, said = _paired(photographs, masks, folder)
    alone = {key: masks[key] for key in sorted(masks.keys() - said.left_out - set(pairs.values()))}
    _expect_one_mask(rule, pairs, photographs, masks, alone)
    if alone:
        raise ValueError(
            f"{len(alone)} of {len(masks)} masks in {folder} have no photograph beside them: "
            f"{names_of(alone.values())}; expected one ({rule}); add it, or take these masks away"
        )
    return _found(pairs, photographs, masks, f"beside each other: {said.text}", kind)


@dataclass(frozen=True)
class _Said:
    """A rule in words, and the masks that it leaves out."""

    text: str
    left_out: frozenset[str] = frozenset()


def _paired(
    images: Mapping[str, Path], masks: Mapping[str, Path], place: Path
) -> tuple[Rule, dict[str, str], _Said]:
    """The one rule that gives every image a mask.

    Raises:
        ValueError: if none does, or several do.
    """
    best = rules_between(images, masks)
    (rule, pairs), others = best[0], best[1:]
    if len(pairs) < len(images):
        _refuse_missing(rule, pairs, images, masks, place)
    chosen = [one for one in best if CLASSES in "".join(one[0].mask).lower()]
    if others and len(chosen) == 1:
        (rule, pairs), others = chosen[0], [one for one in best if one[0] != chosen[0][0]]
    elif others:
        first = next(iter(images))
        names = " and ".join(masks[found[first]].name for _, found in best[:3])
        raise ValueError(
            f"{images[first].name} has {names} in {place}, and so has every image, expected one mask for "
            "each; take the others away, or move them to a folder of their own"
        )
    left_out = frozenset(mask for _, found in others for mask in found.values()) - set(pairs.values())
    one = next(iter(pairs))
    like = "" if rule.is_equal else f": {images[one].name} with {masks[pairs[one]].name}"
    within = ", in folders of the same names" if any("/" in key for key in images) else ""
    besides = "".join(f"; {'*'.join(other.mask)} left out" for other, _ in others)
    return rule, pairs, _Said(f"{rule}{like}{within}{besides}", left_out)


def _found(
    pairs: dict[str, str], images: Mapping[str, Path], masks: Mapping[str, Path], paired: str, kind: Kind
) -> Pairs:
    keys = sorted(pairs)
    return Pairs(
        tuple(images[key] for key in keys), tuple(masks[pairs[key]] for key in keys), paired, kind.dim
    )


def _folders_of(folder: Path, name: str, names: set[str]) -> list[Path]:
    """The folder of this name, or those of names that mean the same and hold files that count."""
    if (folder / name).is_dir():
        return [folder / name]
    return [path for path in folders_named(folder, names) if below(path, PICTURES) or below(path, STACKS)]


def _expect_no_parts(folder: Path, photographs: Path, images: Mapping[str, Path]) -> None:
    """ValueError for photographs to learn from and others in one folder."""
    first = sorted({key.partition("/")[0] for key in images if "/" in key})
    parts = [name for name in first if name.lower() in SPLITS]
    if parts:
        raise ValueError(
            f"{photographs} holds the folder {parts[0]}, expected {folder / 'train'} and {folder / 'val'}, "
            f"with images and masks each; move {photographs / parts[0]} to "
            f"{folder / parts[0] / photographs.name}, and so all"
        )


def _expect_one_mask(
    rule: Rule,
    pairs: Mapping[str, str],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    alone: Mapping[str, Path],
) -> None:
    """ValueError for a second mask of an image: ``a_mask_1`` beside ``a_mask``."""
    if rule.is_equal:
        return
    owner = {mask: image for image, mask in pairs.items()}
    for key, path in alone.items():
        first = next((key[:end] for end in range(len(key), 0, -1) if key[:end] in owner), None)
        if first is not None:
            raise ValueError(
                f"{images[owner[first]].name} has {masks[first].name} and {path.name}, expected one mask for "
                "each photograph; join them (at every pixel their largest value), or give each photograph a "
                "folder with images/ and masks/"
            )


def _refuse_missing(
    rule: Rule, pairs: Mapping[str, str], images: Mapping[str, Path], masks: Mapping[str, Path], place: Path
) -> None:
    """ValueError for images without a mask, with the mask that seems to be that of one."""
    missing = sorted(set(images) - set(pairs))
    alone = sorted(set(masks) - set(pairs.values()))
    expected, mend = "a file of the same stem", "add it, or take the image away"
    names = [str(Path(key).parent / images[key].name) for key in missing]
    alike = _named_alike(missing, alone)
    if not rule.is_equal:
        one = next(iter(pairs))
        expected = f"one named as {masks[pairs[one]].name} for {images[one].name}"
    elif alike is not None:
        image, mask = images[alike[0]], masks[alike[1]]
        right = f"{image.stem}{mask.suffix}"
        mend = f"{mask.name} seems to be that of {image.name}: rename it {right}, and so all"
    raise ValueError(
        f"{len(missing)} of {len(images)} images have no mask: {', '.join(names[:5])}; expected {expected} "
        f"in {place}; {mend}"
    )


def _named_alike(images: list[str], masks: list[str]) -> tuple[str, str] | None:
    """An image and the mask that seems to be its own, such as ``A`` and ``a``, ``cat`` and ``catmask``."""
    folded = {mask.casefold(): mask for mask in masks}
    for image in images[:100]:
        if image.casefold() in folded:
            return image, folded[image.casefold()]
    return next(((image, mask) for image in images[:100] for mask in masks if image in mask), None)
