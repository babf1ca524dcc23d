"""Names of files and classes hold anything: they pass through figures, pages and terminals."""

import html
import io
import os
import sys

import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen import figures
from erlangen.cli import main
from erlangen.legible import legible, legible_line
from erlangen.train import find_data, generate
from erlangen.train.folders import find_images
from erlangen.train.reading import how_files_are_read

NAMES = [
    os.fsdecode(b"caf\xe9"),
    "$x^",
    "_hidden",
    "a<b>&'c\"",
    "\N{HIRAGANA LETTER A}\N{GRINNING FACE}",
    "two\nlines",
    "\x1b[31mred\x07",
    "{0} %s \\n [bold]",
    "\u202eright to left",
]


def test_figures_and_pages_take_any_name(tmp_path):
    image, mask, odd = torch.rand(3, 12, 12), torch.eye(12), NAMES[0] + NAMES[1]
    scores = {name: {0.0: 0.5, 90.0: 0.4} for name in NAMES}
    sheets = [
        figures.photographs([image] * len(NAMES), NAMES),
        figures.angles(scores, label=odd),
        figures.history([{"minutes": 1.0, "loss": 1.0, "score": 0.5}], label=odd),
        figures.turned_camera([image], {odd: [mask]}, [mask], [odd], {odd: {0.0: 0.5, 90.0: 0.4}}),
    ]
    for i, sheet in enumerate(sheets):
        assert figures.save(sheet, tmp_path / f"{i}.png", dpi=40).stat().st_size > 1000
    assert figures.embedded(sheets[0], dpi=40).startswith("data:image/png;base64,")
    legend = sheets[1].axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [legible(name) for name in NAMES]
    for name in NAMES:
        page = figures.page(tmp_path / "a.html", name, ["<p>all</p>"]).read_text("utf-8")
        assert f"<h1>{html.escape(legible(name))}</h1>" in page


def test_what_cannot_be_shown_is_replaced():
    assert legible(os.fsdecode(b"caf\xe9.png")) == "caf\ufffd.png"
    assert legible("\x1b[31m\ttab\n") == "\ufffd[31m\ttab\n"
    assert legible("Kürbis $x_1$ \N{GRINNING FACE}") == "Kürbis $x_1$ \N{GRINNING FACE}"


def test_how_files_of_any_name_are_read(tmp_path):
    """In the picture, with photographs and classes of such names, each in one line."""
    assert legible_line("two\nlines\t\r\u2029") == r"two\nlines\t" + "\ufffd" + r"\u2029"
    for k, name in enumerate(NAMES):
        for i in range(2):
            file = tmp_path / "sorted" / name / f"{name}{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (9, 20 * k, 30)).save(file)
    generate(tmp_path / "pairs", len(NAMES), size=16, seed=3)
    for folder in ("images", "masks"):
        for name, file in zip(NAMES, sorted((tmp_path / "pairs" / folder).iterdir()), strict=True):
            file.rename(file.with_name(f"{name}{file.suffix}"))
    (tmp_path / "pairs" / "classes.txt").write_text("none\n\ta \t b\n")
    for data in (find_data(tmp_path / "sorted"), find_data(tmp_path / "pairs")):
        reading = how_files_are_read(data, data, *data.load(16), 16)
        page = reading.write(tmp_path / "out")
        assert page.stat().st_size > 500
        assert not any("\n" in text for text in reading.rows.values())


def test_a_terminal_in_ascii(tmp_path, run, monkeypatch):
    """Files of any name are predicted, on disc under their own bytes; a damaged one is named."""
    names = ["caf\udce9.png", "\N{HIRAGANA LETTER A}.png", "two\nlines.png", "$x.png"]
    (tmp_path / "in").mkdir()
    for name in names:
        Image.new("RGB", (16, 16), (9, 200, 30)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "bad\udcff.png").write_bytes(b"nothing")
    er.save(run.model, tmp_path / "net")
    said = {}
    for stream in ("stdout", "stderr"):
        said[stream] = io.BytesIO()
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(said[stream], "ascii", write_through=True))
    assert main(["predict", str(tmp_path / "net"), str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == sorted(names)
    assert b"1 of 5 photographs are left out" in said["stderr"].getvalue()


def test_links_that_loop_are_walked_once(tmp_path):
    """To itself, to a folder above, three in a circle, to a folder beside; broken ones are no folders."""
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "here").symlink_to(tmp_path / "a")
    for one, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / one / "next").symlink_to(tmp_path / other)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "0").symlink_to(tmp_path / "c")
    (tmp_path / "file.png").symlink_to(tmp_path / "a" / "x.png")
    found = [str(name) for name in find_images(tmp_path).values()]
    assert found == ["a/x.png", "b/x.png", "c/x.png", "file.png"]
    below = [path.resolve() for path in find_images(tmp_path / "c") if not path.is_symlink()]
    assert sorted(below) == sorted((tmp_path / folder / "x.png").resolve() for folder in "abc")


def test_a_link_that_leads_nowhere_is_named(tmp_path, run):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match=r"1 of 2 photographs are left out.*b\.png cannot be read.*no file"):
        er.predict(run.model, tmp_path, out=tmp_path / "out")
    assert (tmp_path / "out" / "a.png").exists()


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    inside = type(tmp_path).iterdir

    def iterdir(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return inside(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", iterdir)
    with pytest.raises(ValueError, match=r"locked cannot be opened \(Permission denied\), expected a folder"):
        find_images(tmp_path)
