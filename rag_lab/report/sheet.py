"""A table as text cells, which terminal, page and Markdown render alike."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from rich.box import Box
from rich.table import Table

# Rich's notation of a table's lines: one rule under the head.
RULED = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")


class Sheet(NamedTuple):
    """title; note: how to read it; heads and rows: cells of text, the first `names` columns being words.

    shade: for each row the shares, from 0 to 1, by which its cells after those words are tinted, where it has any.
    """

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1
    shade: Sequence[Sequence[float]] | None = None


def html(sheet: Sheet) -> str:
    """The table for the page, with title and note."""
    head = "".join(
        f'<th scope="col"{" class=text" if at < sheet.names else ""}>{escape(one).replace(chr(10), "<br>")}</th>'
        for at, one in enumerate(sheet.heads)
    )
    body = "\n".join(f"<tr>{_cells(sheet, number)}</tr>" for number in range(len(sheet.rows)))
    return (
        f'<h3>{escape(sheet.title)}</h3><p class="lead">{escape(sheet.note)}</p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def rich(sheet: Sheet) -> Table:
    """The table for the terminal, with its title."""
    table = Table(
        box=RULED, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim", title=sheet.title,
        title_style="bold", title_justify="left", caption=sheet.note, caption_justify="left", caption_style="dim",
    )  # fmt: skip
    for at, head in enumerate(sheet.heads):
        table.add_column(head, justify="left" if at < sheet.names else "right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*row)
    return table


def _cells(sheet: Sheet, number: int) -> str:
    cells = []
    for at, text in enumerate(sheet.rows[number]):
        if at == 0:
            cells.append(f'<th scope="row">{escape(text)}</th>')
            continue
        tint = ""
        if sheet.shade is not None and sheet.names <= at < sheet.names + len(sheet.shade[number]):
            share = sheet.shade[number][at - sheet.names]
            tint = f' style="background:color-mix(in srgb, var(--accent) {45 * share:.0f}%, transparent)"'
        value, _, ends = text.partition(" [")
        small = f"<small>[{escape(ends)}</small>" if ends else ""
        word = ' class="text"' if at < sheet.names else ""
        cells.append(f"<td{word}{tint}>{escape(value)}{small}</td>")
    return "".join(cells)
