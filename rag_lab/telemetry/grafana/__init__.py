"""The Grafana dashboard of a run, built by Grafana's own SDK: `python -m rag_lab.telemetry.grafana` writes
dashboard.json beside this file, which compose.yaml's Grafana finds by provisioning/.

Names are the exporter's and the rules'. The SDK is a development dependency; the file is part of the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("dashboard.json")
SOURCE = "prometheus"  # the data source's uid in provisioning/datasources.yaml
COLUMNS, HEIGHT = 24, 8  # of Grafana's grid; a panel takes a third or a half of its width


class Plot(NamedTuple):
    """One panel: queries by legend, in one unit (Grafana's names)."""

    title: str
    unit: str
    queries: dict[str, str]


ROWS: dict[str, list[Plot]] = {
    "What users wait for": [
        Plot(
            "Answer, end to end",
            "s",
            {
                "{{variant}} p50": 'rag_lab:latency_seconds:p50{level="e2e"}',
                "{{variant}} p95": 'rag_lab:latency_seconds:p95{level="e2e"}',
            },
        ),
        Plot("Throughput", "reqps", {"{{variant}}": "rag_lab:queries:per_second"}),
        Plot("Queries in flight", "short", {"{{variant}}": "rag_lab_in_flight"}),
    ],
    "Where the time goes": [
        Plot(
            "Half of all answers, by level",
            "s",
            {"{{variant}} {{level}}": 'rag_lab:latency_seconds:p50{level!="e2e"}'},
        ),
        Plot(
            "95% of all answers, by level",
            "s",
            {"{{variant}} {{level}}": 'rag_lab:latency_seconds:p95{level!="e2e"}'},
        ),
    ],
    "What it takes": [
        Plot("Cache hits", "percentunit", {"{{layer}}": "rag_lab:cache:hit_rate"}),
        Plot("Cost a minute", "currencyUSD", {"{{what}}": "60 * sum by (what) (rate(rag_lab_cost_usd_total[1m]))"}),
        Plot("Errors", "reqps", {"{{where}}: {{kind}}": "sum by (where, kind) (rate(rag_lab_errors_total[1m]))"}),
    ],
    "The machine": [
        Plot(
            "Processor",
            "percent",
            {"machine": "rag_lab_cpu_utilization_percentage", "this run": "rag_lab_process_cpu_percentage"},
        ),
        Plot(
            "Memory",
            "decmbytes",
            {
                "machine": "rag_lab_system_memory_usage_megabytes",
                "this run": "rag_lab_process_memory_megabytes",
                "GPU": "rag_lab_gpu_memory_usage_megabytes",
            },
        ),
        Plot("GPU", "percent", {"utilisation": "rag_lab_gpu_utilization_percentage"}),
    ],
}


def dashboard() -> str:
    """The dashboard as the JSON that Grafana takes."""
    from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    board = Dashboard("rag_lab: a run as it goes").uid("rag-lab-run").tags(["rag_lab"]).refresh("5s")
    board = board.time("now-15m", "now").readonly()
    for title, plots in ROWS.items():
        board = board.with_row(Row(title))
        for plot in plots:
            board = board.with_panel(_panel(plot, COLUMNS // len(plots)))
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def _panel(plot: Plot, columns: int) -> Any:
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.builders.timeseries import Panel
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    source = DataSourceRef(type_val=SOURCE, uid=SOURCE)
    panel = Panel().title(plot.title).unit(plot.unit).span(columns).height(HEIGHT).datasource(source)
    for number, (legend, query) in enumerate(plot.queries.items()):
        panel = panel.with_target(Dataquery().expr(query).legend_format(legend).ref_id("ABCDEFG"[number]))
    return panel
