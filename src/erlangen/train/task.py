"""What is asked of a photograph: a class for every pixel, or one for the whole."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from erlangen.arguments import check_fields
from erlangen.train.masks import IGNORED


@dataclass(frozen=True)
class Task:
    """A class for every pixel (segmentation), or for the whole photograph (classification).

    Two classes of pixels need one logit, everything else one for each class.

    Attributes:
        classes: their names; of two classes of pixels the first is the background.
        dense: whether every pixel has a class.
    """

    classes: tuple[str, ...] = ("background", "thing")
    dense: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if not 2 <= len(self.classes) <= IGNORED:
            raise ValueError(f"{len(self.classes)} classes, expected 2 to {IGNORED}")

    @property
    def name(self) -> str:
        """Segmentation or classification."""
        return "segmentation" if self.dense else "classification"

    @property
    def is_binary(self) -> bool:
        """Whether one logit tells the thing from the background."""
        return self.dense and len(self.classes) == 2

    @property
    def logits(self) -> int:
        """How many numbers the network gives at each pixel, or for each photograph."""
        return 1 if self.is_binary else len(self.classes)

    @property
    def measure(self) -> str:
        """What `score` is."""
        if not self.dense:
            return "accuracy"
        return "IoU" if self.is_binary else "mean IoU"

    def probabilities(self, logits: Tensor) -> Tensor:
        """That of the thing, ``(batch, *space)``; or of each class, ``(batch, classes, *space)``."""
        return torch.sigmoid(logits[:, 0]) if self.is_binary else torch.softmax(logits, 1)

    def decide(self, logits: Tensor) -> Tensor:
        """The index of the likeliest class, ``(batch, *space)``."""
        return (logits[:, 0] > 0).int() if self.is_binary else logits.argmax(1).int()

    def score(
        self, predicted: Iterable[Tensor], truth: Iterable[Tensor], where: Iterable[Tensor] | None = None
    ) -> float:
        """Intersection over union of the thing, its mean over the classes that occur, or the accuracy.

        Intersection and union are pooled over all photographs; a class occurs if it is true of some pixel, or
        predicted for one. Where no pixel is the thing and none was taken for it, the answer is right: 1.

        Args:
            predicted, truth: for each photograph its class indices ``(height, width)`` or ``()``; where the
                truth is 255 nothing counts.
            where: the pixels that count; None for all.
        """
        from torchmetrics.classification import MulticlassConfusionMatrix

        metric = MulticlassConfusionMatrix(len(self.classes), ignore_index=IGNORED)
        masks = iter(where) if where is not None else None
        for guess, label in zip(predicted, truth, strict=True):
            label = label.long().reshape(-1)
            if masks is not None:
                label = label.where(next(masks).reshape(-1), IGNORED)
            metric.update(guess.long().reshape(-1), label)
        counts = metric.confmat.double()  # (true, predicted)
        right = counts.diagonal()
        if not self.dense:
            return float(right.sum() / counts.sum())
        union = counts.sum(0) + counts.sum(1) - right
        classes = union[1:] if self.is_binary else union
        overlap = (right / union)[-len(classes) :][classes > 0]
        return float(overlap.mean()) if len(overlap) else 1.0
