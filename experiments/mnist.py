"""What the experiments on MNIST share: the digits, a training that goes on where it stopped, and the rows.

Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import argparse
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import torch
import torch.nn.functional as F
from records import keep
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
Digits = tuple[Tensor, Tensor]  # pictures and labels
Seen = Callable[[Tensor, torch.Generator], Tensor]  # pictures to the signals that a step sees


class Experiment(ABC):
    """Rows of networks that are trained on digits in one place and tried in others.

    Every run writes results/ROW-SEED.json when it ends, and all together result.json and figure.png; one that
    ended is kept, one that was stopped goes on from its last epoch.

    Args:
        folder: with config.json: rows, candidates, settings; results go there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())

    @abstractmethod
    def network(self, row: dict) -> nn.Module:
        """A new network, from signals to logits."""

    @abstractmethod
    def sets(self, row: dict, fold: bool) -> tuple[Digits, Digits]:
        """What is learned from, and what is held out: the test digits, or a fold of the training digits."""

    @abstractmethod
    def seen(self, net: nn.Module, row: dict, settings: dict) -> Seen:
        """How a step of the training sees pictures."""

    @abstractmethod
    def measure(self, net: nn.Module, digits: Digits) -> dict:
        """What is reported of a trained network; numbers."""

    @abstractmethod
    def summary(self, results: list[dict]) -> dict:
        """What is reported of all seeds of a row, beside its parameters and minutes."""

    @abstractmethod
    def words(self, measured: dict) -> str:
        """The same for the terminal, of one run or of a row."""

    @abstractmethod
    def picture(self, rows: dict[str, dict]) -> None:
        """Draw figure.png."""

    def main(self, description: str | None) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(
            description=description, formatter_class=argparse.RawTextHelpFormatter
        )
        parser.add_argument("rows", nargs="*", help="names of rows in config.json; all if none is given")
        parser.add_argument("--seed", type=int, help="only this seed")
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument("--fold", action="store_true", help="the candidates, on a fold of train")
        given = parser.parse_args()
        torch.set_num_threads(given.threads)
        rows = self.config["candidates" if given.fold else "rows"]
        for name in given.rows or rows:
            for seed in rows[name]["seeds"] if given.seed is None else [given.seed]:
                self.one(name, rows[name], seed, given.fold)
        if not given.fold:
            self.summarize()

    def one(self, name: str, row: dict, seed: int, fold: bool) -> None:
        """Train and measure one row with one seed, unless its result is there."""
        part = "fold" if fold else "results"
        target = self.folder / part / f"{name}-{seed}.json"
        if target.exists():
            print(f"{target.name}: done before")
            return
        settings = self.config["settings"] | row.get("settings", {})
        learned, held_out = self.sets(row, fold)
        torch.manual_seed(seed)
        net = self.network(row)
        kept = ROOT / "runs" / self.folder.name / part / f"{name}-{seed}.pt"
        history = train(net, learned, settings, seed, kept, self.seen(net, row, settings))
        start = time.time()
        result = {
            "row": name,
            "seed": seed,
            "parameters": sum(p.numel() for p in net.parameters()),
            "digits": {"trained on": len(learned[0]), "held out": len(held_out[0])},
            **self.measure(net.eval(), held_out),
            "history": history,
            "minutes": sum(epoch["seconds"] for epoch in history) / 60,
            "minutes of measuring": (time.time() - start) / 60,
            "settings": settings,
            "configuration": row,
            "threads": torch.get_num_threads(),
        }
        keep(target, result)
        print(f"{target.name}: {self.words(result)}", flush=True)

    def summarize(self) -> None:
        """All results that there are: result.json and figure.png."""
        rows = {}
        for name in self.config["rows"]:
            files = sorted((self.folder / "results").glob(f"{name}-[0-9]*.json"))
            results = [json.loads(file.read_text()) for file in files]
            if results:
                rows[name] = {
                    "parameters": results[0]["parameters"],
                    "trained on": results[0]["digits"]["trained on"],
                    "seeds": [result["seed"] for result in results],
                    **self.summary(results),
                    "minutes": mean(result["minutes"] for result in results),
                }
                print(f"{name:<30} {self.words(rows[name])}, {rows[name]['parameters']:,} parameters")
        if rows:
            (self.folder / "result.json").write_text(json.dumps(rows, indent=1) + "\n")
            self.picture(rows)


def load(split: str) -> Digits:
    """The pictures ``(n, 28, 28)`` within [0, 1], in the original order, and what they are."""
    file = DATA / "mnist" / "mnist.npz"
    if not file.exists():
        raise SystemExit(f"{file} is not there; set ERLANGEN_DATA to the folder that holds mnist/mnist.npz")
    arrays = np.load(file)
    pictures = torch.from_numpy(arrays[f"x_{split}"]).float() / 255
    return pictures, torch.from_numpy(arrays[f"y_{split}"]).long()


def train(
    net: nn.Module,
    digits: Digits,
    settings: dict,
    seed: int,
    kept: Path,
    seen: Seen,
) -> list[dict]:
    """AdamW with one cycle of the learning rate; an epoch's chances follow from seed and epoch.

    Args:
        net: what is trained, from signals to logits.
        digits: pictures and labels.
        settings: epochs, batch, lr, weight decay, label smoothing.
        seed: of the order of the digits, and of what `seen` draws.
        kept: a file for the state after each epoch; a training that was stopped goes on from there.
        seen: pictures to the signals that a step sees.

    Returns:
        Loss and seconds of each epoch.
    """
    (x, y), batch = digits, settings["batch"]
    steps = len(x) // batch
    # one-dimensional parameters are scales and biases: no decay
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": settings["weight decay"]},
        {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings["lr"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["lr"], total_steps=settings["epochs"] * steps, pct_start=0.2
    )
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    history: list[dict] = []
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        for key, part in parts.items():
            part.load_state_dict(state[key])
        history = state["history"]
    for epoch in range(len(history), settings["epochs"]):
        start, losses = time.time(), []
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        torch.manual_seed(1000 * seed + epoch)  # dropout
        order = torch.randperm(len(x), generator=generator)
        net.train()
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            optimizer.zero_grad()
            logits = net(seen(x[chosen], generator))
            loss = F.cross_entropy(logits, y[chosen], label_smoothing=settings["label smoothing"])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        history.append({"epoch": epoch + 1, "loss": mean(losses), "seconds": time.time() - start})
        print(f"{kept.stem}: {history[-1]}", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        state = {key: part.state_dict() for key, part in parts.items()} | {"history": history}
        torch.save(state, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return history
