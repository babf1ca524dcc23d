"""How fast the sphere's harmonics are: beside torch-harmonics, in turns; SO(3) correlation by bandwidth.

python experiments/sphere_speed/run.py          writes result.json and figure.png

Needs torch-harmonics (pip install --no-deps torch-harmonics==0.9.3).
"""

import itertools
import json
import math
import sys
from pathlib import Path

import torch
import torch_harmonics as th

sys.path.insert(0, str(Path(__file__).parent.parent))
from records import interleaved, keep

import erlangen as er
from erlangen.train.device import keep_freed_memory

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
REGULAR = {"in_field": "regular", "out_field": "regular"}


def main() -> None:
    keep_freed_memory()
    torch.manual_seed(0)
    torch.set_num_threads(CONFIG["threads"])
    result = {
        "transforms and zonal layer": [beside(**case) for case in CONFIG["transforms"]],
        "lift and SO(3) correlation": so3(**CONFIG["so3"]),
        "config": CONFIG,
        "dtype": "float32",
    }
    keep(HERE / "result.json", result, **{"torch-harmonics": th.__version__})
    print(json.dumps(result, indent=1))
    draw(result)


def training(run, x, parameters=()):
    """Forward and backward with all gradients."""
    x = x.detach().requires_grad_()
    like = torch.randn_like(run(x).detach())
    return lambda: torch.autograd.grad(run(x), [x, *parameters], like)


def beside(degrees: int, batch: int, channels: int) -> dict:
    """Analysis, synthesis and the zonal layer, forward alone and with backward; and the tables."""
    L = degrees
    ball = er.Sphere().grid(L)
    there = th.RealSHT(L, 2 * L, lmax=L, mmax=L, grid="legendre-gauss", norm="ortho")
    back = th.InverseRealSHT(L, 2 * L, lmax=L, mmax=L, grid="legendre-gauss", norm="ortho")
    # without a radius, a coefficient for every degree, as theirs
    layer = er.nn.Correlation(ball, channels, channels, rings=L, bias=False)
    theirs = th.SpectralConvS2(
        (L, 2 * L), (L, 2 * L), channels, channels, grid_in="legendre-gauss", grid_out="legendre-gauss"
    )
    f = torch.randn(batch, channels, L, 2 * L)
    c = ball.analyze(f)
    difference = float((there(f) - c).norm() / c.norm())
    pairs = {
        "analysis": ((ball.analyze, f, ()), (there, f, ())),
        "synthesis": ((ball.synthesize, c, ()), (back, c, ())),
        "zonal layer": ((layer, f, tuple(layer.parameters())), (theirs, f, tuple(theirs.parameters()))),
    }
    seconds = {}
    for name, (ours, peer) in pairs.items():
        with torch.no_grad():
            tasks = {"erlangen": lambda r=ours: r[0](r[1]), "torch-harmonics": lambda r=peer: r[0](r[1])}
            seconds[f"{name}, forward"] = interleaved(tasks, CONFIG["repeats"])
        tasks = {"erlangen": training(*ours), "torch-harmonics": training(*peer)}
        seconds[f"{name}, forward and backward"] = interleaved(tasks, CONFIG["repeats"])
    for times in seconds.values():
        times["ratio"] = times["torch-harmonics"] / times["erlangen"]
    held = [t for tables in ball.transform._tables.values() for t in tables]
    bytes_ours = sum(t.numel() * t.element_size() for t in held)
    bytes_theirs = sum(b.numel() * b.element_size() for m in (there, back) for b in m.buffers())
    return {
        "degrees": L,
        "batch": batch,
        "channels": channels,
        "relative difference of coefficients": difference,
        "table bytes": {"erlangen": bytes_ours, "torch-harmonics": bytes_theirs},
        "table ratio": bytes_ours / bytes_theirs,
        "seconds": seconds,
    }


def so3(degrees: list[int], band: int, channels: int, batch: int, threads: int, repeats: int) -> dict:
    """Seconds of a lift and a regular correlation, forward and backward, and the slope in L."""
    torch.set_num_threads(threads)
    seconds = {}
    for L in degrees:
        ball = er.Sphere().grid(L, rotations=2 * band + 1)
        net = torch.nn.Sequential(
            er.nn.Lift(ball, channels, channels), er.nn.Correlation(ball, channels, channels, **REGULAR)
        )
        task = training(net, torch.randn(batch, channels, L, 2 * L), tuple(net.parameters()))
        seconds[str(L)] = interleaved({"both": task}, repeats)["both"]
    slopes = {
        f"{a} to {b}": math.log2(seconds[str(b)] / seconds[str(a)]) / math.log2(b / a)
        for a, b in itertools.pairwise(degrees)
    }
    return {"seconds": seconds, "slope in L": slopes}


def draw(result: dict) -> None:
    from erlangen.figures.canvas import ACCENT, MUTED, figure

    canvas, axes = figure(1, 2, width=8.5, height=3.4)
    left, right = axes[0]
    case = result["transforms and zonal layer"][1]
    names = list(case["seconds"])
    ratios = [case["seconds"][name]["ratio"] for name in names]
    left.barh(names[::-1], ratios[::-1], color=ACCENT)
    left.axvline(1, color=MUTED)
    left.set_title(f"times as fast as torch-harmonics, L = {case['degrees']}", fontsize=9)
    seconds = result["lift and SO(3) correlation"]["seconds"]
    L = [int(key) for key in seconds]
    right.loglog(L, list(seconds.values()), "o-", color=ACCENT)
    last = list(seconds.values())[-1]
    right.loglog(L, [last * (l / L[-1]) ** 3 for l in L], "--", color=MUTED, label="L^3")
    right.set_xlabel("bandwidth L")
    right.set_title("lift and SO(3) correlation, seconds", fontsize=9)
    right.set_xticks(L, [str(l) for l in L])
    right.minorticks_off()
    right.legend()
    canvas.savefig(HERE / "figure.png", dpi=150)


if __name__ == "__main__":
    main()
