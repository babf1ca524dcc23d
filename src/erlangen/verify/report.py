"""What was measured, as a table, a plot and a page."""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from erlangen.domains import Symmetry
from erlangen.verify.budget_table import Budget


@dataclass(frozen=True)
class Row:
    """One element: the defect of outputs, of gradients (exact elements), and of interpolation itself.

    Attributes:
        element: the symmetry.
        output, gradient, floor: the defects.
        inside: that of outputs where no edge is in reach, relative to the same; None where there is no such
            place, no edge, or nobody knows how far the network sees.
        share: of the samples that lie within reach of the border; None where there is none.
    """

    element: Symmetry
    output: float
    gradient: float | None
    floor: float | None
    inside: float | None = None
    share: float | None = None

    @property
    def kind(self) -> str:
        """Why the defect is what it is."""
        if self.element.is_exact:
            return "exact here"
        return "interpolated" if self.element.in_group else "not in the group"


@dataclass(frozen=True)
class LayerRow:
    """One layer's output, for one element."""

    layer: str
    element: str
    exact: bool
    output: float


@dataclass(frozen=True, eq=False)
class Square:
    """The commuting square of one element: f, g f, N f, N g f and g N f, and where the last one is seen."""

    name: str
    f: Tensor
    gf: Tensor
    Nf: Tensor
    Ngf: Tensor
    gNf: Tensor
    seen: Tensor

    def picture(self) -> Any:
        """The five fields and the difference, as a figure."""
        from erlangen.figures import commuting_square

        return commuting_square(self.f, self.gf, self.Nf, self.gNf, self.Ngf, seen=self.seen, name=self.name)


@dataclass(frozen=True, eq=False)
class Report:
    """The result of `equivariance`; ``print(report)`` is the table.

    Attributes:
        domain, module, dtype: what was measured.
        rows: one for each element.
        layers: with layers=True, one for each layer and element.
        square: the pictures of one element.
    """

    domain: str
    module: str
    dtype: str
    rows: list[Row]
    layers: list[LayerRow] = field(default_factory=list)
    square: Square | None = None

    @property
    def worst(self) -> float:
        """The largest defect, of outputs, over the elements that are exact here; nan if there are none."""
        return _largest(row.output for row in self.rows if row.element.is_exact)

    @property
    def worst_gradient(self) -> float:
        """The largest defect of gradients over the elements that are exact here."""
        return _largest(row.gradient or 0.0 for row in self.rows if row.element.is_exact)

    @property
    def worst_interpolated(self) -> float:
        """The largest defect over the other elements of the group; nan if there are none."""
        return _largest(row.output for row in self.rows if row.kind == "interpolated")

    def __str__(self) -> str:
        width = max(12, *(len(row.element.name) for row in self.rows))
        lines = [
            f"{self.module} on {self.domain}, {self.dtype}",
            f"{'element':<{width}}  {'kind':<16}  "
            + "  ".join(f"{name:>9}" for name in ("output", "gradient", "floor", "inside")),
        ]
        for row in self.rows:
            told = row.output, row.gradient, row.floor, row.inside
            numbers = "  ".join(f"{_number(x):>9}" for x in told)
            lines.append(f"{row.element.name:<{width}}  {row.kind:<16}  {numbers}".rstrip())
        exact = f"worst exact {self.worst:.1e} (gradients {self.worst_gradient:.1e})"
        interpolated = f"worst interpolated {self.worst_interpolated:.1e}"
        there = {row.kind for row in self.rows}
        exact = exact if "exact here" in there else "no element is exact here"
        lines.append(", ".join([exact] + [interpolated] * ("interpolated" in there)))
        return "\n".join([*lines, *self._of_the_border(), *self._layer_table()])

    def _of_the_border(self) -> list[str]:
        """How much of the field the border reaches; where it reaches all, there is no inside."""
        shares = [row.share for row in self.rows if row.share is not None]
        if not shares:
            return []
        return [f"up to {100 * max(shares):.0f} % of the samples lie within reach of the border"]

    def _layer_table(self) -> list[str]:
        """For each layer the worst defect so far, and what it adds to the one before."""
        if not self.layers:
            return []
        names = list(dict.fromkeys(row.layer for row in self.layers))
        width = max(len(name) for name in names)
        lines = ["", f"{'layer':<{width}}  {'exact':>9}  {'interpolated':>12}  {'added':>9}"]
        before = 0.0
        for name in names:
            exact, other = (
                max((r.output for r in self.layers if r.layer == name and r.exact is e), default=0.0)
                for e in (True, False)
            )
            added = f"{other - before:>+9.1e}"
            lines.append(f"{name:<{width}}  {exact:>9.1e}  {other:>12.1e}  {added}")
            before = other
        return lines

    @property
    def bars(self) -> list[tuple[str, str, float, float | None]]:
        """Each element as `erlangen.figures.defects` draws it."""
        return [(row.element.name, row.kind, row.output, row.floor) for row in self.rows]

    def plot(self, path: str | Path) -> Path:
        """A bar for each element, on a logarithmic scale; written to `path` as a picture."""
        from erlangen.figures import Bar, defects

        return defects([Bar(*bar) for bar in self.bars], path)

    def html(self, path: str | Path, budget: Budget | None = None) -> Path:
        """One page that opens offline: table, bars, the commuting square in pictures; a budget, if told."""
        from erlangen.figures import Bar, defects, embedded, page

        pictures = [embedded(defects([Bar(*bar) for bar in self.bars]))]
        if self.square is not None:
            pictures.insert(0, embedded(self.square.picture()))
        sections = [f"<pre>{html.escape(str(self))}</pre>"]
        sections += [f'<img alt="" src="{picture}">' for picture in pictures]
        sections += [] if budget is None else ["<h2>Where it comes from</h2>", *budget.html()]
        return page(Path(path), "N(g f) = g N(f)?", sections)


def _largest(errors: Iterable[float]) -> float:
    """The maximum, nan if one of them is, or if there are none."""
    errors = list(errors)
    return max(errors) if errors and not any(math.isnan(e) for e in errors) else math.nan


def _number(x: float | None) -> str:
    return "" if x is None else f"{x:.1e}"
