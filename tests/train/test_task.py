"""Many classes, classes of whole photographs, pixels that do not count; losses and scores."""

import csv
import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import erlangen as er
from erlangen.models import Options
from erlangen.train import (
    Loss,
    Predictor,
    Settings,
    Task,
    find_data,
    find_photographs,
    fit,
    prepare,
    score_by_angle,
    write_run,
)
from erlangen.train.angles import prove
from erlangen.train.counts import balanced, says_absent
from erlangen.train.images import as_batch, resampled, shrink
from erlangen.train.masks import IGNORED, read_mask
from erlangen.verify import equivariance

BINARY, THREE, WHOLE = Task(), Task(("a", "b", "c")), Task(("cat", "dog", "owl"), dense=False)
SMALL = {"width": 4, "depth": 1, "size": 32, "batch": 4, "lr": 2e-2, "seed": 1, "looks": 2}
COLOURS = np.array([(40, 110, 50), (210, 40, 40), (240, 210, 60)])


def draw(random, classes):
    """A green picture with a disc of each class, and the class of every pixel."""
    y, x = np.mgrid[:32, :32]
    index = np.zeros((32, 32), np.uint8)
    for label in classes:
        centre = random.uniform(8, 24, 2)
        index[np.hypot(x - centre[0], y - centre[1]) < random.uniform(4, 7)] = label
    colour = COLOURS[index] + random.normal(0, 15, (32, 32, 3))
    return Image.fromarray(colour.clip(0, 255).astype(np.uint8)), index


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Masks of three classes; the lowest row does not count, and would mislead."""
    folder, random = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(12):
        image, index = draw(random, (1, 2))
        index[-4:] = 200
        image.save(folder / "images" / f"{i}.png")
        Image.fromarray(index).save(folder / "masks" / f"{i}.png")
    (folder / "classes.txt").write_text("leaf\napple\nlemon\n")
    return folder


@pytest.fixture(scope="module")
def sorted_folder(tmp_path_factory):
    """Pictures sorted into red and yellow."""
    folder, random = tmp_path_factory.mktemp("sorted"), np.random.default_rng(0)
    for label, name in ((1, "red"), (2, "yellow")):
        (folder / name).mkdir()
        for i in range(10):
            draw(random, (label,))[0].save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def many_run(many):
    return fit(many, steps=60, ignore=200, **SMALL)


@pytest.fixture(scope="module")
def sorted_run(sorted_folder):
    return fit(sorted_folder, steps=40, **SMALL)


def test_three_classes_are_learned(many, many_run, tmp_path):
    assert many_run.model.task == Task(("leaf", "apple", "lemon"))
    assert many_run.history[-1]["score"] > 0.8
    report = er.verify.equivariance(
        many_run.model, torch.rand(1, 3, 31, 40), er.Plane(rotations=8), show=False
    )
    assert report.worst < 1e-5
    p = er.predict(many_run.model, many, out=tmp_path)
    assert len(p) == 12
    assert p[0].shape == (3, 32, 32)
    torch.testing.assert_close(p[0].sum(0), torch.ones(32, 32))
    with Image.open(tmp_path / "0.png") as mask:
        assert np.array_equal(np.asarray(mask), p[0].argmax(0).numpy())
    exact = score_by_angle(many_run.model, many_run.held_out, [0, 90, 180, 270])
    assert max(exact.values()) - min(exact.values()) < 1e-3


def test_classes_of_photographs_are_learned(sorted_folder, sorted_run, tmp_path):
    assert sorted_run.model.task == Task(("red", "yellow"), dense=False)
    assert sorted_run.history[-1]["score"] == 1.0
    (p,) = er.predict(sorted_run.model, sorted_folder / "red" / "3.png", out=tmp_path)
    assert p.shape == (2,)
    with open(tmp_path / "classes.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["image"], row["class"]) == ("3.png", "red")
    assert float(row["red"]) == pytest.approx(float(p[0]), abs=1e-4)
    assert score_by_angle(sorted_run.model, sorted_run.held_out, [0, 45])[45.0] == 1.0


@pytest.mark.parametrize("name", ["many_run", "sorted_run"])
def test_they_are_saved_loaded_and_shown(request, tmp_path, name):
    run = request.getfixturevalue(name)
    page = write_run(run, tmp_path, {"cost": "little"}, turned=1).page
    again = er.load(tmp_path)
    assert again.task == run.model.task
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(x), run.model(x))
    assert run.model.task.measure in (text := page.read_text())
    assert "<td>cost</td><td>little</td>" in text
    assert ("White: what is true" in text) == run.model.task.dense
    facts = json.loads((tmp_path / "config.json").read_text())
    assert facts["cost"] == "little"
    assert facts["settings"]["seed"] == 1


def test_trainings_of_every_task_resume(many, sorted_folder, tmp_path):
    for folder, more in ((many, {"ignore": 200, "class_weights": [1.0, 2.0, 3.0]}), (sorted_folder, {})):
        options = {"steps": 5, **SMALL, **more}
        whole = fit(folder, **options).model.state_dict()

        def interrupt(step):
            if step.step == 3:
                raise KeyboardInterrupt

        out = tmp_path / folder.name
        with pytest.raises(KeyboardInterrupt):
            fit(folder, out=out, progress=interrupt, **options)
        resumed = fit(folder, out=out, resume=True, **options).model.state_dict()
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_pixels_that_do_not_count_change_nothing():
    torch.manual_seed(0)
    for task in (BINARY, THREE):
        for name in ("cross-entropy+dice", "cross-entropy", "dice", "focal"):
            loss = Loss(task, name)
            logits = torch.randn(2, task.logits, 4, 6)
            truth = torch.randint(0, len(task.classes), (2, 4, 6), dtype=torch.uint8)
            truth[..., -2:] = IGNORED
            wild = logits.clone()
            wild[..., -2:] = 50.0
            assert torch.equal(loss(logits, truth), loss(wild, truth))
            torch.testing.assert_close(loss(logits, truth), loss(logits[..., :4], truth[..., :4]))
    predicted, truth = torch.tensor([[1, 0, 1]]), torch.tensor([[1, 1, IGNORED]])
    assert BINARY.score([predicted], [truth]) == pytest.approx(1 / 2)


def test_losses_are_their_formulas():
    torch.manual_seed(0)
    logits, index = torch.randn(5, 3, 4, 4), torch.randint(0, 3, (5, 4, 4))
    weights = (1.0, 2.0, 0.5)
    expected = F.cross_entropy(logits, index, weight=torch.tensor(weights))
    torch.testing.assert_close(Loss(THREE, "cross-entropy", weights)(logits, index.byte()), expected)
    whole, label = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(Loss(WHOLE)(whole, label.byte()), F.cross_entropy(whole, label))
    p = torch.softmax(logits, 1).gather(1, index[:, None])
    focal = (-p.log() * (1 - p) ** 2).mean()
    torch.testing.assert_close(Loss(THREE, "focal")(logits, index.byte()), focal)
    truth = F.one_hot(index, 3).movedim(-1, 1)
    q = torch.softmax(logits, 1)
    dice = (2 * (q * truth).sum((0, 2, 3)) + 1) / (q.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    torch.testing.assert_close(Loss(THREE, "dice")(logits, index.byte()), 1 - dice.mean())
    binary, mask = torch.randn(2, 1, 8, 8), torch.rand(2, 8, 8) > 0.7
    s = torch.sigmoid(binary[:, 0])
    overlap = (2 * (s * mask).sum() + 1) / (s.sum() + mask.sum() + 1)
    expected = F.binary_cross_entropy_with_logits(binary[:, 0], mask.float()) + 1 - overlap
    torch.testing.assert_close(Loss(BINARY)(binary, mask.byte()), expected)


def test_scores_are_their_formulas():
    a, b = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 1, 0]])
    assert BINARY.score([a], [b]) == pytest.approx(1 / 3)
    assert BINARY.score([a], [b], [torch.tensor([[1, 1, 0, 0]]).bool()]) == pytest.approx(1 / 2)
    assert BINARY.score([a, b], [b, b]) == pytest.approx(3 / 5)
    guess, truth = torch.tensor([[0, 1, 2, 2]]), torch.tensor([[0, 1, 1, 2]])
    assert THREE.score([guess], [truth]) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert WHOLE.score([torch.tensor(0), torch.tensor(2)], [torch.tensor(0), torch.tensor(1)]) == 0.5


def test_each_pixel_keeps_the_class_that_covers_most_of_it():
    labels = np.array([[0, 0, 2, 2], [0, 3, 2, 3], [3, 3, 0, 255], [3, 3, 255, 255]], np.uint8)
    small = resampled(labels, lambda m: shrink(m, 2, "mean"))
    assert small.tolist() == [[0, 2], [3, 255]]
    assert torch.equal(resampled(labels, lambda m: m), torch.from_numpy(labels))
    thin = (np.random.default_rng(0).random((60, 80)) > 0.5).astype(np.uint8)
    expected = np.array(shrink(Image.fromarray(thin * 255), 40, "mean")) >= 128
    assert np.array_equal(resampled(thin, lambda m: shrink(m, 40, "mean")).numpy(), expected)


def test_masks_of_many_classes(tmp_path):
    index = np.array([[0, 1, 2, 7]], np.uint8)
    Image.fromarray(index).save(tmp_path / "grey.png")
    palette = Image.fromarray(index, mode=None).convert("P")
    palette.putdata(index.flatten().tolist())
    palette.save(tmp_path / "palette.png")
    Image.fromarray(index[..., None].repeat(3, 2)).save(tmp_path / "rgb.png")
    for name in ("grey.png", "palette.png", "rgb.png"):
        assert read_mask(tmp_path / name, 3, ignore=7).tolist() == [[0, 1, 2, IGNORED]]
        with pytest.raises(ValueError, match=r"holds the value 7, expected 0 to 2 for 3 classes.*--ignore 7"):
            read_mask(tmp_path / name, 3)
    assert read_mask(tmp_path / "grey.png", ignore=7).tolist() == [[0, 1, 1, IGNORED]]
    Image.fromarray(np.array([[[9, 0, 0], [0, 9, 0]]], np.uint8)).save(tmp_path / "colours.png")
    with pytest.raises(ValueError, match="is in colours, expected the number of the class at every pixel"):
        read_mask(tmp_path / "colours.png", 3)
    with pytest.raises(ValueError, match="is in colours, so no pixel has the value 255 that is not to count"):
        read_mask(tmp_path / "colours.png", ignore=255)


def test_folders_say_what_they_are_for(many, sorted_folder, tmp_path):
    assert find_data(many).task.dense
    assert not find_data(sorted_folder).task.dense
    with pytest.raises(ValueError, match=r"names 3 classes .*, expected a name of its own for each of 4"):
        find_photographs(many, classes=4)
    (tmp_path / "image").mkdir()
    (tmp_path / "mask").mkdir()
    with pytest.raises(ValueError, match="expected the photographs there: DIR/images and DIR/masks"):
        find_data(tmp_path)
    for name in ("train/a", "train/b", "val/a", "one/alone", "void/full", "void/empty"):
        (tmp_path / name).mkdir(parents=True)
        if "empty" not in name:
            Image.new("RGB", (32, 32)).save(tmp_path / name / "0.png")
    with pytest.raises(ValueError, match="holds 1 folders"):
        find_data(tmp_path / "one")
    with pytest.raises(ValueError, match="empty holds no images, expected those of the class empty"):
        find_data(tmp_path / "void")
    (tmp_path / "val" / "c").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "val" / "c" / "0.png")
    with pytest.raises(
        ValueError, match="have the classes a, c, expected those of the photographs to learn from: a, b"
    ):
        fit(tmp_path, steps=1)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: Loss(THREE, "mse"), 'name is .mse., expected "cross-entropy'),
        (lambda: Loss(WHOLE, "dice"), "photographs have one class each"),
        (lambda: Loss(THREE, None, (1.0, 2.0)), r"2 class weights for 3 classes \(a, b, c\)"),
        (lambda: Loss(THREE, None, (1.0, -2.0, 1.0)), "expected numbers of at least 0"),
        (lambda: Settings(balance=True, class_weights=(1.0, 1.0)), "both balance=True and class_weights="),
        (lambda: Task(("one",)), "1 classes, expected 2 to 255"),
        (lambda: Settings(classes=1), "classes is 1, expected a whole number between 2 and 255"),
    ],
)
def test_what_cannot_be_asked_for(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_balanced_weights_and_absent_classes():
    truths = [torch.tensor([[0, 0, 0, 1, IGNORED]], dtype=torch.uint8)]
    assert balanced(BINARY, truths) == pytest.approx((2 / 3, 2.0))
    assert balanced(THREE, truths) == pytest.approx((4 / 9, 4 / 3, 0.0))
    assert "shows c: check the masks" in says_absent(THREE, truths)
    assert says_absent(BINARY, truths) is None


def test_forgotten_classes_are_noticed(many, tmp_path):
    (tmp_path / "images").symlink_to(many / "images")
    (tmp_path / "masks").symlink_to(many / "masks")
    notes = prepare(tmp_path, Settings().changed(steps=1, **SMALL)).notes
    assert len(notes) == 1  # 200 is no class that anyone would number so, but an id of an object
    assert "hold the values 1, 2, 200, which all count as the thing" in notes[0]
    notes = prepare(tmp_path, Settings().changed(steps=1, ignore=200, **SMALL)).notes
    assert len(notes) == 1
    assert "hold the values 1, 2, which all count as the thing" in notes[0]
    assert prepare(many, Settings().changed(steps=1, ignore=200, **SMALL)).notes == ()


def test_settings_survive_json():
    settings = Settings(class_weights=(1.0, 2.5), loss="focal")
    settings = settings.changed(width=(4, 6), depth=1, nonlinearity="gated")
    again = Settings.of(json.loads(json.dumps(settings.facts())))
    assert again == settings
    assert settings.differences(again.changed(width=4, lr=1.0)) == ["lr", "width"]
    assert not {field.name for field in fields(Options)} & {field.name for field in fields(Settings)}
    with pytest.raises(ValueError, match="there is no setting wings, expected those of this version"):
        Settings.of({"wings": 2})


def test_a_network_of_any_options_is_trained(sorted_folder, many):
    options = {"width": (3, 5), "depth": 1, "nonlinearity": ("relu", "gated"), "padding_mode": "reflect"}
    photographs = find_photographs(many, ignore=200)
    for data, more in ((sorted_folder, {"pooling": "max"}), ((photographs, photographs), {"blocks": (1, 2)})):
        net = fit(data, steps=2, **SMALL | options | more).model.net
        assert vars(net.options).items() >= (options | more).items()


def test_networks_for_classes_have_blocks_in_pairs(sorted_folder):
    with pytest.raises(ValueError, match=r"blocks is 3, .* expected an even number; take 4"):
        fit(sorted_folder, steps=1, blocks=3, **SMALL)


def test_zoomed_classification(sorted_folder):
    assert len(fit(sorted_folder, steps=3, zoom=0.3, **SMALL).history) == 2


def test_photographs_that_show_nothing_do_not_cost_the_page(sorted_run, tmp_path):
    """The proof is made on a drawn scene instead."""
    for name, size in (("flat", (32, 32)), ("thin", (64, 2))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
        blank = replace(sorted_run.held_out, images=(tmp_path / f"{name}.png",), labels=(0,))
        assert write_run(replace(sorted_run, held_out=blank), tmp_path / name, turned=1).page.exists()


def test_names_of_classes_are_written_as_they_are(sorted_run, tmp_path):
    """Dollars are no mathematics."""
    task = Task(("$\\frac", "$10_^"), dense=False)
    named = Predictor(sorted_run.model.net, sorted_run.model.mean, sorted_run.model.std, 32, task)
    assert write_run(replace(sorted_run, model=named), tmp_path, turned=1).page.exists()


def test_the_corners_that_leave_a_photograph_are_no_part_of_its_class(sorted_folder):
    """A classifier is measured on discs, as it is scored: near 45 degrees it is then as good as anywhere."""
    before = {"nonlinearity": "relu", "taps": "rings", "oversampling": 1}  # whose answers corners change much
    run = fit(sorted_folder, steps=40, **SMALL, **before)
    images, _ = run.held_out.load(32)
    x = as_batch(images[:1])
    rows = {row.element.name: row.output for row in prove(run.model, x).rows}
    black = equivariance(run.model, x, run.model.net.domain, show=False)
    assert rows["turn 45"] < 0.2 * {row.element.name: row.output for row in black.rows}["turn 45"]


def test_a_right_empty_answer_scores_one():
    """Nothing there and nothing found is right; a class that neither has counts for nothing."""
    none, some, out = torch.zeros(1, 4), torch.tensor([[1, 0, 0, 0]]), torch.full((1, 4), IGNORED)
    for truth, found, where, score in (
        (none, none, None, 1.0),
        (none, some, None, 0.0),
        (some, none, None, 0.0),
        (out, some, None, 1.0),  # nothing counts
        (torch.tensor([[IGNORED, 0, 0, 0]]), some, None, 1.0),
        (some, some, [torch.tensor([[False, True, True, True]])], 1.0),
        (none, some, [torch.tensor([[False, True, True, True]])], 1.0),
    ):
        assert BINARY.score([found], [truth], where) == score
    assert BINARY.score([none, some], [none, some]) == 1.0
    assert THREE.score([none], [none]) == 1.0
    assert THREE.score([some], [none]) == pytest.approx((3 / 4 + 0) / 2)
    assert THREE.score([some], [out]) == 1.0
    assert Task(("a", "b"), dense=False).score([torch.tensor(0)], [torch.tensor(1)]) == 0.0
