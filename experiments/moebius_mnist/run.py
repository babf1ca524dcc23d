"""MNIST on the Moebius strip, in the setting of Weiler et al. 2021: trained centred, tested shifted round it.

    python experiments/moebius_mnist/run.py                     all rows and seeds, then the summary
    python experiments/moebius_mnist/run.py regular --seed 1    one run
    python experiments/moebius_mnist/run.py --fold              the candidates, on a fold of the training set

A digit fills a strip of length 28 and width 28; shifts along it are whole samples, uniform in [0, 56): after
28 the digit is back, mirrored. The first 12,000 training digits are trained on, all 10,000 test digits are
read once, at the end of a run. Every run writes results/ROW-SEED.json and is kept; one that was stopped goes
on from its last epoch. Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import sys
from pathlib import Path
from statistics import mean

import torch
import torch.nn.functional as F
from digits import deformed, load, shifted
from network import Network
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
import mnist

LENGTH = 28


@torch.no_grad()
def logits(net: nn.Module, strips: Tensor) -> Tensor:
    """The answers, a few strips at a time."""
    return torch.cat([net(part) for part in strips.split(250)])


class Moebius(mnist.Experiment):
    """Digits that fill the strip, and shifted round it."""

    def network(self, row: dict) -> nn.Module:
        return Network(**row["network"])

    def sets(self, row: dict, fold: bool) -> tuple[mnist.Digits, mnist.Digits]:
        x, y = (part[: self.config["trained on"]] for part in load("train"))
        if not fold:
            return (x, y), load("test")
        held = self.config["fold"]
        return (x[:-held], y[:-held]), (x[-held:], y[-held:])

    def seen(self, net: nn.Module, row: dict, settings: dict) -> mnist.Seen:
        """Strips deformed a little, and in one row shifted."""

        def seen(strips: Tensor, generator: torch.Generator) -> Tensor:
            strips = deformed(strips, generator, **settings["deformed"])
            if not row.get("shifted", False):
                return strips
            return shifted(strips, torch.randint(2 * LENGTH, (len(strips),), generator=generator))

        return seen

    def measure(self, net: nn.Module, digits: mnist.Digits) -> dict:
        """Errors on digits as they are and on each one shifted by its own fixed random shift."""
        x, y = digits
        steps = torch.randint(2 * LENGTH, (len(x),), generator=torch.Generator().manual_seed(2021))
        centred, moved = logits(net, x), logits(net, shifted(x, steps))
        return {
            "error, centred": float((centred.argmax(1) != y).double().mean()),
            "error, shifted": float((moved.argmax(1) != y).double().mean()),
            "answers that a shift changes": int((centred.argmax(1) != moved.argmax(1)).sum()),
            "largest change of a logit": float((centred - moved).abs().max() / centred.abs().max()),
        }

    def summary(self, results: list[dict]) -> dict:
        changed, change = "answers that a shift changes", "largest change of a logit"
        return {
            "error, shifted": mean(result["error, shifted"] for result in results),
            "error, shifted, every seed": [result["error, shifted"] for result in results],
            "error, centred": mean(result["error, centred"] for result in results),
            changed: [result[changed] for result in results],
            change: max(result[change] for result in results),
        }

    def words(self, measured: dict) -> str:
        return f"{measured['error, shifted']:.4f} shifted, {measured['error, centred']:.4f} centred"

    def picture(self, rows: dict[str, dict]) -> None:
        """A digit once round the strip, and the errors."""
        from erlangen import figures
        from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, figure

        drawn, ((strip, bars),) = figure(1, 2, 9, 2.6, width_ratios=[1.7, 1])
        x, _ = load("test")
        strips = shifted(x[:1].expand(5, 1, LENGTH, LENGTH), torch.arange(5) * 14)
        apart = F.pad(strips[:, 0].mT, (3, 3), value=torch.nan)
        strip.imshow(torch.cat(list(apart), 1), cmap="gray_r")
        strip.set_xticks([(LENGTH + 6) * (i + 0.5) for i in range(5)], [str(14 * i) for i in range(5)])
        strip.set_yticks([])
        strip.set_facecolor(MUTED)
        strip.set_xlabel("shift along the strip, in samples")
        names = list(rows)
        errors = [100 * row["error, shifted"] for row in rows.values()]
        bars.barh(names, errors, color=[ACCENT if "regular" in name else SECOND for name in names])
        for place, error in enumerate(errors):
            bars.text(error, place, f" {error:.2f} %", va="center", color=INK)
        bars.set_xscale("log")
        bars.set_xlim(0.3, 400)
        bars.invert_yaxis()
        bars.set_xlabel("error on shifted test digits, %")
        figures.save(drawn, self.folder / "figure.png")


if __name__ == "__main__":
    Moebius(Path(__file__).parent).main(__doc__)
