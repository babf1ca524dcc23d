"""What lies in a folder: pictures, volumes, folders of people; not what systems and trainings leave there."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from erlangen.train.volume_files import VOLUMES, is_volume, stem_of

ENDINGS = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".mpo", ".bmp", ".tif", ".tiff", ".webp", ".avif"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
    *(".heic", ".heif"),  # which Pillow reads only with a plugin, and what cannot be read is named
}
PHOTOGRAPHS = {
    *("images", "image", "imgs", "img", "photos", "photo", "photographs", "pictures", "jpegimages"),
    *("leftimg8bit", "input", "inputs"),
}
MASKS = {
    *("masks", "mask", "labels", "label", "annotations", "annotation", "gt", "gts", "groundtruth"),
    *("ground_truth", "ground-truth", "gtfine", "segmentation", "segmentations", "segmentationclass"),
    *("segmentationobject", "seg", "target", "targets", "1st_manual"),
}
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
WRITTEN = ("model.safetensors", "model.json", "training.safetensors", "reading.html")  # by a training
SYSTEMS = "._@$#"  # what the names of their folders begin with


@dataclass(frozen=True)
class Kind:
    """Files of photographs, or of volumes.

    Attributes:
        dim: axes of space.
        what: a word for them.
        formats: the usual ones.
        wanted: whether a file's name is that of one.
        stem: of a file's name.
    """

    dim: int
    what: str
    formats: str
    wanted: Callable[[Path], bool]
    stem: Callable[[Path], str]


def is_image(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _may_be_volume(path: Path) -> bool:
    return path.name.lower().endswith(VOLUMES) and not path.name.startswith(".")


PICTURES = Kind(2, "images", "PNG, JPEG, TIFF or the like", is_image, lambda path: path.stem)
STACKS = Kind(3, "volumes", "NIfTI, stacks of TIFF, or npz", _may_be_volume, stem_of)


def kind_in(folder: Path) -> Kind:
    """Of the files in a folder and those within: volumes, if the first that may be one is."""
    first = next(iter(below(folder, STACKS)), None)
    return STACKS if first is not None and is_volume(first) else PICTURES


def below(folder: Path, kind: Kind = PICTURES) -> list[Path]:
    """The files of a kind in a folder and those within, but in folders of systems."""
    depth = len(folder.parts)
    found = files_below(folder, kind.wanted)
    return [path for path in found if not any(name[0] in SYSTEMS for name in path.parts[depth:-1])]


def key_of(folder: Path, file: Path, kind: Kind) -> str:
    """The path from a folder to a file, without its ending."""
    return same_name("/".join((*file.parts[len(folder.parts) : -1], kind.stem(file))))


def by_key(folder: Path, kind: Kind) -> dict[str, Path]:
    """The files of a kind in a folder and those within, by their paths from there without endings.

    Raises:
        ValueError: for two of one name.
    """
    found: dict[str, Path] = {}
    for file in below(folder, kind):
        key = key_of(folder, file, kind)
        if key in found:
            raise ValueError(
                f"{found[key]} and {file.name} have one stem, expected one file of each; rename one"
            )
        found[key] = file
    return found


def files_in(folder: Path, kind: Kind = PICTURES) -> list[Path]:
    """The files of a kind in a folder, not those within; no hidden ones."""
    return [p for p in sorted(folder.iterdir()) if kind.wanted(p) and not p.is_dir()]


def class_folders(folder: Path) -> list[Path]:
    """The folders inside; not hidden ones, nor those with nothing but what a training wrote."""
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and p.name[0] not in SYSTEMS and not _only_written(p)
    )


def folders_named(folder: Path, names: set[str]) -> list[Path]:
    """The folders inside of these names, capital letters or not."""
    return sorted(p for p in folder.iterdir() if p.name.lower() in names and p.is_dir())


def class_file(folder: Path) -> Path | None:
    """The file with the names of the classes, in the folder or beside it; None if there is none."""
    return next((f for f in (folder / "classes.txt", folder.parent / "classes.txt") if f.is_file()), None)


def same_name(name: str) -> str:
    """One spelling of a name that systems write in two ways: a letter and its accent as one, or as two."""
    return unicodedata.normalize("NFC", name)


def words_of(name: str) -> tuple[str, ...]:
    """Letters and numbers of a name without what stands between, in small letters: a_Mask1 is a, mask, 1."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return tuple(re.findall(r"[^\W\d_]+|\d+", re.sub(r"ground[\W_]*truth", "groundtruth", apart)))


def names_of(paths: Iterable[Path], count: int = 3) -> str:
    """The names of the first few."""
    names = [path.name for path in paths]
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def is_written(folder: Path) -> bool:
    """Whether a training wrote to the folder."""
    return any((folder / name).exists() for name in WRITTEN)


def _only_written(folder: Path) -> bool:
    if is_written(folder):
        return True
    with suppress(OSError):  # of one that may not be read, which the walk names
        if any(is_image(path) and not path.is_dir() for path in folder.iterdir()):
            return False  # without a walk through thousands
    inside = (p for p in folder.rglob("*") if p.is_dir())
    return not any(files_below(folder)) and any(map(is_written, inside))


def files_below(folder: Path, wanted: Callable[[Path], bool] = is_image) -> Iterator[Path]:
    """The images in a folder and those within, sorted; of a folder with links to it, once."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    links = [folder]
    while links:
        found += _walked(links.pop(0), seen, links, wanted)
    return iter(sorted(found))


def _walked(
    folder: Path, seen: set[tuple[int, int]], links: list[Path], wanted: Callable[[Path], bool]
) -> Iterator[Path]:
    """The images below that no link leads to; the links to folders are set aside."""
    try:
        status, inside = folder.stat(), sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be opened ({error.strerror}), expected a folder that may be read; give the "
            "right to read it, or take it away"
        ) from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for path in inside:
        if path.name.startswith(".") or (path.name == "masks" and (folder / "images").is_dir()):
            continue
        if path.is_dir():
            if is_written(path):
                continue
            if path.is_symlink():
                links.append(path)
            else:
                yield from _walked(path, seen, links, wanted)
        elif wanted(path):
            yield path
