"""Objects from offsets to their centroids, and how they are scored."""

import numpy as np
import pytest
from tests.paths import DATA

from erlangen.train.instances import average_precision, matches, objects_of, offsets_of, panoptic_quality

FILE = DATA / "nuclei" / "dsb2018_fluo256.npz"


def discs(shape, count, seed, low=3.0, high=9.0):
    """Discs of ids from 1 on, some of them touching; the first ones lie on top."""
    random = np.random.default_rng(seed)
    ids = np.zeros(shape, int)
    row, column = np.mgrid[: shape[0], : shape[1]]
    for k in range(count, 0, -1):
        y, x, r = random.uniform(0, shape[0]), random.uniform(0, shape[1]), random.uniform(low, high)
        ids[np.hypot(row - y, column - x) < r] = k
    return ids


def noisy(ids, share, seed):
    """Offsets that err by so much of each object's radius."""
    radius = np.sqrt(np.bincount(ids.ravel()) / np.pi)[ids]
    return offsets_of(ids) + share * radius * np.random.default_rng(seed).normal(size=(2, *ids.shape))


def turned(field, quarters, flip):
    """An image, or the vectors of one, x to the right and y up, mirrored upside down and turned."""
    field = field[..., ::-1, :] if flip else field
    field = np.rot90(field, quarters, (-2, -1))
    if field.ndim == 2:
        return field
    x, y = field
    y = -y if flip else y
    for _ in range(quarters):
        x, y = -y, x
    return np.stack([x, y])


def same_parts(a, b):
    """Whether two images of ids have the same objects, whatever their numbers."""
    pairs = {(int(i), int(j)) for i, j in zip(a.ravel(), b.ravel(), strict=True)}
    alike = all((i == 0) == (j == 0) for i, j in pairs)
    return alike and len(pairs) == len({i for i, _ in pairs}) == len({j for _, j in pairs})


def test_offsets_lead_to_centroids():
    ids = discs((21, 30), 4, 0)
    v = offsets_of(ids)
    for k in range(1, ids.max() + 1):
        row, column = np.nonzero(ids == k)
        assert np.allclose(column + v[0][ids == k], column.mean())
        assert np.allclose(row - v[1][ids == k], row.mean())
    assert (v[:, ids == 0] == 0).all()
    for quarters in range(4):
        for flip in (False, True):
            assert np.allclose(offsets_of(turned(ids, quarters, flip)), turned(v, quarters, flip))


@pytest.mark.parametrize("seed", range(3))
def test_objects_come_back(seed):
    ids = discs((70, 91), 25, seed)
    found = objects_of(ids > 0, offsets_of(ids))
    right, in_vain, missed, overlap = matches(ids, found)
    assert missed + in_vain <= 2  # slivers of what others cover
    assert overlap / right > 0.99
    right, in_vain, missed, _ = matches(ids, objects_of(ids > 0, noisy(ids, 0.25, seed)))
    assert missed <= 0.1 * (right + missed)
    assert in_vain <= 0.1 * (right + missed)


@pytest.mark.parametrize("shape", [(40, 40), (41, 56), (57, 33)])
def test_objects_turn_and_flip_with_their_offsets_pixel_for_pixel(shape):
    ids = discs(shape, 14, 1)
    for v in (offsets_of(ids), noisy(ids, 0.3, 2), np.round(noisy(ids, 0.3, 3))):
        found = objects_of(ids > 0, v)
        for quarters in range(4):
            for flip in (False, True):
                there = objects_of(turned(ids > 0, quarters, flip), turned(v, quarters, flip))
                assert same_parts(there, turned(found, quarters, flip)), (quarters, flip)


def test_ties_are_broken_alike_from_all_sides():
    """A plus whose arms vote for two places that lie alike: what a turn exchanges."""
    inside = np.ones((9, 9), bool)
    v = np.zeros((2, 9, 9))
    y, x = 4 - np.mgrid[:9, :9][0], np.mgrid[:9, :9][1] - 4
    v[0], v[1] = np.where(x < 0, -2, 2) - x, -y
    v[0][:, 4] = 0  # the middle column votes half way between
    assert not objects_of(inside, v)[:, 4].any()
    for quarters in range(4):
        for flip in (False, True):
            found = objects_of(turned(inside, quarters, flip), turned(v, quarters, flip))
            assert same_parts(found, turned(objects_of(inside, v), quarters, flip))


def test_nothing_and_little():
    assert not objects_of(np.zeros((5, 7), bool), np.zeros((2, 5, 7))).any()
    one = np.zeros((5, 7), bool)
    one[2, 3] = True
    assert objects_of(one, np.zeros((2, 5, 7)))[2, 3] == 1
    far = np.full((2, 5, 7), 1e6)  # votes beyond the edges
    assert (objects_of(np.ones((5, 7), bool), far) == 1).all()


def test_scores_by_hand():
    truth, found = np.zeros((4, 8), int), np.zeros((4, 8), int)
    truth[:, :2], truth[:, 3:5], truth[0, 7] = 5, 2, 9
    found[:, :2], found[:3, 3:5], found[3, 5:] = 1, 4, 7
    assert matches(truth, found) == (2, 1, 1, pytest.approx(1 + 6 / 8))
    assert average_precision(2, 1, 1) == 0.5
    assert panoptic_quality(2, 1, 1, 1.75) == pytest.approx(1.75 / 3)
    assert matches(truth, np.zeros_like(truth)) == (0, 0, 3, 0)
    assert average_precision(0, 0, 0) == panoptic_quality(0, 0, 0, 0.0) == 1


@pytest.mark.slow
@pytest.mark.skipif(not FILE.exists(), reason="needs the nuclei")
@pytest.mark.parametrize(("share", "bar"), [(0.0, 0.997), (0.25, 0.99)])
def test_nuclei_come_back(share, bar):
    with np.load(FILE) as arrays:
        every = arrays["inst"].astype(int)
    right = missed = in_vain = 0
    for i, ids in enumerate(every):
        here = matches(ids, objects_of(ids > 0, noisy(ids, share, i)))
        right, in_vain, missed = (a + b for a, b in zip((right, in_vain, missed), here[:3], strict=True))
    print(f"{share}: {right} of {right + missed} nuclei, {in_vain} in vain")
    assert right / (right + missed) >= bar
    assert in_vain / (right + missed) <= 1 - bar
