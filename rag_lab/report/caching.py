"""What each cache brought, and how often its layers are hit over skew, length, bound and lives.

Pure functions of a run that wrote the curve `caches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from rag_lab.report import panels
from rag_lab.report.figures import Picture
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.sheet import Sheet
from rag_lab.report.style import SPARE, TREATMENT

LAYERS = {"embeddings": SPARE[0], "evidence": TREATMENT, "explanations": SPARE[1]}
KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20


def _bytes(size: float) -> str:
    return f"{size / MEBIBYTE:.3g} MiB" if size >= MEBIBYTE else f"{size / KIBIBYTE:.3g} KiB"


# Each sweep: what it is over, and how its places read.
SWEEPS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "exponent": ("Zipf exponent of the stream", "{:g}".format),
    "length": ("requests of the stream", "{:,}".format),
    "max_bytes": ("bound of the memory", _bytes),
    "ttl_s": ("life of every value, seconds", "{:g}".format),
}


def parts(run: Run) -> list[Picture | Sheet]:
    """The tables and the picture."""
    curve = run.curves["caches"]
    return [
        _brought(curve["layers"], run.treatment),
        _hits(curve["layers"], run.treatment),
        _picture(curve),
        _swept(curve),
        _semantic(run.curves["semantic"]),
        _pairs(run.curves["semantic"]),
    ]


def _brought(variants: Mapping[str, Mapping[str, float]], treatment: str | None) -> Sheet:
    rows = [
        [
            _name(variant, treatment),
            f"{one['latency_ms/e2e_p50']:.3g}",
            f"{one['latency_ms/e2e_p95']:.3g}",
            f"{one['throughput/queries_per_s']:,.0f}",
            f"{one['cost/usd_per_1k_queries']:.4f}",
            f"{one['cost/api_calls_per_query']:.2f}",
            f"{one['equal_answers']:.1%}",
        ]
        for variant, one in variants.items()
    ]
    return Sheet(
        "What remembering brings",
        "The same requests with each cache and with none, in turn. Only what is computed is paid for.",
        ["cache", "p50, ms", "p95, ms", "answers/s", "USD per 1k", "calls", "same answers"],
        rows,
    )


def _hits(variants: Mapping[str, Mapping[str, float]], treatment: str | None) -> Sheet:
    rows = [
        [
            _name(variant, treatment) if number == 0 else "",
            layer,
            _share(one.get(f"cache/{layer}/hit_rate")),
            _share(one.get(f"cache/{layer}/repeat_hit_rate")),
            _number(one.get(f"cache/{layer}/read_ms_p50"), "≤ {:.3g}"),
            _number(one.get(f"cache/{layer}/read_ms_p95"), "≤ {:.3g}"),
            f"{one[f'cache/{layer}/errors']:,.0f}",
            f"{one[f'cache/{layer}/evictions']:,.0f}",
        ]
        for variant, one in variants.items()
        if "cache/evidence/hit_rate" in one
        for number, layer in enumerate(LAYERS)
    ]
    return Sheet(
        "What is found in each layer",
        "Hit rates over all requests, and over exact repeats within the shortest life that a value is given. Reads are "
        "upper ends of the histogram's buckets.",
        ["cache", "layer", "hits", "of repeats", "p50, ms", "p95, ms", "errors", "evicted"],
        rows,
        names=2,
    )


def _swept(curve: Mapping[str, Any]) -> Sheet:
    rows = [
        [over if number == 0 else "", write(at), *(f"{found[layer][number]:.1%}" for layer in LAYERS)]
        for name, (over, write) in SWEEPS.items()
        for found in [curve["sweeps"][name]]
        for number, at in enumerate(found["at"])
    ]
    return Sheet(
        "Hit rate, one thing changed at a time",
        "The real layers over memory, on the protocol's stream with the run's own settings but for what is swept.",
        ["over", "at", *LAYERS],
        rows,
        names=1,
    )


def _semantic(curve: Mapping[str, Any]) -> Sheet:
    """Whom the nearest other question serves, and whom wrongly."""
    promise, splits = curve["promise"], curve["splits"]
    rows = [
        [f"{at['at']:g}", *(cell for split in splits for cell in _false(splits[split][number]))]
        for number, at in enumerate(splits["train"])
    ]
    lowest = curve["threshold"]
    verdict = "No threshold keeps" if lowest is None else f"{lowest:g} is the lowest threshold that keeps"
    twins = ", ".join(f"{one['twins']:,} of {one['questions']:,} in {split}" for split, one in curve["asked"].items())
    return Sheet(
        "Would a semantic layer pay?",
        "Each question served with what the nearest other one found, behind a gate of words: a hit is false if the two "
        f"have not the same relevant passages. {verdict} false hits within {promise['false_hits']:.0%} on "
        f"train, at {promise['confidence']:.0%} confidence. Questions that share theirs with any other: {twins}.",
        ["cosine ≥", *(f"{split}: {head}" for split in splits for head in ("hits", "false", "95% interval"))],
        rows,
    )


def _pairs(curve: Mapping[str, Any]) -> Sheet:
    """Who is served wrongly of questions that were not there when the threshold was found."""
    tried = curve["promise"]["thresholds"]
    shown = sorted({min(tried), max(tried)} | ({curve["threshold"]} - {None}))
    rows = [
        [
            f"{'=' if one['same'] else '≠'} {one['kind']}" if row["at"] == shown[0] else "",
            f"{one['asked']:,}" if row["at"] == shown[0] else "",
            f"{row['at']:g}",
            *(f"{row[number] / one['asked']:.1%}" for number in ("hits", "false")),
            f"{row['low']:.1%}–{row['high']:.1%}",
            f"{row['ungated'] / one['asked']:.1%}",
        ]
        for one in curve["pairs"]
        if one["asked"]
        for row in one["rows"]
        if row["at"] in shown
    ]
    return Sheet(
        "Held-out paraphrases and near-opposites",
        "Shares of all asked, at the lowest and the highest threshold tried and at the one that keeps the promise, if "
        "any: served, served wrongly, and what cosine alone, without the gate of words, would serve wrongly. Twins are "
        "test questions that share their relevant passages with another; the others are made by rule of test questions "
        "and meet all of them: paraphrases (=) want the same passages, near-opposites (≠) nothing that is remembered, "
        "so that every hit is false.",
        ["made by", "asked", "cosine ≥", "served", "wrongly", "95% interval", "cosine alone"],
        rows,
    )


def _false(one: Mapping[str, float]) -> list[str]:
    share = f"{one['false'] / one['hits']:.0%}" if one["hits"] else ""
    return [f"{one['hits']:,.0f}", share, f"{one['low']:.0%}–{one['high']:.0%}"]


def _picture(curve: Mapping[str, Any]) -> Picture:
    """Hit rates over each sweep, a line a layer."""
    figure = go.Figure()
    for place, (name, (over, write)) in enumerate(SWEEPS.items()):
        found = curve["sweeps"][name]
        for layer, style in LAYERS.items():
            figure.add_trace(
                go.Scatter(
                    x=list(range(len(found["at"]))),
                    y=found[layer],
                    mode="markers+lines",
                    name=layer,
                    legendgroup=layer,
                    showlegend=place == 0,
                    marker={"symbol": style.symbol, "size": 8, "color": style.colour},
                    line={"color": style.colour, "width": 1.5},
                    customdata=[write(at) for at in found["at"]],
                    hovertemplate=f"{layer}, {over} %{{customdata}}: %{{y:.1%}}<extra></extra>",
                    **panels.on(place),
                )
            )
    grid = Grid([Panel(None, 240, over, "hit rate") for over, _ in SWEEPS.values()], [[0, 1], [2, 3]])
    narrow = grid.arrange(figure, legend=True)
    for place, (name, (_, write)) in enumerate(SWEEPS.items()):
        at = curve["sweeps"][name]["at"]
        panels.axis(figure, "x", place, tickvals=list(range(len(at))), ticktext=[write(one) for one in at])
        panels.axis(figure, "y", place, range=[0, 1], tickformat=".0%")
    caption = "Share of requests found in each layer, one thing changed at a time; places are evenly spaced."
    return Picture("hit-rates", "Hit rates", caption, figure, narrow)


def _name(variant: str, treatment: str | None) -> str:
    return f"▸ {variant}" if variant == treatment else variant


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
