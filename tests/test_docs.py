"""What the documentation says, runs."""

import doctest
import importlib
import json
import pkgutil
import re

import pytest
import torch
from paths import ROOT

import erlangen as er

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(er.__path__, "erlangen.")
    if not module.name.endswith("__main__")
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    results = doctest.testmod(
        importlib.import_module(name), extraglobs={"er": er, "torch": torch}, optionflags=doctest.ELLIPSIS
    )
    assert results.failed == 0


def test_there_are_examples():
    count = sum(
        "Example:" in (ROOT / "src" / n.replace(".", "/")).with_suffix(".py").read_text()
        for n in MODULES
        if (ROOT / "src" / n.replace(".", "/")).with_suffix(".py").exists()
    )
    assert count >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_on_the_pages(page, tmp_path, monkeypatch, capsys):
    """Blocks of one page run one after the other, in a folder with photographs."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if not blocks:
        pytest.skip("no python on this page")
    monkeypatch.chdir(tmp_path)
    if any("photos" in block for block in blocks):
        er.train.generate("photos", 4, size=48, seed=0)
    names: dict = {}
    for block in blocks:
        quick = re.sub(r"minutes=\d+", "steps=2", block)  # the same call, shorter
        exec(compile(quick, page.name, "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_makefile_knows_the_commands_that_the_pages_name():
    text = (ROOT / "Makefile").read_text()
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"`?make ([a-z]+)`", page.read_text()):
            assert f"\n{target}:" in text, (page.name, target)


def test_no_page_is_empty():
    for page in PAGES:
        assert len(page.read_text()) > 500, page


@pytest.mark.parametrize("name", ["apples", "vessels"])
def test_tables_hold_what_was_measured(name):
    """Every score that a table shows is in the experiment's result."""
    page = (ROOT / "docs" / "photographs.md").read_text()
    shown = page.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    file = ROOT / "experiments" / name / "result.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    lines = shown.strip().splitlines()[2:]
    assert len(lines) == len(rows)
    for line, (label, row) in zip(lines, rows.items(), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == label
        assert cells[1] == f"{row['parameters']:,}"
        assert cells[4].startswith(f"{row['upright']:.3f}")
        assert cells[6] == f"{row['worst of the 24']:.3f} to {row['best of the 24']:.3f}"


def sentences(text):
    """Those of a page, without code; a cell of a table, an item of a list and a heading end one too."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^(#+ .*|\|.*)$", lambda line: "\n\n" + line[0].replace("|", "\n\n") + "\n\n", text)
    for block in re.split(r"\n\s*\n|\n[-*] ", text):
        yield from (sentence.split() for sentence in re.split(r"(?<=[.!?])[*_]*\s+", block))


def test_sentences_of_the_readme_are_short():
    long = [" ".join(s) for s in sentences((ROOT / "README.md").read_text("utf-8")) if len(s) >= 25]
    assert long == []


def test_the_readme_has_its_pictures():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(pictures) >= 2
    assert all((ROOT / picture).exists() for picture in pictures)
