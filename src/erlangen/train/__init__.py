"""The main job: train a segmentation network on a folder of photographs, keep it, predict with it.

Needs ``pip install "erlangen[train]"``. May import everything but the command line.
"""

from erlangen.train.angles import iou_by_angle
from erlangen.train.checkpoint import load, save
from erlangen.train.data import Photographs, find_photographs
from erlangen.train.loop import Run, fit
from erlangen.train.predict import predict
from erlangen.train.scenes import example, generate
from erlangen.train.segmenter import Segmenter
from erlangen.train.settings import Settings

__all__ = [
    "Photographs",
    "Run",
    "Segmenter",
    "Settings",
    "example",
    "find_photographs",
    "fit",
    "generate",
    "iou_by_angle",
    "load",
    "predict",
    "save",
]
