"""From a folder of volumes to a network, to files of the same kind, and to a page."""

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.train import Predictor, Settings, fit, load, predict, prepare, save
from erlangen.train.angles import score_by_angle, turned_pair
from erlangen.train.crops import Crops
from erlangen.train.folders import find_data
from erlangen.train.images import as_batch
from erlangen.train.plain import PlainUNet
from erlangen.train.run_page import write_run
from erlangen.train.state import save_state
from erlangen.train.tiles import answer, in_tiles, tiling
from erlangen.train.turning import lattice_turns, turned_about
from erlangen.train.volume_views import views
from erlangen.train.volumes import Volumes, resampled_labels, resized

nib = pytest.importorskip("nibabel")
tifffile = pytest.importorskip("tifffile")
TINY = {"width": 1, "depth": 1, "blocks": 1, "crop": 12, "batch": 2}


def ball(shape, steps, random):
    """A bright ball in noise, and where it is."""
    place = np.stack(
        np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, steps, strict=True)], indexing="ij"), -1
    )
    size = np.multiply(shape, steps)
    distance = np.linalg.norm(place - random.uniform(0.3, 0.7, 3) * size, axis=-1)
    inside = distance < 0.3 * size.min()
    return (100 + 10 * random.normal(size=shape) + 150 * inside).clip(0, 400), inside.astype(np.uint8)


