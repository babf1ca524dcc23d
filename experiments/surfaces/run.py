"""One network trained on a torus of revolution, tried on the same torus in many disguises.

    python experiments/surfaces/run.py                  all, then result.json and figure.png
    python experiments/surfaces/run.py equivariant      one network; --seed for one seed

A random smooth field f on the surface comes in; out goes how strongly it bends down there, the smaller
eigenvalue of its covariant second derivative: ridges are where it is below a threshold. That is nonlinear in
f, and it needs the metric and the connection: derivatives by coordinates alone do not give it. Fields are
waves in R^3 restricted to the surface, new ones in every step of training: they can be evaluated at any
sample of any copy.

Training sees one grid, even in longitude and in the angle round the tube. The same weights are then tried on
a finer grid with more nodes; on grids of two other charts of the same metric; on points scattered over a copy
of the torus that is given by an equation in R^3, turned and moved; and on an ellipsoid, which is no torus.
The plain network is made of circular convolutions of the picture in coordinates, sees where it is (the cosine
and the sine of the angle round the tube), has more than three times as many parameters and takes four times
as many steps. It has no answer where rows and columns do not come round.

Errors are root mean squares in the measure of the surface, divided by that of the truth about its mean, over
fields that no network was trained on; "ridges" is the intersection of the found ridges with the true ones
over their union. Defects are those of `er.verify`. Every run writes results/NETWORK-SEED.json and is
kept; weights go to runs/.

What came out (result.json): where it was trained the plain network is the better one. Everywhere else its
errors are 0.7 and more, where no answer has 1, and the other network is as good as at home, or better where
samples are closer. In sheared coordinates as many samples are too few along one axis (more than 1 apart at
the outer equator), and it shows; refined, it is gone. Shifts round the axis by two steps are exact; by one
step they move the coarse samples.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from fields import Waves, bending
from places import Place, places
from records import keep

import erlangen as er

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
NETWORKS = ("equivariant", "plain")
PLACES = places(CONFIG)
HOME = PLACES["trained on"]
SHOWN = ("trained on", "bent coordinates", "moved, 1536 points")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("networks", nargs="*", help="equivariant, plain; both if none is given")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for kind in given.networks or NETWORKS:
        for seed in CONFIG["seeds"] if given.seed is None else [given.seed]:
            if not target(kind, seed).exists():
                one(kind, seed)
    summarize()


def target(kind: str, seed: int) -> Path:
    return HERE / "results" / f"{kind}-{seed}.json"


def samples_of(fields: list[Waves], place: Place) -> tuple[Tensor, Tensor]:
    """The fields and their answers, ``(batch, 1, *space)``."""
    x = place.positions
    f = torch.stack([field(x) for field in fields])
    y = torch.stack([bending(field, place.F, x) for field in fields]) / CONFIG["unit"]
    return f[:, None].float(), y[:, None].float()


def drawn(count: int, draw: torch.Generator) -> list[Waves]:
    return [Waves(*CONFIG["waves"].values(), draw) for _ in range(count)]


@cache
def tested(name: str) -> tuple[Tensor, Tensor]:
    return samples_of(drawn(CONFIG["tested fields"], torch.Generator().manual_seed(2018)), PLACES[name])


class Plain(nn.Module):
    """Circular convolutions of the picture in coordinates, beside which stands where it is."""

    def __init__(self, width: int, layers: int, kernel_size: int) -> None:
        super().__init__()
        conv = {"padding": kernel_size // 2, "padding_mode": "circular"}
        made: list[nn.Module] = []
        for before in [3, *[width] * (layers - 2)]:
            made += [
                nn.Conv2d(before, width, kernel_size, bias=False, **conv),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*made, nn.Conv2d(width, 1, kernel_size, **conv))

    def forward(self, f: Tensor) -> Tensor:
        angle = torch.arange(f.shape[-1]) * (2 * math.pi / f.shape[-1])
        where = torch.stack([torch.cos(angle), torch.sin(angle)])[None, :, None].expand(
            len(f), 2, *f.shape[2:]
        )
        return self.layers(torch.cat([f, where.to(f)], 1))


def network(kind: str) -> nn.Module:
    if kind == "equivariant":
        return er.models.UNet(HOME.domain, 1, 1, **CONFIG["network"])
    return Plain(**CONFIG["plain"])


def at(net: nn.Module, place: Place) -> Callable[[Tensor], Tensor] | None:
    """The network there, with the same weights; None where it has no answer."""
    if not isinstance(net, Plain):
        return er.on(net, place.domain)
    return net if place.has_picture else None


def one(kind: str, seed: int) -> None:
    """Train and measure one network."""
    net, seconds, losses = trained(kind, seed)
    net.eval()
    with torch.no_grad():
        tried = {name: measured(net, name) for name in PLACES}
        shown = {name: answer(net, name, 1) for name in SHOWN}
    result = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "steps": steps_of(kind),
        "seconds of one processor": seconds,
        "loss": mean(losses[-50:]),
        "tried": tried,
        "defects": {} if kind == "plain" else defects(net),
        "shown": {
            name: y if y is None else [round(v, 2) for v in y.flatten().tolist()] for name, y in shown.items()
        },
        "config": CONFIG,
    }
    keep(target(kind, seed), result)


def trained(kind: str, seed: int) -> tuple[nn.Module, float, list[float]]:
    """The trained network, the seconds that it took, its losses; kept in runs/."""
    torch.manual_seed(seed)
    net, file = network(kind), HERE / "runs" / f"{kind}-{seed}.pt"
    if not file.exists():
        seconds, losses = train(net, kind, seed)
        file.parent.mkdir(exist_ok=True)
        torch.save({"state": net.state_dict(), "seconds": seconds, "losses": losses}, file)
    found = torch.load(file, weights_only=True)
    net.load_state_dict(found["state"])
    return net, found["seconds"], found["losses"]


def steps_of(kind: str) -> int:
    config = CONFIG["training"]
    return config["steps"] * (config["plain steps"] if kind == "plain" else 1)


def train(net: nn.Module, kind: str, seed: int) -> tuple[float, list[float]]:
    """Adam with one cycle of the learning rate: seconds of one processor, and the loss of every step."""
    config, steps = CONFIG["training"], steps_of(kind)
    optimizer = torch.optim.Adam(net.parameters(), lr=config["lr"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config["lr"], total_steps=steps, pct_start=0.2)
    draw, start, losses = torch.Generator().manual_seed(seed), time.process_time(), []
    for step in range(steps):
        f, y = samples_of(drawn(config["batch"], draw), HOME)
        optimizer.zero_grad()
        loss = er.nn.mse_loss(HOME.domain, net(f), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (step + 1) % (steps // 10) == 0:
            spent = time.process_time() - start
            print(f"{kind}-{seed} {step + 1:5} {spent:6.1f} s: {mean(losses[-50:]):.4f}", flush=True)
    return time.process_time() - start, losses


def answer(net: nn.Module, name: str, count: int) -> Tensor | None:
    there = at(net, PLACES[name])
    return None if there is None else torch.cat([there(f[None]) for f in tested(name)[0][:count]])


def measured(net: nn.Module, name: str) -> dict[str, float] | None:
    """The error there, and how well ridges are found."""
    (_, truth), domain = tested(name), PLACES[name].domain
    y = answer(net, name, len(truth))
    if y is None:
        return None
    about = truth - er.nn.mean(domain, truth).mean()
    error = (er.nn.mse_loss(domain, y, truth) / er.nn.mean(domain, about.square()).mean()).sqrt()
    found, true = (field < CONFIG["ridge"] / CONFIG["unit"] for field in (y, truth))
    both, either = (er.nn.mean(domain, part.float()).mean() for part in (found & true, found | true))
    print(f"{name:<22} {float(error):.3f} {float(both / either):.3f}", flush=True)
    return {"error": float(error), "ridges": float(both / either)}


def defects(net: nn.Module) -> dict:
    """Under isometries, other frames, and refinement of grid and nodes."""
    [field] = drawn(1, torch.Generator().manual_seed(2020))

    def f(points: Tensor) -> Tensor:
        return field(HOME.where(points))

    rows, columns = CONFIG["grid"]
    step = 2 * math.pi / rows
    isometries = {
        "round the axis by two steps": lambda x: x + torch.tensor([2 * step, 0.0]).to(x),
        "by one step": lambda x: x + torch.tensor([step, 0.0]).to(x),
        "by half a step": lambda x: x + torch.tensor([step / 2, 0.0]).to(x),
        "mirrored, which was not asked for": lambda x: x * torch.tensor([1.0, -1.0]).to(x),
    }
    kept = {name: er.verify.isometry(net, phi, f) for name, phi in isometries.items()}
    options = {"rotations": CONFIG["fibre"], "pooling": CONFIG["pooling"]}
    chart = HOME.domain.geometry
    grids = [
        chart.grid(rows // 2, columns // 2, nodes=CONFIG["nodes"], **options),
        HOME.domain,
        PLACES["refined, more nodes"].domain,
    ]
    refined = er.verify.refinement(net, grids, f)
    found = {
        "isometries": {name: {"defect": d.defect, "reading": d.floor} for name, d in kept.items()},
        "frames turned by the fibre's angles": er.verify.gauge(net, turns="fibre").defect,
        "frames turned by any angle": er.verify.gauge(net, turns="any").defect,
        "refinement": {"errors": refined.errors, "order": refined.order},
    }
    print(json.dumps(found, indent=1), flush=True)
    return found


def summarize() -> None:
    """All results that there are: result.json and figure.png."""
    runs = {
        kind: [json.loads(target(kind, s).read_text()) for s in CONFIG["seeds"] if target(kind, s).exists()]
        for kind in NETWORKS
    }
    if not all(runs.values()):
        return
    rows = {}
    for name in PLACES:
        rows[name] = {}
        for kind, found in runs.items():
            each = [run["tried"][name] for run in found]
            rows[name][kind] = (
                None if each[0] is None else {key: [run[key] for run in each] for key in ("error", "ridges")}
            )
        numbers = (r and f"{mean(r['error']):.3f} {mean(r['ridges']):.3f}" for r in rows[name].values())
        print(f"{name:<22}", *(n or "          -" for n in numbers))
    result = {
        "rows": rows,
        "defects": runs["equivariant"][0]["defects"],
        "networks": {
            kind: {key: found[0][key] for key in ("parameters", "steps", "seconds of one processor")}
            for kind, found in runs.items()
        },
        "config": CONFIG,
    }
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    picture(rows, {kind: found[0]["shown"] for kind, found in runs.items()})


def picture(rows: dict, shown: dict) -> None:
    """The truth and the answers on three copies, and the errors on all."""
    from erlangen.figures.canvas import ACCENT, INK, MUTED, blank, figure, save

    canvas, _ = figure(1, 1, 10, 8)
    canvas.clear()
    grid = canvas.add_gridspec(4, 3, height_ratios=[1, 1, 1, 1.2])
    for column, name in enumerate(SHOWN):
        seen, order = in_view(PLACES[name])
        truth = tested(name)[1][0].flatten().tolist()
        lines = {"truth": truth} | {kind: answers[name] for kind, answers in shown.items()}
        for row, (kind, values) in enumerate(lines.items()):
            axis = canvas.add_subplot(grid[row, column])
            blank(axis, f"{kind}, {name}")
            axis.set_aspect("equal")
            if values is None:
                axis.text(0.5, 0.5, "no answer", ha="center", transform=axis.transAxes, color=MUTED)
                continue
            colours = torch.tensor(values)[order]
            size = 40000 / len(values)
            axis.scatter(*seen.T, c=colours, cmap="coolwarm", vmin=-3, vmax=1.5, s=size, linewidths=0)
    axis = canvas.add_subplot(grid[3, :])
    for side, (kind, colour) in enumerate(zip(NETWORKS, (ACCENT, MUTED), strict=True)):
        for place, row in enumerate(rows.values()):
            if row[kind] is not None:
                x, height = place + 0.4 * side - 0.2, mean(row[kind]["error"])
                axis.bar(x, height, 0.38, color=colour, label=None if place else kind)
                axis.text(x, height, f"{height:.2f}", ha="center", va="bottom", fontsize=7)
    axis.set_xticks(range(len(rows)), [name.replace(", ", ",\n") for name in rows], fontsize=7)
    axis.axhline(1.0, color=INK, linewidth=0.6, linestyle="--")
    axis.set_ylabel("error")
    axis.margins(y=0.1)
    axis.legend(frameon=False, fontsize=8)
    save(canvas, HERE / "figure.png", 130)


def in_view(place: Place) -> tuple[Tensor, Tensor]:
    """The samples that look up, from half above, ``(k, 2)``, those behind first; and which they are."""
    x = place.positions.flatten(0, -2)
    normal = torch.func.vmap(torch.func.grad(place.F))(x)
    c = 0.5**0.5
    towards = torch.tensor([0.0, -c, c], dtype=torch.float64)
    order = (x @ towards).argsort()
    order = order[(normal @ towards)[order] > 0]
    x = x[order]
    return torch.stack([x[:, 0], c * (x[:, 1] + x[:, 2])], -1), order


if __name__ == "__main__":
    main()
