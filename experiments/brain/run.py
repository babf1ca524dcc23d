"""Regions of the brain: learned from the left half of one head, tried on the right half in any pose.

    python experiments/brain/run.py                        all rows of config.json without results, two seeds
    python experiments/brain/run.py "degree 1" --seed 0    one of them; stopped, it goes on
    python experiments/brain/run.py --count                parameters, and how long a step takes
    python experiments/brain/run.py --summarize            result.json, table and figure, of what there is

A row trains for 40 minutes of processor time (20 of two cores), whatever else the machine does meanwhile.
Nothing was chosen by scores: learning rates are those of `er.fit`, and of the other experiments' plain U-Net.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))
from brain.head import CLASSES, Crops, half
from brain.scores import scores
from brain.summary import summarize
from records import keep

import erlangen as er
from erlangen.train.losses import Loss
from erlangen.train.plain import PlainUNet
from erlangen.train.settings import PRESETS
from erlangen.train.task import Task

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
ROWS: dict[str, dict[str, Any]] = CONFIG["rows"]
SEEDS = (0, 1)
KEPT = Path("runs") / "brain"
SAVE_EVERY = 120.0  # seconds of training


def network(row: dict[str, Any]) -> nn.Module:
    """The U-Net of a row."""
    if "plain" in row:
        return PlainUNet(1, len(CLASSES), row["plain"], CONFIG["depth"], dim=3)
    options = replace(PRESETS["fast"], width=row["width"], depth=CONFIG["depth"])
    return er.models.UNet(er.Volume(**row["volume"]), 1, len(CLASSES), **vars(options))


class Training:
    """A row's network, its optimizer, and how much of its time is over."""

    def __init__(self, name: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.row, self.file = ROWS[name], KEPT / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}.pt"
        self.net = network(self.row)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), self.row["lr"], weight_decay=CONFIG["weight decay"]
        )
        self.loss = Loss(Task(CLASSES))
        turns = self.row.get("turned", False)
        self.crops = Crops(half("left"), CONFIG["crop"], turns, CONFIG["jitter"], seed)
        self.seconds, self.step, self.losses = 0.0, 0, []
        if self.file.exists():
            self._restore(torch.load(self.file, weights_only=False))

    def run(self) -> None:
        """To the end, saved now and then."""
        total, saved = 60.0 * CONFIG["minutes"], self.seconds
        while self.seconds < total:
            start = time.process_time()
            self._advance(self.seconds / total)
            self.seconds += time.process_time() - start
            if self.seconds - saved > SAVE_EVERY:
                self._save()
                saved = self.seconds
                print(
                    f"{self.file.stem}: {self.seconds / 60:.1f} min, step {self.step}, "
                    f"loss {np.mean(self.losses[-50:]):.4f}",
                    flush=True,
                )
        self._save()

    def _advance(self, fraction: float) -> None:
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.row["lr"] * _schedule(fraction)
        x, truth = self.crops.batch(CONFIG["batch"])
        loss = self.loss(self.net(x), truth)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.losses.append(float(loss.detach()))
        self.step += 1

    def _save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.crops.generator.bit_generator.state,
            "facts": (self.seconds, self.step, self.losses),
        }
        beside = self.file.with_suffix(".part")
        torch.save(state, beside)
        beside.replace(self.file)

    def _restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.crops.generator.bit_generator.state = state["generator"]
        self.seconds, self.step, self.losses = state["facts"]


def _schedule(fraction: float) -> float:
    """Up over the first tenth, then down as a cosine."""
    if fraction < 0.1:
        return max(10 * fraction, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (fraction - 0.1) / 0.9)) + 1e-3


def run(name: str, seed: int) -> None:
    """Train a row, score it, and keep what came of it."""
    training = Training(name, seed)
    training.run()
    result = {
        "row": name,
        "seed": seed,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "steps": training.step,
        "minutes of processor time": training.seconds / 60,
        "loss of the last 50 steps": float(np.mean(training.losses[-50:])),
        **scores(training.net, CONFIG["poses"], CONFIG["pose seed"], KEPT / "poses.pt"),
        "configuration": {name: value for name, value in CONFIG.items() if name != "rows"} | ROWS[name],
    }
    keep(_result(name, seed), result)
    print(json.dumps({k: v for k, v in result.items() if k != "poses"}, indent=1), flush=True)


def _result(name: str, seed: int) -> Path:
    return HERE / "results" / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}.json"


def count() -> None:
    """Parameters of each row, and the processor time of a step."""
    for name, row in ROWS.items():
        net = network(row)
        x = torch.randn(CONFIG["batch"], 1, *[CONFIG["crop"]] * 3)
        times = []
        for _ in range(3):
            start = time.process_time()
            net(x).square().mean().backward()
            times.append(time.process_time() - start)
        parameters = sum(p.numel() for p in net.parameters())
        print(f"{name}: {parameters:,} parameters, {min(times):.2f} s a step", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help="names of config.json; all, if none")
    parser.add_argument("--seed", type=int, choices=SEEDS)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--summarize", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.count:
        count()
        return
    seeds = SEEDS if options.seed is None else (options.seed,)
    for seed in () if options.summarize else seeds:
        for name in options.rows or ROWS:
            if not _result(name, seed).exists():
                run(name, seed)
    summarize(list(ROWS))


if __name__ == "__main__":
    main()
