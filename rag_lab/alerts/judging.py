"""All rules on one finished run: judged, corrected together (Holm), written down, told.

Runs may be held against each other where they share a series: configuration, data, seed and device. Runs in which a
rule rang are no baseline for it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rag_lab.alerts import queries, runs
from rag_lab.alerts.ledger import TOLD, Ledger
from rag_lab.alerts.rule import Found, Rule, worsened
from rag_lab.alerts.webhook import Webhook
from rag_lab.metrics.significance import holm
from rag_lab.telemetry import history
from rag_lab.telemetry.document import Document

log = logging.getLogger(__name__)


class Settings(NamedTuple):
    """folder: of the metrics files; window: earlier runs at most; level: of all rules together; resamples: of the
    paired tests; quiet_runs: end an alert.
    """

    folder: Path
    rules: Mapping[str, Rule]
    window: int
    level: float
    resamples: int
    quiet_runs: int
    webhook: Webhook | None


class Alerts(Protocol):
    """Judges finished runs."""

    def judge(self, run: Document | None, variant: str | None) -> list[Found]:
        """What each rule says of a run, told to whoever shall know; variant: its treatment."""
        ...


class Judge:
    """Judges by the rules of its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def judge(self, run: Document | None, variant: str | None) -> list[Found]:
        """See `Alerts`."""
        if run is None:
            return []
        ledger = Ledger(self.settings.folder, self.settings.quiet_runs)
        found = corrected(
            self.settings, [self._one(name, rule, run, variant, ledger) for name, rule in self.settings.rules.items()]
        )
        for one in found:
            state = ledger.note(run.run.run_id, run.run.series, one)
            if state in TOLD:
                self._tell(f"alert {one.rule} {state}: {one.why}", run, one)
        return found

    def _one(self, name: str, rule: Rule, run: Document, variant: str | None, ledger: Ledger) -> Found:
        earlier = self._earlier(rule, run, ledger.rang(run.run.series, name))
        if rule.by == "runs":
            return by_runs(name, rule, run, earlier, self.settings)
        return by_queries(name, rule, run, variant, earlier, self.settings)

    def _earlier(self, rule: Rule, run: Document, rang: set[str]) -> list[dict[str, Any]]:
        """The runs that may be the baseline, the oldest first, with their value of the metric where they have one."""
        rows = history.query(
            self.settings.folder, series=run.run.series, status="finished", variant="", kind="run"
        ).to_pylist()
        known: dict[str, dict[str, Any]] = {}
        for row in rows:
            one = known.setdefault(row["run_id"], {"run_id": row["run_id"], "folder": row["folder"], "value": None})
            if row["metric"] == rule.metric:
                one["value"] = row["value"]
        order = list(known)
        if rule.against is not None:
            until = order.index(rule.against) + 1 if rule.against in order else 0
            order = order[:until] if rule.by == "runs" else order[until - 1 : until]
            rang = rang - {rule.against}  # whoever pins a run wants it
        others = [known[name] for name in order if name != run.run.run_id and name not in rang]
        return others[-self.settings.window :]

    def _tell(self, text: str, run: Document, found: Found) -> None:
        log.warning("%s", text)
        if self.settings.webhook is not None:
            content = {"text": text, "run_id": run.run.run_id, "experiment": run.run.experiment, **found._asdict()}
            failed = self.settings.webhook.post(content)
            if failed is not None:
                log.warning("the alert's webhook was not reached: %s", failed)


def by_runs(name: str, rule: Rule, run: Document, earlier: list[dict[str, Any]], settings: Settings) -> Found:
    """A number of the run against that of earlier runs."""
    value = run.metrics.get(rule.metric)
    if value is None or value <= 0:
        return Found(name, "not judged", f"this run has no {rule.metric}")
    values = [one["value"] for one in earlier if one["value"] is not None and one["value"] > 0]
    if len(values) < runs.LEAST_RUNS:
        return Found(name, "not judged", f"{len(values)} earlier runs, and {runs.LEAST_RUNS} are needed", value)
    one = runs.judge(rule, value, values, settings.level / len(settings.rules))
    found = Found(name, "quiet", "", value, one.baseline, one.change, one.p_value)
    return found._replace(n=len(values), detectable=one.detectable)


def by_queries(
    name: str, rule: Rule, run: Document, variant: str | None, earlier: list[dict[str, Any]], settings: Settings
) -> Found:
    """A column of the run's queries against an earlier run's: the oldest, lest many small losses go unseen."""
    now = None if variant is None else queries.read(Path(run.run.folder), rule.metric, variant)
    if now is None or variant is None:
        return Found(name, "not judged", f"this run has no {rule.metric} by query")
    for one in earlier:
        then = queries.read(Path(one["folder"]), rule.metric, variant)
        if then is not None:
            pair = queries.judge(
                rule, now, then, seed=run.run.seed, resamples=settings.resamples, rules=len(settings.rules)
            )
            if pair is not None:
                found = Found(name, "quiet", "", pair.value, pair.baseline, pair.change, pair.p_value)
                return found._replace(n=pair.n, detectable=pair.detectable)
    return Found(name, "not judged", "no earlier run's folder holds the same queries")


def corrected(settings: Settings, found: list[Found]) -> list[Found]:
    """With p-values adjusted over the rules that were judged, and the verdicts that follow."""
    judged = [one for one in found if one.p_value is not None]
    adjusted = dict(zip((one.rule for one in judged), holm([one.p_value or 0.0 for one in judged]), strict=True))
    return [_ruled(settings, one, adjusted[one.rule]) if one.rule in adjusted else one for one in found]


def _ruled(settings: Settings, one: Found, p_adjusted: float) -> Found:
    rule, change = settings.rules[one.rule], one.change or 0.0
    rings = p_adjusted < settings.level and worsened(rule, change) >= rule.effect
    moved = f"{change:+.1%}" if rule.by == "runs" else f"{change:+.4f}"
    over = "earlier runs" if rule.by == "runs" else "queries"
    seen = "" if one.detectable is None or not math.isfinite(one.detectable) else f", detectable {one.detectable:.3g}"
    why = f"{rule.metric} {one.value:.4g} from {one.baseline:.4g}, {moved} (p = {p_adjusted:.2g}, {one.n} {over}{seen})"
    return one._replace(verdict="ringing" if rings else "quiet", p_adjusted=p_adjusted, why=why)
