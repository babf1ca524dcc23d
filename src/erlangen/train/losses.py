"""What a training minimizes."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor, nn

from erlangen.arguments import NonNegative, checked
from erlangen.train.masks import IGNORED
from erlangen.train.task import Task
from erlangen.train.turning import inconsistency

LossName = Literal["cross-entropy+dice", "cross-entropy", "dice", "focal"]


class Loss(nn.Module):
    r"""The loss of logits against class indices; pixels of the class 255 do not count.

    - cross-entropy: ``-w_c log p_c``, its mean over pixels, weighted by ``w_c``;
    - dice: one minus the soft Dice coefficient ``(2 sum p t + 1) / (sum p + sum t + 1)`` over the batch: of
      the thing, or the mean over classes;
    - focal: cross-entropy times ``(1 - p_c)^2`` (Lin et al. 2017).

    To any of them, where the last crops are the first ones, turned, ``consistency (f(g x) - g f(x))^2`` is
    added, its mean over the inner discs of crops x: how far logits of turned crops are from turned logits.

    Args:
        task: the classes.
        name: which loss; None for "cross-entropy+dice" of pixels, "cross-entropy" of photographs.
        weights: of each class; None for ones.
        consistency: how much it weighs that logits turn with crops.

    Shapes: logits ``(batch, task.logits, *space)`` and class indices ``(batch, *space)`` to a number; beside
    them, of pairs, ``(batch // 2,)``, by how many radians the last crops are turned against the first ones.

    Raises:
        ValueError: for another name, other than one weight for each class, or a Dice of whole photographs.
    """

    weights: Tensor | None

    @checked
    def __init__(
        self,
        task: Task,
        name: LossName | None = None,
        weights: tuple[float, ...] | None = None,
        consistency: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        name = name or ("cross-entropy+dice" if task.dense else "cross-entropy")
        if "dice" in name and not task.dense:
            raise ValueError(
                f'the loss is "{name}" and photographs have one class each, expected "cross-entropy"'
            )
        if weights is not None and len(weights) != len(task.classes):
            raise ValueError(
                f"{len(weights)} class weights for {len(task.classes)} classes ({', '.join(task.classes)}), "
                "expected one for each"
            )
        if weights is not None and (min(weights) < 0 or sum(weights) == 0):
            raise ValueError(f"the class weights are {weights}, expected numbers of at least 0, not all 0")
        self.task, self.name, self.consistency = task, name, consistency
        self.register_buffer("weights", None if weights is None else torch.tensor(weights), persistent=False)

    def forward(
        self, logits: Tensor, target: UInt8[Tensor, "batch *space"], angles: Tensor | None = None
    ) -> Tensor:
        counts = (target != IGNORED).to(logits)
        index = target.long().where(target != IGNORED, 0)
        weight = counts if self.weights is None else counts * self.weights[index].to(logits)
        terms = []
        if self.name != "dice":
            each = self._cross_entropy(logits, index)
            if self.name == "focal":
                each = each * (1 - torch.exp(-each)).square()
            terms.append((each * weight).sum() / weight.sum().clamp_min(1e-6))
        if "dice" in self.name:
            terms.append(1 - self._dice(logits, index, counts))
        if angles is not None:
            terms.append(self.consistency * inconsistency(logits, angles))
        return torch.stack(terms).sum()

    @torch.no_grad()
    def of_nothing(self, truth: UInt8[Tensor, "*space"]) -> float:
        """The loss of an answer that knows nothing, to which all classes are alike: all logits are 0."""
        device = None if self.weights is None else self.weights.device
        logits = torch.zeros(1, self.task.logits, *truth.shape, device=device)
        return float(self(logits, truth[None].to(device)))

    def _cross_entropy(self, logits: Tensor, index: Tensor) -> Tensor:
        if self.task.is_binary:
            return F.binary_cross_entropy_with_logits(logits[:, 0], index.to(logits), reduction="none")
        return F.cross_entropy(logits, index, reduction="none")

    def _dice(self, logits: Tensor, index: Tensor, counts: Tensor) -> Tensor:
        """The mean over the classes that the batch holds or, of two classes, that of the thing."""
        probability = self.task.probabilities(logits)
        if self.task.is_binary:
            probability, truth = probability[:, None], index[:, None].to(logits)
        else:
            truth = F.one_hot(index, logits.shape[1]).movedim(-1, 1).to(logits)
        probability, truth = probability * counts[:, None], truth * counts[:, None]
        axes = [0, *range(2, logits.dim())]
        size = truth.sum(axes)
        dice = (2 * (probability * truth).sum(axes) + 1) / (probability.sum(axes) + size + 1)
        if self.task.is_binary:
            return dice.mean()
        present = (size > 0).to(dice) * (1.0 if self.weights is None else self.weights.to(dice))
        return (dice * present).sum() / present.sum().clamp_min(1e-6)

    def extra_repr(self) -> str:
        weights = (
            ""
            if self.weights is None
            else f", weights {', '.join(f'{w:.3g}' for w in self.weights.tolist())}"
        )
        pairs = f", consistency {self.consistency:g}" if self.consistency else ""
        return f"{self.name}{weights}{pairs}"
