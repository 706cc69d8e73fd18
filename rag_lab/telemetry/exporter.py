"""What a run records, for Prometheus to scrape while it lasts: `rag_lab_latency_seconds` by variant and level,
counters as `rag_lab_*_total`, everything else as gauges; `rag_lab_run_info` says which run it is.

The rules file and the dashboards (`rag_lab/telemetry/grafana`) hold on to these names. Labels are bounded by the
recorder. Buckets hold within the histograms' relative error. Units: seconds, and what a gauge's name says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rag_lab.telemetry import names
from rag_lab.telemetry.recorder import Key, Snapshot
from rag_lab.telemetry.sketch import Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX = "rag_lab_"
LATENCY = f"{PREFIX}latency_seconds"
COUNTERS = {names.WORK_S: "work_seconds"}  # what is not called as it is recorded
# From ten microseconds (a filter's decision) to a minute (a hosted model), three to a decade.
BOUNDS_MS = tuple(step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5))
MS = 1000.0  # in a second


class Collector:
    """Turns a snapshot into Prometheus' families whenever it is scraped."""

    def __init__(self, snapshot: Callable[[], Snapshot], run: dict[str, str]) -> None:
        self._snapshot, self._run = snapshot, run

    def collect(self) -> Iterator[Metric]:
        """What Prometheus asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        found = self._snapshot()
        run = GaugeMetricFamily(f"{PREFIX}run_info", "The run that is measured.", labels=list(self._run))
        run.add_metric(list(self._run.values()), 1)
        yield run
        latency = HistogramMetricFamily(LATENCY, "What a level of the pipeline took.", labels=["variant", "level"])
        for (variant, level), one in sorted(found.latencies.items()):
            latency.add_metric([variant, level], buckets=_buckets(one), sum_value=one.sum_ms / MS)
        yield latency
        yield from _families(CounterMetricFamily, found.counters, COUNTERS)
        gauges = {key: one.last for key, one in found.gauges.items()}
        yield from _families(GaugeMetricFamily, gauges, {})


class Exporter:
    """A server for Prometheus, on a thread of its own. Close it. OSError where the port is taken."""

    def __init__(self, address: str, port: int, snapshot: Callable[[], Snapshot], run: dict[str, str]) -> None:
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry()
        registry.register(Collector(snapshot, run))
        self._server, self._thread = start_http_server(port, addr=address, registry=registry)
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _families(family: Any, values: Mapping[Key, float], called: dict[str, str]) -> Iterator[Metric]:
    """A family for each name, with a sample for each label set."""
    by_name: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for (name, labelled), value in sorted(values.items()):
        by_name[name].append((dict(labelled), value))
    for name, samples in by_name.items():
        labels = sorted(samples[0][0])
        one = family(PREFIX + called.get(name, _legal(name)), f"{name} of the run.", labels=labels)
        for given, value in samples:
            one.add_metric([given[label] for label in labels], value)
        yield one


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts, as Prometheus wants them."""
    counts = histogram.at_most(BOUNDS_MS)
    bounds = [f"{bound / MS:g}" for bound in BOUNDS_MS]
    return list(zip([*bounds, "+Inf"], [*map(float, counts), float(histogram.count)], strict=True))


def _legal(name: str) -> str:
    """A gauge of the machine is `system/…` in MLflow; Prometheus takes neither that nor the number of a GPU in it."""
    return re.sub(r"[^a-z0-9]+", "_", name.removeprefix("system/").replace("gpu_0_", "gpu_"))
