"""Networks trained on upright photographs, tried on turned ones: what the experiments on photographs share.

Equal time means equal time for steps: calibration.json says how long a step takes when nothing else runs
(all rows in one process, in turn, median), and a row trains for as many steps as its minutes hold, wherever
it is computed. So what a run gives does not depend on what else the machine was doing, nor, but for rounding,
on the machine, and a stopped one goes on, bit for bit.

Every run writes results/ROW-SEED.json when it ends, and all together result.json and figure.png; one that
ended is kept. Photographs are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

import torch
from records import keep

import erlangen as er
from erlangen import figures
from erlangen.train import Photographs, Predictor, Settings, fit, prepare, save, score_by_angle
from erlangen.train.angles import turned_pair
from erlangen.train.images import Shrinking, as_batch, as_bytes, read_image, shrink, turned
from erlangen.train.plain import PlainUNet, plain_unet_of
from erlangen.train.turning import inscribed_disc

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
WARM = 3  # steps that are not timed
INSIDE = 0.7  # of the radius of the disc: far from the border, beyond which a turn brings in what nobody saw
ABOVE = "inside, above interpolation"
LOOKED_AT = 12  # photographs of which logits are compared, at most
Sets = tuple[Photographs, Photographs]


class Experiment:
    """Rows of networks on one set of photographs.

    Args:
        folder: with config.json: minutes, size, angles, rows, candidates; results go there.
        photographs: what to learn from and what is held out: of fold 1, 2, 3, both from what is learned from;
            of 0, all of that and the validation photographs.
        name: of the photographs, where a folder has results on several sets: a folder there.
    """

    def __init__(self, folder: Path, photographs: Callable[[int], Sets], name: str = "") -> None:
        self.folder, self.photographs, self.results = folder, photographs, folder / name
        self.config = with_what_they_share(json.loads((folder / "config.json").read_text()))
        self.device = "cpu"

    def main(self, description: str | None) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(
            description=description, formatter_class=argparse.RawTextHelpFormatter
        )
        parser.add_argument("rows", nargs="*", help="names of rows in config.json; all if none is given")
        parser.add_argument("--seed", type=int, help="only this seed")
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument(
            "--device", default="cpu", help='where to train, such as "cuda"; as many steps, in full float32'
        )
        parser.add_argument("--calibrate", action="store_true", help="measure the steps of rows, in turn")
        parser.add_argument(
            "--fold",
            type=int,
            nargs="?",
            const=1,
            default=0,
            choices=(1, 2, 3),
            help="the candidates, on a fold of train",
        )
        parser.add_argument("--interpolation", action="store_true", help="what turning photographs costs")
        given = parser.parse_args()
        if given.device != "cpu" and (given.calibrate or given.interpolation):
            parser.error("--calibrate and --interpolation measure on the CPU, expected no --device with them")
        torch.set_num_threads(given.threads)
        torch.backends.cudnn.allow_tf32 = False
        self.device = given.device
        if given.calibrate:
            self.calibrate(given.rows)
            return
        if given.interpolation:
            self.interpolation()
            return
        rows = self.config["candidates" if given.fold else "rows"]
        for name in given.rows or rows:
            for seed in rows[name]["seeds"] if given.seed is None else [given.seed]:
                self.one(name, rows[name], seed, given.fold)
        if not given.fold:
            self.summarize()

    def calibrate(self, names: list[str]) -> None:
        """Seconds of a step, and of a photograph, of each kind of network, in turn: calibration.json.

        Of these rows only, if any are named; what is there of others stays.
        """
        named = self.config["candidates"] | self.config["rows"]
        kinds = {name: row for name, row in named.items() if (name in names if names else "as" not in row)}
        learned, held_out = self.photographs(0)
        some = learned.subset(list(range(min(32, len(learned)))))
        trainings, photographs = {}, {}
        for name, row in kinds.items():
            settings = self.settings(row, steps=1000)
            trainings[name] = prepare((some, held_out), settings, net=plain_network(row))
            photographs[name] = as_batch([some.load_one(0, settings.size)[0]])
        steps: dict[str, list[float]] = {name: [] for name in trainings}
        answers: dict[str, list[float]] = {name: [] for name in trainings}
        for turn in range(WARM + self.config["calibration steps"]):
            for name, training in trainings.items():
                start = time.perf_counter()
                training.advance()
                middle = time.perf_counter()
                with torch.no_grad():
                    training.model.eval()(photographs[name])
                if turn >= WARM:
                    steps[name].append(middle - start)
                    answers[name].append(time.perf_counter() - middle)
        target = self.folder / "calibration.json"
        before = json.loads(target.read_text()) if names and target.exists() else {}
        facts = {
            "seconds of a step": {name: median(times) for name, times in steps.items()},
            "seconds of a photograph": {name: median(times) for name, times in answers.items()},
            "photograph": {name: list(photograph.shape[2:]) for name, photograph in photographs.items()},
        }
        facts = {what: before.get(what, {}) | of for what, of in facts.items()}
        facts |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
        target.write_text(json.dumps(facts, indent=1) + "\n")
        print(json.dumps(facts, indent=1))

    @property
    def runs(self) -> Path:
        """Where networks are kept, and what a stopped training goes on from."""
        return ROOT / "runs" / self.results.relative_to(ROOT / "experiments")

    def settings(self, row: dict, **more) -> Settings:
        """How a row is trained."""
        own = {"size": self.config["size"]} | self.config.get("settings", {}) | row["settings"]
        return Settings().changed(**own, **more)

    def one(self, name: str, row: dict, seed: int, fold: int) -> None:
        """Train and measure one row with one seed, unless its result is there."""
        place = ("results", "fold", "fold2", "fold3")[fold]
        target = self.results / place / f"{name}-{seed}.json"
        if target.exists():
            print(f"{target}: done before")
            return
        minutes = row.get("minutes", self.config["minutes"])
        calibration = json.loads((self.folder / "calibration.json").read_text())
        seconds = calibration["seconds of a step"][row.get("as", name)]
        looks = 5 if fold else 1  # val is read once, at the end
        steps = round(60 * minutes / seconds)
        settings = self.settings(row, steps=steps, seed=seed, looks=looks, device=self.device)
        training, held_out = self.photographs(fold)
        if "fraction" in row:
            training = every(training, row["fraction"])
        torch.manual_seed(seed)
        net = plain_network(row)
        kept = self.runs / place / f"{name}-{seed}"
        started, say = time.time(), Say(f"{name}-{seed}")
        resume = (kept / "training.safetensors").exists()
        run = fit((training, held_out), settings, net=net, progress=say, out=kept, resume=resume)
        if net is None:
            save(run.model, kept)
        angles = self.config["angles"][: 6 if fold else None]
        scores = score_by_angle(run.model.to(self.device), held_out, angles)
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
            "logits by angle": logits_by_angle(run.model, held_out, [a for a in angles if a % 90]),
            "history": run.history,
            "settings": settings.facts() | {key: row.get(key) for key in ("plain", "parameters", "fraction")},
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(self.device)
            if self.device.startswith("cuda")
            else self.device,
        }
        keep(target, result)
        print(f"{target.name}: {result['iou by angle, inscribed disc']}", flush=True)

    def interpolation(self) -> None:
        """Saved networks on photographs turned by 45 degrees and back, upright: interpolation.json.

        Masks stay as they are, so all that is lost is what interpolating photographs twice costs.
        """
        _, held_out = self.photographs(0)
        blurred = ThereAndBack(held_out.images, held_out.masks)
        scores = {}
        for folder in sorted((self.runs / "results").glob("*/model.safetensors")):
            model = er.load(folder.parent)
            upright, back = (score_by_angle(model, d, [0])[0.0] for d in (held_out, blurred))
            scores[folder.parent.name] = {"upright": self.score(upright), "45 and back": self.score(back)}
        (self.results / "interpolation.json").write_text(json.dumps(scores, indent=1) + "\n")
        print(json.dumps(scores, indent=1))

    def summarize(self) -> None:
        """All results that there are: result.json and figure.png."""
        rows, curves = {}, {}
        for name in self.config["rows"]:
            files = sorted((self.results / "results").glob(f"{name}-[0-9]*.json"))
            results = [json.loads(file.read_text()) for file in files]
            if not results:
                continue
            rows[name] = self.row(name, results)
            curve = rows[name].pop("curve")
            if name in self.config["rows shown"]:
                curves[f"{name}, {results[0]['parameters']:,} parameters"] = curve
        if not rows:
            return
        (self.results / "result.json").write_text(json.dumps(rows, indent=1) + "\n")
        if self.results == self.folder:
            write_table(self.folder.name, table(rows), ROOT / "docs" / "photographs.md")
        if curves:
            low, high = self.config["scores shown"]
            drawn = figures.angles(curves, label=self.config["score"], low=low, high=high)
            figures.save(drawn, self.results / "figure.png")

    def row(self, name: str, results: list[dict]) -> dict:
        """The mean over seeds, and every seed's own."""
        calibration = json.loads((self.folder / "calibration.json").read_text())
        kind = self.config["rows"][name].get("as", name)
        alike = max(calibration["photograph"][kind]) == results[0]["settings"]["size"]
        by_seed = [
            {float(a): self.score(s) for a, s in result["iou by angle, inscribed disc"].items()}
            for result in results
        ]
        by_angle = {angle: mean(by[angle] for by in by_seed) for angle in by_seed[0]}
        between = {angle: score for angle, score in by_angle.items() if angle % 15 == 7.5}  # the 24 angles
        return {
            "score": self.config["score"],
            "parameters": results[0]["parameters"],
            "minutes": results[0]["minutes"],
            "steps": results[0]["steps"],
            "seconds of a photograph": calibration["seconds of a photograph"][kind] if alike else None,
            "photographs": results[0]["photographs"]["trained on"],
            "seeds": [result["seed"] for result in results],
            "upright": by_angle[0.0],
            "upright, every seed": [by[0.0] for by in by_seed],
            "exact angles": {angle: by_angle[angle] for angle in (0.0, 90.0, 180.0, 270.0)},
            "45 and 135": [by_angle[45.0], by_angle[135.0]],
            "best of the 24": max(between.values()),
            "worst of the 24": min(between.values()),
            "worst of the 24, every seed": [
                min(score for angle, score in by.items() if angle in between) for by in by_seed
            ],
            "upright, whole photographs": mean(self.score(r["iou, whole photographs"]) for r in results),
            "logits at the 24": logits_between([result.get("logits by angle", {}) for result in results]),
            "curve": between,
        }

    def score(self, iou: float) -> float:
        """Intersection over union, or Dice: 2 IoU / (1 + IoU) of the same pooled pixels."""
        return iou if self.config["score"] == "IoU" else 2 * iou / (1 + iou)


