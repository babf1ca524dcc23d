"""The benchmarks run and write their page: calls, counts and words, never times."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks import memory, page
from benchmarks.environments import Peer, Unavailable, python_of, surroundings
from benchmarks.hot_paths import PLANE, SPACES
from benchmarks.part import measured
from benchmarks.records import RESULTS, keep, read
from benchmarks.suites import SUITES
from benchmarks.timing import SMALL, Effort, Ratio, interleaved
from benchmarks.work import Work, kept_for_gradient, work_of
from paths import ROOT
from torch import nn

OURS = [(name, part) for name in ("library", "plain") for part in SUITES[name].parts]
pytestmark = pytest.mark.filterwarnings("ignore:.*non-writable:UserWarning")


@pytest.mark.parametrize(("suite", "part"), OURS)
def test_a_part_runs_in_its_small_form(suite, part, tmp_path):
    """And the page can be written of its record alone."""
    record = measured(suite, part, SMALL)
    assert record["rows"]
    keep(tmp_path / f"{suite}.{part}.json", record)
    written = page.write(tmp_path, tmp_path / "page.md", tmp_path / "figure.png").read_text("utf-8")
    assert f"## {SUITES[suite].parts[part].title}" in written
    assert all(page.table([row]).splitlines()[-1] in written for row in record["rows"])


def test_every_part_of_the_suites_is_a_function():
    """Of those that need another library the source is read."""
    for suite in SUITES.values():
        source = (ROOT / f"{suite.module.replace('.', '/')}.py").read_text("utf-8")
        assert all(f"\ndef {part}(effort: Effort)" in source for part in suite.parts), suite.module


def test_the_page_is_that_of_the_records():
    """What is shown is what was measured."""
    picture = "images/speed.png" if page.FIGURE.exists() else None
    assert page.PAGE.read_text("utf-8") == page.text(page.records_of(RESULTS), picture)


def test_every_space_has_a_hot_path():
    """A name, and what is small enough to try; the layer is applied by the tests of parts."""
    assert len(PLANE) >= 15
    for word in ("line", "volume", "sphere", "SO(3)", "torus", "Möbius", "HEALPix"):
        assert any(word in name for name in SPACES), word


# the instruments


def test_flops_of_a_convolution_and_its_gradient():
    conv, x = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.randn(2, 3, 6, 7)
    once = 2 * 2 * 5 * 3 * 9 * 6 * 7
    assert work_of(lambda: conv(x)).flops == once
    # the input asks for no gradient, so that the weights' is all of it
    assert work_of(lambda: conv(x).sum().backward()).flops == 2 * once
    x.requires_grad_()
    assert work_of(lambda: conv(x).sum().backward()).flops == 3 * once


@pytest.mark.parametrize("layer", [nn.Conv2d(6, 6, 3, groups=6), nn.ConvTranspose2d(6, 4, 3, groups=2)])
def test_flops_of_a_gradient_know_groups(layer):
    x = torch.randn(2, 6, 8, 8, requires_grad=True)
    assert work_of(lambda: layer(x).sum().backward()).flops == 3 * work_of(lambda: layer(x)).flops


def test_flops_of_fourier_transforms_and_of_our_operators():
    x = torch.randn(4, 16)
    assert work_of(lambda: torch.fft.rfft(x)).flops == 2.5 * 4 * 16 * 4
    import erlangen as er

    domain = er.Sphere().healpix(2)
    layer = er.nn.Correlation(domain, 1, 1, radius=1.2, bias=False)
    assert work_of(lambda: layer(torch.randn(1, 1, *domain.shape))).flops > 48 * 10


def test_views_are_no_operations_and_bytes_are_of_what_is_read_and_written():
    x = torch.ones(8, 8)
    with Work() as work:
        y = x.T.reshape(64) + 1  # one copy, one sum
    assert work.operations == 2
    assert work.bytes == 4 * (64 + 64) * 2
    assert y.sum() == 128


def test_bytes_alive_at_once():
    with Work() as work:
        for _ in range(5):
            x = torch.ones(1000) * 2  # two tensors, and the one before
            del x
    assert work.peak == 2 * 4000


def test_bytes_kept_for_the_gradient():
    """The input and the sigmoid's values, which two layers keep; weights are there anyway."""
    layer, x = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2)), torch.randn(5, 4)
    assert kept_for_gradient(lambda: layer(x), list(layer.parameters())) == 4 * (5 * 4 + 5 * 3)
    assert kept_for_gradient(lambda: layer(x), []) == 4 * (5 * 4 + 5 * 3 + 2 * 3)


