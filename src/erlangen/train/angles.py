"""How well a network does on photographs that were turned, and how far its answers turn with them."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.spaces import Plane, Volume
from erlangen.train.data import Data
from erlangen.train.device import full_precision, keep_freed_memory
from erlangen.train.images import as_batch
from erlangen.train.predictor import Predictor
from erlangen.train.settings import across
from erlangen.train.tiles import answer
from erlangen.train.turning import inscribed_disc, turned_about
from erlangen.verify import Budget, Report, budget, equivariance

ANGLES = [30.0 * i for i in range(12)]
TURNED = 12  # photographs that a report turns, at most
SPLIT = 48  # pixels of the middle of a photograph, whose defect is split
AREA = 12 * 1024**2  # pixels of them, at most, unless a single one has more


def to_turn(data: Data, size: int | None) -> Data:
    """The photographs that a report turns by all `ANGLES`: some, fewer where they are large."""
    largest = max(map(math.prod, data.sizes(None)), default=1) if data.dim == 3 else (size or 1) ** 2
    return some(data, max(1, min(TURNED, AREA // largest)))


def some(data: Data, count: int) -> Data:
    """So many of the photographs, evenly spread; all, if there are no more."""
    places = torch.linspace(0, len(data) - 1, min(count, len(data)))
    return data.subset([int(i) for i in places.round()])


@full_precision()
def prove(model: Predictor, x: Float[Tensor, "1 channel *space"], layers: bool = False) -> Report:
    """`erlangen.verify.equivariance` of a trained network, where it is, at a photograph or volume in [0, 1].

    Where the whole photograph has a class, that of its inscribed disc (of volumes ball) in the mean colour: a
    corner that leaves the picture is no turn of it.

    Raises:
        ValueError: for a network that lives elsewhere than on the plane or on volumes, or whose answer does
            not vary.
    """
    return equivariance(*_turned_alike(model, x), layers=layers, show=False)


@full_precision()
def split(model: Predictor, x: Float[Tensor, "1 channel *space"], only: bool = True) -> Budget:
    """`erlangen.verify.budget` of the same, at its middle, for a turn between the angles of the fibre and one
    of them: bounded in time, whatever its size.

    Raises:
        ValueError: as `prove`.
    """
    module, x, domain = _turned_alike(model, x)
    x = middle(x, SPLIT)
    step = 360 / (domain.rotations if isinstance(domain.rotations, int) else 8)
    angles = {f"turn {angle:g}": angle for angle in (step / 2, step) if angle % 90}
    elements = [domain.symmetry_of(domain.turn(angle), name) for name, angle in angles.items()]
    return budget(module, x, domain, elements, only=only, show=False)


def middle(x: Float[Tensor, "*batch_space"], side: int, axes: int | None = None) -> Tensor:
    """The samples in the middle, at most so many on each of the last axes; None for all but two."""
    first = x.dim() - (x.dim() - 2 if axes is None else axes)
    for axis in range(first, x.dim()):
        length = min(side, x.shape[axis])
        x = x.narrow(axis, (x.shape[axis] - length) // 2, length)
    return x


def _turned_alike(model: Predictor, x: Tensor) -> tuple[nn.Module, Tensor, Plane | Volume]:
    """What is measured, at what."""
    keep_freed_memory()
    domain = model.net.domain
    if not isinstance(domain, Plane | Volume):
        raise ValueError(f"the network lives on {domain}, expected one on the plane or on volumes")
    x = x.to(model.mean.device)
    if model.task.dense:
        return model, x, domain
    disc = inscribed_disc(*x.shape[2:], device=x.device)
    return model.net, model.normalized(x).where(disc, 0.0), domain


def score_by_angle(model: Predictor, data: Data, angles: Sequence[float]) -> dict[float, float]:
    """The score at each angle, in what every turn keeps: the inscribed discs.

    Photographs and masks are turned at their full size (or at four times the network's, if that is less) by
    cubic interpolation, counter-clockwise, then shrunk to the network's size by the mean over areas; quarter
    turns permute pixels and interpolate nothing. Volumes are turned at the network's steps, about the axis of
    its turns or else one whose turns keep the steps.
    Segmentations are scored on the pixels of the discs, pooled (`Task.score`); for classes of whole
    photographs what lies outside of the discs is painted over in the mean colour, at every angle.

    Args:
        model: in eval mode or not, it is put there.
        data: photographs with what is true of them.
        angles: in degrees.
    """
    scores = {}
    for angle in angles:
        predicted, truth, inside = [], [], []
        for i in range(len(data)):
            image, label, disc = turned_pair(model, data, i, angle)
            predicted.append(model.task.decide(answer(model, image))[0])
            truth.append(label)
            inside.append(disc)
        scores[float(angle)] = model.task.score(predicted, truth, inside if model.task.dense else None)
    return scores


def turned_pair(model: Predictor, data: Data, i: int, degrees: float) -> tuple[Tensor, Tensor, Tensor]:
    """Photograph or volume i in [0, 1] ``(1, channel, *space)``, its class index (or indices), and its
    inscribed disc, or cylinder."""
    if data.spacing is not None:
        image, truth = data.load_one(i, None)
        axis = getattr(model.net.domain, "axis", None)
        axis = across(data.spacing) if axis is None else axis
        image, inside = turned_about(image, degrees, axis)
        if not model.task.dense:
            return as_batch([image]).where(inside, model.mean.view(-1, 1, 1, 1).cpu()), truth, inside
        return as_batch([image]), turned_about(truth[None], degrees, axis)[0][0], inside
    image, truth = data.load_one(i, model.size, degrees, model.shrinking)
    photograph, disc = as_batch([image]), inscribed_disc(*image.shape[-2:])
    if not model.task.dense:
        photograph = photograph.where(disc, model.mean.view(-1, 1, 1).cpu())
    return photograph, truth, disc
