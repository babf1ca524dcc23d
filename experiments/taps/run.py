"""How isotropic the samples of kernels are: rings beside solved taps, symbols and linear layers.

    python experiments/taps/run.py          writes result.json and figure.png

The symbol of taps is ``sum_j K(x_j) exp(i k x_j)``; what of it is no ``i^l g(|k|) Y_l(k / |k|)`` is counted,
in proportion, at its worst over |k| <= 1 per sample (wavelengths from 6.3 samples on); "between" on the
lattice moved by half a sample along some axes, where strides evaluate kernels at even sizes.
"""

import itertools
import json
import statistics
from pathlib import Path

import torch
from torch import nn

import erlangen as er
from erlangen import figures
from erlangen.domains import Symmetry
from erlangen.figures.canvas import ACCENT, SECOND, figure
from erlangen.kernels import Polar, Rings, Solved, sphere_rule, spherical_harmonics
from erlangen.train.scenes import draw

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
KERNELS = {"1-D, 3": (1, 2), "1-D, 5": (1, 3), "3 x 3": (2, 2), "5 x 5": (2, 3), "7 x 7": (2, 4)}
KERNELS |= {"3 x 3 x 3": (3, 2), "5 x 5 x 5": (3, 3)}
PLANES = {"isotropic": er.Plane(), "C8": er.Plane(rotations=8)}


def main() -> None:
    torch.set_num_threads(1)
    result = {
        "symbols": {name: symbols(*kernel) for name, kernel in KERNELS.items()},
        "linear layers": {name: layers(plane) for name, plane in PLANES.items()},
        "config": CONFIG,
        "torch": torch.__version__,
    }
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    picture()


def families(n: int, count: int) -> dict[str, Polar]:
    """Kernels of 2 count - 1 samples."""
    return {"rings": Rings(n, count - 0.5, count), "solved": Solved(n, float(count), count)}


def symbols(n: int, count: int) -> dict[str, dict[str, dict[str, float]]]:
    """For each degree of each family: functions, the worst error, and that between samples."""
    k = torch.tensor(CONFIG["waves"], dtype=torch.float64)
    found: dict = {}
    for family, kernel in families(n, count).items():
        for degree in sorted({l for _, l in kernel.terms}):
            moved = [h for i in range(1, n + 1) for h in itertools.combinations(range(n), i)]
            found.setdefault(f"l = {degree}", {})[family] = {
                "functions": sum(l == degree for _, l in kernel.terms),
                "error": float(error(kernel, degree, (), k).max()),
                "between": max(float(error(kernel, degree, halves, k).max()) for halves in moved),
            }
    return found


def error(kernel: Polar, degree: int, halves: tuple[int, ...], k: torch.Tensor) -> torch.Tensor:
    """What the symbols of all functions of a degree lack to be isotropic, in proportion, at each |k|."""
    reach = int(kernel.radius) + 1
    axes = [torch.arange(-reach, reach + 1).double() + 0.5 * (axis in halves) for axis in range(kernel.n)]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    x = x[x.norm(dim=-1) < kernel.radius]
    toward, w = sphere_rule(kernel.n, 16)
    Y = spherical_harmonics(kernel.n, degree)(toward)
    phase = torch.einsum("k,qn,jn->kqj", k, toward, x)
    wave = (-1) ** (degree // 2) * (torch.sin(phase) if degree % 2 else torch.cos(phase))
    rest, whole = torch.zeros_like(k), torch.zeros_like(k)
    for term in (term for term, l in kernel.terms if l == degree):
        taps = kernel.profile(term, degree, x.norm(dim=-1))[:, None] * kernel.angular(degree, x)
        symbol = torch.einsum("kqj,jc->kqc", wave, taps)
        g = torch.einsum("kqc,q,qc->k", symbol, w, Y) / Y.shape[1]
        isotropic = g[:, None, None] * Y
        rest += torch.einsum("kqc,q->k", (symbol - isotropic).square(), w)
        whole += torch.einsum("kqc,q->k", isotropic.square(), w)
    return (rest / whole).sqrt()


def photograph(blur: float) -> torch.Tensor:
    """A drawn scene (1, 3, size, size), blurred and normalized."""
    import numpy as np

    x = (
        torch.from_numpy(draw(CONFIG["photograph"], np.random.default_rng(7))[0])
        .permute(2, 0, 1)[None]
        .double()
    )
    t = torch.arange(-8, 9).double()
    line = torch.exp(-t.square() / (2 * blur**2))
    kernel = (line[:, None] * line / line.sum() ** 2).expand(3, 1, 17, 17)
    x = nn.functional.conv2d(nn.functional.pad(x, (8, 8, 8, 8), mode="reflect"), kernel, groups=3)
    return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)


def layers(plane: er.Plane) -> dict[str, dict[str, float]]:
    """Two linear layers between angles: the worst of some turns, the median over seeds."""
    elements = [Symmetry(f"turn {a:g}", plane.turn(a), False, True) for a in CONFIG["angles"]]
    field, found = plane.default_field, {}
    for blur, size, taps in itertools.product(CONFIG["blurs"], (3, 5), ("rings", "solved")):
        x, errors = photograph(blur), []
        for seed in range(CONFIG["seeds"]):
            torch.manual_seed(seed)
            options = {"taps": taps, "bias": False, "dtype": torch.float64}
            first = er.nn.Correlation(plane, 3, 4, size, out_field=field, **options)
            second = er.nn.Correlation(plane, 4, 4, size, in_field=field, out_field=field, **options)
            with torch.no_grad():
                report = er.verify.equivariance(
                    nn.Sequential(first, second),
                    x,
                    plane,
                    elements,
                    out_field=field,
                    gradients=False,
                    show=False,
                )
            errors.append(report.worst_interpolated)
        found[f"blur {blur:g}, {size} x {size}, {taps}"] = statistics.median(errors)
    return found


def picture() -> None:
    k = torch.linspace(0.1, CONFIG["to"], 60, dtype=torch.float64)
    canvas, (axes,) = figure(1, 3, 9.0, 2.6)
    for axis, (n, count, title) in zip(
        axes, ((2, 2, "3 x 3"), (2, 3, "5 x 5"), (3, 3, "5 x 5 x 5")), strict=True
    ):
        for kernel, colour in zip(families(n, count).values(), (SECOND, ACCENT), strict=True):
            for degree in sorted({l for _, l in kernel.terms}):
                e = 100 * error(kernel, degree, (), k)
                axis.semilogy(k, e, color=colour, lw=1)
                axis.annotate(f"{degree}", (float(k[-1]), float(e[-1])), color=colour, fontsize=7)
        axis.set_ylim(1e-5, 30)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("|k|, radians per sample")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("anisotropy, %: rings (blue),\nsolved (red), by degree")
    figures.save(canvas, HERE / "figure.png")


if __name__ == "__main__":
    main()
