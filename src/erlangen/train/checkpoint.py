"""Networks on disc: weights as safetensors, the recipe as JSON. Loading runs no code."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erlangen.models import Classifier, UNet
from erlangen.spaces import Plane
from erlangen.train.predictor import Predictor, expect_predictor
from erlangen.train.task import Task
from erlangen.train.writing import make_folder, writing

FORMAT = 2
NETWORKS: dict[str, type[UNet] | type[Classifier]] = {"UNet": UNet, "Classifier": Classifier}


def save(model: Predictor, path: str | Path) -> Path:
    """Write ``path/model.safetensors`` and ``path/model.json``, both whole or neither.

    Args:
        model: what `fit` returns.
        path: a folder, made if it is missing.

    Raises:
        ValueError: for weights that are not finite, or a network that is no UNet or Classifier on the plane.
        OSError: if the disc is full; what was there before is still there.
    """
    from safetensors.torch import save as pack

    expect_predictor(model)
    net = model.net
    if not isinstance(net, UNet | Classifier) or not isinstance(net.domain, Plane):
        raise ValueError(f"{type(net).__name__} cannot be saved, expected a UNet or Classifier on the plane")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _expect_numbers(state, "the training diverged: take a smaller learning rate")
    packed = pack(state)
    recipe = {
        "format": FORMAT,
        "domain": {"name": "Plane", **net.domain.recipe},
        "model": {
            "name": type(net).__name__,
            "in_channels": net.in_channels,
            "out_channels": net.out_channels,
            **net.options,
        },
        "task": {"classes": model.task.classes, "dense": model.task.dense},
        "size": model.size,
        "values": model.values,
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    path = Path(path)
    make_folder(path)
    written = (json.dumps(recipe, indent=2) + "\n").encode()
    _write_pair({path / "model.safetensors": packed, path / "model.json": written})
    return path


def load(path: str | Path) -> Predictor:
    """The network that `save` wrote, in eval mode.

    Raises:
        ValueError: for a folder that holds none, one of another format, or one whose parts do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as unpack

    path = Path(path)
    try:
        recipe = json.loads((path / "model.json").read_text("utf-8"))
        packed = (path / "model.safetensors").read_bytes()
        if not isinstance(recipe, dict):
            raise ValueError("model.json holds no recipe")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} holds no network that can be read ({error}); expected the folder that "
            "`erlangen train` wrote, with model.json and model.safetensors"
        ) from error
    if recipe.get("format") != FORMAT:
        raise ValueError(
            f"{path / 'model.json'} has format {recipe.get('format')!r}, expected {FORMAT}; read it with the "
            "version of erlangen that wrote it"
        )
    if hashlib.sha256(packed).hexdigest() != recipe.get("sha256"):
        raise ValueError(
            f"{path / 'model.safetensors'} is not the file that model.json was written with; expected both "
            "from one training; copy them together"
        )
    model = _build(recipe, path)
    try:
        state = unpack(packed)
    except SafetensorError as error:
        raise ValueError(f"{path / 'model.safetensors'} holds no weights ({error}); copy it anew") from error
    _fill(model, state, path)
    return model.eval()


def _expect_numbers(state: dict[str, Tensor], mend: str) -> None:
    broken = [name for name, t in state.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(
            f"{len(broken)} tensors hold NaN or infinity ({broken[0]} first), expected finite weights; {mend}"
        )


def _write_pair(files: Mapping[Path, bytes]) -> None:
    """Write beside each file, then put all in their places: a reader finds the old ones or the new ones."""
    beside = {path: path.with_name(path.name + ".part") for path in files}
    try:
        for path, content in files.items():
            with writing(path, "what was there before is unharmed"), open(beside[path], "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in files:
            with writing(path, "what was there before is unharmed"):
                os.replace(beside[path], path)
    except OSError:
        for part in beside.values():
            part.unlink(missing_ok=True)
        raise


def _build(recipe: dict[str, Any], path: Path) -> Predictor:
    try:
        domain, model, task = (dict(recipe[key]) for key in ("domain", "model", "task"))
        names = (model.pop("name", None), domain.pop("name", None))
        if names[0] not in NETWORKS or names[1] != "Plane":
            raise ValueError(f"{names}, expected a {' or '.join(NETWORKS)} on a Plane")
        net = NETWORKS[names[0]](Plane(**domain), **model)
        size = recipe["size"]
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"size is {size!r}, expected pixels, at least 1")
        values = recipe.get("values")
        values = None if values is None else (float(values[0]), float(values[1]))
        return Predictor(net, size=size, task=Task(tuple(task["classes"]), task["dense"]), values=values)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path / 'model.json'} asks for what this version does not know ({error}); read it with the "
            "version of erlangen that wrote it"
        ) from error


def _fill(model: Predictor, state: dict[str, Tensor], path: Path) -> None:
    expected = model.state_dict()
    wrong = [n for n in expected if n not in state or state[n].shape != expected[n].shape]
    wrong += [n for n in state if n not in expected]
    if wrong:
        raise ValueError(
            f"{path / 'model.safetensors'} does not fit the network of model.json ({wrong[0]} first of "
            f"{len(wrong)}); expected the weights of that network"
        )
    _expect_numbers(
        state, f"{path / 'model.safetensors'} is of no use: train anew, at a smaller learning rate"
    )
    with torch.no_grad():
        model.load_state_dict(state)
