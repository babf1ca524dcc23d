"""The house rules that a machine can keep."""

import inspect
import typing

import pytest
from paths import ROOT
from shape import LEVEL, files_of, rooms_of, unexplained_of, upward_imports_of


@pytest.fixture(scope="module")
def files():
    return files_of(ROOT / "src" / "erlangen")


def test_every_room_has_a_floor(files):
    assert rooms_of(files) == set(LEVEL)


def test_arrows_point_one_way(files):
    assert upward_imports_of(files) == []


def test_files_are_documented_and_refuse_politely(files):
    assert unexplained_of(files) == []


def test_public_names_are_documented():
    import erlangen as er

    rooms = [name for name in er.__all__ if inspect.ismodule(getattr(er, name))]
    for module in (er, *(getattr(er, room) for room in rooms)):
        for name in module.__all__:
            thing = getattr(module, name)
            is_words = typing.get_origin(thing) is typing.Literal
            assert is_words or (thing.__doc__ or "").strip(), f"{module.__name__}.{name}"
