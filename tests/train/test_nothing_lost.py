"""What a training found is there whatever happens: a runaway, files that go, another training, a signal."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.cli import main
from erlangen.train import Diverged, Settings, fit, generate, prepare
from erlangen.train.cost import Cost, that_fit
from erlangen.train.lock import FolderLock, name_of
from erlangen.train.memory import foresee
from erlangen.train.run_page import PICTURES, write_run
from erlangen.train.state import NAME as STATE

SMALL = {"rotations": 4, "width": 2, "depth": 1, "size": 48, "crop": 32, "batch": 2, "seed": 4}
FLAGS = ["--rotations", "4", "--width", "2", "--depth", "1", "--size", "48", "--crop", "32", "--batch", "2"]
LOCK = name_of("training")
COMMAND = [sys.executable, "-m", "erlangen", "train"]


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture
def short_page(monkeypatch):
    """A page without its costly parts."""
    monkeypatch.setattr("erlangen.train.run_page.report_of", lambda _run: None)
    monkeypatch.setattr("erlangen.train.run_page.sources_of", lambda _run: None)
    monkeypatch.setattr("erlangen.train.run_page.ANGLES", [0.0, 90.0])
    monkeypatch.setattr("erlangen.train.cost.REPORT", 1)


def scored(monkeypatch, *scores):
    """Looks that find these scores, one after the other."""
    left = list(scores)
    monkeypatch.setattr("erlangen.train.loop.validate", lambda *_: left.pop(0))


# the best network


def test_the_best_network_is_kept_beside_the_last(scenes, tmp_path, monkeypatch):
    scored(monkeypatch, 0.1, 0.7, 0.7, math.nan, 0.3)
    seen = []

    def note(step):
        if step.score is not None:
            seen.append((training.step, weights(training.model), weights(er.load(tmp_path))))

    training = prepare(scenes, Settings().changed(steps=10, looks=5, **SMALL), out=tmp_path)
    run = training.run(note)
    assert run.score == 0.3
    assert same(weights(run.model), seen[4][1])
    best = next(seen[i] for i in (1, 2) if same(weights(run.best), seen[i][1]))  # of equals, the smaller loss
    assert same(seen[4][2], best[1]), "until the end the folder holds the best so far"
    assert same(weights(er.load(tmp_path)), seen[4][1])
    assert same(weights(er.load(tmp_path / "best.safetensors")), best[1])
    assert any(f"the network of step {best[0]} scored higher than the last one" in n for n in run.notes)


def test_the_last_network_is_the_best_where_no_other_is(scenes, tmp_path, monkeypatch):
    scored(monkeypatch, 0.1, 0.7)
    er.save(
        er.train.Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 2, 1)), tmp_path / "best.safetensors"
    )
    run = fit(scenes, steps=2, looks=2, out=tmp_path, overwrite=True, **SMALL)
    assert run.best is None
    assert not (tmp_path / "best.safetensors").exists(), (
        "one of an earlier training would be taken for this one's"
    )


@pytest.mark.slow
def test_the_best_network_is_resumed(scenes, tmp_path, monkeypatch):
    def interrupt(step):
        if step.score == 0.2:
            raise KeyboardInterrupt

    scored(monkeypatch, 0.9, 0.2, 0.3)
    with pytest.raises(KeyboardInterrupt):
        fit(scenes, steps=3, looks=3, out=tmp_path / "stopped", progress=interrupt, **SMALL)
    resumed = fit(scenes, steps=3, looks=3, out=tmp_path / "stopped", resume=True, **SMALL)
    scored(monkeypatch, 0.9, 0.2, 0.3)
    whole = fit(scenes, steps=3, looks=3, **SMALL)
    assert same(weights(resumed.best), weights(whole.best))
    assert resumed.history[0]["score"] == 0.9


@pytest.mark.slow
def test_a_finished_training_gives_its_network_again(scenes, tmp_path):
    run = fit(scenes, steps=2, out=tmp_path, **SMALL)
    again = fit(scenes, steps=2, out=tmp_path, resume=True, **SMALL)
    assert same(weights(again.model), weights(run.model))
    assert again.history == run.history


def test_a_network_is_not_lost_to_a_training(scenes, run, tmp_path):
    er.save(run.model, tmp_path)
    with pytest.raises(ValueError, match=r"holds model.* of an earlier training"):
        fit(scenes, steps=1, out=tmp_path, **SMALL)
    assert same(weights(er.load(tmp_path)), weights(run.model))


@pytest.mark.slow
def test_a_disc_that_is_full_in_the_end_loses_nothing(scenes, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    def fill(step):
        if step.step == 2:
            monkeypatch.setattr("erlangen.train.loop.save", full)

    run = fit(scenes, steps=2, looks=1, out=tmp_path, progress=fill, **SMALL)
    assert run.history[-1]["step"] == 2
    assert "No space left on device" in run.notes[-1]


# a training that runs away


def nan_gradient(training):
    next(training.model.parameters()).register_hook(lambda grad: grad * math.nan)


def infinite_weight(training):
    """After the last step before a look, in a place where the answer does not show it."""
    buffer = next(t for name, t in training.model.state_dict().items() if name.endswith("std"))
    buffer[0] = math.inf


RUNAWAYS = [({}, nan_gradient, 4), ({}, infinite_weight, 4), ({"lr": 1e4}, None, 5)]
LONGER = [({"lr": lr}, None, 30) for lr in (1e2, 1e3, 1e4, 1e5, 1e6, 1e30)]
LONGER += [({"lr": 1e3, "loss": loss}, None, 30) for loss in ("cross-entropy", "focal", "dice")]
RUNAWAYS += [pytest.param(*case, marks=pytest.mark.slow) for case in LONGER]


@pytest.mark.parametrize(("change", "spoil", "steps"), RUNAWAYS)
def test_a_training_that_runs_away_stops_with_its_best_network(scenes, tmp_path, change, spoil, steps):
    training = prepare(scenes, Settings().changed(steps=steps, looks=4, **SMALL | change), out=tmp_path)

    def after(step):
        if spoil is not None and step.step == 2:
            spoil(training)

    with pytest.raises(Diverged, match=r"expected .*; take a smaller learning rate than lr=") as stopped:
        training.run(after)
    run = stopped.value.run
    assert f"is in {tmp_path}" in str(stopped.value)
    assert same(weights(run.model), weights(er.load(tmp_path)))
    assert all(t.isfinite().all() for t in weights(run.model).values())
    assert math.isfinite(run.score)
    assert any("ran away" in note for note in run.notes)
    fit(scenes, steps=1, out=tmp_path, overwrite=True, **SMALL)  # the folder is free


@pytest.mark.slow
def test_the_message_says_since_when_and_what_was_seen(scenes):
    with pytest.raises(Diverged, match=r"since step \d the loss is [\d.e+]+ in the mean \([\d.]+ before, "):
        fit(scenes, steps=20, **SMALL | {"lr": 1e3})


def test_a_loss_that_is_no_number_from_the_start_is_the_data(scenes, tmp_path):
    with pytest.raises(ValueError, match="before the first step, expected a number; look at the photographs"):
        fit(scenes, steps=2, out=tmp_path, class_weights=(1e38, 3e38), **SMALL)


@pytest.mark.slow
def test_a_runaway_at_the_command_line(scenes, tmp_path, capsys, short_page):
    out = tmp_path / "out"
    flags = [*FLAGS, "--steps", "5", "--lr", "1e4"]
    assert main(["train", str(scenes), "--out", str(out), *flags]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "take a smaller learning rate than lr=10000.0" in error
    assert f"is in {out}" in error
    assert er.load(out).net.domain.rotations == 4
    assert "This training ran away" in (out / "index.html").read_text()


ORDINARY = [
    {},
    {"loss": "focal", "batch": 1},
    {"loss": "dice", "batch": 1, "seed": 7},
    {"loss": "cross-entropy", "batch": 1, "seed": 1},
    {"loss": "focal", "class_weights": (1, 50), "lr": 1e-1, "batch": 1},
    {"balance": True, "lr": 3e-2},
    {"lr": 1e-1, "seed": 2},
    {"lr": 1e-1, "loss": "dice"},
    {"lr": 1.0, "loss": "cross-entropy"},
    {"steps": 3, "lr": 1e-1},
    {"steps": 1, "loss": "focal"},
    {"rotations": 0, "jitter": 0.9, "batch": 1, "seed": 3},
]


@pytest.mark.slow
@pytest.mark.parametrize("change", ORDINARY, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_ordinary_trainings_do_not_run_away(scenes, change, seed):
    settings = SMALL | {"steps": 40} | change
    run = fit(scenes, **settings | {"seed": settings["seed"] + 10 * seed})
    assert run.history[-1]["step"] == settings["steps"]


# photographs that change meanwhile


def delete(image, _mask):
    image.unlink()


def truncate(image, _mask):
    image.write_bytes(image.read_bytes()[:100])


def resize(_image, mask):
    Image.new("L", (5, 5)).save(mask)


def replace_by_folder(_image, mask):
    mask.unlink()
    mask.mkdir()


@pytest.mark.parametrize(
    ("change", "all_of_them"),
    [
        (resize, True),
        pytest.param(delete, False, marks=pytest.mark.slow),
        pytest.param(delete, True, marks=pytest.mark.slow),
        pytest.param(truncate, True, marks=pytest.mark.slow),
        pytest.param(resize, False, marks=pytest.mark.slow),
        pytest.param(replace_by_folder, True, marks=pytest.mark.slow),
    ],
)
def test_a_photograph_held_out_that_changes(
    scenes, tmp_path, capsys, monkeypatch, short_page, change, all_of_them
):
    """While it trains: the network and the page are written, and the page names the file."""
    photographs = shutil.copytree(scenes, tmp_path / "photographs")
    learned, held_out = er.train.held_out.learned_and_held_out(photographs, seed=0)
    pairs = list(zip(held_out.images, held_out.masks, strict=True))[: None if all_of_them else 1]

    def update(_bar, _name, step):
        if step.step == 1 and step.score is None:
            for image, mask in pairs:
                change(image, mask)

    monkeypatch.setattr("erlangen.commands._bar.update", update)
    out = tmp_path / "out"
    command = ["train", str(photographs), "--out", str(out), "--steps", "2", *FLAGS]
    assert main(command) == 0
    assert len(learned) + len(held_out) == 8
    said = capsys.readouterr().out
    assert er.load(out).net.domain.rotations == 4
    for file in (out / "index.html").read_text(), said, (out / "config.json").read_text():
        assert all(image.stem in file for image, _ in pairs)
        assert "are left out here" in file
    assert ("predictions.png" in said) == (out / "predictions.png").exists() == (not all_of_them)


def test_no_picture_of_an_earlier_network_stays(scenes, run, tmp_path, short_page):
    """Where no photograph held out can be read there are no predictions, be it those of before."""
    photographs, out = shutil.copytree(scenes, tmp_path / "photographs"), tmp_path / "out"
    _, held_out = er.train.held_out.learned_and_held_out(photographs, seed=0)
    out.mkdir()
    for name in PICTURES:
        (out / name).write_bytes(b"old")
    for image in held_out.images:
        image.unlink()
    written = write_run(replace(run, held_out=held_out), out)
    assert written.picture is None
    assert [name for name in PICTURES if (out / name).exists()] == ["curves.png"]
    assert (out / "curves.png").read_bytes() != b"old"


@pytest.mark.slow
def test_a_page_that_cannot_be_made_leaves_the_network(scenes, tmp_path, capsys, monkeypatch, short_page):
    """Without matplotlib; the same command with --resume makes the page."""
    command = ["train", str(scenes), "--out", str(tmp_path), "--steps", "2", *FLAGS]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        assert main(command) == 1
    error = capsys.readouterr().err
    assert 'pip install "erlangen[figures]"' in error
    assert f"the network is in {tmp_path}, whole" in error
    before = weights(er.load(tmp_path))
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "index.html").exists()
    assert same(weights(er.load(tmp_path)), before)


# one training at a time


@pytest.mark.parametrize(
    "how",
    [{"overwrite": True}, *(pytest.param(how, marks=pytest.mark.slow) for how in ({}, {"resume": True}))],
)
def test_a_folder_in_use_is_refused(scenes, tmp_path, how):
    (tmp_path / "link").symlink_to(tmp_path / "out", target_is_directory=True)
    refused = []

    def second(_step):
        for out in ("out", "link"):
            with pytest.raises(ValueError, match="another --out") as error:
                fit(scenes, steps=1, out=tmp_path / out, **how, **SMALL)
            refused.append(str(error.value))

    fit(scenes, steps=1, looks=1, out=tmp_path / "out", progress=second, **SMALL)
    assert len(refused) == 4
    assert f"process {os.getpid()}" in refused[0]
    assert not (tmp_path / "out" / LOCK).exists()
    fit(scenes, steps=1, out=tmp_path / "out", overwrite=True, **SMALL)


def test_another_thread_is_refused(tmp_path):
    errors = []

    def take():
        try:
            FolderLock(tmp_path)
        except ValueError as error:
            errors.append(error)

    with FolderLock(tmp_path):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert len(errors) == 1
    FolderLock(tmp_path).release()


HOLD = """
import sys, time
from erlangen.train.lock import FolderLock, name_of
lock = FolderLock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
def test_another_process_is_refused_until_it_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"process {holder.pid} on "):
            FolderLock(tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / LOCK).exists(), "what a killed process left is no obstacle"
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_neither_holds_nor_frees_it(tmp_path):
    lock = FolderLock(tmp_path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        lock.release()
        os.read(read, 1)
        os._exit(0)
    try:
        with pytest.raises(ValueError, match="another training is at work"):
            FolderLock(tmp_path)
        lock.release()
        FolderLock(tmp_path).release()  # while the child lives
    finally:
        os.write(write, b"x")
        os.waitpid(child, 0)


def test_what_fails_before_the_first_step_leaves_no_lock_and_no_folder(scenes, tmp_path):
    for out in (tmp_path / "new", tmp_path):
        with pytest.raises(ValueError, match="steps is"):
            fit(scenes, steps=-1, out=out, **SMALL)
        with pytest.raises(ValueError, match="expected the photographs there"):
            fit(tmp_path / "nowhere", steps=1, out=out, **SMALL)
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / LOCK).symlink_to("victim")
    with pytest.raises(OSError, match="could not be written"):
        FolderLock(tmp_path)
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_file_system_without_locks_is_told(scenes, tmp_path, monkeypatch):
    def no_locks(_descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("erlangen.train.lock._hold", no_locks)
    run = fit(scenes, steps=1, out=tmp_path, **SMALL)
    assert any("cannot lock files" in note for note in run.notes)


# minutes


class Pretended:
    """A clock that work moves: a step takes a second, a look five."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.looked = 0
        for where in ("clock", "loop"):
            monkeypatch.setattr(f"erlangen.train.{where}.time.monotonic", lambda: self.now)
        monkeypatch.setattr("erlangen.train.loop.validate", self.look)
        monkeypatch.setattr("erlangen.train.loop.Gradient.__call__", self.gradient)

    def gradient(self, *_):
        self.now += 1.0
        return 0.5

    def look(self, *_):
        self.now += 5.0
        self.looked += 1
        return 0.5


@pytest.mark.parametrize(("page", "loading"), [(False, 0.0), (False, 20.0), (True, 20.0)])
def test_minutes_are_the_whole_time(scenes, monkeypatch, page, loading):
    """Loading, looks and the page included; steps get what is left, whose learning rate falls to the end."""
    clock = Pretended(monkeypatch)
    cost = Cost(1.0, 1, 10 * 5.0, 15.0 if page else 0.0, 0, looks=10, turned=12)
    monkeypatch.setattr("erlangen.train.loop.measure_cost", lambda _: cost)
    training = prepare(scenes, Settings().changed(minutes=2.0, **SMALL), page=page)
    training.clock.add(loading)
    left = []
    run = training.run(lambda step: left.append(step.remaining))
    assert clock.looked == len(run.history) == 10
    page_takes = 15.0 if page else 0.0
    assert training.clock.seconds == pytest.approx(120.0 - page_takes, abs=2.0)
    assert training.step == pytest.approx(120 - loading - 50 - page_takes, abs=2)
    assert left[0] == pytest.approx(120.0 - loading - 1)
    assert left[-1] == pytest.approx(page_takes, abs=2.0)
    assert training.optimizer.param_groups[0]["lr"] < 0.02 * training.settings.lr


def test_resumed_minutes_are_those_that_are_left(scenes, tmp_path, monkeypatch):
    clock = Pretended(monkeypatch)
    cost = Cost(1.0, 1, 50.0, 0.0, 0, looks=10, turned=12)
    monkeypatch.setattr("erlangen.train.loop.measure_cost", lambda _: cost)

    def interrupt(step):
        if step.step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(scenes, minutes=2.0, out=tmp_path, progress=interrupt, **SMALL)
    spent = clock.now
    clock.now += 1000.0
    fit(scenes, minutes=2.0, out=tmp_path, resume=True, **SMALL)
    assert clock.now - 1000.0 == pytest.approx(120.0, abs=2.0)
    assert spent > 30


def test_looks_and_the_page_take_half_of_the_time_at_most():
    assert that_fit(100.0, 10, 5.0, 12, 1.0, 10.0) == (10, 12)
    assert that_fit(50.0, 10, 5.0, 12, 1.0, 10.0) == (5, 12)
    assert that_fit(30.0, 10, 5.0, 12, 1.0, 10.0) == (3, 5)
    assert that_fit(1.0, 10, 5.0, 12, 1.0, 10.0) == (1, 1)


def test_too_few_minutes_say_so(scenes):
    training = prepare(scenes, Settings().changed(minutes=1e-3, **SMALL), page=True)
    training.cost()
    assert training.looks == training.turned == 1
    (note,) = (note for note in training.notes if "so that all is done in 0.001 minutes" in note)
    assert "scored 1 times instead of 10" in note
    assert "give more minutes" in note
    assert len(training.run().history) == 1


# memory


def test_memory_is_said_before_photographs_are_loaded(scenes, monkeypatch):
    said, load = {}, er.train.Photographs.load

    def loaded(data, *how):
        assert "memory" in said
        return load(data, *how)

    monkeypatch.setattr("erlangen.train.Photographs.load", loaded)
    training = prepare(
        scenes, Settings().changed(steps=1, **SMALL), say=lambda name, text: said.update({name: text})
    )
    learned, held_out = er.train.held_out.learned_and_held_out(scenes, seed=SMALL["seed"])
    memory = foresee(learned, held_out, training.settings, training.model.net)
    kept = sum(x.numel() for data in (learned, held_out) for part in load(data, 48) for x in part)
    assert memory.photographs == kept == 8 * 4 * 48 * 48
    assert said["memory"].split("; ")[0] == str(memory).split("; ")[0]  # what is free differs by now
    assert 0.3 < memory.computing / training.cost().bytes < 3


@pytest.mark.parametrize(
    ("free", "most", "error"), [(10_000, 2**40, None), (10_000, 20_000, "at most the 20")]
)
def test_too_little_memory_is_said(scenes, monkeypatch, free, most, error):
    monkeypatch.setattr("erlangen.train.memory.machine_memory", lambda: (free, most))
    refused = nullcontext() if error is None else pytest.raises(ValueError, match=error)
    with refused, pytest.warns(UserWarning, match="9.8 KiB are free, which is less: take a smaller --size"):
        prepare(scenes, Settings().changed(steps=1, **SMALL))


# signals


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_is_as_ctrl_c(scenes, tmp_path, monkeypatch, capsys, short_page, number):
    """The step is finished, its state saved; also by a second and a third request, while it is saved."""
    number = getattr(signal, number)
    whole = fit(scenes, steps=6, **SMALL)
    command = ["train", str(scenes), "--out", str(tmp_path), "--steps", "6", "--seed", "4", *FLAGS]
    from erlangen.train import loop

    inner, count = loop.save_state, [0]

    def impatient(*arguments):
        signal.raise_signal(signal.SIGINT)
        inner(*arguments)
        signal.raise_signal(number)

    def update(_bar, _name, _step):
        count[0] += 1
        if count[0] == 4:
            monkeypatch.setattr("erlangen.train.loop.save_state", impatient)
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr("erlangen.commands._bar.update", update)
        assert main(command) == 128 + number
    monkeypatch.setattr("erlangen.train.loop.save_state", inner)
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert signal.getsignal(number) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert main([*command, "--resume"]) == 0
    assert same(weights(whole.model), weights(er.load(tmp_path)))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_signals_that_are_ignored_or_handled_stay_so(scenes, monkeypatch):
    seen = []
    monkeypatch.setattr("erlangen.train.loop.Training._look", lambda *_: None)
    before = {n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
        with er.train.stopping.Stop() as stop:
            for number in before:
                signal.raise_signal(number)
            stop.check()
        assert seen == [1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_state_that_is_damaged_is_refused(scenes, tmp_path):
    """Cut off anywhere, or with any byte changed: one ValueError."""

    def interrupt(step):
        if step.step == 2:
            raise KeyboardInterrupt

    settings = Settings().changed(steps=4, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        prepare(scenes, settings, out=tmp_path).run(interrupt)
    training = prepare(scenes, settings)
    file, rng = tmp_path / STATE, random.Random(0)
    good = file.read_bytes()
    header = int.from_bytes(good[:8], "little")
    places = [*range(10), *rng.sample(range(8, 8 + header), 20), *rng.sample(range(len(good)), 5)]
    for place in places:
        changed = bytearray(good)
        changed[place] ^= 1 << rng.randrange(8)
        for content in (bytes(changed), good[:place]):
            file.write_bytes(content)
            with pytest.raises(ValueError, match="start over with --overwrite"):
                training.restore(tmp_path)
    file.write_bytes(good)
    training.restore(tmp_path)
    assert training.step == 2


# what a command that is killed leaves


def kill_at_random(command, rng, within):
    """Start, wait, kill in one of three ways; the exit code."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(rng.uniform(0, within))
    except subprocess.TimeoutExpired:
        how = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        process.send_signal(how)
        if how == signal.SIGINT:
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(how)
    return process.wait(), process.communicate()[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_and_resumed_the_weights_are_the_same(tmp_path, seed):
    """The command itself, ten times for each seed: killed, terminated, or stopped by Ctrl-C twice."""
    generate(tmp_path / "photographs", 8, size=48, seed=3)
    script = (
        "import erlangen.train.loop as loop, sys; loop.SAVE_EVERY = 0.2; "
        "from erlangen.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "train", str(tmp_path / "photographs"), "--steps", "60", *FLAGS]
    whole = subprocess.run([*command, "--out", str(tmp_path / "whole")], capture_output=True, check=True)
    assert b"page" in whole.stdout
    rng, out, kills = random.Random(seed), tmp_path / "out", 0
    while kills < 10:
        how = ["--resume"] if (out / STATE).exists() else []
        code, error = kill_at_random([*command, "--out", str(out), *how], rng, 14.0)
        if b"Traceback" in error:  # Python's own, of Ctrl-C before the command has begun
            assert b"KeyboardInterrupt" in error, error.decode()
        if code != 0:
            kills += 1
        else:
            shutil.rmtree(out)
    last = subprocess.run(
        [*command, "--out", str(out), *(["--resume"] if (out / STATE).exists() else [])], capture_output=True
    )
    assert last.returncode == 0, last.stderr.decode()
    assert same(weights(er.load(tmp_path / "whole")), weights(er.load(out)))
