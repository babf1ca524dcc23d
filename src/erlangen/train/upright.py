"""Can one tell which way is up? Whether photographs look alike in all directions."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FOLDS = 5
CELLS = 3  # of the thumbnail, along each side
DIRECTIONS = 8


def upright_guesses(images: list[Tensor], at_most: int = 500) -> float | None:
    """In which share of the photographs a linear classifier finds the quarter turn that stands upright.

    Each photograph is described by a thumbnail of 3 x 3 colours and by how much its brightness rises in each
    of eight directions. Linear discriminants (one covariance for all four turns, shrunk) learn from four
    fifths of the photographs, in four turns each, and guess the rest. Chance is 1/4: what photographs give
    that look alike in all directions, such as those of a microscope.

    Args:
        images: ``(3, h, w)``, bytes.
        at_most: as many are looked at, evenly spread.

    Returns:
        The share; None for fewer than 20 photographs, which say too little.
    """
    if len(images) < 20:
        return None
    chosen = [images[int(i)] for i in torch.linspace(0, len(images) - 1, min(len(images), at_most))]
    described = torch.stack([_in_four_turns(image) for image in chosen])  # (photograph, turn, feature)
    fold = torch.arange(len(chosen)) % FOLDS
    right = [
        _discriminate(described[fold != k], described[fold == k]).eq(0).double().mean() * (fold == k).sum()
        for k in range(FOLDS)
    ]
    return float(sum(right) / len(chosen))


def says_upright(images: list[Tensor]) -> str | None:
    """A sentence for photographs that do not look alike in all directions; None for those that do."""
    share = upright_guesses(images)
    if share is None:
        return None
    chance = 0.25
    deviation = (chance * (1 - chance) / min(len(images), 500)) ** 0.5
    if share < max(0.4, chance + 4 * deviation):
        return None
    return (
        f"which way is up can be told in {100 * share:.0f} % of these photographs (by chance 25 %): they are "
        "not symmetric under turns. Where the camera will be turned, that is what this network is for; where "
        "it never will, a network that may use which way is up can do better"
    )


def _in_four_turns(image: Tensor) -> Float[Tensor, "4 feature"]:
    side = min(image.shape[-2:])
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    square = image[None, :, top : top + side, left : left + side].double() / 255
    square = F.adaptive_avg_pool2d(square, 32) if side >= 32 else F.interpolate(square, (32, 32))
    return torch.stack([_features(torch.rot90(square, turns, (-2, -1))) for turns in range(4)])


def _features(square: Tensor) -> Tensor:
    thumbnail = F.adaptive_avg_pool2d(square, CELLS).flatten()
    grey = square.mean(1)[0]
    x = (grey[1:-1, 2:] - grey[1:-1, :-2]).flatten()
    y = (grey[:-2, 1:-1] - grey[2:, 1:-1]).flatten()
    bins = (torch.atan2(y, x) / (2 * torch.pi) * DIRECTIONS).round().long() % DIRECTIONS
    rises = torch.zeros(DIRECTIONS, dtype=x.dtype).index_add(0, bins, torch.hypot(x, y))
    return torch.cat([thumbnail, rises / rises.sum().clamp_min(1e-12)])


def _discriminate(known: Float[Tensor, "n 4 feature"], asked: Float[Tensor, "m 4 feature"]) -> Tensor:
    """For every asked photograph as it stands, the turn that it looks like."""
    means = known.mean(0)
    scale = (known - means).flatten(0, 1).std(0).clamp_min(1e-6)
    means, known, asked = means / scale, known / scale, asked[:, 0] / scale
    inner = (known - means).flatten(0, 1)
    covariance = inner.T @ inner / len(inner) + torch.eye(len(scale), dtype=inner.dtype)
    directions = torch.linalg.solve(covariance, means.T)  # (feature, 4)
    return (asked @ directions - 0.5 * (means.T * directions).sum(0)).argmax(-1)
