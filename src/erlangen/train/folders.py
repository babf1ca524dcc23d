"""Where photographs lie: the folders that a user may give."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from erlangen.train.data import Photographs, SortedPhotographs
from erlangen.train.task import Task

ENDINGS = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".mpo", ".bmp", ".tif", ".tiff", ".webp", ".avif"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
    *(".heic", ".heif"),  # which Pillow reads with a plugin alone, and what cannot be read is named
}
PHOTOGRAPHS = {"images", "image", "imgs", "img", "photos"}
MASKS = {"masks", "mask", "labels", "label", "annotations", "annotation", "gt"}
LAYOUT = (
    "expected the photographs there: DIR/images and DIR/masks with files of equal stems, or DIR/CLASS with "
    "the photographs of each class"
)


def find_data(
    folder: str | Path, classes: int | None = None, ignore: int | None = None
) -> Photographs | SortedPhotographs:
    """Photographs with masks, if there is a folder ``images``; else those of ``folder/CLASS/``.

    Args:
        folder, classes, ignore: see `find_photographs`.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder, {LAYOUT}")
    inside = _folders(folder)
    lower = {name.lower() for name in inside}
    if inside and not {"images", "masks"} & set(inside) and not (PHOTOGRAPHS & lower and MASKS & lower):
        found = find_sorted(folder)
        if ignore is not None or classes not in (None, len(found.classes)):
            raise ValueError(
                f"classes={classes} and ignore={ignore}, but {folder} holds folders of classes "
                f"({', '.join(found.classes)}), not images and masks; leave both away"
            )
        return found
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
    missing = sorted(set(images) - set(masks))
    if missing:
        names = ", ".join(images[stem].name for stem in missing[:5])
        raise ValueError(
            f"{len(missing)} of {len(images)} images have no mask: {names}; expected a file of the same stem "
            f"in {folder / 'masks'}; add it, or take the image away"
        )
    alone = sorted(set(masks) - set(images))
    if alone:
        warnings.warn(
            f"{len(alone)} of {len(masks)} masks have no image and are left out: "
            f"{', '.join(masks[stem].name for stem in alone[:5])}; expected a file of the same stem in "
            f"{folder / 'images'}",
            stacklevel=2,
        )
    stems = sorted(images)
    names = _class_names(folder, classes)
    return Photographs(tuple(images[s] for s in stems), tuple(masks[s] for s in stems), names, ignore)


def find_sorted(folder: str | Path) -> SortedPhotographs:
    """The photographs in ``folder/CLASS/``, for each class a folder of its name.

    Raises:
        ValueError: for fewer than two classes, or one without photographs.
    """
    folder = Path(folder)
    names = tuple(_folders(folder))
    if len(names) < 2:
        raise ValueError(
            f"{folder} holds {len(names)} folders ({', '.join(names)}), expected images/ and masks/, or a "
            "folder of photographs for each of two classes or more"
        )
    images, labels = [], []
    for label, name in enumerate(names):
        files = list(_images_below(folder / name))
        if not files:
            raise ValueError(f"{folder / name} holds no images, expected those of the class {name}")
        images += files
        labels += [label] * len(files)
    return SortedPhotographs(tuple(images), tuple(labels), names)


def find_images(path: str | Path, out: str | Path | None = None) -> dict[Path, Path]:
    """An image file itself, or the images in a folder and those within: their paths from there.

    Of a folder that holds ``images``, these alone. Left out are hidden files, the folder `out` if it lies
    within, and folders that a training wrote.

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
    found = {file: file.relative_to(path) for file in _images_below(path, None if out is None else Path(out))}
    if not found:
        raise ValueError(f"{path} holds no images, expected PNG, JPEG, TIFF or the like")
    return found


def _folders(folder: Path) -> list[str]:
    """The folders inside; not hidden ones, nor those that a training wrote."""
    return sorted(
        p.name
        for p in folder.iterdir()
        if p.is_dir() and not p.name.startswith((".", "_")) and not any(p.rglob("*.safetensors"))
    )


def _images_below(folder: Path, out: Path | None = None) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.name == "masks" and (folder / "images").is_dir()):
            continue
        if path.is_dir():
            written = (path / "model.json").exists() or (out is not None and path.resolve() == out.resolve())
            loop = path.is_symlink() and folder.resolve().is_relative_to(path.resolve())
            if not written and not loop:
                yield from _images_below(path, out)
        elif path.suffix.lower() in ENDINGS:
            yield path


def _class_names(folder: Path, classes: int | None) -> tuple[str, ...]:
    file = next((f for f in (folder / "classes.txt", folder.parent / "classes.txt") if f.is_file()), None)
    if file is None:
        return Task.classes if classes in (None, 2) else tuple(str(k) for k in range(classes or 2))
    try:
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} cannot be read ({error}), expected UTF-8; save it as that") from error
    if len(names) == 1:
        names = (Task.classes[0], *names)
    if not names or len(set(names)) < len(names) or classes not in (None, len(names)):
        raise ValueError(
            f"{file} names {len(names)} classes ({', '.join(names)}), expected a name of its own for each of "
            f"{classes or 'several'} classes, one in a line"
        )
    return names


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        names = PHOTOGRAPHS if folder.name == "images" else MASKS
        near = [p for p in sorted(folder.parent.glob("*")) if p.is_dir() and p.name.lower() in names]
        mend = f"rename {near[0]}" if near else "make it"
        raise ValueError(f"{folder} is no folder, {LAYOUT}; {mend}")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in ENDINGS and not file.name.startswith("."):
            if file.stem in files:
                raise ValueError(
                    f"{files[file.stem]} and {file.name} have one stem, expected one file of each; rename one"
                )
            files[file.stem] = file
    if not files:
        raise ValueError(f"{folder} holds no images, expected PNG, JPEG, TIFF or the like")
    return files
