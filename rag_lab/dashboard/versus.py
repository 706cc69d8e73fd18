"""Two runs beside each other: paired differences with intervals, headline metrics, targets, what was set otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dash import html

from rag_lab.dashboard import kept, pairs, parts, pictures, rows
from rag_lab.dashboard.board import GLYPHS
from rag_lab.dashboard.index import Row
from rag_lab.dashboard.parts import Children, aria
from rag_lab.dashboard.seen import Seen
from rag_lab.dashboard.veil import veil
from rag_lab.report import figures, wording
from rag_lab.report.run import Run
from rag_lab.report.sheet import Sheet

LONG = 80  # letters of a setting


def choose(seen: Seen, others: Sequence[Row]) -> Children:
    """Links to every run that this one can be compared with, those of its experiment first."""
    able = [one for one in others if one.key != seen.row.key and one.status == "finished"]
    able.sort(key=lambda one: one.experiment != seen.row.experiment)
    if not able:
        return [parts.nothing("There is no other finished run to compare with.")]
    links = [html.Li(html.A(one.key, href=seen.shown._replace(other=one.key, variant="").href)) for one in able]
    return [html.P("Compare this run with:", className="lead"), html.Ul(links, className="choices")]


def compare(seen: Seen, other: Run, other_row: Row) -> Children:
    """The comparison: the shown run is the first, the other one the second."""
    if seen.run is None:
        return [parts.nothing("This run has no summary to compare yet.")]
    run = seen.run
    head = html.P(
        [
            "First: ", html.Strong(seen.row.key), ". Second: ", html.Strong(other_row.key), ". ",
            html.A("Swap", href=seen.shown._replace(run=other_row.key, other=seen.row.key).href), " or ",
            html.A("choose another", href=seen.shown._replace(other="", variant="").href), ".",
        ],
        className="lead",
    )  # fmt: skip
    return [
        head,
        *[parts.trouble("Mind", text) for text in warnings(run, other)],
        *parts.guarded("Paired differences", lambda: _paired(seen, run, other)),
        *parts.guarded("Headline metrics", lambda: parts.table(headline(run, other))),
        *parts.guarded("Targets", lambda: parts.table(verdicts(run, other))),
        *parts.guarded("Settings", lambda: _settings(run, other)),
    ]


def warnings(run: Run, other: Run) -> list[str]:
    """What makes the two runs hard to compare."""
    one, two = run.summary, other.summary
    found = []
    if one["data"]["fingerprint"] != two["data"]["fingerprint"]:
        found.append("the runs read different data; only queries of the same name and domain are paired")
    if one["device"] != two["device"]:
        found.append("the runs were on different devices; times say nothing of the code")
    if one["seed"] != two["seed"]:
        found.append("the seeds differ, so the split into train and test may")
    return found


def headline(run: Run, other: Run) -> Sheet:
    """Metrics that both runs have, means over domains, each with its own interval."""
    names = [
        name
        for name in run.summary["metrics"]
        if name in other.summary["metrics"]
        and not name.endswith(("_ci_low", "_ci_high"))
        and name.split("/")[0] not in {*run.domains, *other.domains}
    ]
    cells = [[wording.label(name), _number(run, name), _number(other, name)] for name in names]
    note = (
        f"Of {run.treatment} in the first run and {other.treatment} in the second. Each interval is of its run alone: "
        "they are no test of the difference."
    )
    return Sheet("Headline metrics", note, ["metric", "first", "second"], cells)


def verdicts(run: Run, other: Run) -> Sheet:
    """Targets that either run measured."""
    both = [{target["id"]: target for target in one.summary["targets"]} for one in (run, other)]
    ids = [name for name in {**both[0], **both[1]} if any(_measured(one.get(name)) for one in both)]
    cells = [[name, *(_outcome(one.get(name)) for one in both)] for name in ids]
    return Sheet("Targets", "Those that either run measured.", ["target", "first", "second"], cells, names=3)


def settings(config: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    """A configuration as dotted names with their values; what may be a secret is taken out."""
    for key, value in config.items():
        name = f"{at}{key}"
        if isinstance(value, Mapping):
            yield from settings(value, f"{name}.")
        else:
            yield name, veil(f"{name}={value}").removeprefix(f"{name}=")[:LONG]


def _paired(seen: Seen, run: Run, other: Run) -> Children:
    first, second = rows.per_query(run.folder), rows.per_query(other.folder)
    if first is None or second is None:
        return [parts.nothing("One of the runs has no per-query file, so nothing can be paired.")]
    names = kept.once(seen.store, "shared variants", [first, second], lambda: pairs.shared(first, second))
    if not names:
        return [parts.nothing("The runs have no variant in common.")]
    wanted = (seen.shown.variant, run.treatment, other.treatment, "static_tuned", names[0])
    variant = str(next(one for one in wanted if one in names))
    found = kept.once(seen.store, f"compare {variant}", [first, second], lambda: pairs.compare(first, second, variant))
    links = [
        html.A(one, href=seen.shown._replace(variant=one).href, **aria(current="true" if one == variant else None))
        for one in names
    ]
    paired = f"{variant}: {found['paired']:,} test queries paired"
    alone = f"; {found['only_first']:,} only in the first, {found['only_second']:,} only in the second" if (
        found["only_first"] or found["only_second"]
    ) else ""  # fmt: skip
    drawn: Children = [
        html.H3("The second run minus the first"),
        html.P(f"{paired}{alone}.", className="lead"),
        *(parts.nothing(one) for one in found["notes"]),
        *parts.folded(
            f"Another of {len(names)} variants", [html.Nav(links, className="chips", **aria(label="variants"))]
        ),
    ]
    told = found["comparisons"]
    if told and all(row["difference"] == row["ci_low"] == row["ci_high"] == 0 for row in told):
        return [
            *drawn,
            parts.nothing("On every paired query both runs have the same scores and the same cost."),
        ]
    for metric in figures.metrics_of(told):
        drawn += parts.figure(
            pictures.paired(told, metric, f"{variant} in the second run minus the same in the first"), seen.look
        )
    return drawn


def _settings(run: Run, other: Run) -> Children:
    one, two = dict(settings(run.config)), dict(settings(other.config))
    cells = [
        [name, one.get(name, "absent"), two.get(name, "absent")]
        for name in {**one, **two}
        if one.get(name) != two.get(name)
    ]
    note = "What the resolved configurations do not share." if cells else "The resolved configurations are the same."
    return parts.table(Sheet("Settings that differ", note, ["setting", "first", "second"], cells, names=3))


def _number(run: Run, name: str) -> str:
    metrics = run.summary["metrics"]
    ends = wording.interval(metrics.get(f"{name}_ci_low"), metrics.get(f"{name}_ci_high"), wording.number)
    return f"{wording.number(metrics[name])} {ends}".strip()


def _measured(target: Mapping[str, Any] | None) -> bool:
    return target is not None and target["verdict"] != wording.NOT_MEASURED


def _outcome(target: Mapping[str, Any] | None) -> str:
    if target is None or not _measured(target):
        return wording.NOT_MEASURED
    return f"{GLYPHS[target['verdict']]} {target['verdict']}: {wording.outcome(target).partition(', asked')[0]}"
