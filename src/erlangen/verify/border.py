"""How far a network sees, and which samples it answers for without what lies beyond the edges."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from erlangen.domains import Domain, Grid, Symmetry
from erlangen.engines import LatticeEngine
from erlangen.nn import Correlation, Down, LowPass

SEEN = 1e-6  # how near to one a moved field of ones is where all that was read lies inside


def reach_of(module: nn.Module) -> int | None:
    """How many samples away the input can change an output, at most; None where nobody knows.

    A network that knows says so, by `receptive_radius`; else its correlations are taken one after another, if
    they are all on one lattice.
    """
    for part in module.modules():
        if hasattr(type(part), "receptive_radius"):
            found: Any = part
            try:
                return int(found.receptive_radius)
            except ValueError:
                return None
    layers = [part for part in module.modules() if isinstance(part, Correlation) and part.spec.radius > 0]
    engines = [layer.domain.engine(layer.spec, layer.to_domain) for layer in layers]
    if any(isinstance(part, Down) for part in module.modules()) or not all(
        isinstance(engine, LatticeEngine) and engine.stride == 1 for engine in engines
    ):
        return None
    smoothed = sum(isinstance(part, LowPass) for part in module.modules())
    seen = [max(engine.margins([1] * len(engine.periodic))) for engine in engines]  # type: ignore[union-attr]
    return smoothed + sum(seen)


def open_axes(domain: Domain, module: nn.Module) -> list[bool]:
    """The axes with a border, for this module."""
    circular = any(
        part.spec.padding_mode == "circular" for part in module.modules() if isinstance(part, Correlation)
    )
    return [not (closes or circular) for closes in domain.closed]


def beyond_reach(
    domain: Domain, element: Symmetry, shape: tuple[int, ...], reach: int | None, axes: list[bool]
) -> Bool[Tensor, "*space"] | None:
    """The samples at which neither the answer to a moved field nor the moved answer has seen an edge.

    None where there is no edge, or where it is not known how far the network sees.
    """
    if reach is None or not any(axes) or not isinstance(domain, Grid):
        return None
    ones = torch.ones(1, 1, *shape, dtype=torch.float64)
    inside = (domain.act(element.matrix, _eroded(ones, reach, axes)) - 1).abs() < SEEN
    seen = ((domain.act(element.matrix, ones) - 1).abs() < SEEN).double()
    return (_eroded(seen, reach, axes) > 0.5).logical_and(inside)[0, 0]


def _eroded(field: Tensor, reach: int, axes: list[bool]) -> Tensor:
    """The smallest value within so many samples; zero lies beyond axes with a border."""
    for axis, is_open in enumerate(axes):
        if is_open:
            last = field.movedim(2 + axis, -1)
            padded = F.pad(last, (reach, reach)).flatten(0, -2)[:, None]
            last = -F.max_pool1d(-padded, 2 * reach + 1, 1).view(last.shape)
            field = last.movedim(-1, 2 + axis)
    return field
