"""Files written whole: one rename, nothing left beside, no link followed."""

import os
import stat

import pytest

from erlangen.train.writing import write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / ("n" * 250 + ".png")  # as long as file systems allow, or nearly
    for content in (b"old", b"new, longer", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
        assert names(tmp_path) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="links and modes of Unix")
def test_links_are_replaced_and_never_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    (tmp_path / "a.png").symlink_to(victim)
    write_whole(tmp_path / "a.png", b"mask")
    assert victim.read_bytes() == b"victim"
    assert not (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "a.png").read_bytes() == b"mask"
    (tmp_path / "b.png.part").symlink_to(victim)  # where the file beside used to be
    write_whole(tmp_path / "b.png", b"mask")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    for target in (victim, tmp_path / "nothing"):
        (tmp_path / ".guessed.part").unlink(missing_ok=True)
        (tmp_path / ".guessed.part").symlink_to(target)
        with pytest.raises(OSError, match=r"c\.png could not be written.*is unharmed"):
            write_whole(tmp_path / "c.png", b"mask")
    assert victim.read_bytes() == b"victim"
    assert names(tmp_path) == [".guessed.part", "a.png", "b.png", "b.png.part", "victim"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes of Unix")
def test_permissions_are_those_of_a_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_the_old_file_and_nothing_beside(tmp_path, monkeypatch, call, error):
    write_whole(tmp_path / "a", b"old")

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{call}", fail)
        with pytest.raises(type(error)):
            write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_folder_in_the_way_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a could not be written"):
        write_whole(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]
