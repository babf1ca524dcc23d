"""Networks that find the vessels in photographs of the retina, tried on turned ones (see ../turned.py).

    python experiments/vessels/run.py --calibrate     how long a step of each row takes, alone on two cores
    python experiments/vessels/run.py --fold          the candidates, on fold 1 (or 2, 3) of train
    python experiments/vessels/run.py                 all rows of config.json that have no result yet
    python experiments/vessels/run.py --interpolation   what turning photographs costs the saved networks

CHASE_DB1, first annotator: both eyes of seven subjects to learn from, of three to score; a fold holds out
two of the seven.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from turned import DATA, Experiment, Sets

from erlangen.train import find_photographs

FOLDS = ((6, 7), (1, 2), (3, 4))  # subjects


def photographs(fold: int) -> Sets:
    """Training and held-out photographs, split by subject: train and val, or fold 1, 2, 3 of train."""
    every = find_photographs(DATA / "vessels" / "train")
    subject = [int(path.stem[6:8]) for path in every.images]  # Image_01L
    check = set(FOLDS[fold - 1]) if fold else {8, 9, 10}
    learn = set(range(1, 8)) - check
    learned, held_out = ([i for i, s in enumerate(subject) if s in part] for part in (learn, check))
    return every.subset(learned), every.subset(held_out)


if __name__ == "__main__":
    Experiment(Path(__file__).parent, photographs).main(__doc__)
