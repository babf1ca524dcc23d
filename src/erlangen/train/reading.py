"""How the files of a data set are read, in a table and a picture, before a network learns from them."""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from erlangen import figures
from erlangen.figures.canvas import INK, MUTED
from erlangen.legible import legible_line
from erlangen.train.angles import some
from erlangen.train.counts import class_counts
from erlangen.train.data import Data, Photographs
from erlangen.train.look import look
from erlangen.train.masks import IGNORED
from erlangen.train.nnunet import ABOUT
from erlangen.train.task import Task
from erlangen.train.volumes import Volumes
from erlangen.train.writing import make_folder, writing

NAMES = ("reading.html", "reading.png", "reading.csv")
COLOURS = ("#00cfe8", "#ffb400", "#ff2e63", "#9b5de5", "#7ac74f", "#ff7f11", "#f5a6e6", "#3d7dff")
SIDE, GAP, LINE = 300, 18, 20  # pixels of a photograph in the picture, between them, and of a line of text
LEARNED, HELD_OUT = 6, 2  # photographs in the picture
FINE = 2  # how much finer outlines are drawn than shown
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
INTRODUCTION = (
    "These are photographs as the network sees them, with their masks laid over. Look whether the outlines "
    "lie where they should, and whether what is tinted is the thing and not its background."
)
OF_VOLUMES = (
    "These are volumes as the network sees them: a slice across each axis through most of the thing, and the "
    "maximum along one of them, with their masks laid over. Look whether the outlines lie where they should."
)
SORTED = "These are photographs as the network sees them, with the classes of their folders."


