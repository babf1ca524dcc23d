"""MNIST on the sphere, in the setting of Cohen et al. 2018: trained unrotated, tested under random rotations.

    python experiments/spherical_mnist/run.py                        all rows and seeds, then the summary
    python experiments/spherical_mnist/run.py equivariant --seed 1   one run
    python experiments/spherical_mnist/run.py --fold                 the candidates, on a fold

A digit is projected onto the sphere as the published ones were (in the rows "bilinear" without their
interpolation, which tells up: README.md), and rotated before it is read: at every sample q the picture is
looked up at g^{-1} q. NR is not rotated; R is every digit under its own rotation, drawn evenly from SO(3)
and fixed. The first 50,000 training digits are trained on, unless a row says other, each stretched along
two axes by chance (and, in some candidates, warped); a run stays below 45 minutes of two cores. All 10,000
test digits are read once, at the end of a run. Candidates are compared on some of the last 10,000 training
digits, and trained on some of the others (results that read 2,000 of them are older: on the last 2,000 of
the first 20,000). Every run writes results/ROW-SEED.json and is kept; one that was stopped goes on from its
last epoch.
Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import sys
from pathlib import Path
from statistics import mean

import torch
from network import network
from sphere import on_sphere, random_strains, random_warps
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
import mnist
from latlon import random_rotations

import erlangen as er

MEAN, DEVIATION = 0.11, 0.27  # of digits on the sphere, half of which is black


def signals(
    net: nn.Module,
    pictures: Tensor,
    rotations: Tensor | None = None,
    strains: Tensor | None = None,
    warps: Tensor | None = None,
) -> Tensor:
    """What a network sees of pictures: values on its own samples, about of mean 0 and variance 1."""
    f = on_sphere(pictures, net.read.points, rotations, strains, warps, net.published)
    return (f - MEAN) / DEVIATION


@torch.no_grad()
def logits(net: nn.Module, pictures: Tensor, rotations: Tensor | None) -> Tensor:
    """The answers, a few digits at a time."""
    parts = range(0, len(pictures), 100)
    turns = [None if rotations is None else rotations[i : i + 100] for i in parts]
    return torch.cat([net(signals(net, pictures[i : i + 100], g)) for i, g in zip(parts, turns, strict=True)])


def above(size: int) -> Tensor:
    """Points ``(size, size, 3)`` of the northern hemisphere, seen from the south pole on the plane."""
    x = torch.linspace(-1, 1, size)
    plane = torch.stack([x.expand(size, size), -x[:, None].expand(size, size)], -1)
    square = plane.square().sum(-1, keepdim=True)
    return torch.cat([2 * plane, 1 - square], -1) / (1 + square)


class Spherical(mnist.Experiment):
    """Digits on the northern hemisphere, and under rotations."""

    def network(self, row: dict) -> nn.Module:
        return network(**row["network"])

    def sets(self, row: dict, fold: bool) -> tuple[mnist.Digits, mnist.Digits]:
        x, y = mnist.load("train")
        learned, held = (
            slice(row.get("trained on", self.config["trained on"])),
            slice(-self.config["fold"], None),
        )
        digits = x[learned], y[learned]
        return digits, (x[held][: row["read"]], y[held][: row["read"]]) if fold else mnist.load("test")

    def seen(self, net: nn.Module, row: dict, settings: dict) -> mnist.Seen:
        def seen(pictures: Tensor, draw: torch.Generator) -> Tensor:
            turns = random_rotations(len(pictures), draw) if row.get("rotated", False) else None
            strains = random_strains(len(pictures), settings["strain"], draw)
            size = settings.get("warp", 0.0)
            warps = random_warps(len(pictures), size, draw) if size else None
            return signals(net, pictures, turns, strains, warps)

        return seen

    def measure(self, net: nn.Module, digits: mnist.Digits) -> dict:
        """How many digits are named right, as they are and each one under its own fixed random rotation."""
        x, y = digits
        rotations = random_rotations(len(x), torch.Generator().manual_seed(2018))
        upright, turned = logits(net, x, None), logits(net, x, rotations)
        named = turned.argmax(1)
        return {
            "NR": float((upright.argmax(1) == y).double().mean()),
            "R": float((named == y).double().mean()),
            "R, 6 for 9 or 9 for 6": int(((y == 6) & (named == 9) | (y == 9) & (named == 6)).sum()),
            "answers that a rotation changes": int((upright.argmax(1) != turned.argmax(1)).sum()),
            "change of logits, relative": float((upright - turned).norm() / upright.norm()),
        }

    def summary(self, results: list[dict]) -> dict:
        changed = "answers that a rotation changes"
        return {
            **{key: mean(result[key] for result in results) for key in ("NR", "R")},
            **{f"{key}, every seed": [result[key] for result in results] for key in ("NR", "R")},
            changed: [result[changed] for result in results],
        }

    def words(self, measured: dict) -> str:
        return f"{measured['NR']:.4f} NR, {measured['R']:.4f} R"

    def picture(self, rows: dict[str, dict]) -> None:
        """A digit from above, bilinear and as published; turned, as a network sees it; the errors."""
        from erlangen import figures
        from erlangen.figures.canvas import ACCENT, INK, SECOND, blank, figure

        drawn, ((*globes, bars),) = figure(1, 4, 10, 2.6, width_ratios=[1, 1, 2, 1.6])
        digit = mnist.load("test")[0][:1]
        turn = random_rotations(1, torch.Generator().manual_seed(2))
        shown = {
            "bilinear": (on_sphere(digit, above(160), published=False), None),
            "as published": (on_sphere(digit, above(160)), None),
            "turned, all round": (on_sphere(digit, er.Sphere().grid(96).points, turn), (0, 360, -90, 90)),
        }
        for axis, (name, (f, extent)) in zip(globes, shown.items(), strict=True):
            axis.imshow(f[0, 0], cmap="gray_r", extent=extent)
            blank(axis)
            axis.set_title(name, fontsize=9, color=INK)
        for place, row in enumerate(rows.values()):
            for shift, (key, color) in enumerate({"NR": SECOND, "R": ACCENT}.items()):
                error = 100 * (1 - row[key])
                bars.barh(
                    place + 0.4 * shift - 0.2, error, 0.36, color=color, label=key if place == 0 else None
                )
                bars.text(
                    error, place + 0.4 * shift - 0.2, f" {error:.2f} %", va="center", color=INK, fontsize=7
                )
        bars.set_yticks(range(len(rows)), list(rows), fontsize=7)
        bars.set_xscale("log")
        bars.set_xlim(0.5, 500)
        bars.invert_yaxis()
        bars.legend(fontsize=7)
        bars.set_xlabel("test error, %", fontsize=8)
        figures.save(drawn, self.folder / "figure.png")


if __name__ == "__main__":
    Spherical(Path(__file__).parent).main(__doc__)
