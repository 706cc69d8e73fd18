"""The live page, served as a user serves it and clicked in the machine's own Chromium; skipped where there is none.

RAG_LAB_PICTURES=FOLDER also writes a picture of each state there.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command import ROOT, environment

from rag_lab.tracking.jsonl import Events

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
REFERENCE = ROOT / "runs" / "reference" / "week2" / "packaged"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE_MS = 60_000  # on a busy machine; the page itself asks once a second
ADOPTED, CHANGED, LIVE, BROKEN = "reference/week2/packaged", "week2/changed", "week2/live", "week2/broken"
SECRET = "sk-0123456789"

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")


class Served(NamedTuple):
    port: int
    runs: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(runs: Path) -> Iterator[Served]:
    """The command, on a free port."""
    command = [sys.executable, "-m", "rag_lab.dashboard", "--runs", str(runs), "--port", "0"]
    process = subprocess.Popen(command, env=environment(), text=True, stdout=subprocess.PIPE, cwd=runs.parent)
    try:
        assert process.stdout is not None
        found = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found, "the command names its address"
        yield Served(int(found[1]), runs)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stdout is not None
        process.stdout.close()


def fill(runs: Path) -> None:
    """An adopted run, the same with other scores, one that goes on and holds a secret, and one that is torn."""
    shutil.copytree(REFERENCE, runs / ADOPTED)
    shutil.copytree(REFERENCE, runs / CHANGED)
    change(runs / CHANGED)
    events = Events(runs / LIVE / "events.jsonl")
    events.emit("started", experiment="week2", command=f"python -m rag_lab openai.api_key={SECRET}")
    for done in range(0, 500, 50):
        events.emit("progress", what="encode law", done=done, total=1000, unit="passages", per_s=210.0)
    shutil.copytree(REFERENCE, runs / BROKEN)
    (runs / BROKEN / "curves.json").write_text('{"regret": {"st')
    (runs / BROKEN / "per_query.parquet.gz").write_bytes(b"nothing of the kind")


def change(folder: Path) -> None:
    """Take a tenth from nDCG of every query; name another seed and a secret in the settings."""
    import pyarrow.parquet as pq

    path = folder / "per_query.parquet.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    table = pq.read_table(path.with_suffix(""))
    at = table.schema.get_field_index("ndcg_at_10")
    import pyarrow.compute as pc

    pq.write_table(table.set_column(at, "ndcg_at_10", pc.multiply(table["ndcg_at_10"], 0.9)), path.with_suffix(""))
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"seed": 7, "started_at": "2026-01-01T00:00:00+00:00"}))
    text = (folder / "resolved.yaml").read_text()
    (folder / "resolved.yaml").write_text(text.replace("seed: 0", "seed: 7") + f"\napi_key: {SECRET}\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    runs = tmp_path_factory.mktemp("work") / "runs"
    fill(runs)
    with serve(runs) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as session:
        found = session.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A desk's page; it must end without an error of its own."""
    found = browser.new_page(viewport=DESK, color_scheme="light")
    found.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield found
    found.close()
    assert errors == []


def picture(page: Any, name: str) -> None:
    """A picture of the page, where they are asked for."""
    if folder := os.environ.get("RAG_LAB_PICTURES"):
        page.wait_for_timeout(2500)  # figures draw themselves after they are there
        page.screenshot(path=str(Path(folder) / f"dashboard-{name}.png"), full_page=True)


def leave(page: Any) -> None:
    """Ask the server for nothing more: it is about to end."""
    page.goto("about:blank")


def shown(page: Any, name: str) -> Any:
    """A figure, drawn."""
    page.wait_for_selector(f"#figure-{name} .plotly svg.main-svg")
    return page.locator(f"#figure-{name}")


# Without a browser


def answer(served: Served, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", path, headers={"Host": host} if host else {})
    found = connection.getresponse()
    content = found.read()
    connection.close()
    return found.status, content


def test_it_listens_on_this_machine_alone_and_to_its_own_name(served: Served) -> None:
    assert answer(served, "/")[0] == 200
    assert answer(served, "/", host="evil.example")[0] == 400
    sockets = Path("/proc/net/tcp").read_text().splitlines() if Path("/proc/net/tcp").exists() else []
    listening = [
        line.split()[1]
        for line in sockets
        if line.split()[1].endswith(f":{served.port:04X}") and line.split()[3] == "0A"
    ]
    assert listening in ([], [f"0100007F:{served.port:04X}"])


@pytest.mark.parametrize("key", ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "week2/live"])
def test_only_reports_of_listed_runs_are_served(served: Served, key: str) -> None:
    assert answer(served, f"/report/{key}")[0] == 404


def test_a_run_s_report_is_served(served: Served) -> None:
    (served.runs / CHANGED / "report.html").write_text("<p>the report</p>")
    assert answer(served, f"/report/{CHANGED}") == (200, b"<p>the report</p>")


