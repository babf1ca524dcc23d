"""How exact: turns, flips, shifts and angles between, outputs and gradients, for every seed; and trained.

    python experiments/equivariance/run.py          writes result.json and figure.png
    python experiments/equivariance/run.py trained  writes trained.json: networks of `erlangen train`

The second trains on vessels and nuclei of `ERLANGEN_DATA` where they are, and on drawn scenes, and splits the
networks' defects (`er.verify.budget`). What was trained stays in runs/, what was measured in trained.json:
the same command goes on after a stop.

The photograph is one of `ERLANGEN_DATA` (default: ../shared/data), if it is there, else a drawn scene;
blurred by Gaussians of a few widths, since between pixels only smooth images say anything.
"""

import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import erlangen as er
from erlangen import figures
from erlangen.domains import Symmetry
from erlangen.figures.canvas import ACCENT, INK, SECOND, figure
from erlangen.train.angles import split
from erlangen.train.images import as_batch, read_image, shrink
from erlangen.train.scenes import draw, generate

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
CONFIG = json.loads((HERE / "config.json").read_text())
REGULAR = {"in_field": "regular", "out_field": "regular"}
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def main() -> None:
    torch.set_num_threads(2)
    result = {
        "turns and flips, UNet": {name: grid_symmetries(plane) for name, plane in PLANES.items()},
        "gradients, UNet, D8, 30 x 30": gradients(er.Plane(8, reflections=True)),
        "shifts": shifts(),
        "any angle, ReLU and maximum": any_angle("ReLU", "max"),
        "any angle, gates and mean": any_angle("gates", "mean"),
        "any angle, as the preset exact": any_angle("exact", "mean"),
        "any angle, isotropic signed rings, above the floor": isotropic(),
        "config": CONFIG,
        "torch": torch.__version__,
    }
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    picture(result)


PLANES = {
    "D8": er.Plane(8, reflections=True),
    "D4": er.Plane(4, reflections=True),
    "C8": er.Plane(8),
    "C6": er.Plane(6),
    "isotropic": er.Plane(),
}


def network(plane: er.Plane, seed: int, **options) -> nn.Module:
    """The UNet with random biases and statistics."""
    torch.manual_seed(seed)
    net = er.models.UNet(plane, 3, 1, CONFIG["width"], CONFIG["depth"], **options)
    return er.verify.randomized(net, torch.randn(2, 3, 64, 64), seed=seed)


def exact(plane: er.Plane) -> list[Symmetry]:
    return [element for element in plane.symmetries() if element.is_exact]


def grid_symmetries(plane: er.Plane) -> dict[str, float]:
    """The worst output over all sizes and exact elements."""
    worst = {"elements": len(exact(plane))}
    for name, dtype in DTYPES.items():
        errors = []
        for size in CONFIG["sizes"]:
            x = torch.randn(1, 3, *size, dtype=dtype)
            net = network(plane, 0).to(dtype)
            report = er.verify.equivariance(net, x, plane, exact(plane), gradients=False, show=False)
            errors.append(report.worst)
        worst[name] = max(errors)
    return worst


def gradients(plane: er.Plane) -> dict[str, list[float]]:
    """The worst gradient over three elements, for every seed."""
    errors: dict[str, list[float]] = {name: [] for name in DTYPES}
    for seed in range(CONFIG["seeds"]):
        for name, dtype in DTYPES.items():
            net = network(plane, seed).to(dtype)
            x = torch.randn(1, 3, 30, 30, dtype=dtype)
            report = er.verify.equivariance(net, x, plane, exact(plane)[::3], show=False)
            errors[name].append(report.worst_gradient)
    return errors


def shifts() -> dict[str, float]:
    """exact_shifts=True, depth 2, every shift of a 32 x 36 image; and the same network without it."""
    torch.manual_seed(0)
    x = torch.randn(1, 3, 32, 36)
    found = {}
    for flag in (True, False):
        net = er.models.UNet(er.Plane(8), 3, 1, 8, 2, exact_shifts=flag, padding_mode="circular")
        net = er.verify.randomized(net, x).requires_grad_(False)
        y = net(x)
        errors = [
            float(
                (net(x.roll((i, j), (-2, -1))) - y.roll((i, j), (-2, -1))).abs().max()
                / (y - y.mean()).abs().max()
            )
            for i in range(0, 32, 3)
            for j in range(0, 36, 5)
        ]
        found[f"exact_shifts={flag}"] = max(errors)
    return found


def photograph(blur: float) -> torch.Tensor:
    """(1, 3, size, size) in float64, blurred and normalized."""
    size, paths = CONFIG["photograph"], sorted((DATA / "apples" / "train" / "images").glob("*.jpg"))
    if paths:
        pixels = np.asarray(shrink(read_image(paths[0]), size)) / 255
    else:
        pixels = draw(size, np.random.default_rng(7))[0]
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    t = torch.arange(-8, 9).double()
    line = torch.exp(-t.square() / (2 * blur**2))
    kernel = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 17, 17)
    x = nn.functional.conv2d(nn.functional.pad(x, (8, 8, 8, 8), mode="reflect"), kernel, groups=3)
    return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)


def defects(net: nn.Module, x: torch.Tensor, plane: er.Plane) -> er.verify.Report:
    elements = [Symmetry(f"turn {a:g}", plane.turn(a), False, True) for a in CONFIG["angles"]]
    return er.verify.equivariance(net, x, plane, elements, gradients=False, show=False)


