"""Where photographs and volumes lie: the folders that a user may give."""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from erlangen.train.data import Photographs, SortedPhotographs
from erlangen.train.decoding import decode
from erlangen.train.task import Task
from erlangen.train.volume_files import VOLUMES, is_volume, stem_of
from erlangen.train.volumes import SortedVolumes, Volumes

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
ANNOTATED = {*MASKS, "annotated", "annot", "segmented", "truth"}  # words in the names of folders with masks
FEW = 8  # values of a mask, at most, where nothing but they tell it from a photograph
LOOKED_AT = 5  # pictures of a folder, to tell that
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
DRAWN_ELSEWHERE = {  # what is true of photographs, but in no picture
    ".txt": "text, as YOLO writes: boxes or outlines",
    ".json": "JSON, as COCO and labelme write: outlines",
    ".xml": "XML, as Pascal VOC and CVAT write: boxes or outlines",
    ".csv": "tables",
    ".npy": "arrays of NumPy",
    ".npz": "arrays of NumPy",
    ".mat": "arrays of MATLAB",
}
WRITTEN = ("model.safetensors", "model.json", "training.safetensors", "reading.html")  # by a training
LAYOUT = (
    "expected the photographs there: DIR/images and DIR/masks with files of equal stems, or DIR/CLASS with "
    "the photographs of each class"
)


