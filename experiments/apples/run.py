"""Networks trained on upright photographs of apples, tried on turned ones (see ../turned.py).

python experiments/apples/run.py --calibrate     how long a step of each row takes, alone on two cores
python experiments/apples/run.py --fold          the candidates, on fold 1 (or 2, 3) of train
python experiments/apples/run.py                 all rows of config.json that have no result yet
python experiments/apples/run.py --interpolation   what turning photographs costs the networks that were saved
python experiments/apples/run.py C8 --seed 0     one of them
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from turned import DATA, Experiment, Sets

from erlangen.train import find_photographs

# photographs, whose tiles are held out together
FOLDS = (("_MG_8971", "_MG_8993"), ("_MG_3017", "_MG_8080"), ("_MG_3168", "_MG_8071"))


def photographs(fold: int) -> Sets:
    """Training and held-out tiles: train and val, or fold 1, 2, 3 of train, split by whole photograph."""
    training = find_photographs(DATA / "apples" / "train")
    if fold == 0:
        return training, find_photographs(DATA / "apples" / "val")
    inside = [i for i, path in enumerate(training.images) if path.stem.rsplit("_", 1)[0] in FOLDS[fold - 1]]
    outside = [i for i in range(len(training)) if i not in inside]
    return training.subset(outside), training.subset(inside)


if __name__ == "__main__":
    Experiment(Path(__file__).parent, photographs).main(__doc__)
