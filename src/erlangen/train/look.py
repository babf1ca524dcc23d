"""The look at all files of a data set: of which kinds they are, and how they are read."""

import math
from collections import Counter
from collections.abc import Sequence

from erlangen.train.data import Data, Photographs
from erlangen.train.decoding import Facts, examine
from erlangen.train.scale import BYTES
from erlangen.train.volume_files import examine_volume
from erlangen.train.volumes import Scans, Volumes, shape_at

Look = tuple[dict[str, str], list[list[str]]]


def look(learned: Data, held_out: Data, size: int | None) -> Look:
    """What is said of the files, and a line for each, those to learn from first.

    Returns:
        Names and sentences; and of each file its path, set, size, kind, mask, and the kind of that.

    Raises:
        ValueError: for a file that cannot be read, and for a mask of another size than its photograph.
    """
    if isinstance(learned, Scans) and isinstance(held_out, Scans):
        rows, lines = _of_volumes(learned, held_out)
    else:
        rows, lines = _of_photographs(learned, held_out, size)
    other = "" if held_out.paired == learned.paired else f"; held out: {held_out.paired}"
    return {"files": rows.pop("files"), "paired by": learned.paired + other, **rows}, lines


def _of_photographs(learned: Data, held_out: Data, size: int | None) -> Look:
    both = (learned, held_out)
    facts = [[examine(path) for path in data.images] for data in both]
    masks = [[examine(path) for path in data.masks] if isinstance(data, Photographs) else [] for data in both]
    for data, photographs, of_masks in zip(both, facts, masks, strict=True):
        if isinstance(data, Photographs):
            for i, (photograph, mask) in enumerate(zip(photographs, of_masks, strict=True)):
                data.expect_size(i, photograph.size, mask.size)
    rows = {
        "files": _kinds([*facts[0], *facts[1]]),
        "sizes": _sizes([*facts[0], *facts[1]], size),
        "values": _values(learned),
        **_treated([*facts[0], *facts[1]], "photographs"),
        **_of_masks(learned, [*masks[0], *masks[1]]),
    }
    lines = []
    for name, data, photographs, of_masks in zip(("learned", "held out"), both, facts, masks, strict=True):
        for i, photograph in enumerate(photographs):
            mask = [str(data.masks[i]), _kind(of_masks[i])] if isinstance(data, Photographs) else ["", ""]
            shape = "x".join(map(str, photograph.size))
            lines.append([str(data.images[i]), name, shape, _kind(photograph), *mask])
    return rows, lines


def _of_volumes(learned: Scans, held_out: Scans) -> Look:
    every = [*learned.facts, *held_out.facts]
    shapes = sorted({one.shape for one in every}, key=math.prod)
    ends = shapes if len(shapes) < 2 else [shapes[0], shapes[-1]]
    kinds = Counter(f"{one.format}, {one.dtype}" for one in every)
    moved = sum(shape_at(one, learned.spacing) != one.shape for one in every)
    silent = sum(one.spacing is None for one in every)
    steps = " x ".join(f"{step:g}" for step in learned.spacing)
    changed = f"; {moved} of {len(every)} volumes are brought to these" if moved else ""
    unsaid = f"; {silent} of {len(every)} files tell none, and are taken as they are" if silent else ""
    leads = Counter(one.orientation for one in every if one.orientation)
    turned = ", ".join(f"{count} {name}" for name, count in leads.most_common())
    count = len(learned) + len(held_out)
    meant = "what is not 0 is the thing" if learned.task.is_binary else "their values are the classes"
    rows = {
        "files": "; ".join(f"{n} {kind}" for kind, n in kinds.most_common()),
        "sizes": " to ".join("x".join(map(str, shape)) for shape in ends),
        "channels": str(learned.channels),
        "voxels": f"steps of {steps}{changed}{unsaid}",
        "orientation": f"{turned}; the network sees axes that lead right, front and up" if turned else "",
        "values": _values(learned),
        "masks": f"{count}, {meant}" if learned.task.dense else "",
    }
    lines = []
    for name, data in (("learned", learned), ("held out", held_out)):
        for i, one in enumerate(data.facts):
            mask = ["", ""]
            if isinstance(data, Volumes):
                mask = [str(data.masks[i]), str(examine_volume(data.masks[i], mask=True))]
            lines.append([str(data.images[i]), name, "x".join(map(str, one.shape)), str(one), *mask])
    return {name: text for name, text in rows.items() if text}, lines


def _kind(facts: Facts) -> str:
    number = "floating point" if facts.kind == "f" else f"{facts.bits} bit{'s' * (facts.bits > 1)}"
    return f"{facts.format} {facts.mode}, {number}"


def _kinds(facts: Sequence[Facts]) -> str:
    """How many files there are of each kind."""
    counts = Counter(_kind(one) for one in facts)
    return "; ".join(f"{count} {kind}" for kind, count in counts.most_common())


def _sizes(facts: Sequence[Facts], size: int | None) -> str:
    """The smallest and the largest, and what becomes of them."""
    by_area = sorted({one.size for one in facts}, key=math.prod)
    ends = by_area if len(by_area) < 2 else [by_area[0], by_area[-1]]
    text = " to ".join(f"{width} x {height}" for width, height in ends)
    shrunk = sum(size is not None and max(one.size) > size for one in facts)
    return text + (f"; {shrunk} shrunk to a longer side of {size}" if shrunk else "")


def _values(data: Data) -> str:
    if data.values is None:
        return "black and white as each photograph tells by itself"
    low, high = data.values
    return f"{low:.6g} is black, {high:.6g} white" + (
        "" if data.values == BYTES else "; what lies beyond is cut off"
    )


def _treated(facts: Sequence[Facts], what: str) -> dict[str, str]:
    """What was done to some of the files, and what was not."""
    turned = sum(one.orientation != 1 for one in facts)
    views = sum(one.pages > 1 for one in facts)
    profiles = sum(one.profile for one in facts)
    rows = {
        f"{what} turned": f"{turned} of {len(facts)}, upright as their EXIF data say" if turned else "",
        "views": f"of {views} files with several the first one" if views else "",
        "colour profiles": f"ignored in {profiles} {what}" if profiles else "",
    }
    return {name: text for name, text in rows.items() if text}


def _of_masks(learned: Data, facts: Sequence[Facts]) -> dict[str, str]:
    if not isinstance(learned, Photographs):
        return {}
    white = sum(one.white_is_zero for one in facts)
    rows = {"masks": _kinds(facts), "read as": learned.how.why}
    if white:
        rows["white is 0"] = f"in {white} masks, where a stored 1 is the thing all the same"
    turned = _treated(facts, "masks")
    return rows | {name: text for name, text in turned.items() if name == "masks turned"}
