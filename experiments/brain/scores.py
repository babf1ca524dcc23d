"""Dice of the right half: mirrored as the left one lies, as it lies, in other poses; and floors."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from brain.head import CLASSES, Half, around, coarse, half, rotations, turned, turned_half
from torch import Tensor, nn

MARGIN = 6  # voxels of 2 mm around the brain: what lies farther away is not asked
LARGE = 296  # mm: a cube that holds a half head in any pose
Box = tuple[slice, ...]


class Pose(NamedTuple):
    """The half head turned, in the box of its brain; and turned back, in the upright box."""

    rotation: np.ndarray
    box: Box
    there: Half
    back: Half


def scores(net: nn.Module, count: int, seed: int, kept: Path) -> dict:
    """Of a network; beside each pose what its upright answer scores when that is turned likewise.

    And "there and back", upright: what the truth scores that was turned twice, and the answer to intensities
    that were: what interpolating twice takes, where a pose has one interpolation.

    Args:
        net: trained; put into eval mode.
        count, seed: of the poses.
        kept: a file for the turned volumes, which takes minutes to make.
    """
    net.eval()
    right = _in_air(coarse(half("right")), MARGIN)
    box = around(right.classes, MARGIN)
    x, truth = _within(right, box)
    logits = _logits(net, x)
    answer = logits.argmax(0).numpy()
    result: dict = {"mirrored": dice(answer, truth), "as it lies": dice(_answer(net, x[::-1]), truth[::-1])}
    result["a quarter turn"] = _quarter_turn(net, x, truth, logits)
    whole = np.zeros((len(CLASSES), *right.classes.shape), np.float32)
    whole[0] = 1  # beyond the box
    whole[(slice(None), *box)] = logits.softmax(0).numpy()
    result["poses"] = []
    for pose in poses(right, count, seed, kept):
        carried = np.stack([turned(p, pose.rotation, (LARGE // 2,) * 3, 1)[pose.box] for p in whole[1:]])
        carried = np.concatenate([1 - carried.sum(0, keepdims=True), carried]).argmax(0)
        result["poses"].append(
            {
                "score": dice(_answer(net, pose.there.intensity), pose.there.classes),
                "turned answer": dice(carried, pose.there.classes),
                "there and back, answer": dice(_answer(net, pose.back.intensity), truth),
                "there and back, truth": dice(pose.back.classes, truth),
            }
        )
    for name in result["poses"][0]:
        result[f"poses, {name}"] = float(np.mean([pose[name]["mean"] for pose in result["poses"]]))
    return result


def poses(right: Half, count: int, seed: int, kept: Path) -> list[Pose]:
    """The right half in random poses, turned at 1 mm and brought to 2 mm."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(_turned_poses(right, count, seed), kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return [
        Pose(R, box, Half(*there), Half(*back))
        for R, box, there, back in torch.load(kept, weights_only=False)
    ]


def _turned_poses(right: Half, count: int, seed: int) -> list[tuple]:
    """As tuples."""
    fine, upright, found = _in_air(half("right"), 2 * MARGIN), around(right.classes, MARGIN), []
    for R in rotations(count, seed):
        there = turned_half(fine, R, (LARGE,) * 3)
        back = _within(coarse(turned_half(there, R.T, fine.classes.shape)), upright)
        there = coarse(there)
        box = around(there.classes, MARGIN)
        found.append((R, box, tuple(_within(there, box)), tuple(back)))
    return found


def _in_air(head: Half, margin: int) -> Half:
    """So many voxels more on every side: upright, too, there is air beyond the middle."""
    return Half(*(np.pad(a, margin) for a in head))


def _within(head: Half, box: Box) -> Half:
    """That part of it."""
    return Half(*(np.ascontiguousarray(a[box]) for a in head))


def _quarter_turn(net: nn.Module, x: np.ndarray, truth: np.ndarray, logits: Tensor) -> dict:
    """Turned by a quarter about the first axis and another, without interpolation; and how answers change."""
    moved = _logits(net, np.rot90(np.rot90(x, 1, (1, 2)), 1, (0, 1)))
    back = moved.rot90(-1, (1, 2)).rot90(-1, (2, 3))
    return dice(back.argmax(0).numpy(), truth) | {
        "voxels that change": int((back.argmax(0) != logits.argmax(0)).sum()),
        "of": truth.size,
        "largest change of a logit": float((back - logits).abs().max()),
        "largest logit": float(logits.abs().max()),
    }


@torch.no_grad()
def _logits(net: nn.Module, x: np.ndarray) -> Tensor:
    """``(class, *space)``."""
    return net(torch.from_numpy(np.ascontiguousarray(x))[None, None].float())[0]


def _answer(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """The likeliest class of each voxel."""
    return _logits(net, x).argmax(0).numpy()


def dice(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of each class but the rest, and their mean."""
    each = {}
    for index, name in list(enumerate(CLASSES))[1:]:
        a, b = found == index, truth == index
        each[name] = float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))
    return {"mean": float(np.mean(list(each.values()))), **each}
