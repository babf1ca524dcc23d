"""A budget as a table, bars and a piece of a page."""

import html
from dataclasses import dataclass
from pathlib import Path

from erlangen.domains import Symmetry


@dataclass(frozen=True)
class Part:
    """One source of one element's defect, relative to how much the answer varies.

    Attributes:
        source: its name.
        own: what it makes, ``|D - D'|`` with D' the defect without it; None where both cannot be compared.
        left: what is left without it, ``|D'|``.
        only: what is left when all others are taken away; None where that was not measured.
    """

    source: str
    own: float | None
    left: float
    only: float | None


@dataclass(frozen=True)
class Line:
    """One element.

    Attributes:
        element: the symmetry.
        whole: the defect on the part away from the edges, border and all.
        defect: the same where the border is out of reach: what the parts split.
        share: of the samples that lie within reach of the border; None where there is none, or nobody knows.
        parts: one for each source; that of the border splits the whole.
        left: without all sources: not separated.
        input: what interpolating the input there and back changes of the answer.
        output: what interpolating the answer there and back changes of it.
    """

    element: Symmetry
    whole: float
    defect: float
    share: float | None
    parts: tuple[Part, ...]
    left: float
    input: float | None
    output: float | None

    def part(self, source: str) -> Part:
        """That of a source.

        Raises:
            KeyError: for one that is not there.
        """
        found = {part.source: part for part in self.parts}
        return found[source]


@dataclass(frozen=True, eq=False)
class Budget:
    """The result of `budget`; ``print(budget)`` is the table.

    Attributes:
        domain, module, dtype: what was measured.
        reach: how many samples the network sees, None where nobody knows.
        is_mirrored: whether the field's mirror image was put around it, since all lay in the border's reach.
        lines: one for each element.
    """

    domain: str
    module: str
    dtype: str
    reach: int | None
    is_mirrored: bool
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.module} on {self.domain}, {self.dtype}", *self._of_the_border(), *self._rows()]
        )

    def _of_the_border(self) -> list[str]:
        shares = [line.share for line in self.lines if line.share is not None]
        if not shares:
            return []
        said = (
            f"{100 * max(shares):.0f} % of the samples lie within reach of the border ({self.reach} samples)"
        )
        return [said + ", so its mirror image was put around" * self.is_mirrored]

    def _rows(self) -> list[str]:
        lines = [f"{'element':<14}  {'source':<22}  {'its own':>9}  {'left':>9}  {'only it':>9}"]
        for line in self.lines:
            lines.append(_row(line.element.name, "all, with the border", line.whole))
            lines.append(_row("", "all, out of its reach", line.defect))
            lines += [_row("", part.source, part.own, part.left, part.only) for part in line.parts]
            lines.append(_row("", "not separated", None, line.left))
            lines.append(_row("", "input, there and back", line.input))
            lines.append(_row("", "output, there and back", line.output))
        return lines

    @property
    def bars(self) -> list[tuple[str, dict[str, float]]]:
        """What is left of each element without each source, as `erlangen.figures.sources` draws it."""
        return [
            (
                line.element.name,
                {"all": line.defect}
                | {f"without {part.source}": part.left for part in line.parts if part.source != "border"}
                | {"without all of these": line.left},
            )
            for line in self.lines
        ]

    def plot(self, path: str | Path) -> Path:
        """A group of bars for each element; written to `path` as a picture."""
        from erlangen.figures import sources

        return sources(self.bars, path)

    def html(self) -> list[str]:
        """The table and the bars, as sections of a page."""
        from erlangen.figures import embedded, sources

        picture = f'<img alt="where the defect comes from" src="{embedded(sources(self.bars))}">'
        return [f"<pre>{html.escape(str(self))}</pre>", picture]


def _row(element: str, source: str, *numbers: float | None) -> str:
    told = "  ".join(f"{'' if x is None else f'{x:.1e}':>9}" for x in numbers)
    return f"{element:<14}  {source:<22}  {told}".rstrip()
