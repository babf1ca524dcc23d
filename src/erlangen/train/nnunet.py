"""Data sets of nnU-Net and of the Medical Segmentation Decathlon: imagesTr, labelsTr and dataset.json."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erlangen.train.json_files import read_object
from erlangen.train.layouts import Pairs
from erlangen.train.listing import PICTURES, STACKS, Kind, files_in, kind_in, names_of, same_name
from erlangen.train.united import Channels

IMAGES, LABELS, UNSEEN, ABOUT = "imagesTr", "labelsTr", "imagesTs", "dataset.json"
CHANNEL = re.compile(r"(?P<case>.+)_(?P<number>\d{4})")
EXPECTED = 'an object with "labels", names and their numbers'
IGNORE = "ignore"  # the label that nnU-Net does not count
BACKGROUND = "background"


@dataclass(frozen=True)
class _About:
    """What dataset.json says.

    Attributes:
        classes: names, by their numbers.
        ignore: the value that does not count.
        ending: of the files; empty for any.
        channels: how many; 0 for any.
    """

    classes: tuple[str, ...] | None = None
    ignore: int | None = None
    ending: str = ""
    channels: int = 0


def nnunet(folder: Path) -> Pairs | None:
    """``imagesTr/CASE_0000`` and further channels with ``labelsTr/CASE``; what is in imagesTs is left out."""
    if not (folder / IMAGES).is_dir() or not (folder / LABELS).is_dir():
        return None
    path = folder / ABOUT
    about = _about(path) if path.is_file() else _About()
    kind = kind_in(folder / IMAGES)
    labels = {same_name(kind.stem(file)): file for file in _files(folder / LABELS, kind, about)}
    images = _cases(_files(folder / IMAGES, kind, about), kind, labels)
    _expect_labels(folder, images, labels)
    cases = sorted(images)
    for case in cases:
        _expect_channels(case, images[case], images[cases[0]], about, kind)
    several = kind is STACKS and len(images[cases[0]]) > 1
    said = f"nnU-Net, {len(images[cases[0]])} channel{'s' * (len(images[cases[0]]) > 1)}"
    said += f"; {UNSEEN} is left out" if (folder / UNSEEN).is_dir() else ""
    return Pairs(
        tuple(_joined(images[case]) if several else images[case][0] for case in cases),
        tuple(labels[case] for case in cases),
        said,
        kind.dim,
        about.classes,
        path if about.classes else None,
        about.ignore,
        exact=True,
    )


def _files(folder: Path, kind: Kind, about: _About) -> list[Path]:
    found = [file for file in files_in(folder, kind) if file.name.endswith(about.ending)]
    if not found:
        ending = f", {about.ending} as {ABOUT} says" if about.ending else ""
        raise ValueError(
            f"{folder} holds no {kind.what}{ending}, expected those of nnU-Net; add them, or correct {ABOUT}"
        )
    return found


def _cases(files: list[Path], kind: Kind, labels: dict[str, Path]) -> dict[str, list[Path]]:
    """The channels of each case, by its name; in the Decathlon files have the names of their labels."""
    cases: dict[str, list[Path]] = {}
    for file in files:
        stem = same_name(kind.stem(file))
        numbered = CHANNEL.fullmatch(stem)
        case = stem if numbered is None or stem in labels else numbered["case"]
        cases.setdefault(case, []).append(file)
    return cases


def _expect_labels(folder: Path, images: dict[str, list[Path]], labels: dict[str, Path]) -> None:
    missing = [images[case][0] for case in sorted(images.keys() - labels.keys())]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(images)} cases in {folder / IMAGES} have no labels: {names_of(missing)};"
            f" expected CASE in {folder / LABELS} for CASE_0000; add them, or take the images away"
        )
    alone = [labels[case] for case in sorted(labels.keys() - images.keys())]
    if alone:
        raise ValueError(
            f"{len(alone)} of {len(labels)} labels in {folder / LABELS} have no image: {names_of(alone)}; "
            f"expected CASE_0000 in {folder / IMAGES} for CASE; add them, or take the labels away"
        )


def _expect_channels(case: str, files: list[Path], first: list[Path], about: _About, kind: Kind) -> None:
    """ValueError for other channels than the first case has, or dataset.json says."""
    if kind is PICTURES and len(files) > 1:
        raise ValueError(
            f"{case} has {len(files)} channels ({names_of(files)}), expected one file for each photograph, "
            "grey or in colours; join them, or save them as volumes"
        )
    named = [
        same_name(kind.stem(file)).removeprefix(case) for file in files
    ]  # _0000, or nothing in the Decathlon
    found = [int(number[1:] or 0) for number in named]
    wanted = about.channels if about.channels and all(named) else len(first)
    if found != list(range(wanted)):
        raise ValueError(
            f"{case} has the channels {', '.join(map(str, found))}, expected 0 to {wanted - 1} as "
            f"{ABOUT if wanted == about.channels else 'the others'}; add what lacks, or take the case away"
        )


def _joined(files: list[Path]) -> Channels:
    first = files[0]
    return Channels(first.with_name(first.name.replace("_0000", "", 1)), tuple(files))


def _about(path: Path) -> _About:
    said = read_object(path, EXPECTED)
    classes, ignore = _classes(path, said.get("labels"))
    ending, channels = said.get("file_ending", ""), said.get("channel_names", said.get("modality", {}))
    if not isinstance(ending, str):
        raise ValueError(
            f'{path} has the "file_ending" {ending!r}, expected a text such as ".nii.gz"; mend it'
        )
    return _About(classes, ignore, ending, len(channels) if isinstance(channels, dict) else 0)


def _classes(path: Path, labels: Any) -> tuple[tuple[str, ...], int | None]:
    """The names by their numbers, and the number that does not count.

    Raises:
        ValueError: for regions of several numbers, and for numbers that are not 0, 1, 2, ...
    """
    numbers = _by_name(path, labels)
    ignore = numbers.pop(IGNORE, None)
    names = tuple(sorted(numbers, key=lambda name: numbers[name]))
    if [numbers[name] for name in names] != list(range(len(names))) or len(names) < 2:
        raise ValueError(
            f"{path} gives the labels the numbers {sorted(numbers.values())}, expected 0 for the background, "
            "then 1, 2, ... without a gap; number the labels so, in the masks as well"
        )
    return names, ignore


def _by_name(path: Path, labels: Any) -> dict[str, int]:
    """The number of each name, from names with numbers, or in the old style numbers with names."""
    found: dict[str, int] = {}
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if isinstance(value, list | tuple):
            raise ValueError(
                f"{path} has the region {key} of the numbers {value}, expected one number for each label; "
                "name each number by itself"
            )
        name, number = (value, key) if isinstance(value, str) and str(key).isdecimal() else (key, value)
        if isinstance(number, bool) or not str(number).isdecimal() or len(str(number)) > 3:
            raise ValueError(
                f"{path} has the label {key}: {value!r}, expected a name and a number from 0 to 255; mend it"
            )
        name = same_name(str(name).strip())
        if name in found:
            raise ValueError(f"{path} names two labels {name}, expected a name for each; rename one")
        found[name] = int(number)
    if not found:
        raise ValueError(f'{path} names no labels, expected {EXPECTED}; add them: {{"{BACKGROUND}": 0, ...}}')
    return found
