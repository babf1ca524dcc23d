"""Networks that find nuclei of cells in fluorescence micrographs, tried on turned ones (see ../turned.py).

    python experiments/nuclei/run.py --calibrate     how long a step of each row takes, alone on two cores
    python experiments/nuclei/run.py --fold          the candidates, on fold 1 (or 2, 3) of train
    python experiments/nuclei/run.py                 all rows of config.json that have no result yet

DSB2018, stage 1, the 334 photographs of 256 x 256; their plates are not told, but differ in how dark the
darkest parts are. Plates of two such levels are held out; a fold holds out those of another.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
from turned import DATA, ROOT, Experiment, Sets

from erlangen.train import Photographs, find_photographs

HELD_OUT = (3, 13)  # levels of the dark
FOLDS = ((4,), (11,), (12,))


def photographs(fold: int) -> Sets:
    """Training and held-out photographs, split by plate: train and val, or fold 1, 2, 3 of train."""
    every, level = as_files()
    if fold == 0:
        check = set(HELD_OUT)
        learn = set(level) - check
    else:
        check = set(FOLDS[fold - 1])
        learn = set(level) - check - set(HELD_OUT)
    learned, held_out = ([i for i, one in enumerate(level) if one in part] for part in (learn, check))
    return every.subset(learned), every.subset(held_out)


def as_files() -> tuple[Photographs, list[int]]:
    """The photographs with their masks, written as files once, and how dark the darkest parts of each are."""
    place = ROOT / "runs" / "nuclei" / "photographs"
    stored = np.load(DATA / "nuclei" / "dsb2018_fluo256.npz")
    count = len(stored["image"])
    if len(list((place / "masks").glob("*.png"))) < count:
        for name in ("images", "masks"):
            (place / name).mkdir(parents=True, exist_ok=True)
        for i, (image, nuclei) in enumerate(zip(stored["image"], stored["inst"], strict=True)):
            Image.fromarray(image).convert("RGB").save(place / "images" / f"{i:03d}.png")
            Image.fromarray((nuclei > 0).astype(np.uint8) * 255).save(place / "masks" / f"{i:03d}.png")
    dark = [round(float(np.percentile(image, 5))) for image in stored["image"]]
    nearest = [min((2, 3, 4, 11, 12, 13), key=lambda level: abs(level - d)) for d in dark]
    return find_photographs(place), nearest


if __name__ == "__main__":
    Experiment(Path(__file__).parent, photographs).main(__doc__)
