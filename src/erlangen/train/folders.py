"""Where photographs and volumes lie: the folders that a user may give."""

from collections import Counter
from pathlib import Path

import numpy as np

from erlangen.train.coco import coco
from erlangen.train.data import Photographs, SortedPhotographs
from erlangen.train.decoding import decode
from erlangen.train.layouts import Pairs, beside, folder_each, two_folders
from erlangen.train.listing import (
    MASKS,
    PHOTOGRAPHS,
    PICTURES,
    SPLITS,
    STACKS,
    by_key,
    class_file,
    class_folders,
    files_below,
    files_in,
    is_image,
    kind_in,
    names_of,
    same_name,
    words_of,
)
from erlangen.train.masks import MaskReading
from erlangen.train.nnunet import nnunet
from erlangen.train.task import Task
from erlangen.train.united import UnitedMasks, UnitedVolumes
from erlangen.train.volume_files import is_volume
from erlangen.train.volumes import SortedVolumes, Volumes

LAYOUTS = (nnunet, two_folders, folder_each, beside, coco)  # the first that finds something
ANNOTATED = {*MASKS, "annotated", "annot", "segmented", "truth"}  # words in the names of folders with masks
FEW = 8  # values of a mask, at most, where nothing but they tell it from a photograph
LOOKED_AT = 5  # pictures of a folder, to tell that
DRAWN_ELSEWHERE = {  # what is true of photographs, but in no picture
    ".txt": "text, as YOLO writes: boxes or outlines",
    ".json": "JSON, as labelme writes: outlines",
    ".xml": "XML, as Pascal VOC and CVAT write: boxes or outlines",
    ".csv": "tables",
    ".npy": "arrays of NumPy",
    ".npz": "arrays of NumPy",
    ".mat": "arrays of MATLAB",
}
EXACT = "0 is the background, what is not 0 the thing"
LAYOUT = (
    "expected the photographs there: DIR/images and DIR/masks with files of equal stems, or DIR/CLASS with "
    "the photographs of each class"
)