def find_data(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs | SortedPhotographs | Volumes | SortedVolumes:
    """Photographs or volumes with masks, if there is a folder ``images``; else those of ``folder/CLASS/``.

    Volumes are NIfTI, npz, and TIFF with several pages.

    Args:
        folder, classes, ignore: see `find_photographs`.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder, {LAYOUT}")
    if (folder / "masks").is_dir() and volumes_in(folder / "images"):
        return find_volumes(folder, classes, ignore)
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
    return find_photographs(folder, classes, ignore)


def find_photographs(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs:
    """The pairs in ``folder/images`` and ``folder/masks``, sorted by name.

    The names of the classes are the lines of ``folder/classes.txt`` (or of that beside ``folder``), if there
    is one; a single line names the thing.

    Args:
        folder: holds both.
        classes: 2 for masks that are not zero where the thing is; more where the values are the classes;
            None for as many as ``classes.txt`` names, or 2.
        ignore: the value of mask pixels that do not count.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    images, masks = (_by_stem(folder / name) for name in ("images", "masks"))
    stems, names = _paired(folder, images, masks), _class_names(folder, classes)
    return Photographs(tuple(images[s] for s in stems), tuple(masks[s] for s in stems), names, ignore)


def find_volumes(folder: str | Path, classes: int | None = None, ignore: int | None = None) -> Volumes:
    """The pairs of volumes in ``folder/images`` and ``folder/masks``, as of `find_photographs`.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    images, masks = (_volumes_by_stem(folder / name) for name in ("images", "masks"))
    stems, names = _paired(folder, images, masks), _class_names(folder, classes)
    return Volumes(tuple(images[s] for s in stems), tuple(masks[s] for s in stems), names, ignore)


def volumes_in(folder: Path) -> list[Path]:
    """The volumes in a folder, if the first of its files is one; a TIFF is one if it has several pages."""
    if not folder.is_dir():
        return []
    files = (p for p in sorted(folder.iterdir()) if not p.is_dir() and p.name[0] != ".")
    named = [p for p in files if p.name.lower().endswith(VOLUMES)]
    return named if named and is_volume(named[0]) else []


def _volumes_by_stem(folder: Path) -> dict[str, Path]:
    """The volumes in a folder, each by its stem: a.nii.gz is a."""
    files: dict[str, Path] = {}
    for file in volumes_in(folder):
        stem = same_name(stem_of(file))
        if stem in files:
            raise ValueError(
                f"{files[stem]} and {file.name} have one stem, expected one file of each; rename one"
            )
        files[stem] = file
    if not files:
        raise ValueError(f"{folder} holds no volumes, expected NIfTI, stacks of TIFF, or npz")
    return files


def _paired(folder: Path, images: dict[str, Path], masks: dict[str, Path]) -> list[str]:
    """The stems of images, sorted.

    Raises:
        ValueError: for images without a mask; a warning names masks without an image.
    """
    missing = sorted(set(images) - set(masks))
    alone = sorted(set(masks) - set(images))
    if missing:
        names = ", ".join(images[stem].name for stem in missing[:5])
        like = _named_alike(missing, alone)
        mend = "add it, or take the image away"
        if like is not None:
            image, mask = images[like[0]], masks[like[1]]
            right = f"{image.stem}{mask.suffix}"
            mend = f"{mask.name} seems to be that of {image.name}: rename it {right}, and so all"
        raise ValueError(
            f"{len(missing)} of {len(images)} images have no mask: {names}; expected a file of the same stem "
            f"in {folder / 'masks'}; {mend}"
        )
    if alone:
        warnings.warn(
            f"{len(alone)} of {len(masks)} masks have no image and are left out: "
            f"{', '.join(masks[stem].name for stem in alone[:5])}; expected a file of the same stem in "
            f"{folder / 'images'}",
            stacklevel=3,
        )
    return sorted(images)


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
    of_volumes = any(map(volumes_in, folders))
    for label, (name, path) in enumerate(sorted(zip(names, folders, strict=True))):
        files = list(_images_below(path, is_volume if of_volumes else _is_image))
        if not files:
            what = "volumes" if of_volumes else "images"
            raise ValueError(f"{path} holds no {what}, expected those of the class {name}")
        images += files
        labels += [label] * len(files)
    names = tuple(sorted(names))
    _expect_one_class_each(images, [names[label] for label in labels])
    if of_volumes:
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
    found = {
        file: file.relative_to(path) for file in _images_below(path, _is_image if dim == 2 else is_volume)
    }
    if not found:
        what = "images, expected PNG, JPEG, TIFF or the like"
        what = what if dim == 2 else "volumes, expected NIfTI, stacks of TIFF, or npz"
        raise ValueError(f"{path} holds no {what}")
    return found


def files_in(folder: Path) -> list[Path]:
    """The images in a folder, not those within; no hidden ones."""
    return [p for p in sorted(folder.iterdir()) if _is_image(p) and not p.is_dir()]


def class_folders(folder: Path) -> list[Path]:
    """The folders inside; not hidden ones, nor those with nothing but what a training wrote."""
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._@$#" and not _only_written(p)
    )


def class_file(folder: Path) -> Path | None:
    """The file with the names of the classes, in the folder or beside it; None if there is none."""
    return next((f for f in (folder / "classes.txt", folder.parent / "classes.txt") if f.is_file()), None)


def same_name(name: str) -> str:
    """One spelling of a name that systems write in two ways: a letter and its accent as one, or as two."""
    return unicodedata.normalize("NFC", name)


def is_written(folder: Path) -> bool:
    """Whether a training wrote to the folder."""
    return any((folder / name).exists() for name in WRITTEN)


def _only_written(folder: Path) -> bool:
    inside = (p for p in folder.rglob("*") if p.is_dir())
    return is_written(folder) or (not any(_images_below(folder)) and any(map(is_written, inside)))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _expect_classes(folder: Path, folders: list[Path]) -> None:
    """ValueError for folders that are something else than classes, and for photographs beside them."""
    whole = [p for p in folders if _holds_pairs(p)]
    if len(whole) == 1:
        raise ValueError(f"{folder} holds no photographs, but {whole[0]} does, {LAYOUT}; give {whole[0]}")
    if whole:
        raise ValueError(
            f"{folder} holds {len(whole)} folders with images or masks of their own ({_some(whole)}), as "
            "Kaggle's Data Science Bowl 2018 has for each photograph, with a mask for each object; expected "
            f"all photographs in {folder / 'images'}, and for each one mask of its stem in "
            f"{folder / 'masks'}; join the masks of a photograph (at every pixel their largest value), and "
            "move all there"
        )
    parts = [
        q for p in folders for q in class_folders(p) if q.name.lower() in SPLITS and any(_images_below(q))
    ]
    if parts:
        name = parts[0].parent.name
        raise ValueError(
            f"{parts[0].parent} holds the folder {parts[0].name}, expected photographs of the class {name}; "
            f"move what to learn from to {folder / 'train' / name}, the others to {folder / 'val' / name}"
        )
    loose = files_in(folder)
    if loose:
        raise ValueError(
            f"{folder} holds {len(loose)} photographs beside folders of classes ({_some(loose)}), expected "
            "each in the folder of its class; move them there, or take them away"
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
        words = _words(file.stem)
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
    named = [path for path in (one, other) if ANNOTATED & set(_words(path.name))]
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


def _words(name: str) -> tuple[str, ...]:
    """Letters and numbers of a name without what stands between, in small letters: a_Mask1 is a, mask, 1."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return tuple(re.findall(r"[^\W\d_]+|\d+", re.sub(r"ground[\W_]*truth", "groundtruth", apart)))


def _without(left_out: set[str], words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in left_out)


def _some(paths: Iterable[Path], count: int = 3) -> str:
    names = [path.name for path in paths]
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _named_alike(images: list[str], masks: list[str]) -> tuple[str, str] | None:
    """A stem of an image and that of the mask which seems to be its own, such as ``a`` and ``a_mask``."""
    folded = {mask.casefold(): mask for mask in masks}
    for image in images:
        if image.casefold() in folded:
            return image, folded[image.casefold()]
    ends = Counter(
        (before, after)
        for image in images[:100]
        for mask in masks
        for before, found, after in [mask.partition(image)]
        if found
    )
    if ends:
        (before, after), _ = ends.most_common(1)[0]
        pairs = [(image, before + image + after) for image in images]
    elif len(images) > 1 and len(masks) > 1:
        (core, other) = (_cores(stems) for stems in (images, masks))
        pairs = [(core[key], other.get(key, "")) for key in sorted(core)]
    else:
        return None
    return next((pair for pair in pairs if pair[1] in masks), None)


def _cores(stems: list[str]) -> dict[str, str]:
    """What is left of stems without what all begin with and all end with."""
    before = _common(stems)
    after = _common([stem[before:][::-1] for stem in stems])
    return {stem[before : len(stem) - after]: stem for stem in stems}


def _common(names: list[str]) -> int:
    """With how many letters all of them begin."""
    differ = (i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1)
    return next(differ, min(map(len, names)))


def _images_below(folder: Path, wanted: Callable[[Path], bool] = _is_image) -> Iterator[Path]:
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


def _by_stem(folder: Path) -> dict[str, Path]:
    """The images in a folder, each by its stem."""
    if not folder.is_dir():
        names = PHOTOGRAPHS if folder.name == "images" else MASKS
        near = [p for p in sorted(folder.parent.glob("*")) if p.is_dir() and p.name.lower() in names]
        for other in near or [folder.parent / "images", folder.parent]:
            if other.is_dir() and not (near and files_in(other)):
                _expect_pictures(other)
        mend = f"rename {near[0]}" if near else "make it"
        raise ValueError(f"{folder} is no folder, {LAYOUT}; {mend}")
    within = [p for p in class_folders(folder) if any(_images_below(p))]
    if within:
        raise ValueError(
            f"{folder} holds folders with images of their own ({_some(within)}), which are not read; "
            f"expected all images in {folder} itself; move them there, renamed, or take them away"
        )
    files: dict[str, Path] = {}
    for file in files_in(folder):
        stem = same_name(file.stem)
        if stem in files:
            raise ValueError(
                f"{files[stem]} and {file.name} have one stem, expected one file of each; rename one"
            )
        files[stem] = file
    if not files:
        _expect_pictures(folder)
        raise ValueError(f"{folder} holds no images, expected PNG, JPEG, TIFF or the like")
    return files


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
