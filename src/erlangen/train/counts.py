"""How often each class occurs in what a network learns from."""

import torch
from torch import Tensor

from erlangen.train.task import Task


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