def test_a_taken_port_is_one_clear_line(served: Served) -> None:
    command = [sys.executable, "-m", "rag_lab.dashboard", "--runs", str(served.runs), "--port", str(served.port)]
    done = subprocess.run(command, env=environment(), text=True, capture_output=True, timeout=120)
    assert done.returncode == 2 and f"--port {served.port}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# In the browser


@needs_browser
def test_a_run_is_chosen_its_views_opened_and_gone_back_from_by_clicks(served: Served, page: Any) -> None:
    page.goto(served.address)
    page.click(f"#runs a[title='{ADOPTED}']")
    page.wait_for_selector("#view .verdict")
    shown(page, "tradeoff")
    shown(page, "paired-recall_at_10")
    picture(page, "finished")
    page.click("text=Targets")
    page.wait_for_selector(".board > li")
    summary = json.loads((served.runs / ADOPTED / "summary.json").read_text())
    measured = [one for one in summary["targets"] if one["verdict"] != "not measured"]
    assert page.locator(".board > li").count() == len(measured)
    for one in measured:
        card = page.locator(".board > li", has_text=one["id"])
        assert one["verdict"] in card.inner_text() and one["statement"] in card.inner_text()
    picture(page, "targets")
    page.click("text=Quality & cost")
    shown(page, "recall")
    page.click("text=Learning")
    shown(page, "regret")
    page.click(".tabs >> text=Queries")
    page.wait_for_selector("text=Queries lost and won")
    page.go_back()
    shown(page, "regret")
    assert "view=learning" in page.url


@needs_browser
def test_what_a_run_says_is_shown_soon(served: Served, page: Any) -> None:
    page.goto(f"{served.address}/?run={LIVE}")
    page.wait_for_selector("text=450 of 1,000 passages")
    events = Events(served.runs / LIVE / "events.jsonl")
    events.emit("progress", what="encode law", done=640, total=1000, unit="passages", per_s=215.0)
    started = time.monotonic()
    page.wait_for_selector("text=640 of 1,000 passages")
    print(f"an event was shown after {time.monotonic() - started:.2f} s")
    page.wait_for_selector("#runs >> text=running 64%")
    shown(page, "work")
    picture(page, "running")
    assert SECRET not in page.content()
    page.click("text=Log")
    page.wait_for_selector("td.kind >> text=started")
    assert SECRET not in page.content()


@needs_browser
def test_a_preference_moves_the_router(page: Any) -> None:
    with serve(ROOT / "runs") as served:
        page.goto(f"{served.address}/?run=reference/economy/packaged&view=quality")
        before = shown(page, "pareto").inner_text()
        assert "as configured" in before
        page.focus(".preference [role=slider]")
        page.keyboard.press("Home")
        page.wait_for_function("!document.getElementById('figure-pareto').textContent.includes('as configured')")
        leave(page)


@needs_browser
def test_two_runs_are_compared_with_intervals(served: Served, page: Any) -> None:
    page.goto(f"{served.address}/?run={ADOPTED}&view=compare")
    page.click(f".choices a:has-text('{CHANGED}')")
    drawn = shown(page, "paired-ndcg_at_10")
    assert drawn.locator(".errorbars path.xerror").count() > 0
    page.wait_for_selector("text=the seeds differ")
    page.wait_for_selector("td >> text=absent")
    assert SECRET not in page.content()
    picture(page, "comparison")
    page.click("summary:has-text('variants')")
    page.click(".chips a:text-is('static')")
    page.wait_for_selector("text=static: ")
    page.click("text=Swap")
    page.wait_for_function(f"location.search.startsWith('?run={CHANGED}')")


@needs_browser
@pytest.mark.parametrize("view", ["overview", "targets", "quality", "learning", "latency", "queries", "log", "compare"])
def test_a_broken_run_costs_its_own_parts_alone(served: Served, page: Any, view: str) -> None:
    page.goto(f"{served.address}/?run={BROKEN}&view={view}")
    page.wait_for_selector("#view > *")
    assert page.locator("#runs li").count() == 4
    if view == "overview":
        page.wait_for_selector("#view [role=alert] >> text=curves.json")
        picture(page, "broken")