def test_the_peak_of_a_process_is_that_of_its_call():
    """A hundred megabytes show, to ten."""
    assert memory.peak(allocating, 100) == pytest.approx(100, abs=10)


def test_a_peak_of_before_is_not_counted(monkeypatch):
    """Also where the kernel does not forget it, or says only the most."""
    torch.ones(200 * 2**18).sum()
    for name in ("FORGET", "STATUS"):
        monkeypatch.setattr(memory, name, Path("/no/such/file"))
        assert memory.peak(allocating, 100, here=True) == pytest.approx(100, abs=10)


def allocating(mib):
    return lambda: torch.ones(mib * 2**18).sum()


def test_turns_are_taken():
    order = []
    tasks = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = interleaved(tasks, Effort(rounds=4, warm=0, patience=0))
    assert [len(seconds) for seconds in found.values()] == [4, 4]
    assert "".join(order) == "baabbaab"


def test_a_ratio_is_taken_round_by_round():
    """A machine that is slow for one round changes nothing."""
    assert Ratio.of([2.0, 4.0, 9.0], [1.0, 8.0, 3.0]).median == 2.0
    assert Ratio.of([2.0, 4.0, 2.0], [1.0, 2.0, 1.0]) == (2.0, 2.0, 2.0)
    assert Ratio.of([3.0], [2.0]) == (1.5, 1.5, 1.5)


# other libraries


def test_an_environment_of_its_own_sees_ours_and_is_made_once(tmp_path):
    peer = Peer("nobody", ())
    python = python_of(peer, tmp_path)
    assert python.is_relative_to(tmp_path)
    ask = "import sys, torch, erlangen; print(torch.__version__, erlangen.__file__, sys.prefix)"
    run = subprocess.run([python, "-c", ask], env=surroundings(), capture_output=True, text=True, check=True)
    version, place, prefix = run.stdout.split()
    assert (version, Path(place)) == (torch.__version__, ROOT / "src" / "erlangen" / "__init__.py")
    assert Path(prefix) == tmp_path / "nobody"
    (tmp_path / "nobody" / "kept").touch()
    python_of(peer, tmp_path)
    assert (tmp_path / "nobody" / "kept").exists()


def test_what_a_peer_needs_is_named(tmp_path):
    with pytest.raises(Unavailable, match="built by no-such-compiler, which is missing: apt install"):
        python_of(Peer("nobody", ("x",), tools=("no-such-compiler",)), tmp_path)


def test_a_record_of_this_source_is_kept(tmp_path, monkeypatch):
    from benchmarks import __main__ as door

    monkeypatch.setattr(door, "RESULTS", tmp_path)
    monkeypatch.setattr(door, "python_of", lambda *_: Path("/no/such/python"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "plain"])
    asked = door.arguments()
    keep(tmp_path / "plain.layers.json", {"source": door.source(), "rounds": 5})
    assert door.measure("plain", "layers", asked) is None
    for unlike in ({"source": "another", "rounds": 5}, {"source": door.source(), "rounds": 2}):
        keep(tmp_path / "plain.layers.json", unlike)
        with pytest.raises(FileNotFoundError):
            door.measure("plain", "layers", asked)


def test_the_door_knows_the_parts(monkeypatch, capsys):
    from benchmarks import __main__ as door

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "all"])
    found = list(door.parts(door.arguments()))
    assert ("escnn", "training") in found
    assert [suite for suite, _ in found if suite == "gpu"] == []
    monkeypatch.setattr(sys, "argv", ["benchmarks", "plain", "--only", "layers"])
    assert list(door.parts(door.arguments())) == [("plain", "layers")]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "plain", "--only", "lawyers"])
    with pytest.raises(SystemExit):
        door.arguments()
    assert "there is no part lawyers of plain, expected of plane," in capsys.readouterr().err


def test_records_are_whole(tmp_path):
    keep(tmp_path / "a.b.json", {"x": 1})
    assert read(tmp_path, "a", "b") == {"x": 1}
    assert read(tmp_path, "a", "c") is None
    assert [file.name for file in tmp_path.iterdir()] == ["a.b.json"]
