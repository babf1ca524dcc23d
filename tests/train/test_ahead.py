"""Photographs read beside what is computed: in order, a few at a time, with the first one's error."""

import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from erlangen.train.ahead import ahead
from erlangen.train.folders import find_data
from erlangen.train.quiet import Quiet


@pytest.mark.parametrize("threads", [1, 3])
def test_in_order_and_no_more_than_asked_for(threads):
    begun, done = [], []
    for read in ahead(lambda i: begun.append(i) or i, range(9), threads):
        done.append(read())
        assert len(begun) <= len(done) + threads
    assert done == list(range(9))


def test_an_error_comes_in_its_turn_and_the_others_go_on():
    first, second, third = ahead(lambda i: 1 // i, [1, 0, 2])
    with pytest.raises(ZeroDivisionError):
        second()
    assert (first(), third()) == (1, 0)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    reads = ahead(lambda i: i, range(100), 2)
    next(reads)()
    reads.close()
    assert threading.active_count() == before


def folder(tmp_path, broken=()):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(6):
        values = np.random.default_rng(i).integers(0, 255, (20 + i, 31, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray((values[..., 0] > 99).astype(np.uint8)).save(tmp_path / "masks" / f"{i}.png")
    for i in broken:
        (tmp_path / "images" / f"{i}.png").write_bytes(b"no image")
    return find_data(tmp_path)


def test_threads_load_the_same_photographs(tmp_path, monkeypatch):
    data, loaded = folder(tmp_path), []
    for threads in (1, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        loaded.append([tensor for tensors in data.load(16) for tensor in tensors])
    assert len(loaded[0]) == 12
    assert all(torch.equal(one, other) for one, other in zip(*loaded, strict=True))


def test_of_two_that_cannot_be_read_the_first_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    with pytest.raises(ValueError, match=r"2\.png cannot be read"):
        folder(tmp_path, broken=(2, 3)).load(16)


def test_only_pillow_is_quiet_and_filters_are_left_as_they_were():
    quiet, before = Quiet(), list(warnings.filters)
    with quiet, pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)
    quiet.__enter__()  # two at once, as threads do
    quiet.__enter__()
    quiet.__exit__()
    warnings.warn_explicit("theirs", UserWarning, "Image.py", 1, "PIL.Image")
    quiet.__exit__()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="theirs"):
        warnings.warn_explicit("theirs", UserWarning, "Image.py", 1, "PIL.Image")
