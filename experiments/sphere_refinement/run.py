"""Local layers on every grid of the sphere, refined twice: how fast does the defect under rotations fall?

    python experiments/sphere_refinement/run.py          writes result.json and figure.png; resumable
    python experiments/sphere_refinement/run.py HEALPix  that kind of grid alone

The kernel has a fixed radius and random weights, the signal all degrees up to `degree`. For random
rotations g the layer is applied to f(g^{-1} q) and compared, at the samples' own frames u, with the same
layer's sum on f at g^{-1} u (`er.verify.quadrature_error`): nothing is interpolated but by the layer itself.
"""

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import erlangen as er
from erlangen.domains import Domain
from erlangen.geometry import Frame

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
SPHERE = er.Sphere()
LAYERS = {"scalar": ("scalar", "scalar"), "lift": ("scalar", "regular"), "regular": ("regular", "regular")}


def uneven(n: int, longitudes: int, rotations: int | None) -> Domain:
    """Latitudes that no rule knows: even steps, stretched towards the equator and moved about a little."""
    x = (np.arange(n) + 0.5) / n * 180
    lat = 90 - (x + 6 * np.sin(np.deg2rad(2 * x)) + 25 / n * np.sin(np.deg2rad(5 * x)))
    return SPHERE.from_latlon(lat, 360 / longitudes * np.arange(longitudes), rotations=rotations)


def scattered(n: int, rotations: int | None) -> Domain:
    """A spiral whose points are moved about by a fifth of their distance."""
    p = SPHERE.fibonacci(n).points
    noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p = p + 0.2 * math.sqrt(4 * math.pi / n) * noise
    return SPHERE.samples(p / p.norm(dim=1, keepdim=True), rotations=rotations)


GRIDS = {
    "Gauss-Legendre": lambda n, r: SPHERE.grid(n, rotations=r),
    "equiangular": lambda n, r: SPHERE.grid(n, kind="equiangular", rotations=r),
    "equiangular, no poles": lambda n, r: SPHERE.grid(n, kind="equiangular, no poles", rotations=r),
    "fitted latitudes": lambda n, r: uneven(n, 2 * n, r),
    "HEALPix": lambda n, r: SPHERE.healpix(n, rotations=r),
    "HEALPix, ring weights": lambda n, r: SPHERE.healpix(n, ring_weights=True, rotations=r),
    "icosahedral": lambda n, r: SPHERE.icosahedral(n, rotations=r),
    "Fibonacci": lambda n, r: SPHERE.fibonacci(n, rotations=r),
    "scattered points": lambda n, r: scattered(n, r),
}


class BandLimited:
    """A random function of frames with all degrees up to L, and along the fibre the frequencies 0 and 1.

    ``F(u) = sum_l sum_i c_i P_l(p . a_i) (1 + e_1 . b_i)``, the second factor for regular fields alone.
    """

    def __init__(self, degree: int, axes: int, regular: bool, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.a = _unit(torch.randn(degree + 1, axes, 3, generator=draw, dtype=torch.float64))
        self.b = torch.randn(degree + 1, axes, 3, generator=draw, dtype=torch.float64)
        self.c = torch.randn(degree + 1, axes, generator=draw, dtype=torch.float64)
        self.regular = regular

    def __call__(self, u: Frame) -> Tensor:
        total = torch.zeros(u.basis.shape[:-2] if self.regular else u.point.shape[:-1], dtype=torch.float64)
        for l, (a, b, c) in enumerate(zip(self.a, self.b, self.c, strict=True)):
            z = (u.point @ a.T).numpy()
            values = torch.from_numpy(np.polynomial.legendre.Legendre.basis(l)(z)) * math.sqrt(2 * l + 1)
            if self.regular:
                values = values * (1 + u.basis[..., 0] @ b.T)
            total = total + values @ c
        return total[..., None]


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def rotation(seed: int) -> Tensor:
    """Drawn evenly from SO(3)."""
    q = _unit(torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    w, (x, y, z) = q[0], q[1:]
    K = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + 2 * w * K + 2 * K @ K


def errors(kind: str, sizes: list[int], fields: tuple[str, str], builder: str, config: dict) -> list[float]:
    """The worst defect over some rotations, at each size."""
    found = []
    for size in sizes:
        regular = "regular" in fields
        domain = GRIDS[kind](size, config["fibre"] if regular else None)
        signal = BandLimited(config["degree"], config["axes"], fields[0] == "regular", config["seed"])
        options = {name: config[name] for name in ("radius", "rings", "seed")}
        options |= {
            "in_field": fields[0],
            "out_field": fields[1],
            "builder": builder,
            "count": config["frames"],
        }
        turns = [rotation(seed) for seed in range(config["rotations"])]
        found.append(max(er.verify.quadrature_error(domain, signal, g, **options) for g in turns))
    return found


def orders(errors: list[float]) -> list[float]:
    """Each refinement halves the distance of samples."""
    return [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]


def rows_of(kind: str) -> list[dict]:
    """Every layer on one kind of grid; remembered in results/."""
    path = HERE / "results" / f"{kind}.json"
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["config"] == CONFIG:
            return stored["rows"]
    rows, sizes = [], CONFIG["grids"][kind]
    for builder in ["weighted_sum"] + ["gather"] * (kind in CONFIG["gather"]):
        for name, fields in LAYERS.items():
            found = errors(kind, sizes, fields, builder, CONFIG)
            steps = [round(order, 2) for order in orders(found)]
            rows.append({"grid": kind, "layer": name, "builder": builder, "errors": found, "orders": steps})
            print(f"{kind:24} {builder:13} {name:8}", *(f"{e:.1e}" for e in found), steps, flush=True)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"rows": rows, "config": CONFIG}, indent=1) + "\n")
    return rows


def main(kinds: list[str]) -> None:
    rows = [row for kind in kinds or CONFIG["grids"] for row in rows_of(kind)]
    if kinds:
        return
    finest = max(row["errors"][-1] for row in rows)
    slowest = min(math.log2(row["errors"][0] / row["errors"][-1]) / 2 for row in rows)
    result = {"worst at the finest": finest, "slowest mean order": slowest, "rows": rows, "config": CONFIG}
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print({name: result[name] for name in ("worst at the finest", "slowest mean order")})
    picture(rows)


def picture(rows: list[dict]) -> None:
    from erlangen.figures.canvas import INK, figure, save

    canvas, (axes,) = figure(1, 3, 9.5, 3.6, sharey=True)
    for axis, name in zip(axes, LAYERS, strict=True):
        for row in rows:
            if row["layer"] == name:
                dashes = "-" if row["builder"] == "weighted_sum" else ":"
                marker = "s" if row["grid"] == "scattered points" else "o"  # the colours come round
                label = row["grid"] + (", gather" if dashes == ":" else "")
                axis.semilogy([0, 1, 2], row["errors"], dashes, marker=marker, markersize=3, label=label)
        axis.semilogy([0, 1, 2], [0.1, 0.1 / 4, 0.1 / 16], "--", color=INK, linewidth=0.8, label="order 2")
        axis.axhline(CONFIG["bar"], color=INK, linewidth=0.5)
        axis.set_title(name)
        axis.set_xticks([0, 1, 2])
        axis.set_xlabel("refinements")
    axes[0].set_ylabel("defect under rotations")
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, fontsize=6, loc="outside right center")
    save(canvas, HERE / "figure.png", 150)


if __name__ == "__main__":
    main(sys.argv[1:])
