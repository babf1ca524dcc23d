"""What is said before a training: which way is up, what it will cost."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from erlangen.train import Settings, find_photographs, generate, prepare
from erlangen.train.angles import to_turn
from erlangen.train.cost import in_words
from erlangen.train.upright import says_upright, upright_guesses


def noise(count, seed=0):
    """Blurred noise, which looks alike in all directions."""
    random = np.random.default_rng(seed)
    images = torch.from_numpy(random.integers(0, 256, (count, 3, 8, 12), dtype=np.uint8))
    return list(torch.nn.functional.interpolate(images.float(), (40, 60), mode="bilinear").to(torch.uint8))


def test_light_from_above_is_noticed(tmp_path):
    images, _ = generate(tmp_path, 40, size=64, seed=2).load(None)
    assert upright_guesses(images) > 0.8
    assert "not symmetric under turns" in says_upright(images)
    anyhow = [image.rot90(i % 4, (-2, -1)) for i, image in enumerate(images)]
    assert upright_guesses(anyhow) < 0.5
    assert says_upright(anyhow) is None


def test_noise_has_no_up():
    assert upright_guesses(noise(200)) == pytest.approx(0.25, abs=0.12)
    assert says_upright(noise(200)) is None
    assert upright_guesses(noise(19)) is None


def test_a_training_says_what_it_will_do(tmp_path):
    generate(tmp_path, 30, size=48, seed=3)
    training = prepare(tmp_path, Settings().changed(steps=50, width=2, depth=1, size=48, batch=2))
    before = {name: t.clone() for name, t in training.model.state_dict().items()}
    state = torch.get_rng_state()
    facts = training.facts()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(t, before[name]) for name, t in training.model.state_dict().items())
    assert "24 to learn from, 6 held out" in facts["photographs"]
    assert "50 steps of" in facts["cost"]
    assert "background" in facts["task"]
    assert any("which way is up can be told" in note for note in training.notes)
    settings = Settings().changed(minutes=2.0, width=2, depth=1, size=48, batch=2)
    training = prepare(tmp_path, settings, page=True)
    timed = training.cost()
    assert 60 * timed.minutes + training.clock.seconds == pytest.approx(120.0, abs=2 * timed.seconds)
    assert timed.steps * timed.seconds < 120.0 - timed.looking - timed.proving
    assert min(timed.looking, timed.proving) > 0
    assert len(find_photographs(tmp_path)) == 30


def test_large_photographs_take_what_their_turns_take(tmp_path):
    """The report turns fewer of them, and one at least."""
    photographs = generate(tmp_path, 16, size=48, seed=3)
    assert [len(to_turn(photographs, size)) for size in (None, 256, 1024, 2048, 4096)] == [12, 12, 12, 3, 1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("size", "crop", "batch", "work"),
    [
        (256, 192, 4, "t.advance(); t.advance()"),
        (768, 32, 1, "t.advance(); t._look(*t.held_out.load(768))"),
    ],
)
def test_the_memory_is_about_what_was_said(tmp_path, size, crop, batch, work):
    """The growth of the process while it trains or looks, within a factor of two, in a process of its own."""
    generate(tmp_path, 4, size=64, seed=3)
    for file in tmp_path.rglob("*.png"):
        with Image.open(file) as image:
            image.resize((size, size), Image.Resampling.NEAREST).save(file)
    script = (
        "import re\n"
        "from erlangen.train import Settings, prepare\n"
        f"settings = Settings().changed(steps=3, depth=2, size={size}, crop={crop}, batch={batch}, looks=1)\n"
        f"t = prepare({str(tmp_path)!r}, settings)\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = peak()\n"
        f"{work}\n"
        "grown = 1024 * (peak() - before)\n"
        "print(grown, t.cost().bytes)\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    grown, said = (float(x) for x in out.split())
    assert 0.5 < said / grown < 2.0, (said, grown)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.087, "0.087 s"),
        (4.33, "4.3 s"),
        (110.0, "110 s"),
        (130.0, "2.2 minutes"),
        (1200.0, "20 minutes"),
        (9e3, "2.5 hours"),
    ],
)
def test_times_are_in_the_unit_that_people_would_take(seconds, words):
    assert in_words(seconds) == words


def test_masks_painted_in_colours_are_noticed(tmp_path):
    generate(tmp_path, 4, size=48, seed=3)
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0]], np.uint8)
    for i, file in enumerate(sorted((tmp_path / "masks").iterdir())):
        Image.fromarray(colours[np.random.default_rng(i).integers(0, 3, (48, 48))]).save(file)
    notes = prepare(tmp_path, Settings().changed(steps=1, width=2, depth=1, size=48)).notes
    assert any("painted in 2 colours, which all count as the thing" in note for note in notes)


def test_a_resumed_training_says_what_is_left(tmp_path):
    generate(tmp_path / "data", 6, size=48, seed=3)
    settings = Settings().changed(steps=40, width=2, depth=1, size=48, batch=2)

    def interrupt(step):
        if step.step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "data", settings, out=tmp_path).run(interrupt)
    assert prepare(tmp_path / "data", settings, out=tmp_path, resume=True).cost().steps == 10
