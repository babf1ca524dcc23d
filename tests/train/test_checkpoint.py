"""Networks on disc: one file, whole, held against itself; the form before is read for good."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from packed import BLANK, FIXTURES, put_together, recipe_in, signed, taken_apart

import erlangen as er
from erlangen.cli import main
from erlangen.train import Predictor, Task
from erlangen.train.plain import PlainUNet
from erlangen.train.recipe import recipe_of

X = torch.linspace(0, 40, 3 * 11 * 14).sin().mul(0.5).add(0.5).view(1, 3, 11, 14)
PAIRS = [FIXTURES / "format2_unet", FIXTURES / "format2_classifier"]
PLACES = [
    ("net", str),
    ("deep/er/net", os.fsencode),
    ("net.safetensors", Path),
    ("new/other.safetensors", str),
    ("OTHER.SafeTensors", Path),
    ("no\udcffutf8", Path),
]
WHOLE = Task(("cat", "dog"), dense=False)


def network(width=1, seed=0, **options):
    torch.manual_seed(seed)
    return Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, width, 1, kernel_size=3, **options), size=24)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def answer(model):
    return er.predict(model, X)[0]


def refused(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        er.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("folder", PAIRS, ids=lambda folder: folder.name)
def test_networks_in_the_form_before_give_their_logits(folder, tmp_path):
    """Written by the version before networks were one file; they load for good."""
    recorded = torch.tensor(json.loads((folder / "logits.json").read_text()))
    model = er.load(folder)
    with torch.no_grad():
        torch.testing.assert_close(model(X).flatten(), recorded, rtol=0, atol=2e-4)
    copied = shutil.copytree(folder, tmp_path / "net")
    assert torch.equal(answer(er.load(copied / "model.safetensors")), answer(model))
    er.save(model, copied)
    assert names(copied) == ["logits.json", "model.safetensors"]
    assert torch.equal(answer(er.load(copied)), answer(model))


def test_the_command_line_predicts_with_a_network_in_the_form_before(scenes, tmp_path, capsys):
    assert main(["predict", str(PAIRS[0]), str(scenes), "--out", str(tmp_path / "out")]) == 0
    assert "8 masks in" in capsys.readouterr().out


@pytest.mark.parametrize(("where", "kind"), PLACES)
def test_saving_and_loading_keep_every_bit(tmp_path, where, kind):
    model, path = network(seed=5), tmp_path / where
    assert er.save(model, kind(path)) == path
    file = path if where.lower().endswith("safetensors") else path / "model.safetensors"
    assert names(file.parent) == [file.name]
    again = er.load(kind(path))
    with torch.no_grad():
        assert torch.equal(again(X), model.eval()(X))
    assert not again.training
    assert all(p.requires_grad for p in again.parameters())
    content = file.read_bytes()
    recipe = recipe_in(taken_apart(content)[0])
    assert recipe["format"] == 3
    assert recipe["domain"] == {"name": "Plane", "rotations": 4, "reflections": False, "symmetry": None}
    er.save(model, kind(path))
    assert file.read_bytes() == content


def test_every_option_is_kept(tmp_path):
    """Networks of all kinds, in train mode too, with what the photographs' values were."""
    for i, (plane, net, options, others) in enumerate(
        [
            (er.Plane(), er.models.UNet, {"kernel_size": 3}, {"values": (-1000.0, 3000)}),
            (er.Plane(rotations=4, reflections=True), er.models.UNet, {"radius": 2.5, "blocks": 2}, {}),
            (er.Plane(symmetry="translations"), er.models.UNet, {"padding_mode": "reflect"}, {}),
            (er.Plane(rotations=8), er.models.UNet, {"padding_mode": "circular", "exact_shifts": True}, {}),
            (er.Plane(rotations=4), er.models.UNet, {"nonlinearity": "polynomial", "oversampling": 1.5}, {}),
            (er.Plane(rotations=4), er.models.Classifier, {"pooling": "max", "projection": "mean"}, {}),
            (er.Plane(rotations=4), er.models.UNet, PER_LEVEL, {}),
            (er.Plane(rotations=4), er.models.Classifier, PER_LEVEL | {"blocks": (2, 4)}, {}),
        ]
    ):
        task = Task(("h\u00e9risson", "no\udcffutf8", "x"), dense=net is er.models.UNet)
        built = net(plane, 3, 3, **{"width": 1, "depth": 1} | options)
        model = Predictor(built, size=None, task=task, **others).train()
        er.save(model, tmp_path / str(i))
        again = er.load(tmp_path / str(i))
        assert (again.task, again.size, again.values) == (task, None, model.values)
        assert again.net.options == model.net.options
        x = torch.rand(1, 3, 16, 16)
        with torch.no_grad():
            assert torch.equal(again(x), model.eval()(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("tile", [1024, 8])
def test_networks_of_every_precision_save_load_and_predict(tmp_path, dtype, tile):
    model = network()
    expected = er.predict(model, X, tile=tile)[0]
    model.to(dtype)
    er.save(model, tmp_path)
    again = er.load(tmp_path)
    assert {t.dtype for t in again.state_dict().values() if t.is_floating_point()} == {dtype}
    for images in (X, X.half(), X.double()):
        found = er.predict(again, images, tile=tile)[0]
        assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.03)
    er.save(er.load(tmp_path).float(), tmp_path)
    assert er.load(tmp_path).dtype == torch.float32
    model.net.head.float()
    with pytest.raises(ValueError, match=r"expected one of .* for all; cast the whole model"):
        er.save(model, tmp_path)
    assert er.load(tmp_path).dtype == torch.float32


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    er.save(network(), tmp_path)
    before = torch.get_rng_state()
    er.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_recipe_beside_a_network_of_one_file_is_ignored(tmp_path):
    model, folder = network(), tmp_path / "net"
    er.save(model, folder)
    for stale in (PAIRS[1].joinpath("model.json").read_text(), "[" * 10**5, "no JSON", " " * 10**7):
        (folder / "model.json").write_text(stale)
        assert torch.equal(answer(er.load(folder)), answer(model))
    (folder / "model.json").write_text('{"format": 2, "of": "somebody else"}')
    er.save(model, folder)
    assert names(folder) == ["model.json", "model.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="links, pipes and permissions of Unix")
def test_links_pipes_and_folders_that_nobody_may_write_to(tmp_path):
    model = network()
    er.save(model, tmp_path / "old")
    old = (tmp_path / "old" / "model.safetensors").read_bytes()
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.safetensors").symlink_to(tmp_path / "old" / "model.safetensors")
    er.save(network(seed=1), tmp_path / "net")
    assert (tmp_path / "old" / "model.safetensors").read_bytes() == old
    assert not (tmp_path / "net" / "model.safetensors").is_symlink()
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "model.safetensors")
    refused(tmp_path / "pipe", "there is no file model.safetensors")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"file could not be written.*name another place"):
        er.save(model, tmp_path / "file")
    if os.geteuid() != 0:
        (tmp_path / "old").chmod(0o500)
        with pytest.raises(OSError, match=r"model.safetensors could not be written.*unharmed"):
            er.save(network(seed=1), tmp_path / "old")
        assert (tmp_path / "old" / "model.safetensors").read_bytes() == old
    for path in (7, None, ["net"]):
        with pytest.raises(ValueError, match="expected a str or Path"):
            er.save(model, path)
        with pytest.raises(ValueError, match="expected a str or Path"):
            er.load(path)


