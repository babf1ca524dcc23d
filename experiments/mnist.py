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
from statistics import mean, median

import numpy as np
import torch
import torch.nn.functional as F
from records import keep
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
WARM = 3  # steps that are not timed
Digits = tuple[Tensor, Tensor]  # pictures and labels
Seen = Callable[[Tensor, torch.Generator], Tensor]  # pictures to the signals that a step sees


class Experiment(ABC):
    """Rows of networks that are trained on digits in one place and tried in others.

    Every run writes results/ROW-SEED.json when it ends, and all together result.json and figure.png; one that
    ended is kept, one that was stopped goes on from its last epoch.

    Settings with "minutes" and no epochs mean equal time for steps: calibration.json says how long a step
    takes when nothing else runs (all networks in one process, in turn, median), and a row trains for as many
    whole epochs as its minutes hold, whatever else the machine does then.

    Args:
        folder: with config.json: rows, candidates, settings; results go there. A row may name another one
            ("as"), whose network and settings it takes, but for its own.
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
        parser.add_argument("--calibrate", action="store_true", help="measure the steps of rows with minutes")
        given = parser.parse_args()
        torch.set_num_threads(given.threads)
        rows = self.config["candidates" if given.fold else "rows"]
        if given.calibrate:
            self.calibrate(given.rows)
            return
        for name in given.rows or rows:
            row = self.whole(rows[name])
            for seed in row["seeds"] if given.seed is None else [given.seed]:
                self.one(name, row, seed, given.fold)
        if not given.fold:
            self.summarize()

    def whole(self, row: dict) -> dict:
        """A row with what it takes of the one it names."""
        if "as" not in row:
            return row
        kind = (self.config["rows"] | self.config["candidates"])[row["as"]]
        return kind | row | {"settings": kind.get("settings", {}) | row.get("settings", {})}

    def settings(self, name: str, row: dict, digits: int) -> dict:
        """How a row is trained; minutes become epochs of so many digits."""
        settings = self.config["settings"] | row.get("settings", {})
        if "minutes" not in settings or "epochs" in settings:
            return settings
        facts = json.loads((self.folder / "calibration.json").read_text())
        seconds = facts["seconds of a step"][row.get("as", name)] * (digits // settings["batch"])
        return settings | {"epochs": int(60 * settings["minutes"] / seconds)}

    def calibrate(self, names: list[str]) -> None:
        """Seconds of a step of each network, in turn: calibration.json, in which others keep theirs."""
        rows = self.config["rows"] | self.config["candidates"]
        rows = {name: row for name, row in rows.items() if "as" not in row and name in (names or rows)}
        tasks = {name: self.step(row) for name, row in rows.items()}
        times: dict[str, list[float]] = {name: [] for name in tasks}
        for turn in range(WARM + self.config.get("calibration steps", 20)):
            for name, task in tasks.items():
                start = time.perf_counter()
                task()
                if turn >= WARM:
                    times[name].append(time.perf_counter() - start)
        file = self.folder / "calibration.json"
        before = json.loads(file.read_text())["seconds of a step"] if file.exists() else {}
        facts = {
            "seconds of a step": before | {name: median(of_one) for name, of_one in times.items()},
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        file.write_text(json.dumps(facts, indent=1) + "\n")
        print(json.dumps(facts, indent=1))

    def step(self, row: dict) -> Callable[[], float]:
        """A training step of a new network, on the first digits again and again."""
        settings = self.config["settings"] | row.get("settings", {})
        torch.manual_seed(0)
        net, generator = self.network(row), torch.Generator().manual_seed(0)
        (x, y), _ = self.sets(row, True)
        optimizer, see = adamw(net, settings), self.seen(net, row, settings)
        x, y = x[: settings["batch"]], y[: settings["batch"]]
        return lambda: learn(net, optimizer, see(x, generator), y, settings)

    def one(self, name: str, row: dict, seed: int, fold: bool) -> None:
        """Train and measure one row with one seed, unless its result is there."""
        part = "fold" if fold else "results"
        target = self.folder / part / f"{name}-{seed}.json"
        if target.exists():
            print(f"{target.name}: done before")
            return
        learned, held_out = self.sets(row, fold)
        settings = self.settings(name, row, len(learned[0]))
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


def adamw(net: nn.Module, settings: dict) -> torch.optim.AdamW:
    """One-dimensional parameters are scales and biases: no decay."""
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": settings["weight decay"]},
        {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings["lr"])


def learn(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, settings: dict) -> float:
    """A step; its loss."""
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y, label_smoothing=settings["label smoothing"])
    loss.backward()
    optimizer.step()
    return float(loss.detach())


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
    optimizer = adamw(net, settings)
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
            losses.append(learn(net, optimizer, seen(x[chosen], generator), y[chosen], settings))
            schedule.step()
        history.append({"epoch": epoch + 1, "loss": mean(losses), "seconds": time.time() - start})
        print(f"{kept.stem}: {history[-1]}", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        state = {key: part.state_dict() for key, part in parts.items()} | {"history": history}
        torch.save(state, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return history
