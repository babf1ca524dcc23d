"""Prediction: photographs or volumes of any size in, probabilities out."""

import csv
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from erlangen.train.ahead import ahead
from erlangen.train.decoding import Decoded, decode, decode_open
from erlangen.train.folders import find_images
from erlangen.train.images import as_rgb, numbers, shrink
from erlangen.train.lock import FolderLock
from erlangen.train.outputs import Outputs, one_spelling, some, written_among
from erlangen.train.predictor import Predictor, expect_predictor
from erlangen.train.scale import values_of_numbers
from erlangen.train.task import Task
from erlangen.train.tiles import answer
from erlangen.train.volume_files import read_volume, written_like
from erlangen.train.volumes import at_spacing, resized, scaled

TABLE = "classes.csv"
KEEP_EVERY = 30.0  # seconds after which the lines of a table go to the disc
Answers = Generator[tuple[Path, Tensor], None, None]  # photographs and their logits
Seen = tuple[Tensor, tuple[int, ...]]  # an image at the network's scale, and the shape that it has itself
Read = Callable[[], Seen]


def predict(
    model: Predictor,
    images: str | Path | Image.Image | Tensor,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    tile: int | None = None,
    overwrite: bool = False,
) -> list[Tensor]:
    """The probability of the thing at every pixel, or of each class, or of each class of the whole.

    Args:
        model: from `fit` or `load`.
        images: a file, a folder (and those within), a photograph, or a tensor ``(batch, channels, *space)``
            in [0, 1] that is used at the size it has.
        out: a folder for masks, PNG of the photographs' names and sizes, in folders as theirs (255 where the
            thing is, or the class indices), or for ``classes.csv``. Masks of volumes are files as these are,
            with their affine or steps, of class indices. What was predicted there before is
            replaced, and nothing else; it is never taken for photographs.
        size: shrink photographs to this longer side instead of the one that the network was trained at.
        tile: what is larger goes through the network in tiles of about so many pixels, with the same answer;
            None for as large ones as memory holds.
        overwrite: lose what others wrote to `out` in the place of masks or the table, or changed there; a
            warning says what.

    Returns:
        For each photograph or volume ``(*space)``, of its size, axes of volumes as the network sees them;
        with several classes ``(classes, *space)``, or ``(classes,)`` for the whole.

    Raises:
        ValueError: for files that cannot be read, naming them, with `out` after the others are written; for
            tensors that are no photographs; for `out` with what is no file; for an `out` that holds other
            files in the place of masks, naming them, or that another prediction writes to, before anything is
            computed.
    """
    expect_predictor(model)
    _expect_sizes(size, tile)
    if out is not None and isinstance(images, Tensor | Image.Image):
        raise ValueError(f"out is {out}, but a {type(images).__name__} has no name there, expected files")
    if not isinstance(images, str | Path | Tensor | Image.Image):
        raise ValueError(
            f"the images are a {type(images).__name__}, expected a file or folder, a PIL image, or a tensor "
            "(batch, 3, height, width); several files one after the other"
        )
    if isinstance(images, Tensor):
        _expect_numbers(model, images)
        return list(model.task.probabilities(answer(model, images, tile)))
    if isinstance(images, Image.Image):
        if model.dim == 3:
            raise ValueError("the image is a photograph, but the network learned from volumes, expected one")
        photograph = as_photograph(model, decode_open(images))
        return [model.task.probabilities(predict_logits(model, photograph, size, tile))[0]]
    return list(predict_files(model, images, out, size, tile, overwrite)[1])


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def predict_files(
    model: Predictor,
    images: str | Path,
    out: str | Path | None = None,
    size: int | None = None,
    tile: int | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = _warn,
) -> tuple[int, Iterator[Tensor]]:
    """`predict`, one photograph after the other: of those before, memory holds nothing.

    Args:
        model, images, out, size, tile, overwrite: as of `predict`.
        tell: hears what is overwritten.

    Returns:
        How many photographs there are, and their probabilities as they come.

    Raises:
        ValueError: as `predict` does, for `images` and `out` before anything is computed.
    """
    expect_predictor(model)
    _expect_sizes(size, tile)
    out = None if out is None else Path(out)
    if model.dim == 3 and size is not None:
        raise ValueError(f"size is {size}, but the network takes volumes, expected None; leave it out")
    found = _photographs(images, out if overwrite else None, model.dim)
    model = model.eval().for_calls(len(found))
    if out is None:
        return len(found), _predict_files(model, found, size, tile)
    files = mask_files(found, out, model.dim) if model.task.dense else dict.fromkeys(found, out / TABLE)
    with ExitStack() as undo:
        lock = FolderLock(out, "prediction")
        undo.callback(lock.release)
        outputs = Outputs(out)
        lost = outputs.claim(dict.fromkeys(files.values()), overwrite)
        if lost:
            tell(f"{len(lost)} files in {out} that predict did not write are replaced: {some(lost, out, 20)}")
        if lock.note is not None:
            tell(lock.note)
        undo.pop_all()
    return len(found), _write_files(model, found, outputs, files, lock, size, tile)


