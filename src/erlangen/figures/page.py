"""One page that opens offline."""

import html
from collections.abc import Sequence
from pathlib import Path

from erlangen.legible import legible

STYLE = (
    "body{font:16px/1.55 system-ui,sans-serif;color:#20242b;"
    "max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "img{max-width:100%}pre{overflow-x:auto;background:#f6f6f4;padding:1rem;font-size:13px}"
    "h1{font-size:1.7rem}h2{font-size:1.15rem;margin-top:2rem}"
    "td{padding:.1rem .8rem .1rem 0;vertical-align:top}td:first-child{white-space:nowrap}"
)


def page(path: Path, title: str, sections: Sequence[str]) -> Path:
    """One HTML file with everything inside; the title is plain text, sections are HTML."""
    title = html.escape(title)
    head = f"<!doctype html><meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>"
    path.write_text(legible(f"{head}<h1>{title}</h1>\n" + "\n".join(sections) + "\n"), "utf-8")
    return path
