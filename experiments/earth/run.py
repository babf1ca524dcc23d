"""Trained on the Earth as it stands, tried on the Earth turned: an equivariant network and a plain one.

    python experiments/earth/run.py              both tasks and networks, then result.json and figure.png
    python experiments/earth/run.py wind         one task
    python experiments/earth/run.py wind --network plain

topography: heights of degrees below 32 on 32 x 64 samples, under noise of half their standard deviation,
    white over these degrees; a new noise in every step. A sector of longitudes is held out of the loss, and
    errors are those inside it: remembering the globe is of no use. "wiener" is the best linear filter that is
    the same at all places and in all directions, made from the true spectrum: all that a zonal kernel can do.
wind: geopotential about its mean at 200, 500 and 850 hPa, and the sine of latitude, to the wind: two scalar
    fields to a tangent vector field, degrees below 24 on 24 x 48 samples. One month is trained on, its three
    levels and no more, the other one is tested. The sine of latitude turns with the globe: to a turned planet
    belongs its turned axis. Two months are far too few to learn weather from; the question is what a rotation
    changes. "other month" takes the trained month's wind for an answer.

The plain network has far more parameters: convolutions of the longitude-latitude picture, circular in
longitude, that answer in the components south and east, as files do. It takes twice as many steps on
topography (with 2 and 8 times as many again it learned the globe by heart, and did worse in the held-out
sector), and 16 times as many on wind. Errors are root mean squares in the measure of the sphere, divided by
that of the truth, on the globe upright and over fixed random rotations. Fields are turned by reading them at
g^{-1} q on a grid four times as fine ("turning costs" says what there and back loses). Every run writes
results/TASK-NETWORK.json and is kept. Data are those of `ERLANGEN_DATA` (default: ../shared/data).

What came out (result.json): upright, both networks find the wind equally well; turned, the plain one is worse
than no answer. Topography is close between them, and both stay behind the linear filter, which knows the
spectrum: one globe is little to learn from. Kernels are local, since global ones, tried first, fitted the
trained globe and month better and what was held out worse (wind: 1.2 upright and turned alike).
There is no third month or second globe: kernels and steps were chosen by the errors shown here, for both.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
import latlon
from globe import Globe
from records import keep

import erlangen as er
from erlangen.domains import Samples
from erlangen.domains.spec import Field

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
NETWORKS = ("equivariant", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tasks", nargs="*", help="topography, wind; both if none is given")
    parser.add_argument("--network", choices=NETWORKS, help="only this one")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name in given.tasks or TASKS:
        waiting = [
            kind for kind in NETWORKS if given.network in (None, kind) and not target(name, kind).exists()
        ]
        if waiting:
            task = TASKS[name](CONFIG[name])
            for kind in waiting:
                one(task, name, kind)
    summarize()


def target(name: str, kind: str) -> Path:
    return HERE / "results" / f"{name}-{kind}.json"


class Task:
    """A globe, what is learned from it, and what is asked of it when it is turned.

    Args:
        config: the task's part of config.json.
    """

    field = "scalar"  # of the answer
    inputs = 1

    def __init__(self, config: dict) -> None:
        self.config = config
        self.globe = Globe(config["degrees"], CONFIG["fibre"])
        self.grid = self.globe.grid

    def steps(self, kind: str) -> int:
        return self.config["steps"] * (self.config["plain steps"] if kind == "plain" else 1)

    def network(self, kind: str) -> nn.Module:
        torch.manual_seed(CONFIG["seed"])
        if kind == "equivariant":
            return Network(self.grid, self.inputs, self.field, **self.config["network"])
        return Plain(self.inputs, self.field, **self.config["plain"])

    def rotations(self) -> Tensor:
        draw = torch.Generator().manual_seed(2018 + CONFIG["seed"])
        return latlon.random_rotations(CONFIG["rotations"], draw)

    def power(self, f: Tensor) -> Tensor:
        """The mean square of a field, all components together: ``(batch,)``."""
        return er.nn.mean(self.grid, f.square()).flatten(1).sum(1)


class Topography(Task):
    """Heights under noise."""

    def __init__(self, config: dict) -> None:
        super().__init__(config)
        self.f = self.globe.topography()[None, None]
        self.steps_seen = self.grid.masked(~self.sector(torch.eye(3)))

    def sector(self, g: Tensor) -> Tensor:
        """The held-out longitudes of the globe turned by g: True where g^{-1} q lies among them."""
        west, east = self.config["held out"]
        p = self.grid.points @ g.to(self.grid.points)
        longitude = torch.rad2deg(torch.atan2(p[..., 1], p[..., 0])) % 360
        return (west <= longitude) & (longitude < east)

    def loss(self, net: nn.Module, draw: torch.Generator) -> Tensor:
        noise = self.globe.noise(self.config["batch"], draw) * self.config["noise"]
        return er.nn.mse_loss(self.steps_seen, net(self.f + noise), self.f.expand_as(noise))

    def errors(self, answer: Callable[[Tensor], Tensor], g: Tensor | None) -> dict[str, float]:
        f = self.f if g is None else self.globe.turned(self.f, g)
        sector = self.sector(torch.eye(3) if g is None else g)
        draw = torch.Generator().manual_seed(2018)
        noise = self.globe.noise(self.config["test noises"], draw) * self.config["noise"]
        y = answer(f + noise)
        found = {}
        for name, where in {"held out": sector, "trained on": ~sector}.items():
            window = self.grid.masked(where)
            size = er.nn.mean(window, f.square())
            found[name] = float((er.nn.mse_loss(window, y, f.expand_as(y)) / size).sqrt())
        return found

    def references(self) -> dict:
        spectrum = self.grid.spectrum(self.f[:1, :1].double())[0, 0]
        each = 2 * torch.arange(self.globe.degrees) + 1
        noise = self.config["noise"] ** 2 * 4 * math.pi / self.globe.degrees**2
        gain = spectrum / each / (spectrum / each + noise)

        def wiener(x: Tensor) -> Tensor:
            return self.grid.synthesize(self.grid.analyze(x) * gain[:, None].to(x))

        return {"wiener": self.errors(wiener, None), "input": self.errors(lambda x: x, None)}

    def turning_costs(self, g: Tensor) -> float:
        back = self.globe.turned(self.globe.turned(self.f, g), g.T)
        return float((self.power(back - self.f) / self.power(self.f)).sqrt().max())


class Wind(Task):
    """Geopotential and the sine of latitude, to wind."""

    field, inputs = "vector", 2

    def __init__(self, config: dict) -> None:
        super().__init__(config)
        z, wind, self.levels = self.globe.weather(config["trained on"])
        self.units = float(z.square().mean().sqrt()), float(wind.square().mean().sqrt())
        self.learned = self._scaled(z, wind)
        self.sizes = self.power(self.learned[1])
        self.tested = self._scaled(*self.globe.weather(config["tested on"])[:2])

    def _scaled(self, z: Tensor, wind: Tensor) -> tuple[Tensor, Tensor]:
        return z[:, None] / self.units[0], wind[:, None] / self.units[1]

    def seen(self, z: Tensor, axis: Tensor) -> Tensor:
        return torch.cat([z, axis.expand_as(z)], 1)

    def loss(self, net: nn.Module, draw: torch.Generator) -> Tensor:
        z, wind = self.learned
        return (self.power(net(self.seen(z, self.globe.latitude)) - wind) / self.sizes).mean()

    def errors(self, answer: Callable[[Tensor], Tensor], g: Tensor | None) -> dict[str, float]:
        (z, wind), axis = self.tested, self.globe.latitude
        if g is not None:
            z, wind = self.globe.turned(z, g), self.globe.turned(wind, g, "vector")
            axis = (self.grid.points @ g.to(self.grid.points))[..., 2].to(axis)
        each = (self.power(answer(self.seen(z, axis)) - wind) / self.power(wind)).sqrt()
        by_level = {f"{level} hPa": float(e) for level, e in zip(self.levels, each, strict=True)}
        return {"all levels": float(each.square().mean().sqrt())} | by_level

    def references(self) -> dict:
        return {"other month": self.errors(lambda _: self.learned[1], None)}

    def turning_costs(self, g: Tensor) -> float:
        wind = self.tested[1]
        back = self.globe.turned(self.globe.turned(wind, g, "vector"), g.T, "vector")
        return float((self.power(back - wind) / self.power(wind)).sqrt().max())


TASKS = {"topography": Topography, "wind": Wind}


class Network(nn.Module):
    """Lift, correlations with local kernels, and one to the answer's field.

    Args:
        domain: the grid.
        inputs: scalar fields in.
        field: the answer's.
        width: regular fields.
        layers: correlations between them, separable ones.
        radius: of all kernels.
    """

    def __init__(
        self,
        domain: Samples,
        inputs: int,
        field: Field,
        width: int,
        layers: int,
        radius: float,
    ) -> None:
        super().__init__()
        regular: dict[str, Field] = {"in_field": "regular", "out_field": "regular"}
        kernel = {"radius": radius, "bias": False}
        made: list[nn.Module] = []
        for layer in range(layers + 1):
            made += [
                er.nn.Correlation(domain, width, width, separable=True, **kernel, **regular)
                if layer
                else er.nn.Lift(domain, inputs, width, **kernel),
                er.nn.Norm(domain, width),
                er.nn.ReLU(domain),
            ]
        made.append(er.nn.Correlation(domain, width, 1, radius=radius, in_field="regular", out_field=field))
        nn.init.zeros_(made[-1].weight)  # smooth fields add up under a kernel: start from no answer
        self.layers, self.field = nn.Sequential(*made), field

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.field == "scalar" else y


class Plain(nn.Module):
    """Convolutions of the longitude-latitude picture."""

    def __init__(self, inputs: int, field: str, width: int, layers: int, kernel_size: int) -> None:
        super().__init__()
        made = latlon.block(inputs, width, kernel_size)
        for _ in range(layers - 2):
            made += latlon.block(width, width, kernel_size)
        outputs = 1 if field == "scalar" else 2
        self.layers = nn.Sequential(*made, latlon.Conv(width, outputs, kernel_size))
        self.field = field

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.field == "scalar" else y[:, None]


def one(task: Task, name: str, kind: str) -> None:
    """Train and measure one network."""
    net = task.network(kind)
    seconds, losses = train(net, task, name, kind)
    net.eval()
    with torch.no_grad():
        upright = task.errors(net, None)
        turned = [task.errors(net, g) for g in task.rotations()]
        result = {
            "parameters": sum(p.numel() for p in net.parameters()),
            "steps": task.steps(kind),
            "minutes, the machine shared": seconds / 60,
            "loss": mean(losses[-10:]),
            "upright": upright,
            "turned, mean": {key: mean(errors[key] for errors in turned) for key in upright},
            "turned, worst": {key: max(errors[key] for errors in turned) for key in upright},
            "turned": turned,
            "references, upright": task.references(),
            "turning costs": task.turning_costs(task.rotations()[0]),
            "config": task.config | {key: CONFIG[key] for key in ("fibre", "rotations", "seed")},
        }
    keep(target(name, kind), result)


def train(net: nn.Module, task: Task, name: str, kind: str) -> tuple[float, list[float]]:
    """Adam with one cycle of the learning rate: seconds, and the loss of every step."""
    steps, lr = task.steps(kind), task.config["lr"]
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.2)
    draw, start, losses = torch.Generator().manual_seed(CONFIG["seed"]), time.time(), []
    for step in range(steps):
        optimizer.zero_grad()
        loss = task.loss(net, draw)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (step + 1) % (steps // 12) == 0:
            print(
                f"{name}-{kind} {step + 1:4} {time.time() - start:6.1f} s: {mean(losses[-20:]):.4f}",
                flush=True,
            )
    return time.time() - start, losses


def summarize() -> None:
    """All results that there are: result.json and figure.png."""
    rows = {
        name: {
            kind: json.loads(target(name, kind).read_text())
            for kind in NETWORKS
            if target(name, kind).exists()
        }
        for name in TASKS
    }
    for name, kinds in rows.items():
        for kind, row in kinds.items():
            row.pop("turned")
            key = next(iter(row["upright"]))
            numbers = ", ".join(
                f"{row[part][key]:.3f} {part}" for part in ("upright", "turned, mean", "turned, worst")
            )
            print(f"{name:<11} {kind:<12} {row['parameters']:,} parameters, {key}: {numbers}")
    (HERE / "result.json").write_text(json.dumps(rows, indent=1) + "\n")
    if all(rows.values()):
        picture(rows)


def picture(rows: dict[str, dict]) -> None:
    """The first of the tested turns, and the errors."""
    from erlangen import figures
    from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, blank, figure

    drawn, panels = figure(2, 3, 10.5, 4.6, width_ratios=[1, 1, 0.9])
    heights, wind = Topography(CONFIG["topography"]), Wind(CONFIG["wind"])
    g = heights.rotations()[0]
    window = {"extent": (0, 360, -90, 90), "aspect": "auto"}
    for axis, turn in zip(panels[0, :2], (None, g), strict=True):
        f = heights.f if turn is None else heights.globe.turned(heights.f, turn)
        axis.imshow(f[0, 0], cmap="terrain", vmin=-2, vmax=3, **window)
        edges = heights.sector(torch.eye(3) if turn is None else turn).double()
        axis.contour(edges.flip(0), [0.5], colors=INK, linewidths=0.8, extent=window["extent"])
        blank(axis, "topography" + ("" if turn is None else ", turned") + "; held out: inside the line")
    z, truth = wind.tested
    for axis, turn in zip(panels[1, :2], (None, g), strict=True):
        level, arrows = z[1:2], truth[1:2]
        if turn is not None:
            level, arrows = wind.globe.turned(level, turn), wind.globe.turned(arrows, turn, "vector")
        axis.imshow(level[0, 0], cmap="coolwarm", **window)
        longitude = torch.rad2deg(wind.grid.interpolation.rings.phi)
        latitude = 90 - torch.rad2deg(wind.grid.interpolation.rings.latitudes.theta)
        south, east = arrows[0, 0, :, ::2, ::2]
        axis.quiver(longitude[::2], latitude[::2], east, -south, color=INK, width=0.002)
        blank(
            axis, f"{wind.config['tested on']}, {wind.levels[1]} hPa" + ("" if turn is None else ", turned")
        )
    titles = {"topography": "error in the held-out sector", "wind": "error of the wind, other month"}
    for axis, (name, kinds) in zip(panels[:, 2], rows.items(), strict=True):
        key = next(iter(kinds["plain"]["upright"]))
        for place, kind in enumerate(kinds):
            parts = {"upright": SECOND, "turned, mean": ACCENT, "turned, worst": MUTED}
            for i, (part, color) in enumerate(parts.items()):
                error, at = kinds[kind][part][key], place + 0.27 * (i - 1)
                axis.barh(at, error, 0.25, color=color, label=part if place == 0 else None)
                axis.text(error, at, f" {error:.3f}", va="center", color=INK, fontsize=7)
        axis.set_yticks(range(len(kinds)), list(kinds), fontsize=8)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_title(titles[name], fontsize=10, color=INK)
    for name, error in rows["topography"]["plain"]["references, upright"].items():
        panels[0, 2].axvline(error["held out"], color=INK, linewidth=0.7, linestyle="--")
        panels[0, 2].text(
            error["held out"], 0.5, name, fontsize=7, color=INK, ha="center", backgroundcolor="w"
        )
    panels[1, 2].legend(fontsize=7, loc="upper right")
    figures.save(drawn, HERE / "figure.png")


if __name__ == "__main__":
    main()
