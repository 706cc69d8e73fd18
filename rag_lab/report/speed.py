"""What runs of the live pipeline show: latencies, detection, the filter, caches, as sheets and pictures by section.

Everything is read from `curves.json`; a run that wrote no such curve has no such section. Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rag_lab.report import caching, speed_figures, wording
from rag_lab.report.figures import Picture
from rag_lab.report.run import Run
from rag_lab.report.sheet import Sheet

LATENCY, DETECTION, FILTER, CACHE = "latency", "detection", "filter", "cache"


class Section(NamedTuple):
    """A section of the page: its name in links, its title, and what is in it."""

    name: str
    title: str
    parts: Sequence[Picture | Sheet]

    @property
    def sheets(self) -> list[Sheet]:
        """The tables alone."""
        return [part for part in self.parts if isinstance(part, Sheet)]


def sections(run: Run) -> list[Section]:
    """Every section that the run has something for."""
    curves = run.curves
    latency: list[Picture | Sheet] = []
    detection: list[Picture | Sheet] = []
    filtering: list[Picture | Sheet] = []
    if "profile" in curves:
        latency += [speed_figures.profile(run), _latency(curves["profile"])]
    if "detectors" in curves:
        detection += [_detectors(curves["detectors"]), _confusion(curves["detectors"])]
    if "batching" in curves:
        detection += [speed_figures.batching(run), _batching(curves["batching"])]
    if "filters" in curves:
        filtering += [_filters(curves["filters"]), _pool(curves["filters"])]
    if "effect" in curves:
        filtering += [speed_figures.effect(run), _effect(curves["effect"])]
    caches = caching.parts(run) if "caches" in curves else []
    named = {
        LATENCY: ("Latency", latency),
        DETECTION: ("Detection", detection),
        FILTER: ("Feedback filter", filtering),
        CACHE: ("Cache", caches),
    }
    return [Section(name, title, parts) for name, (title, parts) in named.items() if parts]


def _latency(curve: Mapping[str, Any]) -> Sheet:
    rows = [
        [
            words if number == 0 else "",
            variant,
            *(_spanned(curve["variants"][variant][stage][share]) for share in ("p50", "p95", "p99")),
        ]
        for stage, words in speed_figures.stages(curve).items()
        for number, variant in enumerate(curve["variants"])
    ]
    answers = max(curve["answers"].values())
    return Sheet(
        "Where an answer's time goes",
        f"Milliseconds over {answers:,} answers, with 95% intervals (block bootstrap). The stages of one answer "
        "add up to its end-to-end time; their percentiles need not.",
        ["stage", "pipeline", "p50", "p95", "p99"],
        rows,
        names=2,
    )


def _detectors(curve: Mapping[str, Any]) -> Sheet:
    rows = []
    for variant, found in curve["variants"].items():
        for place, one in found["quality"].items():
            silent = found["silent"].get(place)
            held = (
                ["", "", ""]
                if silent is None
                else [
                    f"{1 - silent['answered']:.0%}",
                    _share(silent["abstain_precision"]),
                    _share(silent["abstain_recall"]),
                ]
            )
            rows.append(
                [
                    f"▸ {variant}" if variant == curve["chosen"] else variant,
                    place,
                    _spanned(one["accuracy"], wording.score),
                    _spanned(one["macro_f1"], wording.score),
                    wording.score(one["calibration_error"]),
                    *held,
                ]
            )
    chosen = curve["variants"][curve["chosen"]]["quality"]
    asked = {place: f"{one['queries']:,}" for place, one in chosen.items()}
    hard = f" Hard: {asked['hard']} questions to the literature, by topic." if "hard" in asked else ""
    return Sheet(
        "Detectors",
        f"Easy: all {asked['easy']} test queries.{hard} Calibration: expected error of "
        f"confidence. The last three: told that {curve['asked_precision']:.0%} of its answers must be right, a "
        "detector holds back so many; precision and recall of holding back what would have been wrong.",
        ["detector", "set", "accuracy", "macro-F1", "calib.", "held back", "precision", "recall"],
        rows,
        names=2,
    )


def _confusion(curve: Mapping[str, Any]) -> Sheet:
    domains, places = curve["domains"], curve["variants"][curve["chosen"]]["quality"]
    heads, rows, shade = ["true domain"], [[domain] for domain in domains], [list[float]() for _ in domains]
    for place, one in places.items():
        silent = any(row[-1] for row in one["confusion"])
        heads += [f"{place}\n{domain}" for domain in (*domains, *["silent"] * silent)]
        for number, counts in enumerate(one["confusion"]):
            kept = counts if silent else counts[:-1]
            rows[number] += [f"{count:,}" for count in kept]
            shade[number] += [count / max(sum(counts), 1) for count in kept]
    return Sheet(
        f"What {curve['chosen']} takes for what",
        "Queries by true domain (row) and by detected domain (column); shaded by the share of the row.",
        heads,
        rows,
        shade=shade,
    )


def _batching(curve: Mapping[str, Any]) -> Sheet:
    rows = []
    for size, rate in curve["queries_per_s"].items():
        speedup = curve["speedup"].get(size)
        rows.append(
            [
                "one at a time" if size == "1" else size,
                _spanned(rate),
                "" if speedup is None else _spanned(speedup),
            ]
        )
    return Sheet(
        "Throughput in batches",
        "Medians of rounds in which all sizes took turns on the same queries.",
        ["batch", "queries/s", "times one at a time"],
        rows,
    )


def _filters(curve: Mapping[str, Any]) -> Sheet:
    sizes = list(curve["latency_ms"])
    variants = list(curve["latency_ms"][sizes[0]])
    rows = [
        [
            f"▸ {variant}" if variant == curve["chosen"] else variant,
            *(_spanned(curve["latency_ms"][size][variant][share]) for size in sizes for share in ("p50", "p95")),
        ]
        for variant in variants
    ]
    heads = [f"{int(size):,} items, {share}" for size in sizes for share in ("p50", "p95")]
    return Sheet("How soon feedback is judged", "Milliseconds, filters taking turns.", ["filter", *heads], rows)


def _pool(curve: Mapping[str, Any]) -> Sheet:
    workers = [one for one in next(iter(curve["pool"].values())) if one != "0"]
    rows = [
        [f"{int(items):,}", *(wording.number(rates[one]) for one in ("0", *workers))]
        for items, rates in curve["pool"].items()
    ]
    heads = [f"{one} worker{'s' if one != '1' else ''}" for one in workers]
    return Sheet(
        "Items judged in a second",
        f"{curve['chosen']} in one process beside pools of processes; medians.",
        ["items at once", curve["chosen"], *heads],
        rows,
    )


def _effect(curve: Mapping[str, Any]) -> Sheet:
    rows = [
        [
            f"{level['noise']:.0%}",
            *(_spanned(level[name]) for name in ("without", "filtered", "saved")),
            _share(level["precision"]),
            _share(level["recall"]),
            _share(level["noise_share"]),
            _share(level["noise_weight"]),
        ]
        for level in curve["levels"]
    ]
    return Sheet(
        "What the filter saves a bandit",
        f"Cumulative regret, summed over domains, after {curve['queries_per_domain']:,} queries of each: mean of "
        f"{curve['seeds']:,} seeds with 95% intervals, what is saved paired by seed. Precision and recall of "
        "dropping noise; the share of noise in what is said, and in what is believed.",
        ["dishonest", "without", "with", "saved", "precision", "recall", "noise\nsaid", "noise\nbelieved"],
        rows,
    )


def _spanned(found: Sequence[float], write: Callable[[float], str] | None = None) -> str:
    value, low, high = found
    write = write or _three
    return f"{write(value)} [{write(low)}, {write(high)}]"


def _three(value: float) -> str:
    """Three significant digits, three places at most: intervals must fit into a column."""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
