"""Killed at any moment, `save` leaves a network that loads, old or new; `predict` masks that it knows.

As a script it saves or predicts in children which it kills (SIGKILL) before, within and after every call to
the system, one after the other, and looks at what they left.
"""

import builtins
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from packed import FIXTURES

import erlangen as er
from erlangen.train import Predictor

CALLS = ("open", "close", "fsync", "replace", "unlink", "mkdir", "rename", "remove", "write")
X = torch.linspace(0, 40, 3 * 8 * 12).sin().mul(0.5).add(0.5).view(1, 3, 8, 12)


def network(seed):
    torch.manual_seed(seed)
    return Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 1, 1, kernel_size=3))


class Deadly:
    """An open file that is counted, and written to in two halves."""

    def __init__(self, file, point):
        self.file, self.point = file, point

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.point()
        self.file.close()
        self.point()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            self.point()
            self.file.write(part)
            self.file.flush()
        self.point()


def killed(work, at):
    """Whether a child that does the work was killed at a moment; False if it was done before."""
    child = os.fork()
    if child == 0:
        count = [0]

        def point():
            count[0] += 1
            if count[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted(call):
            def around(*arguments, **options):
                point()
                result = call(*arguments, **options)
                point()
                return result

            return around

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        real = builtins.open
        for module in ("writing", "outputs"):
            opened = lambda *a, **o: Deadly(real(*a, **o), point)  # noqa: E731
            sys.modules[f"erlangen.train.{module}"].open = opened
        try:
            work()
        except BaseException as error:
            print(f"moment {at}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def kill_saves():
    """In a folder with a network, with one in the form before, with none, and as a file."""
    new = network(1)
    moments = 0
    for kind in ("one", "pair", "none", "file"):
        at = 1
        while True:
            with tempfile.TemporaryDirectory() as path:
                folder = Path(path) / ("net.safetensors" if kind == "file" else "net")
                if kind == "pair":
                    shutil.copytree(FIXTURES / "format2_unet", folder)
                elif kind != "none":
                    er.save(network(0), folder)
                old = None if kind == "none" else er.predict(er.load(folder), X)[0]
                stopped = killed(lambda folder=folder: er.save(new, folder), at)
                if (folder if kind == "file" else folder / "model.safetensors").exists():
                    found = er.predict(er.load(folder), X)[0]
                    is_new = torch.equal(found, er.predict(new, X)[0])
                    assert is_new or (stopped and old is not None and torch.equal(found, old)), (kind, at)
                else:
                    assert stopped
                    assert kind == "none"
                er.save(new, folder)
                assert torch.equal(er.predict(er.load(folder), X)[0], er.predict(new, X)[0])
            if not stopped:
                break
            at += 1
        moments += at - 1
    return moments


def kill_predictions():
    """Masks of before are there, or the new ones, whole; and the next run takes them for its own."""
    from PIL import Image

    old, new = network(0), network(1)
    at = 1
    while True:
        with tempfile.TemporaryDirectory() as path:
            images, out, whole = (Path(path) / name for name in ("images", "out", "whole"))
            images.mkdir()
            for name in "ab":
                Image.new("RGB", (12, 8), (200, 40, ord(name))).save(images / f"{name}.jpg")
            masks = []
            for model in (old, new):
                er.predict(model, images, out=whole)
                masks.append({file.name: file.read_bytes() for file in whole.glob("[!.]*")})
            er.predict(old, images, out=out)
            stopped = killed(lambda: er.predict(new, images, out=out), at)  # noqa: B023
            left = {file.name: file.read_bytes() for file in out.glob("[!.]*")}
            assert left.keys() == masks[0].keys()
            assert all(content in (masks[0][name], masks[1][name]) for name, content in left.items())
            er.predict(new, images, out=out)
            assert {file.name: file.read_bytes() for file in out.glob("[!.]*")} == masks[1]
        if not stopped:
            return at - 1
        at += 1


def read_while_two_save():
    """Every network that is read is one of the two, whole."""
    models = [network(0), network(1)]
    answers = [er.predict(model, X)[0] for model in models]
    with tempfile.TemporaryDirectory() as folder:
        er.save(models[0], folder)
        children = []
        for model in models:
            children.append(os.fork())
            if children[-1] == 0:
                for _ in range(300):
                    er.save(model, folder)
                os._exit(0)
        reads = 0
        while children:
            found = er.predict(er.load(folder), X)[0]
            assert any(torch.equal(found, answer) for answer in answers)
            reads += 1
            done, status = os.waitpid(-1, os.WNOHANG)
            assert status == 0
            children = [child for child in children if child != done]
        assert os.listdir(folder) == ["model.safetensors"]
    return reads


WAYS = {"saves": kill_saves, "predictions": kill_predictions, "both": read_while_two_save}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("what", sorted(WAYS))
def test_killed_at_every_call(what):
    done = subprocess.run([sys.executable, __file__, what], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > (2 if what == "both" else 30)


if __name__ == "__main__":
    print(WAYS[sys.argv[1]]())
