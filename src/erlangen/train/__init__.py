"""The main job: train a segmentation network on a folder of photographs, keep it, predict with it.

Needs ``pip install "erlangen[train]"``. May import everything but the command line.
"""

from erlangen.train.angles import score_by_angle
from erlangen.train.checkpoint import load, save
from erlangen.train.data import Photographs, SortedPhotographs
from erlangen.train.fit import fit, prepare
from erlangen.train.folders import find_data, find_photographs, find_sorted
from erlangen.train.loop import Diverged, Run, Training
from erlangen.train.losses import Loss
from erlangen.train.predict import predict
from erlangen.train.predictor import Predictor
from erlangen.train.run_page import Written, write_run
from erlangen.train.scenes import example, generate
from erlangen.train.settings import Settings
from erlangen.train.task import Task

__all__ = [
    "Diverged",
    "Loss",
    "Photographs",
    "Predictor",
    "Run",
    "Settings",
    "SortedPhotographs",
    "Task",
    "Training",
    "Written",
    "example",
    "find_data",
    "find_photographs",
    "find_sorted",
    "fit",
    "generate",
    "load",
    "predict",
    "prepare",
    "save",
    "score_by_angle",
    "write_run",
]