@dataclass(frozen=True, eq=False)
class Reading:
    """How the files of a data set are read.

    Attributes:
        rows: what is said about them: a name and a sentence each.
        files: a row for each photograph, beginning with a row of headings.
        sheet: some photographs, with their masks laid over.
        introduction: what the sheet shows.
        notes: what the user should look at.
    """

    rows: dict[str, str]
    files: list[list[str]]
    sheet: Image.Image
    introduction: str
    notes: tuple[str, ...] = ()

    def write(self, folder: str | Path) -> Path:
        """The page, the picture and the table of all files, in a folder that is made if it is missing.

        Raises:
            OSError: if the disc is full, naming the folder.
        """
        folder, stream = Path(folder), io.BytesIO()
        page, picture, table = (folder / name for name in NAMES)
        self.sheet.save(stream, "PNG", optimize=False)
        make_folder(folder)
        lines = "".join(
            f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in self.rows.items()
        )
        notes = [f"<p>{html.escape(note[0].upper() + note[1:])}.</p>" for note in self.notes]
        shown = f'<img alt="Photographs with their masks" src="{picture.name}">'
        every = f'<p>All files, one by one: <a href="{table.name}">{table.name}</a></p>'
        with writing(folder, "no network and no training there was changed"):
            for path in (page, picture, table):
                path.unlink(missing_ok=True)  # a link there is replaced, not followed
            picture.write_bytes(stream.getvalue())
            with open(table, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                csv.writer(file).writerows(self.files)
            sections = [f"<p>{self.introduction}</p>", shown, f"<table>{lines}</table>", *notes, every]
            return figures.page(page, "This is how your files are read", sections)


def how_files_are_read(
    learned: Data,
    held_out: Data,
    images: Sequence[Tensor],
    truths: Sequence[Tensor],
    size: int | None,
    notes: tuple[str, ...] = (),
) -> Reading:
    """The table and the picture.

    Args:
        learned, held_out: the photographs.
        images, truths: those to learn from, loaded at `size`.
        size: their longer side, at most.
        notes: what else the user should look at.

    Raises:
        ValueError: for a file that cannot be read, and for a mask of another size than its photograph.
    """
    classes = learned.task.classes
    rows, lines = look(learned, held_out, size)
    rows |= _of_classes(learned, truths)
    beside = _left_out((learned, held_out))
    rows |= {"left out": beside} if beside else {}
    rows = {name: legible_line(text) for name, text in rows.items()}
    shares = [_shares(learned, truth) for truth in truths] + [[""] * len(classes)] * len(held_out)
    files = [["file", "set", "size", "kind", "mask", "kind of mask", *classes]]
    files += [[*line, *share] for line, share in zip(lines, shares, strict=True)]
    introduction = OF_VOLUMES if learned.dim == 3 else INTRODUCTION if learned.task.dense else SORTED
    return Reading(rows, files, _sheet(learned, held_out, images, truths, size), introduction, notes)


def _of_classes(learned: Data, truths: Sequence[Tensor]) -> dict[str, str]:
    """How much there is of each class."""
    task, counts = learned.task, class_counts(learned.task, list(truths))
    shares = [
        f"{name} {100 * n / max(counts.sum(), 1):.3g} %" for name, n in zip(task.classes, counts, strict=True)
    ]
    rows = {"classes": ", ".join(shares) + " of what to learn from"}
    if task.is_binary:
        each = [float((truth == 1).sum() / max((truth != IGNORED).sum(), 1)) for truth in truths]
        without = sum(share == 0 for share in each)
        rows["each mask"] = (
            f"{100 * min(each):.3g} to {100 * max(each):.3g} % {task.classes[1]}; {without} without any"
        )
    if isinstance(learned, Photographs | Volumes) and learned.ignore is not None:
        share = sum(int((truth == IGNORED).sum()) for truth in truths) / sum(
            truth.numel() for truth in truths
        )
        rows["not counted"] = f"the value {learned.ignore}: {100 * share:.3g} % of the pixels to learn from"
    names = learned.named_by if task.classes != Task.classes else None
    return rows | ({"class names": str(names)} if names else {})


def _shares(learned: Data, truth: Tensor) -> list[str]:
    counts = class_counts(learned.task, [truth])
    return [f"{float(n / max(counts.sum(), 1)):.4f}" for n in counts]


def _left_out(both: Iterable[Data]) -> str:
    """What lies in the folders of the files, and beside them, and is not read."""
    known: set[Path] = set()
    for data in both:
        known |= {path for file in data.files for path in (file, *file.parents)}
    used = {file.parent for data in both for file in data.files}
    around = used | {folder.parent for folder in used}
    named = {"classes.txt", ABOUT, *NAMES}
    beside = [
        p for folder in sorted(around) if folder.is_dir() for p in sorted(folder.iterdir()) if p not in known
    ]
    hidden = [p for p in beside if p.name.startswith(".")]
    others = [p.name + "/" * p.is_dir() for p in beside if p not in hidden and p.name not in named]
    texts = [", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")]
    texts += [f"{len(hidden)} hidden" if hidden else ""]
    return "; ".join(text for text in texts if text)


