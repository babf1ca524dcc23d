"""Geodesics and frames on the torus of revolution: how exact, and how fast beside geomstats.

python experiments/geodesics/run.py          writes result.json and figure.png

Needs geomstats (pip install geomstats==2.8.0), which runs here on its PyTorch backend.

Both sides get the same points and velocities in one process, in turns, and the metric in two ways: alone, so
that Christoffel symbols have to be differentiated, or with the symbols written out by hand. Erlangen carries
the geodesic and a frame. geomstats carries the geodesic alone; vectors it transports by pole ladders, each
rung of which needs logarithms, found by optimization. Its default is Euler's method in 100 steps; its Runge
and Kutta takes the fewest steps here that are as exact as ours. What takes too long for all geodesics is
timed on few of them, and seconds are scaled to all (it differentiates point by point: time grows with their
number).
"""

import json
import math
import os
import sys
import warnings
from functools import partial
from pathlib import Path

os.environ["GEOMSTATS_BACKEND"] = "pytorch"

import geomstats
import geomstats.backend as gs
import torch
from geomstats.geometry.base import VectorSpace
from geomstats.geometry.riemannian_metric import RiemannianMetric
from geomstats.numerics.geodesic import ExpODESolver, LogShootingSolver
from geomstats.numerics.ivp import GSIVPIntegrator

sys.path.insert(0, str(Path(__file__).parent.parent))
from records import interleaved, keep

import erlangen as er
from erlangen.geometry import Frame

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
R, r = CONFIG["R"], CONFIG["r"]
TURN = 2 * math.pi


def torus(x):
    """Longitude, then the angle round the tube."""
    a = (R + r * torch.cos(x[..., 1])) ** 2
    return torch.diag_embed(torch.stack([a, torch.full_like(a, r**2)], -1))


class Torus(RiemannianMetric):
    """As the peer's users would write it: the metric alone."""

    def metric_matrix(self, base_point=None):
        a = (R + r * gs.cos(base_point[..., 1])) ** 2
        zero = gs.zeros_like(a)
        rows = [gs.stack([a, zero], axis=-1), gs.stack([zero, r**2 + zero], axis=-1)]
        return gs.stack(rows, axis=-2)


def christoffel(x):
    """``Gamma[l, i, k]`` in closed form."""
    t = x[..., 1]
    rho, zero = R + r * torch.cos(t), torch.zeros_like(t)
    turn, lift = -r * torch.sin(t) / rho, rho * torch.sin(t) / r
    return torch.stack([zero, turn, turn, zero, lift, zero, zero, zero], -1).unflatten(-1, (2, 2, 2))


class TorusByHand(Torus):
    """With those symbols."""

    def christoffels(self, base_point=None):
        return christoffel(base_point)


class Plane(VectorSpace):
    """The coordinates."""

    def __init__(self, metric):
        super().__init__(shape=(2,), equip=False)
        self.equip_with_metric(metric)

    def _create_basis(self):
        return gs.eye(2)


def peer(metric, step_type, n_steps):
    space = Plane(metric)
    integrator = GSIVPIntegrator(n_steps=n_steps, step_type=step_type)
    space.metric.exp_solver = ExpODESolver(space, integrator=integrator)
    return lambda v, x: space.metric.exp(v, x)


def in_space(x):
    rho = R + r * torch.cos(x[..., 1])
    return torch.stack([rho * torch.cos(x[..., 0]), rho * torch.sin(x[..., 0]), r * torch.sin(x[..., 1])], -1)


HANDS = {"metric alone": (Torus, None), "symbols by hand": (TorusByHand, christoffel)}


