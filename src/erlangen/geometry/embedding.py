"""How a space lies in R^3, where it does, and the box of coordinates that it is glued from: for pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.deck import Deck

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Embedding:
    """Where a picture puts the points of a space.

    Attributes:
        place: the coordinates of points, ``(..., m)`` to ``(..., 3)``.
        patch: two parameters, ``(..., 2)`` to ``(..., 3)``, that run over the surface; None for no surface.
        extent: the ends of each parameter.
        outline: curves ``(k, 3)`` round what is shown.
    """

    place: Map
    patch: Map | None = None
    extent: Sequence[tuple[float, float]] = ()
    outline: Sequence[Float[Tensor, "k 3"]] = ()


@dataclass(frozen=True, eq=False)
class Cell:
    """A box of coordinates along some axes, and the deck transformations that glue its sides.

    Attributes:
        low, high: ``(n,)``, its ends along the axes; infinite where there is none.
        decks: those transformations.
        axes: in rows; None for those of coordinates.
    """

    low: Float[Tensor, "n"]
    high: Float[Tensor, "n"]
    decks: Sequence[Deck]
    axes: Float[Tensor, "n n"] | None = None
