"""Rotated MNIST, own rotation: 12,000 digits turned by any angle to learn from, 50,000 to be read.

    python experiments/rotated_mnist/run.py --calibrate       how long a step takes, alone on two cores: first
    python experiments/rotated_mnist/run.py --fold            the candidates, on 2,000 of the 12,000
    python experiments/rotated_mnist/run.py                   all rows and seeds, then the summary
    python experiments/rotated_mnist/run.py plain --seed 1    one run

The published files are not used: digits.py turns MNIST by their protocol, and says which digits go where.
Minutes mean steps of the length that calibration.json says. What was chosen was chosen on the fold; the
50,000 are read once, at the end of a run. Every run writes results/ROW-SEED.json and is kept; one that was
stopped goes on from its last epoch. Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import math
import sys
from pathlib import Path
from statistics import mean

import torch
from digits import DEVIATION, MEAN, augmented, moved, rotated, turns
from network import network
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
import mnist

TURNED_AGAIN = 2000  # digits


@torch.no_grad()
def answers(net: nn.Module, pictures: Tensor) -> Tensor:
    """What is read, a few digits at a time."""
    return torch.cat([net(normalized(part)).argmax(1) for part in pictures.split(250)])


def normalized(pictures: Tensor) -> Tensor:
    """Mean 0 and variance 1."""
    return (pictures - MEAN) / DEVIATION


class Rotated(mnist.Experiment):
    """Digits turned by any angle."""

    def network(self, row: dict) -> nn.Module:
        return network(**row["network"])

    def sets(self, row: dict, fold: bool) -> tuple[mnist.Digits, mnist.Digits]:
        x, y = rotated("train")
        if not fold:
            return (x, y), rotated("test")
        held = self.config["fold"]
        return (x[:-held], y[:-held]), (x[-held:], y[-held:])

    def seen(self, net: nn.Module, row: dict, settings: dict) -> mnist.Seen:
        """Pictures turned, scaled, sheared and bent."""
        return lambda x, generator: normalized(augmented(x, generator, **settings["augmented"]))

    def measure(self, net: nn.Module, digits: mnist.Digits) -> dict:
        """Errors; and how many answers to the first digits change as they are turned once more."""
        x, y = digits
        found = answers(net, x)
        some, before = x[:TURNED_AGAIN], found[:TURNED_AGAIN]
        by = turns(torch.full((len(some),), math.pi / 8))
        further = {"90": some.rot90(1, (2, 3)), "22.5": moved(some, by)}
        sixes = ((y == 6) & (found == 9)) | ((y == 9) & (found == 6))
        return {
            "error": float((found != y).double().mean()),
            "6 for 9 or back": int(sixes.sum()),
            "answers that a further turn changes": {
                degrees: int((answers(net, turned) != before).sum()) for degrees, turned in further.items()
            },
            "of": len(some),
        }

    def summary(self, results: list[dict]) -> dict:
        changed = "answers that a further turn changes"
        return {
            "error": mean(result["error"] for result in results),
            "error, every seed": [result["error"] for result in results],
            "6 for 9 or back": [result["6 for 9 or back"] for result in results],
            changed: [result[changed] for result in results],
            "epochs": results[0]["settings"]["epochs"],
            "minutes, calibrated": results[0]["settings"].get("minutes"),
        }

    def words(self, measured: dict) -> str:
        return f"{100 * measured['error']:.2f} % wrong, 6 for 9 or back: {measured['6 for 9 or back']}"

    def picture(self, rows: dict[str, dict]) -> None:
        """Some digits, and the errors of every seed."""
        from erlangen import figures
        from erlangen.figures.canvas import ACCENT, INK, SECOND, figure

        drawn, ((some, bars),) = figure(1, 2, 9, 2.6, width_ratios=[1.4, 1])
        x, _ = rotated("train")
        some.imshow(torch.cat([torch.cat(list(row[:, 0]), 1) for row in x[:24].split(8)]), cmap="gray_r")
        some.set_xticks([])
        some.set_yticks([])
        for place, (name, row) in enumerate(rows.items()):
            errors = [100 * error for error in row["error, every seed"]]
            bars.barh(place, mean(errors), color=SECOND if name.startswith("plain") else ACCENT)
            bars.plot(errors, [place] * len(errors), ".", color=INK)
        bars.set_yticks(range(len(rows)), list(rows))
        bars.axvline(1.0, color=INK, linewidth=0.5)
        bars.invert_yaxis()
        bars.set_xlabel("error on 50,000 digits, %")
        figures.save(drawn, self.folder / "figure.png")


if __name__ == "__main__":
    Rotated(Path(__file__).parent).main(__doc__)