def write(folder, kind, shape=(14, 13, 12), steps=(1.0, 1.0, 1.0), count=4, classes=2):
    """A data set as NIfTI to the left and the front, as stacks of TIFF, or as npz."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(count):
        values, labels = ball(shape, steps, random)
        labels = labels * (1 + i % (classes - 1))
        if kind == "nifti":
            affine = np.diag([-steps[0], steps[1], steps[2], 1.0])
            nib.save(nib.Nifti1Image(values.astype(np.int16), affine), folder / f"images/{i}.nii.gz")
            nib.save(nib.Nifti1Image(labels, affine), folder / f"masks/{i}.nii.gz")
        elif kind == "tiff":
            about = {"axes": "ZYX", "spacing": steps[0], "unit": "um"}
            options = {"imagej": True, "metadata": about, "resolution": (1 / steps[2], 1 / steps[1])}
            tifffile.imwrite(folder / f"images/{i}.tif", values.astype(np.uint16), **options)
            tifffile.imwrite(folder / f"masks/{i}.tif", 255 * labels)
        else:
            np.savez(folder / f"images/{i}.npz", image=values.astype(np.float32), spacing=steps)
            np.savez(folder / f"masks/{i}.npz", labels=labels)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scans") / "nifti", "nifti")


@pytest.fixture(scope="module")
def learned(scans):
    return fit(scans, steps=30, **{**TINY, "width": 2})


def test_it_learns_and_keeps_what_it_was_told(learned, tmp_path):
    model = learned.model
    assert learned.score > 0.8
    assert (model.spacing, model.channels, model.dim) == ((1.0, 1.0, 1.0), 1, 3)
    assert str(model.net.domain) == 'Volume(rotations="cube")'
    again = load(save(model, tmp_path / "net"))
    assert (again.spacing, again.values, again.task) == (model.spacing, model.values, model.task)
    x = torch.rand(1, 1, 9, 10, 11)
    assert torch.equal(again(x), model(x))


def test_the_answer_turns_with_all_24_turns(learned):
    x = torch.rand(1, 1, 9, 10, 11)
    domain = learned.model.net.domain
    elements = [g for g in domain.symmetries() if g.in_group and g.is_exact and not g.is_shift]
    report = er.verify.equivariance(learned.model, x, domain, elements, show=False)
    assert len(report.rows) == 23
    assert report.worst < 1e-5


@pytest.mark.parametrize("kind", ["nifti", "tiff", "npz"])
def test_masks_are_files_like_the_volumes(kind, learned, tmp_path):
    folder = write(tmp_path / "new", kind, shape=(10, 12, 14), count=1)
    (probability,) = predict(learned.model, folder / "images", out=tmp_path / "out")
    (image,) = (folder / "images").iterdir()
    expected = (probability > 0.5).numpy()
    if kind == "nifti":
        source, mask = nib.load(image), nib.load(tmp_path / "out" / image.name)
        assert np.array_equal(mask.affine, source.affine)
        assert np.array_equal(np.asanyarray(mask.dataobj)[::-1], expected)  # the file runs to the left
    elif kind == "tiff":
        assert np.array_equal(tifffile.imread(tmp_path / "out" / image.name), expected)
    else:
        with np.load(tmp_path / "out" / image.name) as arrays:
            assert np.array_equal(arrays["labels"], expected)
            assert arrays["spacing"].tolist() == [1, 1, 1]
    images, _ = find_data(folder).on_one_scale()[0].load(None)
    assert probability.shape == images[0].shape[1:]
    with pytest.raises(ValueError, match="holds nothing but what predict wrote"):
        predict(learned.model, tmp_path / "out", out=tmp_path / "other")


def test_thick_slices_are_turned_about_the_axis_across_them(tmp_path):
    folder = write(tmp_path / "stack", "tiff", shape=(6, 15, 16), steps=(3.0, 1.0, 1.0))
    run = fit(folder, steps=2, **TINY)
    assert str(run.model.net.domain) == "Volume(rotations=8, axis=0, spacing=(3.0, 1.0, 1.0))"
    with pytest.raises(ValueError, match=r"expected two equal steps; .* --rotations 0"):
        fit(folder, steps=2, spacing=(1.0, 2.0, 3.0), **TINY)
    finer = write(tmp_path / "fine", "tiff", shape=(18, 15, 16), count=1)
    (probability,) = predict(run.model, finer / "images", out=tmp_path / "out")  # at other steps, and back
    assert probability.shape == (18, 15, 16)
    assert tifffile.imread(tmp_path / "out" / "0.tif").shape == (18, 15, 16)


def test_other_groups_classes_and_steps(tmp_path):
    folder = write(tmp_path / "scans", "npz", shape=(12, 13, 14), classes=3)
    with pytest.raises(ValueError, match="expected whole numbers from 0 to"):
        fit(write(tmp_path / "four", "npz", classes=5), classes=3, steps=1, **TINY)
    run = fit(folder, classes=3, degree=1, steps=2, **TINY)
    assert run.model.net.out_channels == 3
    assert predict(run.model, folder / "images")[0].shape == (3, 12, 13, 14)
    run = fit(folder, classes=3, rotations=0, spacing=2.0, steps=2, **TINY)
    assert str(run.model.net.domain) == "Volume(spacing=2.0)"
    assert predict(run.model, folder / "images")[0].shape == (3, 12, 13, 14)
    assert load(save(run.model, tmp_path / "net")).spacing == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": 64}, "size=64 for volumes"),
        (
            {"turns": 30.0, "rotations": 0, "spacing": (1.0, 2.0, 3.0)},
            "no turns keep, expected two equal steps",
        ),
        ({"consistency": 1.0}, "consistency=1.0 for volumes"),
        ({"rotations": 8}, "rotations=8 without axis"),
        ({"rotations": "cube", "spacing": (2.0, 1.0, 1.0)}, "expected one spacing on all axes"),
    ],
)
def test_settings_that_do_not_go_together(settings, says, scans):
    with pytest.raises(ValueError, match=says):
        fit(scans, steps=1, **TINY, **settings)


@pytest.mark.parametrize("settings", [{"axis": 0}, {"degree": 1}, {"spacing": 2.0}, {"rotations": "cube"}])
def test_settings_of_volumes_for_photographs(settings, scenes):
    with pytest.raises(ValueError, match="for photographs"):
        fit(scenes, steps=1, **settings)


def test_what_cannot_be_used_is_named(scans, learned, scenes, tmp_path):
    folder = write(tmp_path / "a", "npz")
    np.savez(folder / "masks/1.npz", labels=np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"1\.npz has \(3, 3, 3\) voxels, expected \(14, 13, 12\)"):
        fit(folder, steps=1, **TINY)
    np.savez(folder / "masks/1.npz", labels=np.arange(14 * 13 * 12).reshape(14, 13, 12))
    with pytest.raises(ValueError, match=r"1\.npz holds 2184 values .* expected 0 where nothing is"):
        fit(folder, steps=1, **TINY)
    (folder / "masks/1.npz").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 images have no mask: 1\.npz"):
        fit(folder, steps=1, **TINY)
    np.savez(folder / "masks/1.npz", labels=np.zeros((14, 13, 12), np.uint8))
    np.savez(folder / "images/1.npz", image=np.zeros((2, 14, 13, 12), np.float32))
    with pytest.raises(ValueError, match="expected as many in all volumes"):
        fit(folder, steps=1, **TINY)
    with pytest.raises(ValueError, match="2 channels, expected 1"):
        predict(learned.model, folder / "images/1.npz")
    with pytest.raises(ValueError, match="holds no volumes"):
        predict(learned.model, scenes / "images")
    with pytest.raises(ValueError, match="size is 64, but the network takes volumes"):
        predict(learned.model, scans / "images", size=64)
    with pytest.raises(ValueError, match="expected the same of both"):
        fit((find_data(scans), find_data(scenes)), steps=1, **TINY)


def test_tiles_give_the_answer_of_the_whole(learned, monkeypatch):
    model, x = learned.model, torch.rand(1, 1, 31, 12, 20)
    whole = answer(model, x)  # in one piece
    assert torch.allclose(in_tiles(model, x, (9, 16, 13), model.net), whole, atol=1e-5)
    seen = []
    monkeypatch.setattr("erlangen.train.tiles.samples_that_fit", lambda *_: 6500)
    monkeypatch.setattr("erlangen.train.tiles.TILE", 8)
    hook = model.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0, 0].numel()))
    assert torch.allclose(answer(model, x), whole, atol=1e-5)
    hook.remove()
    assert len(seen) > 1
    assert max(seen) <= 6500
    assert len(tiling(x.shape[2:], model.net, 6500)) == 3


def test_crops_of_volumes():
    random = torch.Generator().manual_seed(0)
    volumes = [torch.rand(2, 9, 20, 22, generator=random), torch.rand(2, 3, 12, 40, generator=random)]
    truths = [(v[0] > 0.5).to(torch.uint8) for v in volumes]
    settings = Settings(crop=12, batch=4, jitter=0.0, quarter_turns=True, consistency=0.0, zoom=0.2)
    crops = Crops(volumes, truths, settings, (3.0, 1.0, 1.0))
    for _ in range(5):
        image, truth = crops.batch()
        assert image.shape == (4, 2, 4, 12, 12)
        assert truth.shape == (4, 4, 12, 12)
    crops = Crops(volumes, truths, settings.changed(zoom=0.0), (3.0, 1.0, 1.0))
    image, truth = crops.batch()
    assert torch.equal(truth, (image[:, 0] > 0.5).to(torch.uint8))  # cropped, flipped and turned as one
    assert len(lattice_turns((1, 1, 1))) == 24
    assert len(lattice_turns((3, 1, 1))) == 8


def test_crops_of_volumes_are_turned():
    """A ball stays, whatever the axis and the angle; what is beside it goes round."""
    place = torch.stack(torch.meshgrid(*[torch.arange(25) - 12.0] * 3, indexing="ij"))
    volume = torch.exp(-place.square().sum(0) / 40)[None]
    beside = torch.exp(-(place - 4).square().sum(0) / 12)[None]
    for values, stays in ((volume, True), (beside, False)):
        settings = Settings(crop=15, batch=6, jitter=0.0, consistency=0.0, turns=180.0, flips=False)
        crops = Crops([values], [(values[0] > 0.5).to(torch.uint8)], settings, (1.0, 1.0, 1.0))
        crops._integer = lambda below: 0 if below == 2 else below // 2  # turned, in the middle
        image, truth = crops.batch()
        apart = (image - values[:, 5:20, 5:20, 5:20]).abs().amax()
        assert (float(apart) < 0.01) == stays
        assert float(((image[:, 0] > 0.5) != truth.bool()).float().mean()) < 0.02


def test_turns_about_an_axis():
    """By the domain's own turns, which read with other splines."""
    x = resized(torch.rand(1, 1, 5, 6, 7, generator=torch.Generator().manual_seed(0)), (15, 18, 17))[0]
    for axis in range(3):
        volume = er.Volume(rotations=8, axis=axis)
        for degrees in (90, 180, 270):
            turned, _ = turned_about(x, degrees, axis)
            assert torch.equal(turned, volume.act(volume.turn(degrees, axis), x))
        turned, inside = turned_about(x, 30, axis)
        expected = volume.act(volume.turn(30, axis), x)
        kept = inside & (expected != 0)[0]
        assert float((turned - expected)[0][kept].abs().mean()) < 0.03
        assert float((turned_about(x, -30, axis)[0] - expected)[0][kept].abs().mean()) > 0.05