def main() -> None:
    torch.set_num_threads(CONFIG["threads"])
    torch.manual_seed(0)
    x = TURN * torch.rand(CONFIG["count"], 2, dtype=torch.float64)
    v = torch.randn(CONFIG["count"], 2, dtype=torch.float64)
    v = CONFIG["length"] * v / v.norm(dim=-1, keepdim=True)  # components in the frame
    u = Frame(x, torch.linalg.inv(torch.linalg.cholesky(torus(x))).mT)
    V = u.tangent(v)
    exact = chart(128).carry(u, v)

    def off(point) -> float:
        return float((in_space(point) - in_space(exact.point)[: len(point)]).norm(dim=-1).max())

    rows, tasks, counts = {}, {}, {}

    def add(name, task, count, **row):
        rows[name], tasks[name], counts[name] = row, task, count

    for hand, (metric, symbols) in HANDS.items():
        for n in CONFIG["steps"]:
            space = chart(n, symbols)
            arrived = space.carry(u, v)
            error, frame = off(arrived.point), float((arrived.basis - exact.basis).abs().max())
            task = partial(space.carry, u, v)
            add(f"erlangen, {hand}, {n} steps", task, len(x), steps=n, error=error, frame_error=frame)
        some = CONFIG["count"] if symbols else CONFIG["few"]
        for n in CONFIG["steps"]:
            bar = rows[f"erlangen, {hand}, {n} steps"]["error"]
            found = fewest(TorusByHand, V, x, off, bar)  # the symbols are the same to rounding
            task = partial(peer(metric, "rk4", found), V[:some], x[:some])
            add(f"geomstats, {hand}, as exact as {n}", task, some, steps=found, error=off(task()))
        some = CONFIG["count"] if symbols else CONFIG["few"] // 8
        task = partial(peer(metric, **CONFIG["default"]), V[:some], x[:some])
        error = off(peer(TorusByHand, **CONFIG["default"])(V, x))
        add(f"geomstats, {hand}, default", task, some, steps=CONFIG["default"]["n_steps"], error=error)
    for name, seconds in interleaved(tasks, CONFIG["repeats"]).items():
        rows[name] |= {"timed": counts[name], "seconds": seconds * len(x) / counts[name]}
    ratios = {
        f"{hand}, {other}, {n} steps": rows[f"geomstats, {hand}, {name}"]["seconds"]
        / rows[f"erlangen, {hand}, {n} steps"]["seconds"]
        for hand in HANDS
        for n in CONFIG["steps"]
        for other, name in (("equal error", f"as exact as {n}"), ("its default", "default"))
    }
    result = {
        "rows": rows,
        "times as fast": ratios,
        "transport": ladder(u, v, exact),
        "config": CONFIG,
        "dtype": "float64",
    }
    keep(HERE / "result.json", result, geomstats=geomstats.__version__)
    print(json.dumps(result, indent=1))
    draw(result)


def ladder(u: Frame, v, exact: Frame) -> dict:
    """One vector along a few geodesics by the peer's pole ladder: its error, and seconds for each."""
    k = CONFIG["ladder"]
    space = Plane(TorusByHand)
    space.metric.exp_solver = ExpODESolver(space, integrator=GSIVPIntegrator(n_steps=8, step_type="rk4"))
    space.metric.log_solver = LogShootingSolver(space)
    w, direction = u.basis[:k, :, 0], u.tangent(v)[:k]
    found, start = [], time.process_time()
    for i in range(k):
        step = space.metric.ladder_parallel_transport(w[i], u.point[i], direction[i], n_rungs=1, alpha=1)
        found.append(torch.as_tensor(step["transported_tangent_vec"]))
    seconds = (time.process_time() - start) / k
    off = float((torch.stack(found) - exact.basis[:k, :, 0]).abs().max())
    return {"geodesics": k, "error": off, "seconds for one": seconds, "seconds for all": seconds * len(v)}


def chart(steps: int, symbols=None) -> er.Chart:
    return er.Chart(torus, 2, periods=(TURN, TURN), steps=steps, connection=symbols)


def fewest(metric, V, x, off, bar: float) -> int:
    """The steps of Runge and Kutta with which the peer is as exact."""
    for n in range(1, CONFIG["most steps"] + 1):
        if off(peer(metric, "rk4", n)(V, x)) <= bar * (1 + 1e-6):
            return n
    raise ValueError(f"no number of steps up to {CONFIG['most steps']} reaches {bar:.2g}")


def draw(result: dict) -> None:
    from erlangen.figures.canvas import ACCENT, MUTED, figure

    canvas, axes = figure(1, 1, width=6.5, height=4.0)
    left = axes[0][0]
    for name, row in result["rows"].items():
        who, hand, *_ = name.split(", ")
        color, marker = ACCENT if who == "erlangen" else MUTED, "o" if hand == "metric alone" else "x"
        left.loglog(row["seconds"], row["error"], marker, color=color, label=f"{who}, {hand}")
    named = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    left.legend(named.values(), named, fontsize=7, loc="center right")
    left.set_xlabel(f"processor seconds for {result['config']['count']:,} geodesics")
    left.set_ylabel("largest error")
    left.margins(x=0.35, y=0.15)
    canvas.savefig(HERE / "figure.png", dpi=150)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
