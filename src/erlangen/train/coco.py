"""COCO's JSON: outlines and run lengths of things in photographs, read as masks."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from erlangen.train.decoding import Decoded, Facts, examine
from erlangen.train.json_files import read_object
from erlangen.train.layouts import Pairs
from erlangen.train.listing import (
    MASKS,
    PHOTOGRAPHS,
    SPLITS,
    below,
    files_in,
    folders_named,
    names_of,
    same_name,
    words_of,
)
from erlangen.train.masks import IGNORED
from erlangen.train.outlines import filled, of_runs, runs_of
from erlangen.train.parts import Parts

Array = np.ndarray
LISTS = ("images", "annotations", "categories")
EXPECTED = 'COCO: an object with the lists "images", "annotations" and "categories"'
EXPORT = "export it again as COCO, with outlines"
BACKGROUND = "background"
LONGEST = 2**16  # pixels of a side
DRAWN = (
    "a pixel is a thing's if its centre lies inside; where things overlap the later one counts; crowds "
    "(iscrowd) do not count"
)


@dataclass(frozen=True, eq=False)
class Region:
    """Where a thing is.

    Attributes:
        place: what it is called in errors.
        category: its id.
        polygons: corners (x, y) of each.
        runs: lengths, compressed or not, if it is no polygons.
        crowd: whether many things are there, not one by one.
    """

    place: str
    category: Any
    polygons: tuple[Array, ...] = ()
    runs: Any = None
    crowd: bool = False

    def inside(self, height: int, width: int) -> Bool[Array, "height width"]:
        """The pixels where it is."""
        if self.runs is None:
            found = np.zeros((height, width), bool)
            for corners in self.polygons:
                found |= filled(corners, height, width)
            return found
        try:
            return of_runs(runs_of(self.runs) if isinstance(self.runs, str) else self.runs, height, width)
        except ValueError as error:
            raise ValueError(f"{self.place} has {error}; {EXPORT}") from error


@dataclass(frozen=True)
class DrawnMask(Parts[Facts, Decoded]):
    """The mask of one photograph, drawn from JSON.

    Attributes:
        image: the photograph.
        size: its width and height, as JSON says.
        regions: what is in it, the later above; crowds below all.
        numbers: the class of each category.
    """

    image: Path
    size: tuple[int, int]
    regions: tuple[Region, ...] = field(compare=False, repr=False)
    numbers: Mapping[Any, int] = field(compare=False, repr=False)

    def examine(self) -> Facts:
        return Facts(str(self), "COCO", "L", self.size)

    def read(self) -> Decoded:
        found = examine(self.image).size
        if found != self.size:  # before there is anything as large as the JSON says
            raise ValueError(
                f"{self.files[0]} says that {self.image.name} has {self.size[0]} x {self.size[1]} pixels, "
                f"expected {found[0]} x {found[1]} as the file has; export both from one program"
            )
        return Decoded(self.examine(), self._drawn())

    def _drawn(self) -> UInt8[Array, "height width"]:
        width, height = self.size
        values = np.zeros((height, width), np.uint8)
        for region in sorted(self.regions, key=lambda region: not region.crowd):
            values[region.inside(height, width)] = IGNORED if region.crowd else self.numbers[region.category]
        return values


def coco(folder: Path) -> Pairs | None:
    """Photographs and one COCO JSON beside them or in ``annotations``; several, if they say other things."""
    photographs = _photographs(folder)
    files = _annotations(folder, photographs) if photographs else []
    if not photographs or not files:
        return None
    several = [path for path in files if SPLITS & {word.rstrip("0123456789") for word in words_of(path.stem)}]
    if len(files) > 1 and several:
        raise ValueError(
            f"{several[0].parent} holds {names_of(several)}, expected the photographs of each in a folder of "
            f"their own; move them, each with its JSON, to {folder / 'train'} and {folder / 'val'}"
        )
    read = [_read(path) for path in files]
    _expect_one_set(read)
    names, numbers = _classes(read[0].categories)
    drawn = sorted((mask for one in read for mask in one.masks(folder, photographs, numbers)), key=str)
    unsaid = len({*below(photographs)} - {mask.image for mask in drawn}) if drawn else 0
    left = f"; {unsaid} photographs that it does not name are left out" if unsaid else ""
    return Pairs(
        tuple(mask.image for mask in drawn),
        tuple(drawn),
        f"COCO, {names_of(files)}: {DRAWN}{left}",
        classes=names,
        named_by=files[0],
        ignore=IGNORED,
        exact=True,
    )


def _photographs(folder: Path) -> Path | None:
    """The folder of photographs: one of that name, or this one."""
    named = [path for path in folders_named(folder, PHOTOGRAPHS) if below(path)]
    exact = [path for path in named if path.name == "images"]
    loose = [folder] if files_in(folder) else []
    return next(iter(exact or named or loose), None)


def _annotations(folder: Path, photographs: Path) -> list[Path]:
    """The JSON in a folder of masks, or in this one, or beside the photographs.

    As many as photographs, with their stems, are another program's.
    """
    for place in (*folders_named(folder, MASKS), folder, photographs):
        found = [p for p in sorted(place.iterdir()) if p.suffix.lower() == ".json" and p.name[0] != "."]
        if found:
            stems = {path.stem for path in below(photographs)}
            return [] if sum(path.stem in stems for path in found) * 2 >= len(found) else found
    return []


@dataclass(frozen=True, eq=False)
class _File:
    """What one JSON says, checked.

    Attributes:
        path: of the file.
        categories: name by id.
        images: what it says of each, by id.
        regions: by the id of the image.
    """

    path: Path
    categories: dict[Any, str]
    images: dict[Any, dict[str, Any]]
    regions: dict[Any, list[Region]]

    def masks(self, folder: Path, photographs: Path, numbers: Mapping[Any, int]) -> Iterator[DrawnMask]:
        """One for each image that it names."""
        lost: list[str] = []
        for key, image in self.images.items():
            size, name = _size(self.path, image), image.get("file_name")
            file = next((f for f in self._files(name, photographs, folder) if f.is_file()), None)
            if file is None:
                lost.append(str(name))
                continue
            place = self.path.parent / f"{self.path.name} ({name})"
            yield DrawnMask(place, (self.path,), file, size, tuple(self.regions.get(key, ())), numbers)
        if lost:
            raise ValueError(
                f"{self.path} names {len(lost)} of {len(self.images)} images that are not in {photographs} "
                f"({', '.join(lost[:3])}{', ...' * (len(lost) > 3)}), expected all; add them, or take them "
                "out of the JSON"
            )

    def _files(self, name: Any, *folders: Path) -> Iterator[Path]:
        """Where a photograph may lie.

        Raises:
            ValueError: for what leads out of the folder.
        """
        if not isinstance(name, str) or not _may_be_file(name):
            raise ValueError(
                f'{self.path} has an image with the "file_name" {name!r:.80}, expected a name; {EXPORT}'
            )
        for folder in folders:
            file = folder / name
            out = Path(name).is_absolute() or ".." in Path(name).parts
            if out or not file.resolve().is_relative_to(folder.resolve()):
                raise ValueError(
                    f"{self.path} names the image {name!r:.200}, which leads out of {folder}, expected a "
                    "file in it; put the photographs there, and name them by their paths from there"
                )
            yield file


def _read(path: Path) -> _File:
    """All that a file says.

    Raises:
        ValueError: naming the file, for what is not as COCO writes it.
    """
    found = read_object(path, EXPECTED)
    entries, annotations, categories = (_list(path, found, name) for name in LISTS)
    names, images = _named(path, categories), _by_id(path, "images", entries)
    sizes = {key: _size(path, image) for key, image in images.items()}
    regions: dict[Any, list[Region]] = {}
    for i, one in enumerate(annotations):
        place = f"{path}, annotation {i} (id {one.get('id')!r:.40}),"
        image, category = (
            _known(place, one, name, known) for name, known in (("image_id", images), ("category_id", names))
        )
        regions.setdefault(image, []).append(_region(place, one, category, sizes[image]))
    return _File(path, names, images, regions)


def _known(place: str, one: dict[str, Any], name: str, known: Mapping[Any, Any]) -> Any:
    """The id of a listed image or category."""
    value = one.get(name)
    if not isinstance(value, int | str) or value not in known:
        raise ValueError(
            f'{place} has the "{name}" {value!r:.80}, expected the id of one of the {len(known)} that are '
            f"listed; {EXPORT}"
        )
    return value


def _size(path: Path, image: dict[str, Any]) -> tuple[int, int]:
    """Width and height."""
    size = image.get("width"), image.get("height")
    if not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= LONGEST for n in size):
        raise ValueError(
            f"{path} gives the image {image.get('file_name')!r:.80} {size[0]!r:.20} x {size[1]!r:.20} pixels,"
            f" expected whole numbers from 1 to {LONGEST}; {EXPORT}"
        )
    return image["width"], image["height"]


def _may_be_file(name: str) -> bool:
    try:
        return bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _list(path: Path, found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """One of the three lists."""
    entries = found.get(name)
    if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
        return entries
    has = ", ".join(map(str, list(found)[:6])) or "nothing"
    what = f"it has {has}" if name not in found else f'its "{name}" is no list of objects'
    raise ValueError(f"{path} is not COCO's ({what}), expected {EXPECTED}; {EXPORT}, or take it away")


def _by_id(path: Path, what: str, entries: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        key = entry.get("id")
        if not isinstance(key, int | str) or key in found:
            wrong = "twice" if isinstance(key, int | str) else "which is none"
            raise ValueError(
                f'{path} has the id {key!r:.40} in "{what}" {wrong}, expected one for each; {EXPORT}'
            )
        found[key] = entry
    return found


def _named(path: Path, entries: list[dict[str, Any]]) -> dict[Any, str]:
    """The name of each category."""
    found = {key: entry.get("name") for key, entry in _by_id(path, "categories", entries).items()}
    names = [same_name(name.strip()) if isinstance(name, str) else "" for name in found.values()]
    twice = [name for name, count in Counter(names).items() if count > 1 or not name]
    if not found or twice:
        raise ValueError(
            f"{path} names {len(found)} categories ({', '.join(map(repr, twice[:3])) or 'none'} not as one), "
            f"expected one or more, each with a name of its own; {EXPORT}"
        )
    return dict(zip(found, names, strict=True))


def _region(place: str, one: dict[str, Any], category: Any, size: tuple[int, int]) -> Region:
    """What an annotation says.

    Raises:
        ValueError: for a box without outlines, and for outlines that are none.
    """
    drawn, crowd = one.get("segmentation"), bool(one.get("iscrowd"))
    if isinstance(drawn, list) and drawn:
        return Region(
            place, category, tuple(_corners(place, polygon, size) for polygon in drawn), None, crowd
        )
    if not isinstance(drawn, dict):
        raise ValueError(
            f'{place} has the "segmentation" {drawn!r:.40}, which says no more than a box, expected polygons '
            f"or run lengths; {EXPORT}"
        )
    runs = drawn.get("counts")
    if drawn.get("size") != [size[1], size[0]] or not isinstance(runs, list | str):
        raise ValueError(
            f"{place} has run lengths of {drawn.get('size')!r:.40} pixels in {type(runs).__name__}, expected "
            f"the height and width of its image, {[size[1], size[0]]}, and a list or a text; {EXPORT}"
        )
    return Region(place, category, (), runs, crowd)


def _corners(place: str, polygon: Any, size: tuple[int, int]) -> Array:
    """The corners (x, y) of a polygon."""
    numbers = isinstance(polygon, list) and all(
        isinstance(n, int | float) and not isinstance(n, bool) for n in polygon
    )
    if not numbers or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(
            f"{place} has the polygon {polygon!r:.60}, expected x, y, x, y, ... of three corners or more; "
            f"{EXPORT}"
        )
    most = max(size)
    if not all(-most <= n <= 2 * most for n in polygon):
        raise ValueError(
            f"{place} has corners that are far from its image of {size[0]} x {size[1]} pixels, or no "
            f"numbers, expected pixels from its upper left corner; {EXPORT}"
        )
    return np.array(polygon, float).reshape(-1, 2)


def _expect_one_set(files: list[_File]) -> None:
    """ValueError for several files that do not go together."""
    for other in files[1:]:
        if other.categories != files[0].categories:
            raise ValueError(
                f"{files[0].path} and {other.path.name} name other categories, expected the same in both; "
                "take one away"
            )
    names = Counter(str(image.get("file_name")) for file in files for image in file.images.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"{files[0].path.parent} names the image {twice[0]:.80} twice "
            f"({names_of(f.path for f in files)}), expected each once; join what is said of it, "
            "or take one file away"
        )


def _classes(categories: Mapping[Any, str]) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The names of the classes, in the order of the categories' ids, and the class of each id.

    A category of the name background is that.
    """
    order = sorted(categories, key=lambda key: (isinstance(key, str), key))
    things = [key for key in order if categories[key].lower() != BACKGROUND]
    numbers = dict.fromkeys(order, 0) | {key: i for i, key in enumerate(things, 1)}
    return (BACKGROUND, *(categories[key] for key in things)), numbers
