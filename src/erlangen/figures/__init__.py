"""Pictures, with matplotlib (``pip install "erlangen[figures]"``). May import what the layers may."""

from erlangen.figures.canvas import embedded, save, shown
from erlangen.figures.carried import exponential_map, parallel_transport, round_the_strip
from erlangen.figures.defects import Bar, defects
from erlangen.figures.history import history
from erlangen.figures.holonomy_loops import holonomy_loops
from erlangen.figures.lifted import lifted
from erlangen.figures.overlay import angles, photographs, predictions, turned_camera
from erlangen.figures.page import page
from erlangen.figures.smoothing import smoothing
from erlangen.figures.sources import sources
from erlangen.figures.square import commuting_square

__all__ = [
    "Bar",
    "angles",
    "commuting_square",
    "defects",
    "embedded",
    "exponential_map",
    "history",
    "holonomy_loops",
    "lifted",
    "page",
    "parallel_transport",
    "photographs",
    "predictions",
    "round_the_strip",
    "save",
    "shown",
    "smoothing",
    "sources",
    "turned_camera",
]