def test_scores_when_turned(learned):
    scores = score_by_angle(learned.model, learned.held_out, [0, 90, 180, 270])
    assert max(scores.values()) - min(scores.values()) < 1e-6
    image, truth, inside = turned_pair(learned.model, learned.held_out, 0, 45)
    assert image.shape[2:] == truth.shape == inside.shape


def test_voxels_of_other_steps():
    x = torch.linspace(0, 1, 12).view(1, 1, 12, 1, 1).expand(1, 1, 12, 8, 6)
    half = resized(x, (6, 4, 3))
    assert half.shape == (1, 1, 6, 4, 3)
    assert torch.allclose(half[0, 0, 1:-1, 0, 0], x[0, 0, 2:-2, 0, 0].view(4, 2).mean(1), atol=1e-6)
    labels = torch.zeros(8, 8, 8, dtype=torch.uint8)
    labels[:, 4:] = 7
    assert torch.equal(
        resampled_labels(labels, (4, 4, 4))[0, :, 0], torch.tensor([0, 0, 7, 7], dtype=torch.uint8)
    )


def test_resumed_trainings_end_the_same(scans, tmp_path):
    whole = fit(scans, steps=4, seed=3, **TINY).model.state_dict()
    training = prepare(scans, Settings().changed(steps=4, seed=3, **TINY), out=tmp_path / "out")
    with training.lock:
        training.advance()
        training.advance()
        save_state(training.state(), tmp_path / "out")
    again = fit(scans, steps=4, seed=3, out=tmp_path / "out", resume=True, **TINY).model.state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_network_of_ones_own_and_channels(tmp_path):
    folder = tmp_path / "two"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(3):
        values, labels = ball((10, 11, 12), (1, 1, 1), np.random.default_rng(i))
        np.savez(folder / f"images/{i}.npz", image=np.stack([values, 400 - values]))
        np.savez(folder / f"masks/{i}.npz", labels=labels)
    run = fit(folder, steps=2, net=torch.nn.Conv3d(2, 1, 3, padding=1), crop=8, batch=2)
    assert run.model.channels == 2
    plain = fit(folder, steps=1, net=PlainUNet(2, 1, width=2, depth=1, dim=3), crop=8, batch=2)
    assert predict(plain.model, folder / "images")[0].shape == (10, 11, 12)
    assert predict(run.model, torch.rand(2, 2, 9, 8, 7))[1].shape == (9, 8, 7)
    with pytest.raises(ValueError, match=r"expected \(batch, 2, \*space of three axes\)"):
        predict(run.model, torch.rand(2, 1, 9, 8, 7))
    assert fit(folder, steps=1, **TINY).model.net.in_channels == 2


