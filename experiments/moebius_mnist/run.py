"""MNIST on the Moebius strip, in the setting of Weiler et al. 2021: trained centred, tested shifted round it.

    python experiments/moebius_mnist/run.py                     all rows and seeds, then the summary
    python experiments/moebius_mnist/run.py regular --seed 1    one run
    python experiments/moebius_mnist/run.py --fold              the candidates, on a fold of the training set

A digit fills a strip of length 28 and width 28; shifts along it are whole samples, uniform in [0, 56): after
28 the digit is back, mirrored. The first 12,000 training digits are trained on, all 10,000 test digits are
read once, at the end of a run. Every run writes results/ROW-SEED.json and is kept; one that was stopped goes
on from its last epoch. Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import torch
import torch.nn.functional as F
from digits import deformed, load, shifted
from network import Network
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
from mnist import ROOT, train

import erlangen as er

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
KEPT = ROOT / "runs" / "moebius_mnist"
LENGTH = 28
Digits = tuple[Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of rows in config.json; all if none is given")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--fold", action="store_true", help="the candidates, on a fold of the training digits"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = CONFIG["candidates" if given.fold else "rows"]
    for name in given.rows or rows:
        for seed in rows[name]["seeds"] if given.seed is None else [given.seed]:
            one(name, rows[name], seed, given.fold)
    if not given.fold:
        summarize()


def sets(fold: bool) -> tuple[Digits, Digits]:
    """What is learned from, and what is held out."""
    x, y = (part[: CONFIG["trained on"]] for part in load("train"))
    if not fold:
        return (x, y), load("test")
    held = CONFIG["fold"]
    return (x[:-held], y[:-held]), (x[-held:], y[-held:])


def one(name: str, row: dict, seed: int, fold: bool) -> None:
    """Train and measure one row with one seed, unless its result is there."""
    part = "fold" if fold else "results"
    target = HERE / part / f"{name}-{seed}.json"
    if target.exists():
        print(f"{target.name}: done before")
        return
    settings = CONFIG["settings"] | row.get("settings", {})
    learned, held_out = sets(fold)
    torch.manual_seed(seed)
    net = Network(**row["network"])
    history = train(
        net, learned, settings, seed, KEPT / part / f"{name}-{seed}.pt", row.get("shifted", False)
    )
    result = {
        "row": name,
        "seed": seed,
        "parameters": sum(p.numel() for p in net.parameters()),
        "digits": {"trained on": len(learned[0]), "held out": len(held_out[0])},
        **measure(net.eval(), held_out),
        "history": history,
        "minutes": sum(epoch["seconds"] for epoch in history) / 60,
        "settings": settings,
        "network": row["network"],
        "shifted": row.get("shifted", False),
        "versions": {
            "erlangen": er.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{target.name}: {result['error, shifted']:.4f} shifted, {result['error, centred']:.4f} centred",
        flush=True,
    )


def as_seen(settings: dict, shifts: bool) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Strips as a step of the training sees them: deformed a little, and in one row shifted."""

    def seen(strips: Tensor, generator: torch.Generator) -> Tensor:
        strips = deformed(strips, generator, **settings["deformed"])
        if not shifts:
            return strips
        return shifted(strips, torch.randint(2 * LENGTH, (len(strips),), generator=generator))

    return seen


@torch.no_grad()
def logits(net: Network, strips: Tensor) -> Tensor:
    """The answers, a few strips at a time."""
    return torch.cat([net(part) for part in strips.split(250)])


def measure(net: Network, digits: Digits) -> dict:
    """Errors on digits as they are and on each one shifted by its own fixed random shift."""
    x, y = digits
    steps = torch.randint(2 * LENGTH, (len(x),), generator=torch.Generator().manual_seed(2021))
    centred, moved = logits(net, x), logits(net, shifted(x, steps))
    return {
        "error, centred": float((centred.argmax(1) != y).double().mean()),
        "error, shifted": float((moved.argmax(1) != y).double().mean()),
        "answers that a shift changes": int((centred.argmax(1) != moved.argmax(1)).sum()),
        "largest change of a logit": float((centred - moved).abs().max() / centred.abs().max()),
    }


def summarize() -> None:
    """All results that there are: result.json and figure.png."""
    rows = {}
    for name in CONFIG["rows"]:
        files = sorted((HERE / "results").glob(f"{name}-[0-9]*.json"))
        results = [json.loads(file.read_text()) for file in files]
        if results:
            rows[name] = {
                "parameters": results[0]["parameters"],
                "seeds": [result["seed"] for result in results],
                "error, shifted": mean(result["error, shifted"] for result in results),
                "error, shifted, every seed": [result["error, shifted"] for result in results],
                "error, centred": mean(result["error, centred"] for result in results),
                "answers that a shift changes": [r["answers that a shift changes"] for r in results],
                "largest change of a logit": max(r["largest change of a logit"] for r in results),
                "minutes": mean(result["minutes"] for result in results),
            }
    if not rows:
        return
    (HERE / "result.json").write_text(json.dumps(rows, indent=1) + "\n")
    for name, row in rows.items():
        print(f"{name:<26} {row['error, shifted']:.4f} shifted, {row['error, centred']:.4f} centred")
    picture(rows)


def picture(rows: dict[str, dict]) -> None:
    """A digit once round the strip, and the errors."""
    from erlangen import figures
    from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, figure

    drawn, ((strip, bars),) = figure(1, 2, 9, 2.6, width_ratios=[1.7, 1])
    x, _ = load("test")
    strips = shifted(x[:1].expand(5, 1, LENGTH, LENGTH), torch.arange(5) * 14)
    apart = F.pad(strips[:, 0].mT, (3, 3), value=torch.nan)
    strip.imshow(torch.cat(list(apart), 1), cmap="gray_r")
    strip.set_xticks([(LENGTH + 6) * (i + 0.5) for i in range(5)], [str(14 * i) for i in range(5)])
    strip.set_yticks([])
    strip.set_facecolor(MUTED)
    strip.set_xlabel("shift along the strip, in samples")
    names = list(rows)
    errors = [100 * row["error, shifted"] for row in rows.values()]
    bars.barh(names, errors, color=[ACCENT if "regular" in name else SECOND for name in names])
    for place, error in enumerate(errors):
        bars.text(error, place, f" {error:.2f} %", va="center", color=INK)
    bars.set_xscale("log")
    bars.set_xlim(0.3, 400)
    bars.invert_yaxis()
    bars.set_xlabel("error on shifted test digits, %")
    figures.save(drawn, HERE / "figure.png")


if __name__ == "__main__":
    main()