def _photographs(images: str | Path, given_up: Path | None, dim: int) -> dict[Path, Path]:
    """Those that `find_images` finds, without what `predict` wrote.

    Raises:
        ValueError: if nothing is left; for what was written and then changed, which may be a mask as well as
            a photograph, but in the folder `given_up`.
    """
    found = find_images(images, dim)
    written = written_among(found)
    left = {path for path in written if given_up and path.resolve().is_relative_to(given_up.resolve())}
    changed = [path for path, same in written.items() if not same and path not in left]
    if changed:
        raise ValueError(
            f"{len(changed)} files in {images} were written by predict and changed since ({changed[0]} "
            "first), expected photographs; if they are masks, move them elsewhere, else rename them"
        )
    photographs = {path: name for path, name in found.items() if path not in written}
    if not photographs:
        raise ValueError(
            f"{images} holds nothing but what predict wrote ({next(iter(written))} first), expected "
            "photographs; give the folder of those"
        )
    return photographs


def _predict_files(
    model: Predictor, found: dict[Path, Path], size: int | None, tile: int | None
) -> Iterator[Tensor]:
    with closing(_read_ahead(model, found, size)) as photographs:
        for photograph in photographs:
            yield model.task.probabilities(_logits(model, *photograph(), tile))[0]


def _read_ahead(model: Predictor, found: dict[Path, Path], size: int | None) -> Generator[Read, None, None]:
    """Of each photograph what gives it as `_numbers` does, or says why not; one more is read meanwhile."""
    yield from ahead(lambda path: as_numbers(model, path, size), found)


def as_numbers(model: Predictor, path: Path, size: int | None = None) -> Seen:
    """What the network sees of a file, and the shape that this has itself."""
    if model.dim == 3:
        return _volume(model, path)
    return _numbers(model, as_photograph(model, decode(path)), size)


def _volume(model: Predictor, path: Path) -> Seen:
    """A volume at the network's steps, and the voxels that it has itself."""
    scan = read_volume(path)
    if scan.facts.channels != model.channels or model.spacing is None:
        raise ValueError(
            f"{path} has {scan.facts.channels} channels, expected {model.channels}, which it learned"
        )
    values = model.values or values_of_numbers([(path.name, scan.values)])
    return at_spacing(scaled(scan.values, values), scan, model.spacing)[None], scan.facts.shape


def _numbers(model: Predictor, photograph: Image.Image, size: int | None) -> Seen:
    """A photograph at the network's scale, and the height and width that it has itself."""
    width, height = photograph.size
    return numbers(shrink(photograph, size or model.size, model.shrinking)), (height, width)


def _write_files(
    model: Predictor,
    found: dict[Path, Path],
    outputs: Outputs,
    files: dict[Path, Path],
    lock: FolderLock,
    size: int | None,
    tile: int | None,
) -> Iterator[Tensor]:
    unread = list[str]()
    aside = None if len(found) == 1 else unread
    with_files = _with_masks if model.task.dense else _with_table
    with lock, closing(_read_ahead(model, found, size)) as photographs:
        read = zip(found, photographs, strict=True)
        each = ((path, _answered(model, path, photograph, tile, aside)) for path, photograph in read)
        answers: Answers = ((path, logits) for path, logits in each if logits is not None)
        with closing(with_files(answers, model.task, outputs, files, found)) as written:
            for _, logits in written:
                yield model.task.probabilities(logits)[0]
    if unread:
        what = f"{len(unread)} of {len(found)} photographs are left out, the others are in {outputs.folder}: "
        raise ValueError(what + "; ".join(unread))


def predict_logits(
    model: Predictor, photograph: Image.Image, size: int | None = None, tile: int | None = None
) -> Tensor:
    """The logits of one photograph, ``(1, task.logits, *its size)``, computed at the network's scale."""
    return _logits(model, *_numbers(model, photograph, size), tile)


def _logits(model: Predictor, image: Tensor, whole: tuple[int, ...], tile: int | None) -> Tensor:
    """Those of a photograph or volume, in the pixels or voxels that it has itself."""
    logits = answer(model, image, tile)
    if not model.task.dense or tuple(logits.shape[2:]) == whole:
        return logits
    if model.dim == 3:
        return resized(logits, whole)
    return F.interpolate(logits, size=whole, mode="bilinear", align_corners=False)


