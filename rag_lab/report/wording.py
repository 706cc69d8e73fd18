"""Numbers and verdicts as words, the same in the terminal, on the page and in reports/.

The two constants are the protocol's: "not worse" means that the 95% interval of a paired difference stays
above -0.02, and a difference counts as shown when its p value, corrected within its family, is below 0.05.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from rag_lab.report.run import PRIMARY, Run

NOT_MEASURED = "not measured"
MARGIN = 0.02
LEVEL = 0.05
LABELS = {
    "retrieval/recall_at_10": "recall@10",
    "retrieval/ndcg_at_10": "nDCG@10",
    "retrieval/mrr_at_10": "MRR@10",
    "cost/usd_per_1k_queries": "USD per 1,000 queries",
    "cost/api_calls_per_query": "API calls per query",
    "bandit/cumulative_regret": "cumulative regret",
    "bandit/convergence_queries": "queries until convergence",
    "bandit/gap_closed": "share of the gap closed",
}
LESS_IS_BETTER = (
    "cost/",
    "latency_ms/",
    "error_rate",
    "bandit/cumulative_regret",
    "bandit/convergence_queries",
    "pareto/wasted_share",
)

Conclusion = Literal["better", "worse", "not worse", "not shown"]


def label(metric: str) -> str:
    """A metric's name as it is spoken of; unknown ones keep their own."""
    return LABELS.get(metric, metric)


def score(value: float | None) -> str:
    """A share between 0 and 1, to three places."""
    return NOT_MEASURED if value is None else f"{value:.3f}".replace("-", "−")


def signed(value: float) -> str:
    """A difference, to three places, with its sign; what rounds to zero has none."""
    text = f"{value:+.3f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.000"


def number(value: float | None) -> str:
    """Any quantity: four places below 1, three significant digits from there on, whole from 100 on."""
    if value is None:
        return NOT_MEASURED
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        text = f"{value:,.0f}"
    elif size >= 1 or size < 0.0001:
        text = f"{value:.3g}"
    else:
        text = f"{value:.4f}".rstrip("0")
    return text.replace("-", "−")


def usd(value: float | None) -> str:
    """Dollars per 1,000 queries: retrieval alone costs thousandths, hence four places below 1."""
    return NOT_MEASURED if value is None else f"{value:,.{2 if value >= 1 else 4}f}"


def interval(low: float | None, high: float | None, write: Callable[[float], str] = score) -> str:
    """`[low, high]`, or nothing where there is no interval."""
    return "" if low is None or high is None else f"[{write(low)}, {write(high)}]"


def span(low: float | None, high: float | None) -> str:
    """An interval of a share where room is short: `0.668–0.719`."""
    return "" if low is None or high is None else f"{score(low)}–{score(high)}"


def p_value(value: float) -> str:
    """A p value as papers print it: `p = .21`, `p < .001`."""
    if value < 0.001:
        return "p < .001"
    if value > 0.99:
        return "p > .99"
    return f"p = {value:.{2 if value >= 0.1 else 3}f}".replace("0.", ".")


def duration(seconds: float) -> str:
    """`41 s`, `4 min 12 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if seconds < 9.5 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def conclude(row: Mapping[str, Any]) -> Conclusion:
    """What a comparison shows: the sign when significant after correction, else whether it is not worse."""
    less = row["metric"].startswith(LESS_IS_BETTER)
    if row["p_adjusted"] < LEVEL and row["difference"] != 0:
        return "better" if (row["difference"] > 0) != less else "worse"
    bounded = row["metric"].startswith("retrieval/") and row["ci_low"] > -MARGIN
    return "not worse" if bounded else "not shown"


def meaning(row: Mapping[str, Any]) -> str:
    """A comparison's conclusion in words."""
    conclusion = conclude(row)
    if conclusion == "worse" and row["metric"].startswith("retrieval/") and row["ci_low"] > -MARGIN:
        return f"worse, by less than {MARGIN}"
    if conclusion == "not shown":
        ranked = row["metric"].startswith("retrieval/")
        return "not worse is not shown" if ranked else "no difference is shown"
    return conclusion


def sentence(row: Mapping[str, Any]) -> str:
    """One comparison: difference, interval, p value, conclusion, detectable difference."""
    where = "mean over domains" if row["domain"] == "mean" else row["domain"]
    ends = f"[{signed(row['ci_low'])}, {signed(row['ci_high'])}]"
    text = (
        f"{row['treatment']} vs {row['baseline']}, {where}: {signed(row['difference'])} "
        f"{label(row['metric'])} {ends}, {p_value(row['p_adjusted'])} after Holm; {meaning(row)}"
    )
    detectable = row["minimum_detectable_effect"]
    return text if detectable is None else f"{text}; detectable difference {detectable:.3f}"


def outcome(target: Mapping[str, Any]) -> str:
    """A target's value with its interval and what was asked: `0.034 [0.012, 0.057], asked 0.12`."""
    if target["verdict"] == NOT_MEASURED:
        return NOT_MEASURED
    ends = interval(target["ci_low"], target["ci_high"], number)
    return f"{number(target['value'])}{' ' if ends else ''}{ends}, asked {number(target['target'])}"


def family(name: str) -> str:
    """What an exploratory family is called: its metric, as it is spoken of, and of what."""
    *what, metric = name.removeprefix("exploratory").split()
    return ", ".join(filter(None, (LABELS.get(f"retrieval/{metric}", metric), " ".join(what))))


def question(run: Run) -> str:
    """The run's question: the configuration's own, else the one that its primary family asks."""
    asked = run.setting("question")
    if isinstance(asked, str) and asked.strip():
        return asked.strip()
    rows = run.family(PRIMARY)
    if not rows:
        return str(run.summary["experiment"])
    return f"Does {rows[0]['treatment']} beat {_and(_unique(rows, 'baseline'))} on {label(rows[0]['metric'])}?"


def verdict(run: Run) -> str:
    """What the run found: in its own words where it has some, else its primary family, a sentence a reference."""
    if run.summary["status"] == "failed":
        return f"The run failed: {run.summary.get('failure', 'it left no reason')}."
    if "headline" in run.curves:
        return str(run.curves["headline"])
    rows = run.family(PRIMARY)
    if not rows:
        return "This run declares no primary comparison."
    keys = dict.fromkeys((row["treatment"], row["baseline"], row["metric"]) for row in rows)
    return " ".join(
        _verdict([row for row in rows if (row["treatment"], row["baseline"], row["metric"]) == key]) for key in keys
    )


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for conclusion, words in (
        ("better", "better in"),
        ("worse", "worse in"),
        ("not worse", "not worse in"),
        ("not shown", "undecided in"),
    ):
        where = [f"{row['domain']} ({signed(row['difference'])})" for row in rows if conclude(row) == conclusion]
        if where:
            parts.append(f"{words} {_and(where)}")
        elif conclusion == "better":
            parts.append("better in no domain")
    return (
        f"Against {rows[0]['baseline']}, on {label(rows[0]['metric'])} of the test queries, "
        f"{rows[0]['treatment']} is {_and(parts)}."
    )


def _unique(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
