"""Volumes as pictures: a slice across each axis through the thing, and the maximum along the first one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from erlangen.train.volume_files import Spacing

GAP = 4  # pixels between slices


def views(
    volume: Float[Tensor, "channel *space"],
    *masks: UInt8[Tensor, "*space"],
    steps: Spacing,
    anatomical: bool = False,
) -> tuple[UInt8[Tensor, "3 height width"], list[UInt8[Tensor, "height width"]]]:
    """Three slices and a maximum projection side by side, of a volume and of class indices on it.

    The slices go through the samples that show most of the thing, of the first mask that has one, or through
    the middle. Pixels are as wide as the shortest step.

    Args:
        volume: numbers in [0, 1].
        masks: class indices of the same shape.
        steps: of the voxels.
        anatomical: whether the last axis leads up, as of NIfTI seen by networks.
    """
    marked = next((mask for mask in masks if (mask > 0).any()), None)
    rows = [_colours(volume), *(mask[None].float() for mask in masks)]
    pictures = []
    for fields in rows:
        panels = [fields.select(axis + 1, _most_shown(marked, fields, axis)) for axis in range(3)]
        panels.append(fields.amax(3 if anatomical else 1))
        across = [(1, 2), (0, 2), (0, 1), (0, 1) if anatomical else (1, 2)]
        panels = [
            _square(p, [steps[a] for a in axes], min(steps)) for p, axes in zip(panels, across, strict=True)
        ]
        blank = float(fields is rows[0])  # white around pictures
        pictures.append(_beside([_upright(p) if anatomical else p for p in panels], blank))
    picture = (255 * pictures[0]).round().clamp(0, 255).to(torch.uint8)
    return picture, [mask[0].to(torch.uint8) for mask in pictures[1:]]


def _colours(volume: Tensor) -> Tensor:
    """Three channels as red, green and blue; one as grey."""
    return (
        volume.expand(3, -1, -1, -1)
        if len(volume) == 1
        else F.pad(volume[:3], (0,) * 7 + (max(3 - len(volume), 0),))
    )


def _most_shown(mask: Tensor | None, fields: Tensor, axis: int) -> int:
    """The place on an axis where most of the thing is, or the middle."""
    if mask is None:
        return fields.shape[axis + 1] // 2
    others = [a for a in range(3) if a != axis]
    return int((mask > 0).sum(others).argmax())


def _square(panel: Tensor, steps: Sequence[float], unit: float) -> Tensor:
    """In square pixels, each the nearest voxel's."""
    size = [max(1, round(n * step / unit)) for n, step in zip(panel.shape[1:], steps, strict=True)]
    return F.interpolate(panel[None], size, mode="nearest-exact")[0]


def _upright(panel: Tensor) -> Tensor:
    """The first axis to the right, the second up."""
    return panel.mT.flip(-2)


def _beside(panels: Sequence[Tensor], blank: float) -> Tensor:
    """In one row, each in the middle of its height."""
    height = max(panel.shape[-2] for panel in panels)
    spread = []
    for i, panel in enumerate(panels):
        lacking = height - panel.shape[-2]
        around = (GAP * (i > 0), 0, lacking // 2, lacking - lacking // 2)
        spread.append(F.pad(panel, around, value=blank))
    return torch.cat(spread, -1)
