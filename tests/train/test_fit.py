"""Training, prediction, and what is left on disc."""

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.train import Settings, fit, score_by_angle, write_run
from erlangen.train.angles import inscribed_disc
from erlangen.train.images import turned
from erlangen.train.plain import PlainUNet, plain_unet_of

SMALL = {"width": 2, "depth": 2, "size": 48, "crop": 32, "batch": 4}


@pytest.fixture(scope="module")
def berries(tmp_path_factory):
    """Red discs on green, which any network should learn to find at once."""
    folder = tmp_path_factory.mktemp("berries")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48]
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(10):
        mask = np.hypot(x - rng.uniform(10, 38), y - rng.uniform(10, 38)) < rng.uniform(5, 10)
        colour = np.where(mask[..., None], (200, 40, 40), (60, 120, 50)) + rng.normal(0, 20, (48, 48, 3))
        Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return folder


def test_it_learns(berries):
    run = fit(berries, steps=80, seed=1, lr=2e-2, **SMALL | {"width": 4})
    losses = [row["loss"] for row in run.history]
    assert losses[-1] < 0.6 * losses[0]
    assert run.history[-1]["score"] > 0.8
    assert len(run.history) == 10
    assert not run.model.training


def test_the_same_seed_gives_the_same_weights(scenes):
    one, other = (fit(scenes, steps=3, seed=4, **SMALL).model for _ in range(2))
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_trained_network_is_equivariant(run):
    plane = run.model.net.domain
    report = er.verify.equivariance(run.model, torch.rand(1, 3, 31, 48), plane, show=False)
    assert report.worst <= 1e-5, report
    assert (
        er.verify.equivariance(PlainUNet(width=2), torch.randn(1, 3, 32, 32), plane, show=False).worst > 1e-2
    )