def test_a_full_disc_leaves_the_old_network(tmp_path, monkeypatch):
    model = network()
    folder = er.save(model, tmp_path / "net")
    before = (folder / "model.safetensors").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="what was there before is unharmed"):
        er.save(model, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert names(folder) == ["model.safetensors"]


def test_networks_that_cannot_be_saved(tmp_path):
    broken = network()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    changed = network()
    changed.net.head = torch.nn.Conv2d(4, 1, 1)
    other = Predictor(er.models.UNet(er.Plane(rotations=4), 3, 2, 1, 1))

    def sized(size):
        model = network()
        model.size = size
        return model

    for model, words in (
        (broken, r"hold NaN or infinity.*take a smaller learning rate"),
        (Predictor(PlainUNet()), "expected a UNet or Classifier on the plane"),
        (changed, r"UNet was changed after it was built .*net\.head\.weight"),
        (other, "out_channels=2, expected a UNet with 1 for 2 classes of every pixel"),
        (Predictor(er.models.Classifier(er.Plane(), 3, 2, 1, 1)), "expected a UNet with 1"),
        (sized(-3), "size is -3"),
        (sized(2.5), "size is 2.5, expected null or a whole number"),
    ):
        with pytest.raises(ValueError, match=words):
            er.save(model, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_statistics_that_are_none():
    good = torch.ones(3)
    for mean, std, words in (
        (np.zeros(3), good, "mean is a ndarray, expected a tensor"),
        (good, np.ones(3), "std is a ndarray, expected a tensor"),
        (good, [1, 1, 1], "std is a list"),
        (torch.zeros(1), good, r"mean has shape \(1,\) and is torch.float32"),
        (good, good.bool(), "std has shape .*torch.bool"),
        (good, torch.zeros(3), "above 0"),
        (torch.full((3,), float("inf")), good, "mean is .*expected finite numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            Predictor(network().net, mean, std)
    for values in ((1.0, 1.0), (0.0, float("inf")), (3,), 3, ("a", "b")):
        with pytest.raises(ValueError, match=r"values is .*expected (.low, high.|2 entries)"):
            Predictor(network().net, values=values)
    for size in (-3, 2.5, True, "48"):
        with pytest.raises(ValueError, match=r"size is .*expected a whole number of at least 1 or None"):
            Predictor(network().net, size=size)


PER_LEVEL = {"width": (2, 3), "kernel_size": (3, 7), "blocks": (1, 2), "separable": False}
PER_LEVEL |= {"nonlinearity": ("relu", "gated"), "oversampling": (1, 2.5), "rings": (1, 2)}
ABSURD = {
    "domain": {
        "name": ["Sphere", None, 3, []],
        "rotations": [-3, 0, True, 4.0, 12, 10**30, 65, "4"],
        "reflections": [1, None, "yes"],
        "symmetry": ["isometries", 0, "anything"],
        "shape": [None, [8, 8]],
    },
    "model": {
        "name": ["Module", "__init__", ["UNet"], {}, "Classifier"],
        "in_channels": [1, 4, True, 10**9],
        "out_channels": [0, 2, 10**9, 1.0],
        "width": [0, 2, 10**5, 2**31, 10**30, True, None, [], [1], [1, 2, 3], [1, 10**5], [1, "2"], [[1], 2]],
        "depth": [-1, 0, 2, 16, 10**6],
        "blocks": [0, 2, 64, 2**31, "1", None],
        "kernel_size": [0, 2, 5, 127, 10**9, -3, [3, 127], [3, 5], [3] * 10**5],
        "radius": [0.0, -1, 2.5, 1e300, "3"],
        "oversampling": [0, 0.3, 10**6, 1e300, "2", None],
        "padding_mode": ["wrap", None, 3, ["zeros"]],
        "projection": ["sum", None],
        "nonlinearity": ["gated", "tanh", 1],
        "separable": [0, None, True],
        "exact_shifts": [1, True],
        "rings": [0, 1, 64, 10**9, "1", [1, 2]],
        "pooling": ["max", "sum", 1],
        "wings": [2],
    },
    "task": {
        "classes": [[], ["one"], ["a", 2], ["a"] * 256, "ab", None, ["x" * 10**5, "y"], ["a", "b", "c"]],
        "dense": [1, None, False],
        "name": ["segmentation"],
    },
}


def resigned(file, part, key, value):
    header, data = taken_apart(file.read_bytes())
    recipe = recipe_in(header)
    (recipe[part] if part else recipe)[key] = value
    return signed(header, data, recipe)


def test_recipes_out_of_bounds_are_refused_before_anything_is_built(tmp_path):
    """Signed anew, so that the digest holds: bounds, and what the tensors bear out, have to see it."""
    net, bad = tmp_path / "net.safetensors", tmp_path / "bad.safetensors"
    er.save(network(separable=False), net)
    changes = [
        (part, key, v) for part, keys in ABSURD.items() for key, values in keys.items() for v in values
    ]
    changes += [("", key, value) for key in ABSURD for value in (None, [], 3, {})]
    changes += [("", "size", v) for v in (0, -1, True, "48", 2.5, 10**30)]
    changes += [("", "values", v) for v in (3, [], [1, 1], [2, 1], [0, "1"], [0, 1, 2], [False, True])]
    changes += [("", "format", v) for v in (1, 2, 4, "3", None)] + [("", "more", 1)]
    for part, key, value in changes:
        bad.write_bytes(resigned(net, part, key, value))
        refused(bad, "holds no network that can be read")
    bad.write_bytes(resigned(net, "", "values", [-1000, 2.5]))
    assert er.load(bad).values == (-1000, 2.5)


def test_what_was_edited_or_damaged_shows(tmp_path):
    """Also where the network would be built and give another answer."""
    file = tmp_path / "net.safetensors"
    er.save(network(), file)
    whole = file.read_bytes()
    header, data = taken_apart(whole)
    recipe = recipe_in(header)

    def edited(part, key, value):
        changed = {**recipe, part: {**recipe[part], key: value}} if part else {**recipe, key: value}
        return put_together({**header, "__metadata__": {"erlangen": json.dumps(changed)}}, data)

    swapped = dict(header)
    a, b = "net.lift.1.weight", "net.lift.1.bias"
    swapped[a], swapped[b] = header[b], header[a]
    doubled = json.dumps(header)[:-1] + ', "mean": ' + json.dumps(header["mean"]) + "}"
    for content, words in (
        (edited("model", "projection", "max"), "its digest is another"),
        (edited("model", "padding_mode", "circular"), "its digest is another"),
        (edited("", "size", 48), "its digest is another"),
        (edited("", "values", [0, 5]), "its digest is another"),
        (edited("task", "classes", ["a", "b"]), "its digest is another"),
        (edited("", "sha256", None), "its digest is another"),
        (edited("", "sha256", BLANK), "its digest is another"),
        (put_together(swapped, data), "its digest is another"),
        (whole[:-4] + b"\0\0\0\0", "its digest is another"),
        (whole[:-8], f"net.safetensors was cut off: it has {len(whole) - 8} bytes, expected {len(whole)}"),
        (whole + whole, "net.safetensors had something added"),
        (whole[:7], "net.safetensors was cut off: it has 7 bytes"),
        (whole[:8], "net.safetensors was cut off: it has 8 bytes"),
        (whole[:99], "net.safetensors was cut off: it has 99 bytes"),
        (b"", "net.safetensors is empty, expected a header"),
        ((2**62).to_bytes(8, "little") + whole[8:], "expected the length of a header"),
        (put_together(b"[" * 10**5, b""), "brackets are nested too deep"),
        (put_together(b'{"a":' * 5000, b""), "brackets are nested too deep"),
        (put_together(b"[]", b""), "expected a JSON object"),
        (put_together(b"\xff\xfe{}", b""), "can't decode byte"),
        (put_together(doubled.encode(), data), "a key occurs twice"),
        (signed(header, data, recipe | {"size": float("nan")}), "NaN is no number"),
        (put_together({**header, "__metadata__": {}}, data), "its metadata holds no recipe"),
        (put_together({**header, "__metadata__": {"erlangen": "[" * 5000}}, data), "nested too deep"),
    ):
        file.write_bytes(content)
        refused(file, words)
    file.write_bytes(whole)
    er.load(file)
    file.unlink()
    refused(file, "there is no file net.safetensors")


def changed_tensors(change):
    from safetensors.torch import load, save

    content = save(change(network(separable=False).state_dict() | {}))
    header, data = taken_apart(content)
    recipe = {"format": 3, **recipe_of(network(separable=False))}
    assert load(content)
    return signed(header, data, recipe)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s | {"std": torch.zeros(3)}, "std is .*above 0"),
        (lambda s: s | {"std": -torch.ones(3)}, "std is .*above 0"),
        (lambda s: s | {"mean": torch.full((3,), float("nan"))}, "hold NaN or infinity"),
        (lambda s: s | {"net.lift.1.running_var": -torch.ones(1)}, "running_var is .*above 0"),
        (lambda s: s | {"std": torch.ones(3).bool()}, "std is 'BOOL'"),
        (lambda s: s | {"net.head.weight": s["net.head.weight"].long()}, "expected one of torch.float16"),
        (lambda s: s | {"net.head.weight": s["net.head.weight"].half()}, "cast the whole model"),
        (
            lambda s: s | {"net.lift.1.num_batches_tracked": torch.tensor(0.0)},
            "expected torch.int64",
        ),
        (lambda s: s | {"net.head.weight": torch.zeros(1, 1, 2)}, r"'net\.head\.weight' first of 1"),
        (lambda s: s | {"more": torch.zeros(1)}, "'more' first of 1"),
        (lambda s: {n: t for n, t in s.items() if n != "net.head.bias"}, r"'net\.head\.bias' first of 1"),
        (lambda _: {"x": torch.zeros(0)}, "there is no net.lift.0.weight"),
    ],
)
def test_tensors_that_are_not_those_of_the_recipe_are_refused(tmp_path, change, words):
    (tmp_path / "net.safetensors").write_bytes(changed_tensors(change))
    refused(tmp_path / "net.safetensors", words)


def test_the_form_before_goes_through_the_same_checks(tmp_path, capsys, scenes):
    folder = shutil.copytree(PAIRS[0], tmp_path / "net")
    recipe = json.loads((folder / "model.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    model = recipe["model"]
    for change, words in (
        ({"format": 1}, "has format 1, expected 2"),
        ({"format": 99}, "has format 99, expected 2"),
        ({"domain": {"name": "Sphere"}}, "expected a UNet or Classifier on a Plane"),
        ({"domain": {"name": "Plane", "rotations": -3}}, "rotations is -3, expected"),
        ({"domain": {"name": "Plane", "rotations": 10**30}}, "rotations is 1000.*, expected"),
        ({"sha256": "0"}, "is not the file that model.json was written with"),
        ({"size": "48"}, "size is '48', expected"),
        ({"model": model | {"wings": 2}}, "there is no 'wings'"),
        ({"model": model | {"width": 3}}, "do not fit the network"),
        ({"model": model | {"width": 10**5}}, "width is 100000, expected"),
        ({"model": model | {"blocks": 2**31}}, "blocks is 2147483648, expected"),
    ):
        (folder / "model.json").write_text(json.dumps(recipe | change))
        assert main(["predict", str(folder), str(scenes), "--out", str(tmp_path / "masks")]) == 1
        error = capsys.readouterr().err
        assert words.replace(".*", "") in error or words.split(".*")[0] in error
        assert error.count("\n") == 1
    assert not (tmp_path / "masks").exists()
    older = dict(model)
    del older["blocks"]  # as written before there were any
    (folder / "model.json").write_text(json.dumps(recipe | {"model": older}))
    assert torch.equal(answer(er.load(folder)), answer(er.load(PAIRS[0])))
    (folder / "model.json").write_text("[" * 5000)
    refused(folder, "nested too deep")
    (folder / "model.json").unlink()
    refused(folder, "no model.json beside it")
    (folder / "model.json").write_text(json.dumps(recipe))
    (folder / "model.safetensors").write_bytes(weights[:-8])
    refused(folder, "model.safetensors was cut off")
    (folder / "model.safetensors").unlink()
    refused(folder, "there is no file model.safetensors")
    refused(tmp_path / "nowhere", "holds no network that can be read")
