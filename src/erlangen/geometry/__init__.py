"""The contract of every space: frames, and how they are carried. May import groups, nothing else.

All that a kernel, a domain or a layer ever asks of a space is in `Geometry`; the spaces themselves
are in the folder ``spaces``.
"""

from erlangen.geometry.deck import Deck
from erlangen.geometry.embedding import Cell, Embedding
from erlangen.geometry.frame import Frame
from erlangen.geometry.geometry import Geometry, Measure, expect_element, expect_group
from erlangen.geometry.holonomy import Holonomy
from erlangen.geometry.trips import Trip

__all__ = [
    "Cell",
    "Deck",
    "Embedding",
    "Frame",
    "Geometry",
    "Holonomy",
    "Measure",
    "Trip",
    "expect_element",
    "expect_group",
]