def block(plane: er.Plane, kind: str, first: bool) -> list[nn.Module]:
    """A lift of 7 x 7 or a regular layer of 5 x 5, with norm and nonlinearity, 8 channels."""
    taps = "smooth" if kind == "exact" else "rings"
    layer = (
        er.nn.Lift(plane, 3, 8, 7, taps=taps)
        if first
        else er.nn.Correlation(plane, 8, 8, 5, taps=taps, **REGULAR)
    )
    nonlinear: dict[str, list[nn.Module]] = {
        "ReLU": [er.nn.ReLU(plane)],
        "gates": [er.nn.Gated(plane, 8)],
        "exact": [er.nn.SiLU(plane), er.nn.LowPass(plane, "regular")],
    }
    return [layer, er.nn.Norm(plane, 8), *nonlinear[kind]]


def any_angle(kind: str, projection: str) -> dict[str, dict]:
    """Three blocks: the worst angle of every seed, on the inner disc."""
    plane, found = er.Plane(8), {}
    for blur in CONFIG["blurs"]:
        x, errors = photograph(blur), []
        for seed in range(CONFIG["angle_seeds"]):
            torch.manual_seed(seed)
            layers = [part for i in range(3) for part in block(plane, kind, first=i == 0)]
            net = nn.Sequential(*layers, er.nn.Project(plane, projection)).double()
            net(x)
            errors.append(defects(net.eval(), x, plane).worst_interpolated)
        found[f"blur {blur:g}"] = {"median": statistics.median(errors), "worst": max(errors), "seeds": errors}
    return found


def isotropic() -> dict[str, float]:
    """Isotropic kernels with signed rings, all of one amplitude; the worst of all seeds and angles."""
    plane, found = er.Plane(), {}
    for blur in CONFIG["blurs"]:
        x, above = photograph(blur), []
        for seed in range(CONFIG["angle_seeds"]):
            for size in (5, 7, 9):
                torch.manual_seed(seed)
                layer = er.nn.Correlation(plane, 3, 8, size, dtype=torch.float64)
                nn.init.normal_(layer.weight)
                above += [row.output - (row.floor or 0.0) for row in defects(layer, x, plane).rows]
        found[f"blur {blur:g}"] = max(above)
    return found


def trained() -> None:
    """The defects of trained networks, split, on photographs that were held out."""
    torch.set_num_threads(2)
    path = HERE / "trained.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for name, folder in {"vessels": "vessels/train", "nuclei": "nuclei/train", "drawn": None}.items():
        for place in range(CONFIG["trained_photographs"]):
            if name in found and len(found[name]) > place:
                continue
            photographs = learned_from(name, folder)
            if photographs is None:
                continue
            model, x = network_and_photograph(name, photographs, place)
            found.setdefault(name, []).append(lines(split(model, x)))
            path.write_text(json.dumps(found, indent=1) + "\n")
            print(name, place, json.dumps(found[name][-1], indent=1))


def learned_from(name: str, folder: str | None) -> Path | None:
    """The photographs; None where they are not."""
    if folder is not None:
        return DATA / folder if (DATA / folder).is_dir() else None
    photographs = ROOT / "runs" / "equivariance" / f"{name}_photographs"
    if not photographs.is_dir():
        generate(photographs, CONFIG["drawn"])
    return photographs


def network_and_photograph(
    name: str, photographs: Path, place: int
) -> tuple[er.train.Predictor, torch.Tensor]:
    """What `erlangen train` makes of them, trained once, and one of those it was not shown."""
    out, settings = (
        ROOT / "runs" / "equivariance" / name,
        er.train.Settings(steps=CONFIG["trained_steps"], looks=2),
    )
    if not (out / "done").exists():
        begun = (out / "training.safetensors").exists()
        er.save(er.train.prepare(photographs, settings, out=out, resume=begun).run().model, out)
        (out / "done").touch()
    model, held_out = er.load(out), er.train.prepare(photographs, settings).held_out
    return model, as_batch([held_out.load_one(place, model.size)[0]])


def lines(budget: er.verify.Budget) -> list[dict]:
    """Its numbers."""
    return [
        {"element": line.element.name, "whole": line.whole, "defect": line.defect, "share": line.share}
        | {part.source: {"own": part.own, "left": part.left, "only": part.only} for part in line.parts}
        | {"not separated": line.left, "input": line.input, "output": line.output}
        for line in budget.lines
    ]


def picture(result: dict) -> None:
    canvas, ((axis,),) = figure(1, 1, 6.4, 2.8)
    for offset, (key, colour) in enumerate(
        {"any angle, ReLU and maximum": ACCENT, "any angle, gates and mean": SECOND}.items()
    ):
        for i, row in enumerate(result[key].values()):
            axis.plot(
                [100 * e for e in row["seeds"]],
                [i + 0.2 * offset] * len(row["seeds"]),
                "o",
                color=colour,
                alpha=0.6,
            )
            axis.plot([100 * row["median"]], [i + 0.2 * offset], "|", color=INK, markersize=18)
    axis.set_yticks(range(len(CONFIG["blurs"])), [f"blur {b:g} px" for b in CONFIG["blurs"]])
    axis.set_xlabel(
        "defect at the worst angle, %: ReLU and maximum (red), gates and mean (blue); a dot for each seed"
    )
    axis.set_xlim(left=0)
    axis.spines[["top", "right"]].set_visible(False)
    figures.save(canvas, HERE / "figure.png")


if __name__ == "__main__":
    trained() if sys.argv[1:] == ["trained"] else main()