def logits_between(by_seed: list[dict[str, dict]]) -> dict[str, dict[str, float]]:
    """Mean and largest of what `logits_by_angle` found at the 24 angles between, over all seeds."""
    found = [facts for by in by_seed for angle, facts in by.items() if float(angle) % 15 == 7.5]
    names = [name for name in found[0] if all(name in facts for facts in found)] if found else []
    values = {name: [facts[name] for facts in found] for name in names}
    return {name: {"mean": mean(of), "largest": max(of)} for name, of in values.items()}


def logits_by_angle(model: Predictor, data: Photographs, angles: list[float]) -> dict[str, dict]:
    """How far logits of turned photographs are from turned logits, in proportion to how much these vary.

    Photographs are turned at their full size. In the disc of radius `INSIDE` of the inscribed one, and in all
    of that; beside it what interpolation costs by itself, there and back, where a turn has one of the two: of
    logits, and of the photographs, whose answers are held against those to the same ones as they are. What
    is left inside above half of the last. The mean over photographs, and the worst one. And how far the score
    of answers to turned photographs is below that of turned answers, pooled over the photographs, and what
    turning them there and back takes from it.
    """
    plane, found = er.Plane(), {}  # which remembers how it read between pixels at an angle
    photographs = range(0, len(data), max(1, -(-len(data) // LOOKED_AT)))
    for angle in angles:
        rows = [Turned(model, data, i, angle, plane) for i in photographs]
        found[str(angle)] = {name: mean(row.defects[name] for row in rows) for name in rows[0].defects}
        for name in ("inside", ABOVE):
            found[str(angle)][f"worst {name}"] = max(row.defects[name] for row in rows)
        for place in rows[0].places:
            moved, there, upright, again = (
                pooled(model, rows, of, place) for of in ("moved", "there", "upright", "again")
            )
            found[str(angle)][f"score below the turned answer's, {place}"] = moved - there
            found[str(angle)][f"score lost there and back, {place}"] = upright - again
    return found


def pooled(model: Predictor, rows: "list[Turned]", of: str, place: str) -> float:
    """The score of some of their answers, over a place on all photographs."""
    predicted = [model.task.decide(row.answers[of])[0] for row in rows]
    return model.task.score(predicted, [row.truths[of] for row in rows], [row.places[place] for row in rows])


class Turned:
    """A photograph turned: its logits, the turned ones, and how far they are apart.

    Attributes:
        answers: to the photograph as it is ("upright"), the same turned ("moved"), to the turned photograph
            ("there"), to the one turned there and back ("again").
        truths: of each.
        places: the pixels of the two discs.
        defects: inside, over the whole disc, and interpolation's own: of logits, of photographs; and inside
            above half of this.
    """

    def __init__(self, model: Predictor, data: Photographs, i: int, angle: float, plane: er.Plane) -> None:
        g = plane.turn(angle)
        returned = turned(turned(read_image(data.images[i], data.values), angle), -angle)
        pairs = [turned_pair(model, data, i, a) for a in (0.0, angle)]
        photographs = [pair[0] for pair in pairs]
        photographs.append(as_batch([as_bytes(shrink(returned, model.size, model.shrinking))]))
        with torch.no_grad():
            upright, there, again = (model(photo.to(model.mean.device)).cpu() for photo in photographs)
        moved = plane.act(g, upright)
        back = plane.act(torch.linalg.inv(g), moved)
        self.answers = {"upright": upright, "moved": moved, "there": there, "again": again}
        here, turned_truth = (pair[1] for pair in pairs)
        self.truths = {"upright": here, "moved": turned_truth, "there": turned_truth, "again": here}
        height, width = upright.shape[-2:]
        shares = {"inside": INSIDE, "whole disc": 1.0}
        self.places = {place: inscribed_disc(height, width, share=share) for place, share in shares.items()}
        inside = self.places["inside"]
        self.defects = {place: relative(there, moved, where) for place, where in self.places.items()} | {
            "interpolation": relative(back, upright, inside),
            "photographs there and back": relative(again, upright, inside),
        }
        self.defects[ABOVE] = self.defects["inside"] - self.defects["photographs there and back"] / 2


def relative(a: torch.Tensor, b: torch.Tensor, where: torch.Tensor) -> float:
    """|a - b| in proportion to how much b varies there."""
    b = b[..., where]
    return float((a[..., where] - b).norm() / (b - b.mean(-1, keepdim=True)).norm())


def with_what_they_share(config: dict) -> dict:
    """Rows with the network and the settings of the one whose kind they are ("as"), but for their own."""
    kinds = config["rows"] | config["candidates"]
    for part in ("candidates", "rows"):
        for name, row in config[part].items():
            kind = kinds[row.get("as", name)]
            network = {key: kind[key] for key in ("plain", "parameters") if key in kind}
            settings = kind.get("settings", {}) | row.get("settings", {})
            config[part][name] = network | row | {"settings": settings}
    return config


class ThereAndBack(Photographs):
    """Photographs turned by 45 degrees and back, under masks as they are."""

    def load_one(
        self, i: int, size: int | None, degrees: float = 0.0, by: Shrinking = "cubic"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        image = read_image(self.images[i])
        blurred = as_bytes(shrink(turned(turned(image, 45), -45), size, by))
        return blurred, self.truth(i, image.size, size, degrees)


class Say:
    """Progress, a line every half minute."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, 0.0

    def __call__(self, step) -> None:
        if step.score is not None or time.time() - self.last > 30:
            self.last = time.time()
            place = f"{step.minutes:6.2f} min, step {step.step}"
            print(f"{self.name} {place}: {step.loss:.4f} {step.score}", flush=True)


def plain_network(row: dict) -> PlainUNet | None:
    """A plain U-Net, of a width or of so many parameters; None for the one that the settings name."""
    if "plain" in row:
        return PlainUNet(**row["plain"])
    if "parameters" in row:
        return plain_unet_of(row["parameters"])
    return None


def every(training: Photographs, fraction: float) -> Photographs:
    """A fraction of the tiles, spread evenly over the photographs."""
    count = round(len(training) * fraction)
    return training.subset([int((i + 0.5) * len(training) / count) for i in range(count)])


def table(rows: dict[str, dict]) -> str:
    """Rows as the documentation shows them."""
    lines = [
        "| network | parameters | images | minutes (steps) "
        "| upright | worst quarter turn | 24 angles | seconds a photograph |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        seconds = row["seconds of a photograph"]
        every = ", ".join(f"{score:.3f}" for score in row["upright, every seed"])
        cells = [
            name,
            f"{row['parameters']:,}",
            str(row["photographs"]),
            f"{row['minutes']} ({row['steps']:,})",
            f"{row['upright']:.3f}" + (f" ({every})" if len(row["seeds"]) > 1 else ""),
            f"{min(row['exact angles'].values()):.3f}",
            f"{row['worst of the 24']:.3f} to {row['best of the 24']:.3f}",
            f"{seconds:.2g} s" if seconds else "not measured",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_table(name: str, text: str, page: Path) -> None:
    """Put the table between its marks on the page."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = page.read_text().split(start)
    page.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")
