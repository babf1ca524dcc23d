"""docs/speed.md, written from the records and from nothing else."""

from pathlib import Path
from typing import Any

from benchmarks import drawing
from benchmarks.records import ROOT, read
from benchmarks.suites import SUITES, Part

PAGE = ROOT / "docs" / "speed.md"
FIGURE = ROOT / "docs" / "images" / "speed.png"
HEAD = """# Speed and memory

Written by `make benchmarks` from the records in [benchmarks/results](../benchmarks/results): do not edit it.

Both sides of a ratio are called in one process, in turns, after warm-up; ratios are taken round by round.
A cell shows their median, and in brackets the quartiles. One thread is timed by the processor's clock,
several by the wall's. Milliseconds are those of one machine; ratios and counts travel better. Other libraries
lie in environments of their own, with our torch. A pair "a / b" is of a forward alone, and of a forward with
its gradient.
"""
HIDDEN = {"ceiling"}  # of a row, for the figure


def write(folder: Path, page: Path = PAGE, figure: Path = FIGURE) -> Path:
    """The page and its figure, of all the records there are."""
    records = records_of(folder)
    drawn = drawing.draw(records, figure)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text(records, f"{figure.parent.name}/{figure.name}" if drawn else None), "utf-8")
    return page


def records_of(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """All there are, by suite and part."""
    found = {(suite, part): read(folder, suite, part) for suite, one in SUITES.items() for part in one.parts}
    return {key: record for key, record in found.items() if record is not None}


def text(records: dict[tuple[str, str], dict[str, Any]], picture: str | None = None) -> str:
    """The page's Markdown."""
    blocks = [HEAD]
    if picture:
        blocks.append(f"![Hot paths under the roofline, and times beside others]({picture})\n")
    for (suite, part), record in records.items():
        blocks.append(section(SUITES[suite].parts[part], suite, part, record))
    missing = [f"`{s} {p}`" for s, one in SUITES.items() for p in one.parts if (s, p) not in records]
    if missing:
        blocks.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(blocks)


def section(part: Part, suite: str, name: str, record: dict[str, Any]) -> str:
    """A heading, what the numbers are, the table, and what it was measured on."""
    return f"## {part.title}\n\n{part.says}\n\n{table(record['rows'])}\n\n{footing(suite, name, record)}\n"


def footing(suite: str, name: str, record: dict[str, Any]) -> str:
    """What the record says of its circumstances."""
    made = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    said = f"`python -m benchmarks {suite} --only {name}`, commit {record['commit']}, "
    said += f"{record['processor']}; {made}"
    if "ceiling" in record["rows"][0]:
        said += f". {reached(record['rows'][0]['ceiling'])}"
    hasty = f" **Hasty: {record['rounds']} rounds, on a busy machine.**" if record["rounds"] < 5 else ""
    return f"{said}.{hasty}"


def reached(ceiling: dict[str, Any]) -> str:
    """By plain torch, in the rounds of the first line."""
    copies = ", ".join(f"{speed:.3g} ({kib} KiB)" for kib, speed in ceiling["copy"].items())
    products = f"{ceiling['conv2d']:.3g} GFLOP/s, a product of matrices {ceiling['matmul']:.3g}"
    return f"Beside the first line a plain conv2d reached {products}, copies {copies} GB/s"


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown; the columns are the keys of the rows, in the order of the first."""
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in HIDDEN]
    lines = [columns, ["---"] * len(columns)]
    lines += [[cell(row.get(key)) for key in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: Any) -> str:
    """A number with three digits, a ratio with its quartiles, a pair, a list of times, or words."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return f"{value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})"
    if isinstance(value, list):
        return " / ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