def mask_files(found: dict[Path, Path], out: Path, dim: int = 2) -> dict[Path, Path]:
    """Where the mask of each photograph goes; those that differ in their ending only keep it: a.jpg.png.

    Those of volumes have the names of the volumes.

    Raises:
        ValueError: if a mask would take the place of a photograph, or of another mask, on any system: names
            that differ in case or in how accents are spelled only are one.
    """
    stems = Counter(one_spelling(str(name.with_suffix(""))) for name in found.values())
    masks = {path: out / name for path, name in found.items()} if dim == 3 else {}
    for path, name in found.items() if dim == 2 else ():
        single = stems[one_spelling(str(name.with_suffix("")))] == 1
        masks[path] = out / (name.with_suffix(".png") if single else name.with_name(f"{name.name}.png"))
    counts = Counter(one_spelling(str(mask)) for mask in masks.values())
    twice = [path for path, mask in masks.items() if counts[one_spelling(str(mask))] > 1]
    if twice:
        count = sum(count > 1 for count in counts.values())
        raise ValueError(
            f"{count} masks would be written twice ({masks[twice[0]]} first), expected a name of its own for "
            f"each, on every system; rename a photograph, such as {twice[0]}"
        )
    places = {one_spelling(str(place)) for path in found for place in (path.resolve(), _place(path))}
    lost = [
        path
        for path, mask in masks.items()
        if {one_spelling(str(mask.resolve())), one_spelling(str(_place(mask)))} & places
    ]
    if lost:
        raise ValueError(
            f"the mask of {min(lost).name} would be written over the photograph; expected another folder "
            f"than {out} for the masks"
        )
    return masks


def _place(path: Path) -> Path:
    """Where a file lies, itself a link or not."""
    return path.parent.resolve() / path.name


def as_photograph(model: Predictor, decoded: Decoded) -> Image.Image:
    """As RGB of 8 bits, with black and white where the network has them.

    Raises:
        ValueError: for numbers of another depth than the network learned from.
    """
    if model.values is None and decoded.facts.is_deep:
        warnings.warn(
            "the network does not say which numbers are black and white: "
            "photographs of more than 8 bits are scaled each by its own; train again to have that kept",
            stacklevel=2,
        )
    return as_rgb(decoded, model.values)


def _answered(
    model: Predictor, path: Path, photograph: Read, tile: int | None, unread: list[str] | None
) -> Tensor | None:
    """The logits of a file; what is wrong with one that has none goes to `unread`, if there is such."""
    try:
        return _logits(model, *photograph(), tile)
    except (ValueError, MemoryError, RuntimeError) as error:
        if unread is None or (isinstance(error, RuntimeError) and "memory" not in str(error)):
            raise
        text = str(error)
        if not isinstance(error, ValueError):
            text = f"{path} takes more memory than there is, expected less; take a smaller --size or --tile"
        unread.append(text)
        return None


def _expect_sizes(size: int | None, tile: int | None) -> None:
    whole = all(isinstance(x, int) and not isinstance(x, bool) and x >= 1 for x in (size or 1, tile or 1))
    if 0 in (size, tile) or not whole:
        raise ValueError(f"size is {size} and tile {tile}, expected pixels, a whole number of at least 1")


def _expect_numbers(model: Predictor, images: Tensor) -> None:
    if images.dim() != 2 + model.dim or images.shape[1] != model.channels or 0 in images.shape[2:]:
        grey = ", grey is gray.expand(-1, 3, -1, -1)" if model.dim == 2 else ""
        space = "height, width" if model.dim == 2 else "*space of three axes"
        raise ValueError(
            f"the images have shape {tuple(images.shape)}, expected (batch, {model.channels}, {space}); "
            f"one by itself is image[None]{grey}"
        )
    if not images.is_floating_point():
        raise ValueError(f"the images are {images.dtype}, expected numbers in [0, 1]: images.float() / 255")
    low, high = (float(v) for v in images.aminmax()) if images.numel() else (0.0, 1.0)
    if not (low >= -0.5 and high <= 1.5):  # what interpolation overshoots is let through
        raise ValueError(
            f"the images have values from {low:.6g} to {high:.6g}, expected [0, 1]: divide bytes by 255, and "
            "undo a normalization, since the model has its own"
        )


def _with_masks(
    answers: Answers, task: Task, outputs: Outputs, files: dict[Path, Path], _: dict[Path, Path]
) -> Answers:
    """Class indices as PNG, 255 where the one thing is; of volumes as files like theirs."""
    for path, logits in answers:
        classes = task.decide(logits)[0].numpy().astype(np.uint8)
        is_photograph = logits.dim() == 4
        content = (
            _png(classes * (255 if task.is_binary else 1)) if is_photograph else written_like(path, classes)
        )
        outputs.write(files[path], content)
        yield path, logits


def _png(values: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def _with_table(
    answers: Answers, task: Task, outputs: Outputs, files: dict[Path, Path], found: dict[Path, Path]
) -> Answers:
    """A line for each photograph: its name, its class, the probability of each class.

    The table goes to the disc whole, now and then and at the end, be it that of an interruption.
    """
    text, kept = StringIO(newline=""), time.monotonic()
    lines = csv.writer(text)
    lines.writerow(["image", "class", *task.classes])
    file = None

    def keep(file: Path | None) -> None:
        if file is not None:
            outputs.write(file, text.getvalue().encode("utf-8", "surrogateescape"))  # names of any bytes

    try:
        for path, logits in answers:
            probabilities = [f"{p:.4f}" for p in task.probabilities(logits)[0].tolist()]
            name, file = task.classes[int(task.decide(logits))], files[path]
            lines.writerow([found[path].as_posix(), name, *probabilities])
            if time.monotonic() - kept > KEEP_EVERY:
                keep(file)
                kept = time.monotonic()
            yield path, logits
    finally:
        keep(file)
