"""Networks trained on upright photographs of apples, tried on turned ones.

    python experiments/apples/run.py                  all rows of config.json that have no result yet
    python experiments/apples/run.py C8 --seed 0      one of them
    python experiments/apples/run.py C8 --fold        choose: held out is a fold of the training photographs

Every run writes results/ROW-SEED.json when it ends, and all together result.json and figure.png; a run
that was stopped is started anew, one that ended is kept. The photographs are those of `ERLANGEN_DATA`
(default: ../shared/data), in apples/{train,val}.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict
from pathlib import Path

import torch

import erlangen as er
from erlangen import figures
from erlangen.train import Photographs, Settings, find_photographs, fit, iou_by_angle, save
from erlangen.train.plain import PlainUNet

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data")) / "apples"
CONFIG = json.loads((HERE / "config.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of rows in config.json; all of them if none is given")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--minutes", type=float, help="train for so long instead")
    parser.add_argument(
        "--fold", action="store_true", help="hold out a fold of train; the result goes to fold/"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    for name in arguments.rows or CONFIG["rows"]:
        for seed in CONFIG["rows"][name]["seeds"] if arguments.seed is None else [arguments.seed]:
            one(name, seed, arguments.minutes, arguments.fold)
    if not arguments.fold:
        summarize()


def one(name: str, seed: int, minutes: float | None, fold: bool) -> None:
    """Train and measure one row with one seed, unless its result is there."""
    target = HERE / ("fold" if fold else "results") / f"{name}-{seed}.json"
    if target.exists():
        print(f"{target.name}: done before")
        return
    row = CONFIG["rows"][name]
    minutes = minutes or row.get("minutes", CONFIG["minutes"])
    looks = 10 if fold else 1  # val is read once, at the end
    settings = Settings(
        minutes=minutes, seed=seed, size=CONFIG["size"], looks=looks, **row.get("settings", {})
    )
    training, held_out = photographs(fold)
    if "fraction" in row:
        training = every(training, row["fraction"])
    torch.manual_seed(seed)
    net = PlainUNet(**row["plain"]) if "plain" in row else None
    started = time.time()
    last = [0.0]

    def progress(step) -> None:
        if step.score is not None or time.time() - last[0] > 30:
            last[0] = time.time()
            print(
                f"{name}-{seed} {step.minutes:6.2f} min, step {step.step}: {step.loss:.4f} {step.score}",
                flush=True,
            )

    run = fit((training, held_out), settings, net=net, progress=progress)
    scores = iou_by_angle(run.model, held_out, CONFIG["angles"] if not fold else CONFIG["angles"][:6])
    if net is None:
        save(run.model, ROOT / "runs" / "apples" / f"{name}-{seed}")
    result = {
        "row": name,
        "seed": seed,
        "photographs": {"trained on": len(training), "held out": len(held_out)},
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "steps": run.history[-1]["step"],
        "minutes": run.history[-1]["minutes"],
        "wall_minutes": (time.time() - started) / 60,
        "iou, whole photographs": run.history[-1]["score"],
        "iou by angle, inscribed disc": {str(angle): score for angle, score in scores.items()},
        "history": run.history,
        "settings": asdict(settings) | {"plain": row.get("plain")},
        "versions": {
            "erlangen": er.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{target.name}: {result['iou by angle, inscribed disc']}", flush=True)


def summarize() -> None:
    """All results that there are: result.json and figure.png."""
    rows, scores = {}, {}
    for name in CONFIG["rows"]:
        files = sorted((HERE / "results").glob(f"{name}-[0-9]*.json"))
        results = [json.loads(file.read_text()) for file in files]
        if not results:
            continue
        by_angle = [
            {float(angle): score for angle, score in result["iou by angle, inscribed disc"].items()}
            for result in results
        ]
        mean = {angle: statistics.mean(by[angle] for by in by_angle) for angle in by_angle[0]}
        between = [mean[angle] for angle in mean if angle % 15 == 7.5]  # the 24 angles
        rows[name] = {
            "parameters": results[0]["parameters"],
            "seeds": [result["seed"] for result in results],
            "minutes": results[0]["minutes"],
            "steps": [result["steps"] for result in results],
            "upright": mean[0.0],
            "upright, every seed": [by[0.0] for by in by_angle],
            "exact angles": {angle: mean[angle] for angle in (0.0, 90.0, 180.0, 270.0)},
            "45 and 135": [mean[45.0], mean[135.0]],
            "best of the 24": max(between),
            "worst of the 24": min(between),
            "upright, whole photographs": statistics.mean(
                result["iou, whole photographs"] for result in results
            ),
        }
        label = f"{name}, {results[0]['parameters']:,} parameters"
        scores[label] = {a: s for a, s in mean.items() if a % 15 == 7.5}
    (HERE / "result.json").write_text(json.dumps(rows, indent=1) + "\n")
    figures.save(figures.angles(scores, low=0.4), HERE / "figure.png")
    print(json.dumps(rows, indent=1))


def photographs(fold: bool) -> tuple[Photographs, Photographs]:
    """Training and held-out photographs: train and val, or a fold of train, split by whole photograph."""
    training = find_photographs(DATA / "train")
    if not fold:
        return training, find_photographs(DATA / "val")
    inside = [i for i, path in enumerate(training.images) if path.stem.rsplit("_", 1)[0] in CONFIG["fold"]]
    outside = [i for i in range(len(training)) if i not in inside]
    return training.subset(outside), training.subset(inside)


def every(training: Photographs, fraction: float) -> Photographs:
    """A fraction of the tiles, spread evenly over the photographs."""
    count = round(len(training) * fraction)
    return training.subset([int((i + 0.5) * len(training) / count) for i in range(count)])


if __name__ == "__main__":
    main()
