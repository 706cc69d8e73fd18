"""The dashboard and the servers' files: built by code, and of one mind about names, ports and places."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import rag_lab
from rag_lab.telemetry import grafana, machine, names
from rag_lab.telemetry.exporter import Collector
from rag_lab.telemetry.recorder import Recording

PACKAGE = Path(rag_lab.__file__).parent / "telemetry"
ROOT = PACKAGE.parents[1]
RULES = yaml.safe_load((PACKAGE / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]


def queries() -> list[str]:
    """Every PromQL expression of the dashboard and of the rules."""
    board = json.loads(grafana.FILE.read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return shown + [rule["expr"] for rule in RULES]


def exported() -> set[str]:
    """Every name that the exporter may serve, and that the rules record."""
    recording = Recording(0.005, 50)
    recording.latencies("live", {names.E2E: 1.0})
    for name in (names.QUERIES, names.ERRORS, names.CACHE_REQUESTS, names.COST_USD, names.API_CALLS, names.TOKENS):
        recording.count(name)
    for name in (names.IN_FLIGHT, machine.CPU, machine.MEMORY, machine.PROCESS_CPU, machine.PROCESS_MEMORY):
        recording.gauge(name, 1.0)
    for name in (machine.GPU, machine.GPU_MEMORY, machine.GPU_POWER, machine.GPU_TEMPERATURE):
        recording.gauge(name, 1.0)
    samples = {one.name for family in Collector(recording.snapshot, {}).collect() for one in family.samples}
    return samples | {rule["record"] for rule in RULES if "record" in rule}


def test_the_file_is_what_the_code_builds() -> None:
    assert grafana.FILE.read_text(encoding="utf-8") == grafana.dashboard(), "run python -m rag_lab.telemetry.grafana"


def test_nothing_is_asked_for_that_is_not_exported() -> None:
    asked = {name for query in queries() for name in re.findall(r"rag_lab[a-z_:0-9]+", query)}
    assert len(asked) > 10 and asked <= exported()


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed; apt-get install prometheus")
def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"try:{number}", "expr": query} for number, query in enumerate(queries())]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "try", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", path], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_servers_find_each_other() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"redis", "postgres", "mlflow", "prometheus", "grafana"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for volume in service.get("volumes", []):
            place = volume.partition(":")[0]
            assert not place.startswith("./") or (ROOT / place).exists(), place
    scraped = yaml.safe_load((PACKAGE / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    served = yaml.safe_load((ROOT / "conf" / "telemetry" / "local.yaml").read_text(encoding="utf-8"))["prometheus"]
    assert scraped["scrape_configs"][0]["static_configs"][0]["targets"] == [f"{served['address']}:{served['port']}"]
    (source,) = yaml.safe_load(
        (PACKAGE / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text(encoding="utf-8")
    )["datasources"]
    assert source["uid"] == grafana.SOURCE
    assert f"--web.listen-address={source['url'].removeprefix('http://')}" in services["prometheus"]["command"]
