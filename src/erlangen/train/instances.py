r"""Objects one by one: offsets to their centroids, which turn with photographs, and back to objects.

At each pixel p of an object with the centroid c stands the vector ``v(p) = c - p``: a vector field, which
networks whose outputs are vectors turn as the photograph turns. Unlike its direction it is singular nowhere.
Each pixel votes for the place ``p + v(p)``, and the votes of one object lie together.
"""

from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray
PARTS = 16  # of a pixel, in which places are counted: sums of whole numbers do not know their order
SMOOTHED = 2  # times that votes are smoothed by 1, 2, 1
APART = 3.0  # times the noise of offsets, within which two heaps of votes are one object's
RAYLEIGH = 2**0.5 * (2 * np.log(2)) ** 0.5  # the median length of the difference of two noises of spread 1
NEAREST = 4  # heaps that a pixel chooses from


def offsets_of(ids: Int[Array, "height width"]) -> Float[Array, "2 height width"]:
    """The vector from each pixel to the centroid of its object, x to the right and y up; 0 where none is.

    Args:
        ids: of objects; 0 where none is.
    """
    x, y = (half / 2 for half in _doubled(ids.shape))
    _, inverse, count = np.unique(ids, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(ids.shape)
    to = [np.bincount(inverse.ravel(), a.ravel()) / count for a in (x, y)]
    return np.where(ids > 0, np.stack([to[0][inverse] - x, to[1][inverse] - y]), 0.0)


def objects_of(
    inside: Bool[Array, "height width"], offsets: Float[Array, "2 height width"]
) -> Int[Array, "height width"]:
    """Objects from where something is, and from the offsets to their centroids: ids from 1 on.

    Votes are counted in sixteenths of pixels and smoothed, and their peaks found. How noisy offsets are shows
    in those of neighbours, which should differ by the step between them; a peak closer to a heavier one than
    three times that noise is dropped. A pixel belongs to the peak nearest to its vote; of equally near ones
    to that which is nearer to the pixel itself, or heavier; to none where that does not tell. So turned
    and flipped inputs give turned and flipped objects, pixel for pixel.

    Args:
        inside: where an object is.
        offsets: x to the right and y up, in pixels; only those inside count.
    """
    ids = np.zeros(inside.shape, np.int32)
    if not inside.any():
        return ids
    x, y = (half * (PARTS // 2) for half in _doubled(inside.shape))
    places = np.stack([x[inside], y[inside]], 1)  # in parts of a pixel
    votes = places + np.rint(PARTS * offsets[:, inside].T).astype(np.int64)
    pairs = _steps(inside, offsets)
    peaks = _peaks(votes, inside.shape)
    while True:
        own, mass = _assigned(places, votes, peaks)
        light = _lighter_than_a_neighbour(peaks, mass, _noise(pairs, own, len(peaks)))
        if not light.any():
            break
        peaks = peaks[~light]
    found = np.unique(own[own >= 0])
    ids[inside] = np.where(own >= 0, np.searchsorted(found, own) + 1, 0)
    return ids


def matches(
    truth: Int[Array, "height width"], found: Int[Array, "height width"], above: float = 0.5
) -> tuple[int, int, int, float]:
    """Objects found that overlap with true ones by more than that (IoU), which at 0.5 or more are pairs.

    Returns:
        How many are right, how many are found in vain, how many are missed, and the sum of the IoU of pairs.
    """
    shared, true, guessed = _overlaps(truth, found)
    iou = shared / np.maximum(true[:, None] + guessed[None] - shared, 1)
    right = iou > above
    count = int(right.sum())
    return count, len(guessed) - count, len(true) - count, float(iou[right].sum())


def average_precision(right: int, in_vain: int, missed: int) -> float:
    """``TP / (TP + FP + FN)``; 1 where nothing is and nothing was found."""
    total = right + in_vain + missed
    return right / total if total else 1.0


def panoptic_quality(right: int, in_vain: int, missed: int, overlap: float) -> float:
    """``sum of IoU / (TP + (FP + FN) / 2)``, of pairs that overlap by more than one half.

    Reference: Kirillov et al. 2019.
    """
    total = right + (in_vain + missed) / 2
    return overlap / total if total else 1.0


def _doubled(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Twice the coordinates of pixels from the middle, whole numbers: x to the right, y up."""
    height, width = shape
    row, column = np.mgrid[:height, :width]
    return 2 * column - (width - 1), (height - 1) - 2 * row


def _peaks(votes: Int[Array, "vote 2"], shape: tuple[int, ...]) -> Int[Array, "peak 2"]:
    """Where most votes lie, in parts of a pixel from the middle."""
    from scipy import ndimage

    heap = _heaped(votes, shape)
    for _ in range(SMOOTHED):
        for axis in (0, 1):
            around = np.pad(heap, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
            heap = sliding_window_view(around, 3, axis) @ np.array([1, 2, 1])
    top = (heap == ndimage.maximum_filter(heap, 3, mode="constant")) & (heap > 0)
    label = np.asarray(ndimage.label(top, np.ones((3, 3)))[0])[top]  # type: ignore[index]
    number = np.bincount(label)[1:]
    sums = [np.bincount(label, a[top])[1:] for a in _doubled(shape)]
    return np.rint(PARTS // 2 * np.stack(sums, 1) / number[:, None]).astype(np.int64)


def _heaped(votes: Int[Array, "vote 2"], shape: tuple[int, ...]) -> Int[Array, "height width"]:
    """Each vote shared between the four pixels around it; beyond the edges at the edge."""
    height, width = shape
    half = PARTS // 2
    column = np.clip(votes[:, 0] + (width - 1) * half, 0, (width - 1) * PARTS)
    row = np.clip((height - 1) * half - votes[:, 1], 0, (height - 1) * PARTS)
    heap = np.zeros((height + 1, width + 1), np.int64)
    for down, right in product((0, 1), repeat=2):
        high, wide = (a % PARTS if far else PARTS - a % PARTS for a, far in ((row, down), (column, right)))
        np.add.at(heap, (row // PARTS + down, column // PARTS + right), high * wide)
    return heap[:-1, :-1]


def _assigned(places: Array, votes: Array, peaks: Array) -> tuple[Int[Array, "vote"], Int[Array, "peak"]]:
    """The peak of each vote, -1 where two are alike, and how many votes each peak has."""
    from scipy.spatial import KDTree

    nearest = np.asarray(KDTree(peaks).query(votes, min(NEAREST, len(peaks)))[1]).reshape(len(votes), -1)
    best = np.ones(nearest.shape, bool)
    for end in (votes, places):
        best &= _least(np.square(peaks[nearest] - end[:, None]).sum(-1), best)
    best &= _least(-_of_each(nearest, best, len(peaks))[1][nearest], best)
    return _of_each(nearest, best, len(peaks))


def _least(values: Array, among: Array) -> Bool[Array, "vote near"]:
    """Which of some values in a row are its least."""
    return values == np.where(among, values, np.iinfo(np.int64).max).min(1, keepdims=True)


def _of_each(nearest: Array, best: Array, count: int) -> tuple[Int[Array, "vote"], Int[Array, "peak"]]:
    """The peak of each vote for which one is best, -1 for others, and the votes of each peak."""
    own = np.where(best.sum(1) == 1, nearest[np.arange(len(nearest)), best.argmax(1)], -1)
    return own, np.bincount(own[own >= 0], minlength=count)


def _steps(inside: Array, offsets: Array) -> list[tuple[Array, Array]]:
    """Pixels inside with a neighbour there, and how far the two offsets are from differing by the step."""
    number = np.cumsum(inside.ravel()).reshape(inside.shape) - 1
    found = []
    for axis, step in ((1, (1.0, 0.0)), (0, (0.0, -1.0))):  # to the right; down, where y falls
        here, there = (
            tuple(s if a == axis else slice(None) for a in (0, 1)) for s in (slice(-1), slice(1, None))
        )
        both = inside[here] & inside[there]
        apart = [offsets[i][there] - offsets[i][here] + step[i] for i in (0, 1)]
        found.append((number[here][both], np.hypot(*apart)[both]))
        found.append((number[there][both], np.hypot(*apart)[both]))
    return found


def _noise(pairs: list[tuple[Array, Array]], own: Array, count: int) -> Float[Array, "peak"]:
    """The spread of each object's offsets, in parts of a pixel."""
    from scipy import ndimage

    pixel, apart = (np.concatenate(a) for a in zip(*pairs, strict=True))
    if not len(pixel):
        return np.zeros(count)
    spread = ndimage.median(apart, own[pixel], np.arange(count))
    return PARTS / RAYLEIGH * np.nan_to_num(np.asarray(spread))


def _lighter_than_a_neighbour(peaks: Array, mass: Array, noise: Array) -> Bool[Array, "peak"]:
    """Peaks to drop: empty ones, and those too close to a heavier one, the lightest first."""
    from scipy.spatial import KDTree

    if len(peaks) == 1:
        return np.zeros(1, bool)
    other = np.asarray(KDTree(peaks).query(peaks, min(NEAREST + 1, len(peaks)))[1])[:, 1:]
    reach = APART * np.maximum(noise[:, None], noise[other])
    close = np.sqrt(np.square(peaks[other] - peaks[:, None]).sum(-1)) < reach
    drop = (close & (mass[:, None] < mass[other])).any(1) | (mass == 0)
    first = drop & ~(close & drop[other] & (mass[other] < mass[:, None])).any(1)
    return first if first.any() else drop


def _overlaps(truth: Array, found: Array) -> tuple[Array, Array, Array]:
    """Pixels that true and found objects share, and those of each."""
    _, a = np.unique(np.append(0, truth), return_inverse=True)
    _, b = np.unique(np.append(0, found), return_inverse=True)
    a, b = a.ravel()[1:], b.ravel()[1:]
    shape = (a.max(initial=0) + 1, b.max(initial=0) + 1)
    shared = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)
    return shared[1:, 1:], shared[1:].sum(1), shared[:, 1:].sum(0)