def test_a_diverging_training_says_so(scenes):
    with pytest.raises(ValueError, match="expected a number; take a smaller learning rate than lr=1e"):
        fit(scenes, steps=30, lr=1e30, **SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0, expected a whole number of at least 1"),
        ({"minutes": 0.0}, "minutes is 0.0, expected a time above 0"),
        ({"epochs": float("inf")}, "epochs is inf, expected a finite number above 0"),
        ({"zoom": float("nan")}, "zoom is nan, expected a finite number of at least 0"),
        ({"turns": 181.0}, "turns is 181.0, expected an angle between 0 and 180 degrees"),
        ({"batch": 0}, "batch is 0, expected a whole number of at least 1"),
        ({"validation": 1.0}, "expected a fraction between 0 and 1"),
        ({"lr": -1.0}, "lr is -1.0, expected a finite number above 0"),
        ({"looks": 0}, "looks is 0"),
        ({"oversampling": 0.5}, "oversampling is 0.5, expected a finite number of at least 1"),
        ({"blocks": 0}, "blocks is 0, expected a whole number of at least 1"),
        ({"batch": 2.5}, "batch is 2.5, expected a whole number"),
        ({"ignore": 9999}, "ignore is 9999, expected a whole number between 0 and 255 or None"),
        ({"flips": "no"}, "flips is 'no', expected True or False"),
        ({"weight_decay": -1}, "weight_decay is -1, expected a finite number of at least 0"),
        ({"loss": "dise"}, "loss is 'dise', expected \"cross-entropy.dice\", "),
        ({"kernel_size": 4}, "kernel_size is 4, expected an odd number, .* take 5"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        Settings().changed(**change)


def test_what_is_no_segmenter_is_refused(run, tmp_path):
    for act in (lambda: er.save(run, tmp_path), lambda: er.predict(run.model.net, tmp_path)):
        with pytest.raises(ValueError, match=r"expected the Predictor that er\.fit trains"):
            act()
    for images, message in (
        (255 * torch.rand(1, 3, 9, 9), "have values from .* divide bytes by 255"),
        (torch.full((1, 3, 9, 9), torch.nan), "have values from nan"),
        (torch.rand(3, 9, 9), r"expected \(batch, 3, height, width\).*image\[None\]"),
        (torch.rand(1, 1, 9, 9), r"gray.expand"),
    ):
        with pytest.raises(ValueError, match=message):
            er.predict(run.model, images)
    with pytest.raises(ValueError, match="size is 0 and tile None, expected pixels"):
        er.predict(run.model, tmp_path, size=0)
    with pytest.raises(ValueError, match=r"expected numbers in \[0, 1\]"):
        er.predict(run.model, torch.zeros(1, 3, 9, 9, dtype=torch.uint8))


def test_one_photograph_is_not_enough(tmp_path):
    er.train.generate(tmp_path, 1, size=48, seed=0)
    with pytest.raises(ValueError, match="has 1 photographs, expected at least 2"):
        fit(tmp_path, steps=1, **SMALL)


def test_another_network_and_sets_of_ones_own(scenes):
    from erlangen.train import find_photographs

    pairs = find_photographs(scenes)
    run = fit(
        (pairs.subset([0, 1, 2]), pairs.subset([3])),
        Settings().changed(steps=2, **SMALL),
        net=PlainUNet(width=2),
    )
    assert isinstance(run.model.net, PlainUNet)
    assert len(run.held_out) == 1
    count = sum(p.numel() for p in plain_unet_of(40_000).parameters())
    assert 30_000 < count <= 40_000


def test_the_network_is_the_one_that_the_settings_name(scenes, tmp_path):
    named = {"rotations": 4, "separable": False, "kernel_size": 7, "oversampling": 1.5, "blocks": 3}
    net = fit(scenes, steps=1, **SMALL | named).model
    er.save(net, tmp_path / "net")
    for found in (net.net, er.load(tmp_path / "net").net):
        options = {"rotations": len(found.domain.fibre), **vars(found.options)}
        assert {key: options[key] for key in named} == named
        assert (options["width"], options["depth"]) == (SMALL["width"], SMALL["depth"])


@pytest.mark.parametrize("size", [(100, 70), (31, 48)])
def test_predictions_have_the_size_of_the_photograph(run, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    (probability,) = er.predict(run.model, tmp_path / "photo.jpg", out=tmp_path / "masks")
    assert tuple(probability.shape) == size[::-1]
    assert 0 <= float(probability.min()) < float(probability.max()) <= 1
    with Image.open(tmp_path / "masks" / "photo.png") as mask:
        assert mask.size == size
    with Image.open(tmp_path / "photo.jpg") as photo:
        torch.testing.assert_close(er.predict(run.model, photo)[0], probability)


def test_tensors_are_predicted_as_they_are(run):
    x = torch.rand(2, 3, 40, 30)
    turned_first = er.predict(run.model, torch.rot90(x, 1, (-2, -1)))
    for a, b in zip(turned_first, er.predict(run.model, x), strict=True):
        torch.testing.assert_close(a, torch.rot90(b, 1, (-2, -1)), rtol=0, atol=1e-5)


def test_quarter_turns_are_scored_alike(run):
    scores = score_by_angle(run.model, run.held_out, [0, 90, 180, 270, 45])
    exact = [scores[a] for a in (0.0, 90.0, 180.0, 270.0)]
    assert max(exact) - min(exact) < 1e-3
    assert 0 <= scores[45.0] <= 1
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert np.array_equal(np.asarray(turned(image, 90)), np.rot90(np.asarray(image)))
    disc = inscribed_disc(9, 13)
    assert disc[4, 6 - 4]
    assert not disc[4, 6 - 5]
    assert torch.equal(disc, disc.flip(0))


def test_what_a_training_leaves_on_disc(run, tmp_path):
    page = write_run(run, tmp_path / "out", turned=1).page
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [
        "angles.csv",
        "angles.png",
        "config.json",
        "curves.csv",
        "curves.png",
        "equivariance.txt",
        "index.html",
        "model.safetensors",
        "predictions.png",
        "square.png",
    ]
    text = page.read_text()
    assert "worst exact" in text
    for words in ("White: what is true.", "at 12 angles all around", "White: what lay outside"):
        assert words in text
    assert "http" not in text
    assert (tmp_path / "out" / "curves.csv").read_text().count("\n") == 11


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pictures_of_every_mode_are_predicted(run, mode):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).convert(
        mode
    )
    (p,) = er.predict(run.model, image)
    assert p.shape == (20, 30)


def test_many_photographs_are_predicted_by_a_frozen_copy(run, tmp_path):
    """With the same answers; a few are not worth the copy, and what was compiled is left as it is."""
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    seen = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: seen.append(module) if isinstance(module, er.nn.Norm) else None
    )
    try:
        found = er.predict(run.model, tmp_path)
        assert not seen
        one = er.predict(run.model, tmp_path / "5.png")
        assert seen
    finally:
        handle.remove()
    torch.testing.assert_close(found[5], one[0], rtol=1e-4, atol=1e-5)
    assert run.model.for_calls(4) is run.model
    compiled = er.train.Predictor(torch.compile(run.model.net, backend="eager"))
    assert compiled.for_calls(100) is compiled


def test_folders_of_folders_are_predicted_under_their_names(run, tmp_path):
    """Also photographs that differ in their ending alone; what cannot be read is none."""
    new = tmp_path / "new"
    (new / "monday" / "late").mkdir(parents=True)
    black = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    for name in ("a.png", "monday/a.png", "monday/a.jpg", "monday/late/b.tif", "._a.png"):
        black.save(new / name)
    (new / "notes.txt").write_text("no photograph")
    masks = tmp_path / "masks"
    assert len(er.predict(run.model, new, out=masks)) == 4
    written = sorted(p.relative_to(masks).as_posix() for p in masks.rglob("[!.]*") if p.is_file())
    assert written == ["a.png", "monday/a.jpg.png", "monday/a.png.png", "monday/late/b.png"]
    with Image.open(masks / "monday" / "late" / "b.png") as mask:
        assert mask.size == (30, 20)
