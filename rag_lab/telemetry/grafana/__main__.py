"""`python -m rag_lab.telemetry.grafana`: write dashboard.json anew."""

from rag_lab.telemetry.grafana import FILE, dashboard

if __name__ == "__main__":
    FILE.write_text(dashboard(), encoding="utf-8")
