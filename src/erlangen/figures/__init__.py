"""Pictures, with matplotlib (``pip install "erlangen[figures]"``). May import domains and below."""

from erlangen.figures.canvas import embedded, save, shown
from erlangen.figures.curves import history
from erlangen.figures.defects import Bar, defects
from erlangen.figures.overlay import angles, photographs, predictions, turned_camera
from erlangen.figures.page import page
from erlangen.figures.square import commuting_square

__all__ = [
    "Bar",
    "angles",
    "commuting_square",
    "defects",
    "embedded",
    "history",
    "page",
    "photographs",
    "predictions",
    "save",
    "shown",
    "turned_camera",
]
