"""A picture of a run's page, for reports/ and the README: its top, 1400 × 1800 pixels, by a headless browser.

The browser is the machine's own Chromium or Chrome; it gets a profile of its own that is thrown away.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from rag_lab.assets import atomic
from rag_lab.errors import AssetError, RagLabError
from rag_lab.report import page
from rag_lab.report.run import load

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = (1400, 1800)
DRAWING_MS = 8000  # the page's own clock: time for every figure to be drawn
PATIENCE_S = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def take(run_folder: Path | str, reports: Path) -> Path:
    """Write `<reports>/<experiment>.png` from the run's report.html, made anew; return its path.

    Raises AssetError where no browser is on PATH, DataError where the folder is no run's.
    """
    run = load(run_folder)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise AssetError(f"no browser on PATH ({', '.join(BROWSERS)}): install Chromium, or leave out --picture")
    address = page.write(run).resolve().as_uri()
    path = reports / f"{run.summary['experiment']}.png"
    with atomic.write(path) as temporary, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--virtual-time-budget={DRAWING_MS}",
            f"--screenshot={temporary.resolve()}",
            address,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise RagLabError(
                f"{browser} took longer than {PATIENCE_S} s; try again, or leave out --picture"
            ) from error
        if done.returncode != 0 or not temporary.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise RagLabError(f"{browser} took no picture ({last}); try again, or leave out --picture")
    return path