@needs_browser
def test_a_run_killed_in_the_middle_of_a_line_goes_on_being_shown(tmp_path: Path, page: Any) -> None:
    folder = tmp_path / "runs" / "week2" / "killed"
    writer = (
        "import sys, pathlib; from rag_lab.tracking.jsonl import Events\n"
        "events = Events(pathlib.Path(sys.argv[1]))\n"
        "events.emit('started', experiment='week2')\n"
        "for done in range(10**9):\n"
        "    events.emit('progress', what='learn', done=done, total=10**9, unit='seeds', per_s=1.0)"
    )
    process = subprocess.Popen([sys.executable, "-c", writer, str(folder / "events.jsonl")], env=environment())
    while not (folder / "events.jsonl").exists() or (folder / "events.jsonl").stat().st_size < 100_000:
        time.sleep(0.05)
    process.kill()
    process.wait()
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"time": "2026-')
    (folder / "summary.json").with_name(".0a.summary.json").write_text('{"sch')
    with serve(tmp_path / "runs") as served:
        page.goto(served.address)
        page.wait_for_selector("#now >> text=learn")
        page.click(".tabs >> text=Log")
        page.wait_for_selector("text=1 × started")
        assert page.locator("[role=alert]").count() == 0
        leave(page)


@needs_browser
def test_everything_is_reached_by_keyboard(served: Served, page: Any) -> None:
    page.goto(served.address)
    page.wait_for_selector("#runs li")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the run"
    page.keyboard.press("/")
    page.keyboard.type("packaged")
    page.wait_for_function("[...document.querySelectorAll('#runs li')].filter(one => !one.hidden).length === 1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.title") == ADOPTED
    page.keyboard.press("Enter")
    page.wait_for_function(f"location.search === '?run={ADOPTED}'")
    page.fill("#filter", "")
    page.wait_for_function("[...document.querySelectorAll('#runs li')].every(one => !one.hidden)")
    page.locator("#runs a").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[...document.querySelectorAll('#runs a')].indexOf(document.activeElement)") == 1
    tabs = page.locator(".tabs a")
    tabs.nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".board")
    assert tabs.nth(1).get_attribute("aria-current") == "page"


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_list_then_a_run_and_nothing_sticks_out(served: Served, browser: Any, scheme: str) -> None:
    phone = browser.new_page(viewport=PHONE, color_scheme=scheme)
    phone.set_default_timeout(PATIENCE_MS)
    phone.goto(served.address)
    phone.wait_for_selector("#runs li")
    assert not phone.locator("#main").is_visible()
    phone.click(f"#runs a[title='{ADOPTED}']")
    shown(phone, "tradeoff")
    assert not phone.locator("#side").is_visible()
    colour = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    inked = phone.evaluate("document.querySelector('#figure-tradeoff .xtick text').style.fill")
    assert inked == ("rgb(27, 31, 36)" if scheme == "light" else "rgb(231, 234, 238)")
    picture(phone, f"phone-{scheme}")
    for view in ("targets", "quality", "learning", "queries", "log", "compare"):
        phone.goto(f"{served.address}/?run={ADOPTED}&view={view}")
        phone.wait_for_selector("#view > *")
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], view
    phone.click("text=All runs")
    phone.wait_for_selector("#runs li >> visible=true")
    phone.close()


@needs_browser
def test_a_desk_in_the_dark(served: Served, browser: Any) -> None:
    desk = browser.new_page(viewport=DESK, color_scheme="dark")
    desk.set_default_timeout(PATIENCE_MS)
    desk.goto(f"{served.address}/?run={ADOPTED}&view=learning")
    shown(desk, "regret")
    picture(desk, "dark")
    desk.emulate_media(color_scheme="light")  # the reader's light turns while the page is open
    desk.wait_for_function("document.querySelector('#figure-regret .xtick text')?.style.fill === 'rgb(27, 31, 36)'")
    desk.close()


@needs_browser
def test_no_run_yet_then_one_appears_by_itself(tmp_path: Path, page: Any) -> None:
    with serve(tmp_path / "runs") as served:
        page.goto(served.address)
        page.wait_for_selector("h2:has-text('No run yet')")
        picture(page, "empty")
        Events(tmp_path / "runs" / "week1" / "first" / "events.jsonl").emit("started", experiment="week1")
        page.wait_for_selector("#runs a[title='week1/first']")
        page.goto(f"{served.address}/?run=week1/gone")
        page.wait_for_selector("h2:has-text('No such run')")
        leave(page)


@needs_browser
def test_a_hundred_runs_are_listed_and_an_idle_page_is_sent_nothing(tmp_path: Path, page: Any) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(REFERENCE, runs / ADOPTED)
    for number in range(99):
        folder = runs / "week2" / f"2026-01-01_00-00-{number:02}-000000"
        folder.mkdir(parents=True)
        (folder / "summary.json").symlink_to(runs / ADOPTED / "summary.json")
    with serve(runs) as served:
        page.goto(f"{served.address}/?run={ADOPTED}")
        shown(page, "tradeoff")
        assert page.locator("#runs li").count() == 100
        answers: list[int] = []
        page.on("response", lambda one: answers.append(one.status) if "_dash-update" in one.url else None)
        page.wait_for_timeout(4000)
        leave(page)
        assert answers and set(answers) == {204}
