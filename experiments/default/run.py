"""Networks for `erlangen train` to give people, tried on three sets of photographs (see ../turned.py).

    python experiments/default/run.py --calibrate            how long a step of each takes, alone on two cores
    python experiments/default/run.py vessels --fold         the candidates, on fold 1 (or 2, 3) of train
    python experiments/default/run.py vessels nuclei apples  all rows of config.json that have no result yet

After the names of sets come names of rows, all if there are none. A step costs the same on every set: crops
are of one size. The photographs of a fold, and of train and val, are those of each set's own experiment.
"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from turned import ROOT, Experiment

SETS = ("vessels", "nuclei", "apples")
HERE = Path(__file__).parent


def main() -> None:
    """Each set that was named, with the other arguments."""
    named = [name for name in SETS if name in sys.argv[1:]] or list(SETS[:1])
    sys.argv[1:] = [one for one in sys.argv[1:] if one not in SETS]
    for name in named:
        own = runpy.run_path(str(ROOT / "experiments" / name / "run.py"))
        Experiment(HERE, own["photographs"], name).main(__doc__)


if __name__ == "__main__":
    main()
