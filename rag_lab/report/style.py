"""One colour, one mark and one dash per variant, the same in every figure and table.

The colours start from Okabe and Ito's palette for all kinds of colour vision (jfly.uni-koeln.de/color),
darkened or shifted where they would fade on white or on near-black; mark and dash carry the same
information, so that no figure rests on colour alone. Suffixes (`_pulls`, `_true_domain`, `_rich`) keep the
colour of the variant that they qualify and open its mark.
"""

from __future__ import annotations

from typing import NamedTuple

from rag_lab.report.run import Run

SUFFIXES = ("_rich", "_true_domain", "_pulls")
NEUTRAL = "#7d838c"  # ceilings, rules and everything that is no variant; reads on light and on dark
CURVE = "#66758c"
TRUTH = "#0072b2"
FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Style(NamedTuple):
    """How a variant is drawn: a hex colour, a Plotly marker symbol, a Plotly dash."""

    colour: str
    symbol: str
    dash: str


TREATMENT = Style("#d55e00", "circle", "solid")
CEILING = Style(NEUTRAL, "diamond-open", "dot")
STANDING = {
    "static": Style("#0072b2", "square", "dash"),
    "static_domain": Style("#4c9bd6", "diamond", "dashdot"),
    "static_tuned": Style("#009e73", "triangle-up", "longdash"),
    "static_domain_tuned": Style("#c04c9e", "triangle-down", "longdashdot"),
    "bm25": Style("#8c6d31", "cross", "dot"),
    "dense": Style("#a79b00", "x", "dot"),
}
SPARE = (
    Style("#6a5acd", "pentagon", "dash"),
    Style("#2e8f9c", "hexagon", "dashdot"),
    Style("#d1668a", "star", "longdash"),
    Style("#6b8e23", "hourglass", "longdashdot"),
    Style("#a0522d", "bowtie", "dot"),
)


def styles(run: Run) -> dict[str, Style]:
    """Every variant that the run speaks of, in its tables or in its curves, with its style."""
    drawn = (run.curves.get(part, {}).get("variants", {}) for part in ("regret", "convergence", "posterior"))
    curves = [name for part in (*drawn, run.curves.get("alpha_of", {})) for name in part]
    chosen: dict[str, Style] = {}
    spare: dict[str, Style] = {}
    for variant in dict.fromkeys([*run.order, *curves]):
        root = base(variant)
        if variant == run.treatment:
            chosen[variant] = TREATMENT
        elif variant in run.ceilings:
            chosen[variant] = CEILING
        elif root in STANDING or root == run.treatment:
            style = STANDING.get(root, TREATMENT)
            chosen[variant] = style if variant == root else style._replace(symbol=f"{style.symbol}-open", dash="dot")
        else:
            style = spare.setdefault(root, _spare(len(spare)))
            chosen[variant] = style if variant == root else style._replace(symbol=f"{style.symbol}-open", dash="dot")
    return chosen


def _spare(number: int) -> Style:
    """A style of one's own for the first 25: where colours come round again, symbol and dash are other ones."""
    turn, place = divmod(number, len(SPARE))
    other = SPARE[(place + turn) % len(SPARE)]
    return SPARE[place]._replace(symbol=other.symbol, dash=other.dash)


def tint(colour: str, opacity: float) -> str:
    """A hex colour as `rgba(…)` for bands; opacity in [0, 1]."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def fold(name: str, width: int = 16) -> str:
    """A long variant name on two lines (`<br>`), cut at the underscore nearest its middle."""
    cuts = [i for i, letter in enumerate(name) if letter == "_" and 0 < i < len(name) - 1]
    if len(name) <= width or not cuts:
        return name
    cut = min(cuts, key=lambda i: abs(i + 1 - len(name) / 2))
    return f"{name[: cut + 1]}<br>{name[cut + 1 :]}"


def action_set(variant: str) -> str:
    """The suffix of the action set that a variant runs on; nothing for α alone."""
    return SUFFIXES[0] if variant.endswith(SUFFIXES[0]) else ""


def base(variant: str) -> str:
    """The variant's name without the suffixes that qualify it."""
    for suffix in SUFFIXES:
        variant = variant.removesuffix(suffix)
    return variant
