"""A training that was stopped, on disc: one file, whole or not at all. Reading it runs no code."""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from erlangen.train.settings import Settings
from erlangen.train.writing import make_folder, write_whole

if TYPE_CHECKING:
    from erlangen.train.loop import Training

NAME = "training.safetensors"
FORMAT = 3
COUNTS = ("step", "checked", "looks", "turned", "photographs")
NUMBERS = ("seconds", "elapsed", "untrained")
ROW = ("step", "minutes", "loss", "score")  # of the history; a score may be NaN
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, the first a number
BROKEN = (OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, OverflowError)


def save_training(training: "Training", folder: str | Path) -> Path:
    """Write weights, the best ones so far, optimizer, crops and curves to ``folder/training.safetensors``."""
    from safetensors.torch import save as pack

    optimizer, crops, best = training.optimizer.state_dict(), training.crops.state(), training.best
    tensors = {f"model.{name}": t for name, t in training.model.state_dict().items()}
    tensors |= {f"best.{name}": t for name, t in best.weights.items()}
    for i, entries in optimizer["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in entries.items()}
    tensors["crops.generator"] = crops["generator"]
    facts = {
        "format": FORMAT,
        "settings": training.settings.facts(),
        "step": training.step,
        "seconds": training.seconds,
        "elapsed": training.clock.seconds,
        "checked": training.checked,
        "looks": training.looks,
        "turned": training.turned,
        "losses": training.losses,
        "untrained": training.untrained,
        "history": training.history,
        "best": {"step": best.step, "loss": best.loss, "score": best.score},
        "queue": crops["queue"],
        "photographs": len(training.crops.images),
        "pixels": training.crops.checksum,
    }
    path = Path(folder) / NAME
    make_folder(path.parent)
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    said = json.dumps(facts)
    write_whole(path, pack(whole, {"training": said, "sha256": _digest(said, whole)}))
    return path


def restore_training(training: "Training", folder: str | Path) -> None:
    """Put a new training where the one in ``folder/training.safetensors`` was.

    Raises:
        ValueError: if there is none, if it is damaged, or if it was another training.
    """
    from erlangen.train.loop import Best

    path = Path(folder) / NAME
    tensors, facts = _read(path)
    changed = [n for n in facts["settings"].differences(training.settings) if n != "device"]
    if facts["photographs"] != len(training.crops.images):
        changed.append("the number of photographs")
    elif facts["pixels"] != training.crops.checksum:
        raise ValueError(
            f"{path} was trained on other photographs or masks, expected the same ones in the "
            "same order; give those, or start anew with --overwrite (overwrite=True)"
        )
    if changed:
        what = ", ".join(changed)
        raise ValueError(
            f"{path} was trained with other settings ({what}), expected the same ones; "
            "give those, or start anew with --overwrite (overwrite=True)"
        )
    expected = training.model.state_dict()
    for part in ("model", "best"):
        _expect_like(_part(tensors, part), expected, path)
    optimizer, crops = training.optimizer.state_dict(), tensors["crops.generator"]
    moments = _part(tensors, "optimizer")
    places = [p for group in training.optimizer.param_groups for p in group["params"]]
    one = torch.zeros(())
    could = {f"{i}.{n}": one if n == "step" else p for i, p in enumerate(places) for n in MOMENTS}
    _expect_like(moments, {name: like for name, like in could.items() if name in moments}, path)
    _expect_like({"generator": crops}, {"generator": training.crops.state()["generator"]}, path)
    for name, tensor in moments.items():
        index, entry = name.split(".")
        optimizer["state"].setdefault(int(index), {})[entry] = tensor
    training.model.load_state_dict(_part(tensors, "model"))
    training.optimizer.load_state_dict(optimizer)
    training.crops.restore({"generator": crops, "queue": facts["queue"]})
    training.step, training.seconds, training.checked = facts["step"], facts["seconds"], facts["checked"]
    training.looks, training.turned, training.untrained = facts["looks"], facts["turned"], facts["untrained"]
    training.losses, training.history = facts["losses"], facts["history"]
    training.best = Best(**facts["best"], weights=_part(tensors, "best"))
    training.clock.add(facts["elapsed"])


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: t for key, t in tensors.items() if key.startswith(f"{name}.")}


def _expect_like(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """ValueError for other names, shapes or types of numbers."""
    found, wanted = ({n: (t.shape, t.dtype) for n, t in some.items()} for some in (tensors, expected))
    if found != wanted:
        raise ValueError(
            f"{path} holds the weights of another network, expected those of this one; give "
            "the same net, or start anew with --overwrite (overwrite=True)"
        )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            said = metadata["training"]
            facts = json.loads(said)
            if isinstance(facts, dict) and facts.get("format") == FORMAT:
                facts["settings"] = Settings.of(facts["settings"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if _digest(said, tensors) != metadata["sha256"]:
                    raise ValueError("it is damaged: its parts are not those that were written")
                _expect_facts(facts)
                return tensors, facts
    except (*BROKEN, SafetensorError) as error:
        raise ValueError(
            f"{path} holds no training that could go on ({error}); expected what a stopped training left "
            "there; start anew with --overwrite (overwrite=True)"
        ) from error
    raise ValueError(
        f"{path} has format {facts.get('format') if isinstance(facts, dict) else None!r}, expected {FORMAT}; "
        "go on with the version of erlangen that wrote it, or start anew with --overwrite (overwrite=True)"
    )


def _digest(said: str, tensors: dict[str, Tensor]) -> str:
    """Of the words and of all tensors: it shows damage."""
    digest = hashlib.sha256(said.encode())
    for name, t in sorted(tensors.items()):
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _expect_facts(facts: dict[str, Any]) -> None:
    """ValueError for facts that no training has."""
    best, rows = facts["best"], facts["history"]
    scored = [best | {"minutes": 0.0, "score": math.nan if best["score"] is None else best["score"]}]
    sound = (
        all(_is_count(facts[name]) for name in COUNTS)
        and all(_is_number(facts[name]) for name in NUMBERS)
        and all(_is_number(loss) for loss in facts["losses"])
        and all(_is_count(i) and i < facts["photographs"] for i in facts["queue"])
        and all(set(row) == set(ROW) for row in [*rows, *scored])
        and all(_is_number(row[name]) or name == "score" for row in [*rows, *scored] for name in ROW)
        and all(isinstance(row["score"], float) for row in [*rows, *scored])
        and isinstance(facts["pixels"], str)
        and facts["checked"] <= facts["looks"]
        and (not facts["step"] or facts["losses"])
    )
    if not sound:
        raise ValueError("its numbers are not those of a training")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
