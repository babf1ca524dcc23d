"""A training that was stopped, on disc: one file, whole or not at all. Reading it runs no code."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from erlangen.train.settings import Settings
from erlangen.train.writing import make_folder, write_whole

if TYPE_CHECKING:
    from erlangen.train.loop import Training

NAME = "training.safetensors"
FORMAT = 2


def save_training(training: "Training", folder: str | Path) -> Path:
    """Write weights, optimizer, crops and curves to ``folder/training.safetensors``."""
    from safetensors.torch import save as pack

    optimizer = training.optimizer.state_dict()
    crops = training.crops.state()
    tensors = {f"model.{name}": t for name, t in training.model.state_dict().items()}
    for i, entries in optimizer["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in entries.items()}
    tensors["crops.generator"] = crops["generator"]
    facts = {
        "format": FORMAT,
        "settings": asdict(training.settings),
        "step": training.step,
        "seconds": training.seconds,
        "checked": training.checked,
        "losses": training.losses,
        "history": training.history,
        "queue": crops["queue"],
        "photographs": len(training.crops.images),
        "pixels": training.crops.checksum,
    }
    path = Path(folder) / NAME
    make_folder(path.parent)
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_whole(path, pack(whole, {"training": json.dumps(facts)}))
    return path


def restore_training(training: "Training", folder: str | Path) -> None:
    """Put a new training where the one in ``folder/training.safetensors`` was.

    Raises:
        ValueError: if there is none, if it cannot be read, or if it was another training.
    """
    tensors, facts = _read(Path(folder) / NAME)
    changed = [n for n in facts["settings"].differences(training.settings) if n != "device"]
    pixels = training.crops.checksum
    if facts["photographs"] != len(training.crops.images):
        changed.append("the number of photographs")
    elif facts.get("pixels", pixels) != pixels:
        raise ValueError(
            f"{Path(folder) / NAME} was trained on other photographs or masks, expected the same ones in the "
            "same order; give those, or start anew with --overwrite (overwrite=True)"
        )
    if changed:
        what = ", ".join(changed)
        raise ValueError(
            f"{Path(folder) / NAME} was trained with other settings ({what}), expected the same ones; "
            "give those, or start anew with --overwrite (overwrite=True)"
        )
    model = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    expected = {name: tuple(t.shape) for name, t in training.model.state_dict().items()}
    if {name: tuple(t.shape) for name, t in model.items()} != expected:
        raise ValueError(
            f"{Path(folder) / NAME} holds the weights of another network, expected those of this one; give "
            "the same net, or start anew with --overwrite (overwrite=True)"
        )
    training.model.load_state_dict(model)
    optimizer = training.optimizer.state_dict()
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, entry = name.split(".")
            optimizer["state"].setdefault(int(index), {})[entry] = tensor
    training.optimizer.load_state_dict(optimizer)
    training.crops.restore({"generator": tensors["crops.generator"], "queue": facts["queue"]})
    training.step, training.seconds, training.checked = facts["step"], facts["seconds"], facts["checked"]
    training.losses, training.history = facts["losses"], facts["history"]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["training"])
            facts["settings"] = Settings.of(facts["settings"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"{path} holds no training that could go on ({error}); expected what a stopped training left "
            "there; start anew with --overwrite (overwrite=True)"
        ) from error
    if facts.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {facts.get('format')!r}, expected {FORMAT}; go on with the version of "
            "erlangen that wrote it"
        )
    return tensors, facts
