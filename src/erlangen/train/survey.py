"""What to know of photographs before a network learns from them."""

import numpy as np
import torch
from torch import Tensor

from erlangen.train.data import Data, Photographs
from erlangen.train.images import mask_values
from erlangen.train.task import Task
from erlangen.train.upright import says_upright

MASKS_LOOKED_AT = 8
MANY = 32  # more values than that are shades, not classes


def survey(data: Data, images: list[Tensor], truths: list[Tensor], turns: bool) -> tuple[str, ...]:
    """Sentences for the user; none, if all is well.

    Args:
        data: what is learned from.
        images, truths: the same, loaded as bytes.
        turns: whether the network will treat all turns alike.
    """
    says = [says_upright(images) if turns else None, says_absent(data.task, truths), says_indexed(data)]
    return tuple(sentence for sentence in says if sentence)


def says_indexed(data: Data) -> str | None:
    """A sentence where masks seem to hold numbers of classes that are all taken for one thing; None else."""
    if not isinstance(data, Photographs) or len(data.classes) > 2:
        return None
    values: set[float] = set()
    painted: set[tuple[int, ...]] = set()
    for path in data.masks[:MASKS_LOOKED_AT]:
        numbers, colours, lossy = mask_values(path)
        if numbers is not None:
            values |= set(np.unique(numbers).tolist())
        elif not lossy:
            painted |= {tuple(c) for c in np.unique(colours.reshape(-1, colours.shape[2]), axis=0).tolist()}
    painted = {colour for colour in painted if any(colour)}
    values -= {0.0, 255.0, data.ignore}
    if 2 <= len(painted) <= MANY:
        return (
            f"the masks are painted in {len(painted)} colours, which all count as the thing; if they are "
            "classes, export the masks as indexed PNG and say how many: --classes"
        )
    if not 2 <= len(values) <= MANY or max(values) > 2 * MANY:
        return None
    some = ", ".join(f"{value:g}" for value in sorted(values)[:6])
    return (
        f"the masks hold the values {some}, which all count as the "
        "thing; if they are classes, say how many: --classes"
    )


def says_absent(task: Task, truths: list[Tensor]) -> str | None:
    """A sentence where a class does not occur; None else."""
    absent = [name for name, n in zip(task.classes, class_counts(task, truths), strict=True) if n == 0]
    if not absent:
        return None
    return (
        f"no photograph to learn from shows {', '.join(absent)}: check the masks, and --classes and --ignore"
    )


def balanced(task: Task, truths: list[Tensor]) -> tuple[float, ...]:
    """Weights such that classes weigh the same in sum: ``total / (classes count_c)``; 0 if absent."""
    counts = class_counts(task, truths)
    return tuple(float(counts.sum() / (len(counts) * count)) if count else 0.0 for count in counts)


def class_counts(task: Task, truths: list[Tensor]) -> Tensor:
    """How many pixels, or photographs, each class has."""
    total = torch.zeros(256, dtype=torch.float64)
    for truth in truths:
        total += torch.bincount(truth.flatten().int(), minlength=256)
    return total[: len(task.classes)]
