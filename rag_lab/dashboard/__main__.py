"""`python -m rag_lab.dashboard [--runs FOLDER] [--metrics FOLDER] [--host HOST] [--port PORT]`: the live local page.

It listens on this machine alone unless told otherwise, and then warns: whoever reaches it can read every run. A
RagLabError ends it with one line on stderr and the error's exit status.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rag_lab.errors import ConfigError, RagLabError

COMMAND = "python -m rag_lab.dashboard"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
PORT = 8050  # Dash's own


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Show runs on a local web page, live.")
    parser.add_argument("--runs", metavar="FOLDER", type=Path, default=Path("runs"), help="the folder of runs (runs)")
    parser.add_argument("--metrics", metavar="FOLDER", type=Path, help="of metrics files (reports/metrics beside it)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=PORT, help=f"the port ({PORT}); 0 takes any that is free")
    given = parser.parse_args(arguments)
    try:
        serve(given.runs, given.metrics or given.runs.resolve().parent / "reports" / "metrics", given.host, given.port)
    except RagLabError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        pass
    return 0


def serve(runs: Path, metrics: Path, host: str, port: int) -> None:
    """Serve the page. ConfigError where Dash is not installed or the address cannot be had."""
    if runs.exists() and not runs.is_dir():
        raise ConfigError(f"--runs {runs}: is a file; give the folder that holds runs")
    try:
        from werkzeug.serving import make_server

        from rag_lab.dashboard import app
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'rag-lab[dashboard]'") from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every second and page is no news
    server = app.build(runs, metrics).server
    if host in LOOPBACK:
        server.config["TRUSTED_HOSTS"] = [*LOOPBACK]  # a foreign site's name that leads here is turned away
    else:
        print(f"--host {host}: every machine that reaches it can read every run below {runs}/", file=sys.stderr)
    try:
        listening = make_server(host, port, server, threaded=True)
    except (OSError, SystemExit) as error:  # Werkzeug prints its own line and leaves
        raise ConfigError(f"--port {port} on {host} cannot be had; give another, or --port 0 for any") from error
    print(f"http://{f'[{host}]' if ':' in host else host}:{listening.server_port}/  (Ctrl-C ends it)", flush=True)
    listening.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
