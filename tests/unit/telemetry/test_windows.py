"""Windows as a tracker's rows: steps in seconds, nothing made up where nothing happened."""

from __future__ import annotations

from rag_lab.telemetry.session import Window
from rag_lab.telemetry.windows import of_machine, of_variant, thinned

TOOK = {"count": 4.0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0}


def window(at_s: float) -> Window:
    return Window(at_s, 2.0, {"live": {"e2e": TOOK}}, {"queries/live": 4}, {"system/cpu": 50.0, "in_flight/live": 1.0})


def test_a_window_is_a_row_for_each_percentile_and_for_throughput() -> None:
    assert list(of_variant([window(2.1)], "live")) == [
        ("window/latency_ms/e2e_p50", 2, 1.0),
        ("window/latency_ms/e2e_p95", 2, 2.0),
        ("window/latency_ms/e2e_p99", 2, 3.0),
        ("window/queries_per_s", 2, 2.0),
    ]


def test_a_variant_that_did_nothing_has_no_row() -> None:
    assert list(of_variant([window(2.0)], "another")) == []


def test_the_machine_s_figures_keep_their_names() -> None:
    assert list(of_machine([window(2.0), window(3.9)])) == [("system/cpu", 2, 50.0), ("system/cpu", 4, 50.0)]


def test_windows_are_thinned_evenly_with_their_ends() -> None:
    windows = [window(float(n)) for n in range(101)]
    assert [one.at_s for one in thinned(windows, 5)] == [0, 25, 50, 75, 100]
    assert thinned(windows, 101) == windows and len(thinned(windows, 1)) == 1
