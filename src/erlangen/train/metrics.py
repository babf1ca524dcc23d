"""Scores of segmentations."""

from collections.abc import Iterable

from torch import Tensor


def intersection_over_union(
    predicted: Iterable[Tensor], truth: Iterable[Tensor], where: Iterable[Tensor] | None = None
) -> float:
    """The Jaccard index of the positive class, pooled over the pixels of all images.

    Args:
        predicted, truth: ``(height, width)``, true or not zero where the class is.
        where: the pixels that count; None for all.
    """
    from torchmetrics.classification import BinaryJaccardIndex

    metric = BinaryJaccardIndex()
    masks = iter(where) if where is not None else None
    for guess, label in zip(predicted, truth, strict=True):
        guess, label = guess.bool(), label.bool()
        if masks is not None:
            inside = next(masks)
            guess, label = guess[inside], label[inside]
        metric.update(guess.flatten().int(), label.flatten().int())
    return float(metric.compute())
