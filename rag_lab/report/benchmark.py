"""A benchmark's document (`reports/benchmarks/<name>-<device>.json`) as terminal table, Markdown and picture.

The picture is an SVG of its own, a few kilobytes without script, so that it shows inside Markdown and offline.
Times are in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rag_lab.assets import atomic
from rag_lab.report.style import FAMILY, NEUTRAL, SPARE, STANDING, TREATMENT

Document = Mapping[str, Any]
LEFT, WIDTH, ROW, TOP, RIGHT = 200, 900, 26, 74, 24  # the picture's measures, in pixels
READING = (
    "Medians. (×): how many times as long a peer took as ours, paired by round. “of” a floor: the share of what "
    "nothing can beat that ours reaches."
)
COLOURS = (STANDING["static"].colour, STANDING["static_tuned"].colour, SPARE[0].colour, SPARE[1].colour)


def write(document: Document, stem: Path) -> None:
    """Write `<stem>.md` and `<stem>.svg`."""
    for suffix, text in ((".svg", picture(document)), (".md", markdown(document, f"{stem.name}.svg"))):
        with atomic.write(stem.with_name(stem.name + suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def columns(document: Document, part: str) -> list[str]:
    """The names of all peers, or of all floors, in the order of their appearance."""
    return list(dict.fromkeys(name for cell in document["cells"] for name in cell[part]))


def milliseconds(value: float | None) -> str:
    """Three significant digits; nothing where there is no time."""
    if value is None:
        return ""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{value:,.{min(max(digits, 0), 4)}f}"


def rows(document: Document) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the table, as text."""
    peers, floors = columns(document, "peers"), columns(document, "floors")
    compared = [f"{peer} ms" for peer in peers] + [f"of {floor}" for floor in floors]
    heads, body = ["case", "ours ms", *compared, "compile ms"], []
    for cell in document["cells"]:
        if cell["ours_ms"] is None:
            body.append([cell["case"], str(cell["error"]), *[""] * (len(heads) - 2)])
            continue
        compared = [
            f"{milliseconds(cell['peers'][peer])} ({cell['speedups'][peer]:.2g}×)" if peer in cell["peers"] else ""
            for peer in peers
        ]
        near = [f"{cell['floor_shares'][name]:.0%}" if name in cell["floor_shares"] else "" for name in floors]
        body.append([cell["case"], milliseconds(cell["ours_ms"]), *compared, *near, f"{cell['compile_ms']:,.0f}"])
    return heads, body


def table(document: Document) -> Table:
    """The terminal's table."""
    heads, body = rows(document)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim", title=_title(document), title_justify="left")
    for number, head in enumerate(heads):
        shown.add_column(head, justify="right" if number else "left", no_wrap=number == 0)
    for row, cell in zip(body, document["cells"], strict=True):
        shown.add_row(*row, style="" if cell["correct"] else "red")
    return shown


def markdown(document: Document, image: str) -> str:
    """The table as Markdown, below the picture and what was measured where."""
    heads, body = rows(document)
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"# {_title(document)}",
        "",
        f"Measured {document['started_at'][:10]}, code {str(document['git']['sha'])[:12]}"
        f"{' with uncommitted changes' if document['git']['dirty'] else ''}. {READING}",
        "",
        f"![Times of every case]({image})",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- |" + " ---: |" * (len(heads) - 1),
        *("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in body),
        "",
        f"Versions: {versions}.",
        "",
    ]
    return "\n".join(lines)


def picture(document: Document) -> str:
    """Every case a row on a logarithmic scale of milliseconds: ours, the peers, and the floors as ticks."""
    cells = [cell for cell in document["cells"] if cell["ours_ms"] is not None]
    times = [ms for cell in cells for ms in (cell["ours_ms"], *cell["peers"].values(), *cell["floors"].values())]
    first, last = (math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))) if times else (0, 1)
    last = max(last, first + 1)
    bottom = TOP + ROW * len(cells)

    def across(ms: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(ms) - first) / (last - first)

    peers = columns(document, "peers")
    drawn = [f'<text class="title" x="12" y="22">{escape(_title(document))}</text>']
    legend = [("ours", TREATMENT.colour), *zip(peers, COLOURS, strict=False)]
    for number, (name, colour) in enumerate(legend):
        at = 20 + 110 * number
        drawn.append(f'{_mark(number, at, 44, colour)}<text x="{at + 12}" y="48">{escape(name)}</text>')
    at = 20 + 110 * len(legend)
    floors = ", ".join(columns(document, "floors"))
    if floors:
        drawn.append(
            f'<path d="M{at} 38v12" stroke="{NEUTRAL}" stroke-width="2"/>'
            f'<text x="{at + 12}" y="48">floors: {escape(floors)}</text>'
        )
    for power in range(first, last + 1):
        x = across(10.0**power)
        drawn.append(
            f'<path class="rule" d="M{x:.1f} {TOP - 8}V{bottom}"/>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10.0**power:g} ms</text>'
        )
    for number, cell in enumerate(cells):
        y = TOP + ROW * number + ROW / 2
        ends = [cell["ours_ms"], *cell["peers"].values()]
        drawn.append(
            f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(cell["case"])}</text>'
            f'<path class="rule" d="M{across(min(ends)):.1f} {y}H{across(max(ends)):.1f}"/>'
        )
        for floor, ms in cell["floors"].items():
            drawn.append(
                f'<path d="M{across(ms):.1f} {y - 8}v16" stroke="{NEUTRAL}" stroke-width="2">'
                f"<title>{escape(floor)}: {milliseconds(ms)} ms</title></path>"
            )
        for place, (name, colour) in reversed(list(enumerate(legend))):
            ms = cell["ours_ms"] if place == 0 else cell["peers"].get(name)
            if ms is not None:
                title = f"<title>{escape(name)}: {milliseconds(ms)} ms</title>"
                drawn.append(f"<g>{title}{_mark(place, across(ms), y, colour)}</g>")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30}" font-size="13" '
        f'font-family="{escape(FAMILY)}" role="img" aria-label="{escape(_title(document))}">\n<style>'
        "text{fill:#333}.title{font-weight:600}.rule{stroke:#8884;fill:none}.paper{fill:#fff}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.paper{fill:#16181c}}</style>\n"
        f'<rect class="paper" width="100%" height="100%"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _mark(shape: int, x: float, y: float, colour: str) -> str:
    """A circle, a square, a diamond, a triangle …: the shape says the same as the colour."""
    paths = (
        f"M{x - 6:.1f} {y}a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z",
        f"M{x - 5:.1f} {y - 5}h10v10h-10z",
        f"M{x:.1f} {y - 7}l7 7l-7 7l-7 -7z",
        f"M{x:.1f} {y - 6}l6 11h-12z",
        f"M{x:.1f} {y + 6}l6 -11h-12z",
    )
    return f'<path d="{paths[shape % len(paths)]}" fill="{colour}"/>'


def _title(document: Document) -> str:
    count = document["threads"]
    return f"{document['name']} on {document['device']}, {count} thread{'s' if count != 1 else ''}"