def find_data(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs | SortedPhotographs | Volumes | SortedVolumes:
    """Photographs or volumes with masks, in one of several layouts; else those of ``folder/CLASS/``.

    Volumes are NIfTI, npz, and TIFF with several pages.

    Args:
        folder, classes, ignore: see `find_photographs`.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder, {LAYOUT}")
    pairs = pairs_in(folder)
    if pairs is not None:
        return _data_of(folder, pairs, classes, ignore)
    inside = {path.name for path in class_folders(folder)}
    lower = {name.lower() for name in inside}
    if inside and not {"images", "masks"} & inside and not (PHOTOGRAPHS & lower and MASKS & lower):
        found = find_sorted(folder)
        if ignore is not None or classes not in (None, len(found.classes)):
            raise ValueError(
                f"classes={classes} and ignore={ignore}, but {folder} holds folders of classes "
                f"({', '.join(found.classes)}), not images and masks; leave both out"
            )
        return found
    loose = [path.name for path in files_in(folder)]
    if not inside and loose:
        raise ValueError(
            f"{folder} holds {len(loose)} photographs itself ({loose[0]} first), {LAYOUT}; move them to "
            f"{folder / 'images'}, and their masks to {folder / 'masks'}"
        )
    raise ValueError(_why_no_pairs(folder))


def find_photographs(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs:
    """Photographs with masks, in one of several layouts, such as ``folder/images`` and ``folder/masks``.

    The names of the classes are the lines of ``folder/classes.txt`` (or of that beside ``folder``), if there
    is one; a single line names the thing. Layouts that name classes themselves need none.

    Args:
        folder: holds both.
        classes: 2 for masks that are not zero where the thing is; more where the values are the classes;
            None for as many as are named, or 2.
        ignore: the value of mask pixels that do not count.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    pairs = pairs_in(folder) if folder.is_dir() else None
    if pairs is None:
        raise ValueError(_why_no_pairs(folder))
    found = _data_of(folder, pairs, classes, ignore)
    if not isinstance(found, Photographs):
        raise ValueError(f"{folder} holds volumes, expected photographs; give it to find_data")
    return found


def pairs_in(folder: Path) -> Pairs | None:
    """The photographs or volumes of a folder with their masks; None if no layout fits."""
    return next((pairs for layout in LAYOUTS if (pairs := layout(folder)) is not None), None)


def _data_of(folder: Path, pairs: Pairs, classes: int | None, ignore: int | None) -> Photographs | Volumes:
    """What was found, with the names of the classes."""
    if pairs.classes is None:
        names, named_by = _class_names(folder, classes), class_file(folder)
    else:
        names, named_by = _names_of_layout(pairs, classes), pairs.named_by
    united = next((mask for mask in pairs.masks if isinstance(mask, UnitedMasks | UnitedVolumes)), None)
    if united is not None and len(names) > 2:
        raise ValueError(
            f"{united} holds a mask for each object, which says no class, expected 2 classes, not "
            f"{len(names)}; join the masks of each photograph to one, with the numbers of the classes"
        )
    if pairs.ignore is not None and ignore not in (None, pairs.ignore):
        raise ValueError(
            f"ignore={ignore}, but {pairs.named_by} says what does not count, as the value {pairs.ignore}; "
            "expected one of both; leave --ignore out"
        )
    ignore = ignore if pairs.ignore is None else pairs.ignore
    said = {"paired": pairs.paired, "named_by": named_by}
    if pairs.dim == 3:
        return Volumes(pairs.images, pairs.masks, names, ignore, **said)
    reading = MaskReading(why=EXACT) if pairs.exact and len(names) == 2 else None
    return Photographs(pairs.images, pairs.masks, names, ignore, reading, **said)


def _names_of_layout(pairs: Pairs, classes: int | None) -> tuple[str, ...]:
    """Those of a layout that has some; of photographs two classes may be asked, for all as one thing."""
    names = pairs.classes or ()
    if classes == 2 and len(names) > 2 and pairs.dim == 2:
        return Task.classes
    if classes not in (None, len(names)):
        raise ValueError(
            f"classes={classes}, but {pairs.named_by} names {len(names)} ({', '.join(names[:8])}), expected "
            f"as many{', or 2, for all as one thing' * (pairs.dim == 2)}; leave --classes out"
        )
    return names


def find_sorted(folder: str | Path) -> SortedPhotographs | SortedVolumes:
    """The photographs or volumes in ``folder/CLASS/``, for each class a folder of its name.

    Raises:
        ValueError: for fewer than two classes, or one without photographs; for a photograph in two classes;
            for masks among the photographs.
    """
    folder = Path(folder)
    folders = class_folders(folder)
    _expect_classes(folder, folders)
    names = tuple(same_name(path.name) for path in folders)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(
            f"{folder} holds two folders of the name {twice}, expected one for each class; join them"
        )
    if len(names) < 2:
        raise ValueError(
            f"{folder} holds {len(names)} folders ({', '.join(names)}), expected images/ and masks/, or a "
            "folder of photographs for each of two classes or more"
        )
    images, labels = [], []
    kinds = [kind_in(path) for path in folders]
    kind = STACKS if all(kind is STACKS for kind in kinds) else PICTURES
    for label, (name, path) in enumerate(sorted(zip(names, folders, strict=True))):
        files = list(files_below(path, kind.wanted))
        if not files:
            raise ValueError(f"{path} holds no {kind.what}, expected those of the class {name}")
        images += files
        labels += [label] * len(files)
    names = tuple(sorted(names))
    _expect_one_class_each(images, [names[label] for label in labels])
    if kind.dim == 3:
        return SortedVolumes(tuple(images), tuple(labels), names)
    _expect_no_masks(folder, folders, images)
    return SortedPhotographs(tuple(images), tuple(labels), names)


def find_images(path: str | Path, dim: int = 2) -> dict[Path, Path]:
    """An image file itself, or the images in a folder and those within: their paths from there.

    Of a folder that holds ``images``, these only. Left out are hidden files, and folders that a training
    wrote.

    Args:
        path: the file or folder.
        dim: 2 for photographs, 3 for volumes.

    Raises:
        ValueError: if there are none.
    """
    path = Path(path)
    if path.is_file():
        return {path: Path(path.name)}
    if not path.is_dir():
        raise ValueError(f"{path} is no folder, expected a photograph, or a folder of them")
    if (path / "images").is_dir():
        path = path / "images"
    found = {file: file.relative_to(path) for file in files_below(path, is_image if dim == 2 else is_volume)}
    if not found:
        what = "images, expected PNG, JPEG, TIFF or the like"
        what = what if dim == 2 else "volumes, expected NIfTI, stacks of TIFF, or npz"
        raise ValueError(f"{path} holds no {what}")
    return found


def _expect_classes(folder: Path, folders: list[Path]) -> None:
    """ValueError for folders that are something else than classes, and for photographs beside them."""
    whole = [p for p in folders if _holds_pairs(p)]
    if len(whole) == 1:
        raise ValueError(f"{folder} holds no photographs, but {whole[0]} does, {LAYOUT}; give {whole[0]}")
    if whole:
        raise ValueError(
            f"{folder} holds {len(whole)} folders with images or masks of their own ({names_of(whole)}), "
            f"expected one photograph in {whole[0] / 'images'}, its masks in {whole[0] / 'masks'}, and so in "
            f"all; or all photographs in {folder / 'images'}, and their masks in {folder / 'masks'}; move "
            "them"
        )
    parts = [q for p in folders for q in class_folders(p) if q.name.lower() in SPLITS and any(files_below(q))]
    if parts:
        name = parts[0].parent.name
        raise ValueError(
            f"{parts[0].parent} holds the folder {parts[0].name}, expected photographs of the class {name}; "
            f"move what to learn from to {folder / 'train' / name}, the others to {folder / 'val' / name}"
        )
    loose = files_in(folder)
    if loose:
        raise ValueError(
            f"{folder} holds {len(loose)} photographs beside folders of classes ({names_of(loose)}), "
            "expected each in the folder of its class; move them there, or take them away"
        )


def _holds_pairs(folder: Path) -> bool:
    """Whether a folder has one of images and one of masks, or one of images with a single photograph."""
    inside = {path.name.lower(): path for path in class_folders(folder)}
    images = [path for name, path in inside.items() if name in PHOTOGRAPHS]
    if not images or (len(inside) == 1 and files_in(folder)):
        return False
    return bool(MASKS & set(inside)) or (len(inside) == 1 and len(files_in(images[0])) == 1)


def _expect_one_class_each(images: list[Path], names: list[str]) -> None:
    """ValueError for a file that links put into two classes."""
    first: dict[tuple[int, int], tuple[Path, str]] = {}
    for image, name in zip(images, names, strict=True):
        try:
            status = image.stat()
        except OSError:
            continue  # a link that leads nowhere, which is named where it is read
        if not status.st_ino:
            continue  # of a file system without such numbers
        other, before = first.setdefault((status.st_dev, status.st_ino), (image, name))
        if before != name:
            raise ValueError(
                f"{other} and {image} are one file, by a link, in the classes {before} and {name}; expected "
                "each photograph in one class; take the link away"
            )


def _expect_no_masks(folder: Path, folders: list[Path], images: list[Path]) -> None:
    """ValueError for masks beside their photographs, or in a folder of their own that is no class."""
    together: dict[Path, list[Path]] = {}
    for image in images:
        together.setdefault(image.parent, []).append(image)
    for inside in together.values():
        pair = _beside(inside)
        if pair is not None:
            image, mask = pair
            raise ValueError(
                f"{mask} seems to be the mask of {image.name} beside it, not a photograph of a class; "
                f"expected all photographs in {folder / 'images'}, and for each one mask of its stem in "
                f"{folder / 'masks'}; move them there, or take the masks away to learn classes"
            )
    masks = _of_masks(*folders) if len(folders) == 2 else None
    if masks is not None:
        photographs = next(path for path in folders if path != masks)
        raise ValueError(
            f"{photographs} and {masks} hold files of equal stems, and {masks.name} seems to hold masks, "
            f"not photographs of a class; expected images and masks; rename {photographs.name} to images and "
            f"{masks.name} to masks, or the files, if these are two classes"
        )


def _beside(files: list[Path]) -> tuple[Path, Path] | None:
    """A photograph and its mask by their names, if at least half of the photographs there have one."""
    photographs: dict[tuple[str, ...], Path] = {}
    masks: dict[tuple[str, ...], Path] = {}
    for file in files:
        words = words_of(file.stem)
        at = next((i for i, word in enumerate(words) if word in MASKS), None)
        if at is None:
            photographs[_without(PHOTOGRAPHS, words)] = file
        else:  # a_mask and mask_a; with a number behind it, if there are several
            masks[_without(PHOTOGRAPHS, words[:at]) or _without(PHOTOGRAPHS, words[at + 1 :])] = file
    both = sorted(photographs.keys() & masks.keys())
    return (photographs[both[0]], masks[both[0]]) if both and 2 * len(both) >= len(photographs) else None


def _of_masks(one: Path, other: Path) -> Path | None:
    """Which of two folders holds the masks of the other, if stems are equal and names or pictures tell."""
    files = [{same_name(p.stem): p for p in files_in(path)} for path in (one, other)]
    if not files[0] or files[0].keys() != files[1].keys():
        return None
    named = [path for path in (one, other) if ANNOTATED & set(words_of(path.name))]
    if named:
        return named[0] if len(named) == 1 else None
    stems = sorted(files[0])[:LOOKED_AT]
    drawn = [
        path
        for path, inside in zip((one, other), files, strict=True)
        if all(_is_drawn(inside[stem]) for stem in stems)
    ]
    return drawn[0] if len(drawn) == 1 else None


def _is_drawn(file: Path) -> bool:
    """Whether a picture has so few values that it is no photograph."""
    try:
        values = decode(file).values.ravel()
    except (ValueError, MemoryError):
        return False  # which is named where it is read
    return len(np.unique(values[:: max(len(values) // 2**18, 1)])) <= FEW


def _without(left_out: set[str], words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in left_out)


def _class_names(folder: Path, classes: int | None) -> tuple[str, ...]:
    file = class_file(folder)
    if file is None:
        return Task.classes if classes in (None, 2) else tuple(str(k) for k in range(classes or 2))
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} cannot be read ({error}), expected UTF-8; save it as that") from error
    names = tuple(same_name(line.strip()) for line in lines if line.strip())
    if len(names) == 1:
        names = (Task.classes[0], *names)
    if not names or len(set(names)) < len(names) or classes not in (None, len(names)):
        raise ValueError(
            f"{file} names {len(names)} classes ({', '.join(names)}), expected a name of its own for each of "
            f"{classes or 'several'} classes, one in a line"
        )
    return names


def _why_no_pairs(folder: Path) -> str:
    """What lacks of folders of images and of masks.

    Raises:
        ValueError: itself, where files say what is true of photographs, but are no pictures.
    """
    for name, names in (("images", PHOTOGRAPHS), ("masks", MASKS)):
        place = folder / name
        if place.is_dir():
            kind = kind_in(place)
            if not by_key(place, kind):
                _expect_pictures(place)
                return f"{place} holds no {kind.what}, expected {kind.formats}"
            continue
        near = [p for p in sorted(folder.glob("*")) if p.is_dir() and p.name.lower() in names]
        for other in near or [folder / "images", folder]:
            if other.is_dir() and not (near and files_in(other)):
                _expect_pictures(other)
        return f"{place} is no folder, {LAYOUT}; {f'rename {near[0]}' if near else 'make it'}"
    return f"{folder} holds no images and masks that go together, {LAYOUT}"


def _expect_pictures(folder: Path) -> None:
    """ValueError where files say what is true of photographs, but are no pictures."""
    endings = (p.suffix.lower() for p in folder.iterdir() if not p.name.startswith((".", "classes.")))
    kinds = Counter(ending for ending in endings if ending in DRAWN_ELSEWHERE)
    for ending, count in kinds.most_common(1):
        if count > 1 or ending not in (".txt", ".csv"):  # a single one of these may be a note
            raise ValueError(
                f"{folder} holds {count} files *{ending} ({DRAWN_ELSEWHERE[ending]}), which are no masks, "
                "expected a picture for each photograph; draw them as PNG, in "
                f"{folder.parent / 'masks'}: 0 where nothing is, 255 where the thing is, or the class"
            )
