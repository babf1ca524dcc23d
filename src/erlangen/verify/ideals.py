"""Layers without one of the sources of a defect: what each would be if that were perfect."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from erlangen.domains import Domain, Grid, Symmetry
from erlangen.nn import Correlation, Down, Gated, Project, Up
from erlangen.nn.nonlinearity import Pointwise
from erlangen.verify.equivariance import in_steps
from erlangen.verify.round_taps import with_round_taps
from erlangen.verify.shifted_means import End, cut_round, mean_over_shifts

Source = Literal["taps", "fibre", "nonlinearity in space", "nonlinearity", "strides"]
SOURCES: tuple[Source, ...] = ("taps", "fibre", "nonlinearity in space", "nonlinearity", "strides")
FINER = {"fibre": 4, "nonlinearity": 2}  # times as many samples, at least; twice those that a layer has
Forward = Callable[..., Tensor]


def sources_of(module: nn.Module) -> list[Source]:
    """Those that its layers have, of those that can be taken away from them."""
    return [source for source in SOURCES if any(_has(part, source) for part in module.modules())]


def sources_for(element: Symmetry, domain: Domain, sources: Sequence[Source]) -> list[Source]:
    """Those that an element can see: none of the fibre where it turns frames by one of its samples, and of
    shifts by whole samples only what coarser samples do."""
    absent: set[Source] = set()
    if isinstance(domain, Grid):
        turn = element.matrix[: domain.dim, : domain.dim]
        held = domain.geometry.structure.components if domain.fibre is None else domain.fibre.elements
        if bool(((held - turn.to(held)).abs().amax((-2, -1)) < 1e-9).any()):
            absent.add("fibre")
        steps = in_steps(domain, element)
        if element.is_shift and bool((steps - steps.round()).abs().max() < 1e-9):
            absent.add("taps")
    return [] if element.is_exact else [source for source in sources if source not in absent]


@contextmanager
def without(module: nn.Module, sources: Sequence[Source]) -> Iterator[None]:
    """The module with layers in the place of its own that lack these sources, for a while."""
    changed: list[tuple[nn.Module, str, Any]] = []
    try:
        for part in module.modules():
            for source, times in FINER.items():
                if source in sources and _has(part, source):  # type: ignore[arg-type]
                    changed.append((part, "oversampling", part.oversampling))
                    part.oversampling = max(times, 2 * part.oversampling)  # type: ignore[operator,assignment]
            forward = _ideal(part, sources)
            if forward is not None:
                changed.append((part, "forward", None))
                part.forward = forward
        yield
    finally:
        for part, name, value in changed:
            if name == "forward":
                del part.forward
            else:
                setattr(part, name, value)


def _has(part: nn.Module, source: Source) -> bool:
    if source == "taps":
        return isinstance(part, Correlation) and with_round_taps(part) is not None
    if source == "strides":
        by_content = getattr(part, "exact_shifts", False)
        return isinstance(part, Down | Up) and not by_content and _is_lattice(part.domain)
    if not isinstance(part, Pointwise | Gated) and not (
        isinstance(part, Project) and part.reduction == "max"
    ):
        return False  # no function of values, which makes waves shorter than the field's
    if source == "fibre":
        band = None if part.domain.fibre is None else part.domain.fibre.default_band
        return band is not None and part.domain.spectral is None and not isinstance(part, Gated)
    if source == "nonlinearity":
        return part.domain.spectral is not None
    return _is_lattice(part.domain)


def _is_lattice(domain: Domain) -> bool:
    return isinstance(domain, Grid) and not domain.is_skew


def _ideal(part: nn.Module, sources: Sequence[Source]) -> Forward | None:
    """A forward without these sources; None where the layer has none of them."""
    if "taps" in sources and isinstance(part, Correlation):
        return with_round_taps(part)
    if "strides" in sources and _has(part, "strides"):
        return _without_aliases(part)
    if "nonlinearity in space" in sources and _has(part, "nonlinearity in space"):
        into, out = _ends(part)
        return cut_round(mean_over_shifts(part.forward, into, out), out)
    return None


def _ends(part: Any) -> tuple[End, End]:
    """What it takes and gives."""
    names = ("regular", "scalar") if hasattr(part, "regular") else ("rho", "rho")
    into, out = (End(part.domain, getattr(part, name)) for name in names)
    return into, out


def _without_aliases(part: Any) -> Forward:
    """Down or up, over all places of the coarser samples."""
    fine, coarse, forward = End(part.domain, part.rho, 2), End(part.domain.coarser(), part.rho), part.forward
    ends = (fine, coarse) if hasattr(part, "exact_shifts") else (coarse, fine)
    return mean_over_shifts(forward, *ends)