def test_what_a_file_says_is_decided_once_for_the_set(scans):
    data = find_data(scans)
    assert isinstance(data, Volumes)
    (decided,) = data.on_one_scale()
    assert decided.values == (0.0, 1023.0)  # of ten bits
    images, truths = decided.load(None)
    assert as_batch(images[:1]).shape == (1, 1, 14, 13, 12)
    assert 0 <= float(images[0].min()) < float(images[0].max()) <= 1
    assert {int(v) for t in truths for v in t.unique()} == {0, 1}
    exact = np.asanyarray(nib.load(scans / "images/0.nii.gz").dataobj)[::-1] / 1023
    assert np.allclose(images[0][0].numpy(), exact)


def test_classes_of_whole_volumes(tmp_path):
    random = np.random.default_rng(0)
    for name, sign in (("bright", 1), ("dark", -1)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(4):
            inside = ball((11, 10, 12), (1, 1, 1), random)[1]
            image = nib.Nifti1Image((200 + 150 * sign * inside.astype(int)).astype(np.int16), np.eye(4))
            nib.save(image, tmp_path / "data" / name / f"{i}.nii.gz")
    run = fit(tmp_path / "data", steps=12, width=2, depth=1, batch=4)
    assert run.model.task.classes == ("bright", "dark")
    assert score_by_angle(run.model, run.held_out, [0, 90])[90] == run.score or run.score < 1
    (probability,) = predict(run.model, tmp_path / "data/dark/0.nii.gz", out=tmp_path / "out")
    assert probability.shape == (2,)
    assert (tmp_path / "out/classes.csv").read_text().splitlines()[0] == "image,class,bright,dark"
    page = write_run(run, tmp_path / "run")
    assert page.report is not None
    assert page.report.worst < 1e-4


def test_the_page_shows_slices(learned, tmp_path, monkeypatch):
    monkeypatch.setattr("erlangen.train.run_page.REPORTED_VOXELS", 8)
    monkeypatch.setattr("erlangen.train.run_page.ANGLES", [0.0, 30.0])
    written = write_run(learned, tmp_path / "run")
    assert written.report is not None
    assert written.report.worst < 1e-5
    assert set(written.by_angle) == {0.0, 30.0}
    assert {"predictions.png", "square.png", "angles.png"} <= {p.name for p in (tmp_path / "run").iterdir()}
    volume = torch.zeros(1, 4, 5, 6)
    volume[0, 1, 2, 3] = 1
    mask = (volume[0] > 0).to(torch.uint8)
    picture, (drawn,) = views(volume, mask, steps=(2.0, 1.0, 1.0))
    assert picture.shape == (3, 8, 6 + 4 + 6 + 4 + 5 + 4 + 6)
    assert int((drawn > 0).sum()) == 1 + 2 + 2 + 1  # the slices through it, thick ones twice as high
    assert torch.equal(picture[0][drawn > 0], torch.full((6,), 255, dtype=torch.uint8))
    _, (up,) = views(volume, mask, steps=(1.0, 1.0, 1.0), anatomical=True)
    assert up[:, :5][6 - 1 - 3].nonzero().flatten().tolist() == [2]  # the third axis leads up


def test_predictor_of_volumes():
    net = er.models.UNet(er.Volume(), 2, 1, width=2, depth=1)
    model = Predictor(net, spacing=(1.0, 1.0, 1.0))
    assert model(torch.rand(1, 2, 8, 9, 10)).shape == (1, 1, 8, 9, 10)
    with pytest.raises(ValueError, match="expected three lengths above 0"):
        Predictor(net, spacing=(1.0, 0.0, 1.0))