def _sheet(
    learned: Data, held_out: Data, images: Sequence[Tensor], truths: Sequence[Tensor], size: int | None
) -> Image.Image:
    """Some photographs with their masks laid over, four in a row, and what the colours mean."""
    places = [int(i) for i in torch.linspace(0, len(images) - 1, min(LEARNED, len(images))).round()]
    shown = [(images[i], truths[i], learned.images[i].name, "") for i in places]
    few = some(held_out, HELD_OUT)
    loaded = zip(*few.load(size), few.images, strict=True)
    shown += [(image, truth, path.name, "held out: ") for image, truth, path in loaded]
    columns, side = (min(4, len(shown)), SIDE) if learned.dim == 2 else (1, 4 * SIDE)
    pictures = [learned.pictured(image, truth) for image, truth, _, _ in shown]
    tiles = [_tile(picture, mask, side) for picture, (mask,) in pictures]
    captions = [f"{before}{name}" + _caption(learned, truth) for _, truth, name, before in shown]
    rows = [range(i, min(i + columns, len(shown))) for i in range(0, len(shown), columns)]
    heights = [max(tiles[i].height for i in row) + LINE + GAP for row in rows]
    legend = _legend(learned, truths) if learned.task.dense else []
    width = columns * (side + GAP) + GAP
    sheet = Image.new("RGB", (width, sum(heights) + GAP + (LINE + GAP) * bool(legend)), "white")
    pen, font = ImageDraw.Draw(sheet), _font()
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, i in enumerate(row):
            left = GAP + column * (side + GAP)
            sheet.paste(tiles[i], (left + (side - tiles[i].width) // 2, top))
            text = _fitting(legible_line(captions[i]), font, side)
            middle = left + (side - pen.textlength(text, font)) / 2
            pen.text((middle, top + tiles[i].height + 3), text, INK, font)
        top += height
    left = GAP
    for name, colour in legend:
        text = legible_line(name)
        pen.rectangle((left, top + 2, left + 14, top + 14), fill=colour, outline=INK)
        if colour == MUTED:
            pen.line((left, top + 14, left + 14, top + 2), "white", 2)
        pen.text((left + 20, top), text, INK, font)
        left += int(pen.textlength(text, font)) + 20 + 2 * GAP
    return sheet


def _caption(learned: Data, truth: Tensor) -> str:
    """How much of the thing there is, or the class of the whole."""
    task = learned.task
    if not task.dense:
        return f": {task.classes[int(truth)]}"
    if task.is_binary:
        return f", {100 * float((truth == 1).sum()) / max(int((truth != IGNORED).sum()), 1):.3g} %"
    return ""


def _legend(learned: Data, truths: Sequence[Tensor]) -> list[tuple[str, str]]:
    """Names and colours of the classes but the first, and of what does not count."""
    names = [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(learned.task.classes[1:])]
    ignored = any(bool((truth == IGNORED).any()) for truth in truths)
    return names + ([("does not count", MUTED)] if ignored else [])


def _font() -> Font:
    """That of the other figures, which has more letters than Pillow's own."""
    try:
        import matplotlib

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)
    except (ImportError, OSError):
        return ImageFont.load_default(12)


def _fitting(text: str, font: Font, width: int) -> str:
    """The text, shortened in its middle to a width."""
    kept = len(text)
    short = text
    while font.getlength(short) > width and kept > 4:
        kept -= 2
        short = f"{text[: kept // 2]}...{text[-(kept // 2) :]}"
    return short


def _tile(image: Tensor, truth: Tensor, side: int) -> Image.Image:
    """A photograph ``(3, h, w)`` with the outlines of its classes ``(h, w)``, tinted inside; its longer side
    at most so long."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    size = (max(round(width * scale), 1) * FINE, max(round(height * scale), 1) * FINE)
    enlarge = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.BICUBIC
    photograph = Image.fromarray(image.permute(1, 2, 0).numpy()).resize(size, enlarge)
    if truth.dim() == 0:
        return photograph.reduce(FINE)
    colours = np.asarray(photograph, dtype=np.float32)
    labels = np.asarray(Image.fromarray(truth.numpy()).resize(size, Image.Resampling.NEAREST))
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for label in np.unique(labels[labels > 0]):
        inside = labels == label
        if label == IGNORED:
            stripes = ((x + y) // (4 * FINE)) % 2 == 0
            colours[inside] = 0.35 * colours[inside] + 0.65 * np.where(stripes, 154, 225)[inside][:, None]
            continue
        own = np.array(Image.new("RGB", (1, 1), COLOURS[(int(label) - 1) % len(COLOURS)]).getpixel((0, 0)))
        colours[inside] = 0.82 * colours[inside] + 0.18 * own
        edge = _edge(inside, FINE)
        colours[_edge(~inside, FINE // 2) & ~inside] = 255
        colours[edge] = own
    return Image.fromarray(colours.round().clip(0, 255).astype(np.uint8)).reduce(FINE)


def _edge(inside: np.ndarray, width: int) -> np.ndarray:
    """What is inside, and not farther than `width` from outside; the frame of the picture is no edge."""
    kept = inside.copy()
    for _ in range(width):
        padded = np.pad(kept, 1, mode="edge")
        kept = kept & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~kept
