"""Networks trained on upright photographs of apples, tried on turned ones.

    python experiments/apples/run.py --calibrate     how long a step of each row takes, alone on two cores
    python experiments/apples/run.py --fold          the candidates, on a fold of the training photographs
    python experiments/apples/run.py                 all rows of config.json that have no result yet
    python experiments/apples/run.py C8 --seed 0     one of them

Equal time means equal time for steps: calibration.json says how long a step takes when nothing else runs
(all rows in one process, in turn, median), and a row trains for as many steps as its minutes hold. So what
a run gives does not depend on what else the machine was doing, and a stopped one goes on, bit for bit.

Every run writes results/ROW-SEED.json when it ends, and all together result.json and figure.png; one that
ended is kept. The photographs are those of `ERLANGEN_DATA` (default: ../shared/data), in apples/{train,val}.
"""

import argparse
import json
import os
import platform
import statistics as statistics_of
import time
from dataclasses import asdict
from pathlib import Path

import torch

import erlangen as er
from erlangen import figures
from erlangen.models import UNet
from erlangen.train import Loss, Photographs, Predictor, Settings, find_photographs, fit, save, score_by_angle
from erlangen.train.crops import Crops
from erlangen.train.data import statistics
from erlangen.train.loop import Training
from erlangen.train.memory import keep_freed_memory
from erlangen.train.plain import PlainUNet, plain_unet_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data")) / "apples"
CONFIG = json.loads((HERE / "config.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of rows in config.json; all of them if none is given")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calibrate", action="store_true", help="measure the time of a step of each row")
    parser.add_argument("--fold", action="store_true", help="choose: the candidates, on a fold of train")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.calibrate:
        calibrate()
        return
    rows = CONFIG["candidates" if arguments.fold else "rows"]
    for name in arguments.rows or rows:
        for seed in rows[name]["seeds"] if arguments.seed is None else [arguments.seed]:
            one(name, rows[name], seed, arguments.fold)
    summarize()


def network(row: dict, settings: Settings) -> torch.nn.Module | None:
    """A plain U-Net; None for the default one of the settings."""
    if "plain" in row:
        return PlainUNet(**row["plain"])
    if "parameters" in row:
        return plain_unet_of(row["parameters"])
    return UNet(settings.domain, 3, 1, settings.width, settings.depth, separable=settings.separable)


def calibrate() -> None:
    """The seconds of a step of each kind of network, measured in turn: calibration.json."""
    kinds = {row.get("as", name): row for name, row in CONFIG["rows"].items() if "as" not in row}
    images, masks = find_photographs(DATA / "train").subset(list(range(32))).load(CONFIG["size"])
    trainings = {}
    for name, row in kinds.items():
        settings = Settings(steps=1000, size=CONFIG["size"], **row.get("settings", {}))
        model = Predictor(network(row, settings), *statistics(images), settings.size)
        trainings[name] = Training(model, Loss(model.task), Crops(images, masks, settings), settings)
    keep_freed_memory()
    times = {name: [] for name in trainings}
    for turn in range(3 + CONFIG["calibration steps"]):
        for name, training in trainings.items():
            start = time.perf_counter()
            training.advance()
            if turn >= 3:
                times[name].append(time.perf_counter() - start)
    facts = {
        "seconds": {name: statistics_of.median(t) for name, t in times.items()},
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    (HERE / "calibration.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


def one(name: str, row: dict, seed: int, fold: bool) -> None:
    """Train and measure one row with one seed, unless its result is there."""
    target = HERE / ("fold" if fold else "results") / f"{name}-{seed}.json"
    if target.exists():
        print(f"{target.name}: done before")
        return
    minutes = row.get("minutes", CONFIG["minutes"])
    seconds = json.loads((HERE / "calibration.json").read_text())["seconds"][row.get("as", name)]
    looks = 5 if fold else 1  # val is read once, at the end
    settings = Settings(
        steps=round(60 * minutes / seconds),
        seed=seed,
        size=CONFIG["size"],
        looks=looks,
        **row.get("settings", {}),
    )
    training, held_out = photographs(fold)
    if "fraction" in row:
        training = every(training, row["fraction"])
    torch.manual_seed(seed)
    net = network(row, settings)
    started = time.time()
    last = [0.0]

    def progress(step) -> None:
        if step.score is not None or time.time() - last[0] > 30:
            last[0] = time.time()
            print(
                f"{name}-{seed} {step.minutes:6.2f} min, step {step.step}: {step.loss:.4f} {step.score}",
                flush=True,
            )

    kept = ROOT / "runs" / "apples" / ("fold" if fold else "") / f"{name}-{seed}"
    resume = (kept / "training.safetensors").exists()
    run = fit((training, held_out), settings, net=net, progress=progress, out=kept, resume=resume)
    scores = score_by_angle(run.model, held_out, CONFIG["angles"][:6] if fold else CONFIG["angles"])
    if isinstance(net, UNet):
        save(run.model, kept)
    result = {
        "row": name,
        "seed": seed,
        "photographs": {"trained on": len(training), "held out": len(held_out)},
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "steps": run.history[-1]["step"],
        "minutes": minutes,
        "seconds of a step, calibrated": seconds,
        "minutes taken, the machine shared": (time.time() - started) / 60,
        "iou, whole photographs": run.history[-1]["score"],
        "iou by angle, inscribed disc": {str(angle): score for angle, score in scores.items()},
        "history": run.history,
        "settings": asdict(settings) | {key: row.get(key) for key in ("plain", "parameters", "fraction")},
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
        mean = {angle: statistics_of.mean(by[angle] for by in by_angle) for angle in by_angle[0]}
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
            "upright, whole photographs": statistics_of.mean(
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
