"""A training that was stopped, on disc: one file, whole or not at all. Reading it runs no code."""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erlangen.train.best import Best
from erlangen.train.settings import Settings
from erlangen.train.writing import make_folder, write_whole

NAME = "training.safetensors"
FORMAT = 3
COUNTS = ("step", "checked", "looks", "turned", "photographs")
NUMBERS = ("seconds", "elapsed", "untrained")
PROGRESS = ("step", "seconds", "checked", "looks", "turned", "untrained", "losses", "history")
ROW = ("step", "minutes", "loss", "score")  # of the history; a score may be NaN
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, the first a number
BROKEN = (OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, OverflowError)


@dataclass(frozen=True, eq=False)
class State:
    """All that a training which was stopped goes on from.

    Attributes:
        settings: how it trains.
        photographs, pixels: how many it learns from, and a checksum of them.
        weights: of the network.
        moments: of the optimizer, by ``index.name``.
        best: the best network so far.
        generator, queue: of the crops.
        elapsed: seconds of all until now.
        step, seconds, checked, looks, turned, untrained, losses, history: as of `Training`.
    """

    settings: Settings
    photographs: int
    pixels: str
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    best: Best
    generator: Tensor
    queue: list[int]
    elapsed: float
    step: int
    seconds: float
    checked: int
    looks: int
    turned: int
    untrained: float
    losses: list[float]
    history: list[dict[str, float]]


def save_state(state: State, folder: str | Path) -> Path:
    """Write it to ``folder/training.safetensors``."""
    from safetensors.torch import save as pack

    tensors = {f"model.{name}": t for name, t in state.weights.items()}
    tensors |= {f"best.{name}": t for name, t in state.best.weights.items()}
    tensors |= {f"optimizer.{name}": t for name, t in state.moments.items()}
    tensors["crops.generator"] = state.generator
    best = state.best
    facts = {
        "format": FORMAT,
        "settings": state.settings.facts(),
        "best": {"step": best.step, "loss": best.loss, "score": best.score},
        **{name: getattr(state, name) for name in ("photographs", "pixels", "queue", "elapsed", *PROGRESS)},
    }
    path = Path(folder) / NAME
    make_folder(path.parent)
    whole = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    said = json.dumps(facts)
    write_whole(path, pack(whole, {"training": said, "sha256": _digest(said, whole)}))
    return path


def read_state(folder: str | Path, new: State, parameters: Iterable[Tensor]) -> State:
    """What ``folder/training.safetensors`` holds, of the training that is to go on from there.

    Args:
        folder: that it was saved in.
        new: the state of that training now.
        parameters: of its network, as its optimizer counts them.

    Raises:
        ValueError: if there is none, if it is damaged, or if it was another training.
    """
    path = Path(folder) / NAME
    tensors, facts = _read(path)
    _expect_same(facts, new, path)
    weights, best, moments = (_part(tensors, name) for name in ("model", "best", "optimizer"))
    one = torch.zeros(())
    could = {f"{i}.{n}": one if n == "step" else p for i, p in enumerate(parameters) for n in MOMENTS}
    for found, like in (
        (weights, new.weights),
        (best, new.weights),
        (moments, {name: like for name, like in could.items() if name in moments}),
        (_part(tensors, "crops"), {"generator": new.generator}),
    ):
        _expect_like(found, like, path)
    known = {field.name: facts[field.name] for field in fields(State) if field.name in facts}
    known["best"] = Best(**facts["best"], weights=best)
    return State(weights=weights, moments=moments, generator=tensors["crops.generator"], **known)


def _expect_same(facts: dict[str, Any], new: State, path: Path) -> None:
    """ValueError for other settings, or other photographs."""
    free = {"device"} | ({"amp"} if new.settings.amp == "auto" else set())
    changed = [n for n in facts["settings"].differences(new.settings) if n not in free]
    if facts["photographs"] != new.photographs:
        changed.append("the number of photographs")
    elif facts["pixels"] != new.pixels:
        raise ValueError(
            f"{path} was trained on other photographs or masks, expected the same ones in the "
            "same order; give those, or start over with --overwrite (overwrite=True)"
        )
    if changed:
        what = ", ".join(changed)
        raise ValueError(
            f"{path} was trained with other settings ({what}), expected the same ones; "
            "give those, or start over with --overwrite (overwrite=True)"
        )


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: t for key, t in tensors.items() if key.startswith(f"{name}.")}


def _expect_like(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """ValueError for other names, shapes or types of numbers."""
    found, wanted = ({n: (t.shape, t.dtype) for n, t in some.items()} for some in (tensors, expected))
    if found != wanted:
        raise ValueError(
            f"{path} holds the weights of another network, expected those of this one; give "
            "the same net, or start over with --overwrite (overwrite=True)"
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
            "there; start over with --overwrite (overwrite=True)"
        ) from error
    raise ValueError(
        f"{path} has format {facts.get('format') if isinstance(facts, dict) else None!r}, expected {FORMAT}; "
        "go on with the version of erlangen that wrote it, or start over with --overwrite (overwrite=True)"
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
