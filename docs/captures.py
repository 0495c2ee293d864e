"""Makes the pictures in docs/pictures/: the embedded example on a terminal, in a log, its report, and MLflow's pages.

pip install '.[test]' && python -m docs.captures

It runs the example three times: on a small terminal, on a large one, and into a file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

from mlflow import MlflowClient
from playwright.sync_api import Page
from rich.console import Console
from rich.text import Text

from fpray.tracking.pages import pages
from tests.browser import browser_page
from tests.faults.mlflow_server import Server
from tests.terminal import Terminal
from tests.tracking.runs_page import CLOSE_ASSISTANT, EXPAND_NOTE, comparison, run_names

PICTURES = Path(__file__).parent / "pictures"
SWEEPS = Path("/tmp/sweeps")
"""Where the sweeps run, one after the other; the pictures show this path."""
SIZES = ((80, 24), (120, 40))


@dataclass(frozen=True)
class Kind:
    """How a page is looked at."""

    width: int = 1200
    height: int = 1000
    scheme: Literal["light", "dark"] = "light"
    printed: bool = False
    seen_as: str | None = None
    focused: bool = False


PAGES = {
    "wide": Kind(),
    "dark": Kind(scheme="dark"),
    "phone": Kind(390, 844),
    "grey": Kind(printed=True, seen_as="achromatopsia"),
    "deuteranopia": Kind(seen_as="deuteranopia"),
    "focus": Kind(focused=True),
}
CALL = (sys.executable, "-m", "fpray", "sweep")


def picture(terminal: Terminal, name: str) -> None:
    """Save what stands on the screen, as it stands there."""
    columns, rows = terminal.screen.columns, terminal.screen.lines
    lines = terminal.lines()
    console = Console(record=True, width=columns, height=rows, file=StringIO())
    for line in [*lines, *[""] * (rows - len(lines))]:
        console.print(Text(line), no_wrap=True, overflow="crop")
    console.save_svg(str(PICTURES / f"{name}.svg"), title=f"fpray sweep, {columns} x {rows}")


def wait(until: Callable[[], bool], terminal: Terminal) -> None:
    while not until() and terminal.goes_on():
        time.sleep(0.1)


@contextmanager
def new_folder() -> Iterator[Path]:
    """An empty folder to run in, where no sweep is known; it must not be there yet, and is taken away."""
    SWEEPS.mkdir()
    with tempfile.TemporaryDirectory() as state:
        os.environ["FPRAY_STATE"] = state
        try:
            yield SWEEPS
        finally:
            shutil.rmtree(SWEEPS)


def half_done(line: str) -> bool:
    """Whether a line says that half of the trials are done."""
    said = re.search(r"(\d+) of (\d+) trials done", line)
    return said is not None and 2 * int(said[1]) >= int(said[2])


def on_a_terminal(columns: int, rows: int, folder: Path) -> None:
    """Run the embedded example in a terminal of a size."""
    name, began = f"terminal-{columns}x{rows}", time.monotonic()
    with Terminal(CALL, columns, rows, folder) as terminal:
        wait(lambda: bool(terminal.lines()), terminal)
        print(f"{name}: first line after {time.monotonic() - began:.2f} s")
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
        picture(terminal, f"{name}-first-second")
        wait(lambda: any(half_done(line) for line in terminal.lines()), terminal)
        picture(terminal, f"{name}-middle")
        wait(lambda: not terminal.goes_on(), terminal)
        time.sleep(0.5)
        picture(terminal, f"{name}-end")
        print(f"{name}: {time.monotonic() - began:.0f} s, exit code {terminal.process.returncode}")


def in_a_log(folder: Path) -> None:
    """Run the embedded example into a file."""
    began = time.monotonic()
    done = subprocess.run(CALL, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    (PICTURES / "log.txt").write_text(done.stdout)
    print(f"log: {time.monotonic() - began:.0f} s, exit code {done.returncode}")


def screenshot(address: str, name: str, ready: Callable[[Page], object]) -> None:
    """Save a page of MLflow's, without its assistant."""
    with browser_page(1600, 900) as page:
        page.goto(address)
        ready(page)
        page.click(CLOSE_ASSISTANT)
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURES / f"{name}.png")


def drawn(marks: str) -> Callable[[Page], object]:
    """Wait until a chart has such marks."""
    return lambda page: page.wait_for_selector(f".js-plotly-plot {marks}")


def on_mlflows_pages(storage: Path) -> None:
    """Look at the runs of the embedded example in a browser: first sight, the note, charts, one method compared."""
    server = Server(storage, f"sqlite:///{storage}/mlflow.db")
    server.start()
    try:
        server.wait()
        client = MlflowClient(server.uri)
        experiment = client.get_experiment_by_name("quickstart").experiment_id
        lora = [run.info.run_id for run in client.search_runs([experiment], "params.method = 'lora'")]
        address = pages(server.uri, experiment).address
        screenshot(address, "mlflow-runs", run_names)
        screenshot(address, "mlflow-note", lambda page: page.click(EXPAND_NOTE))
        screenshot(f"{address}&compareRunsMode=CHART", "mlflow-charts", drawn(".scatterlayer .point"))
        screenshot(comparison(server.uri, experiment, lora), "mlflow-compare", drawn(".parcoords"))
    finally:
        server.kill()


def on_the_reports_page(file: Path) -> None:
    """The report's page: on a screen, dark, on a phone, as printed in grey, as a deuteranope sees it, by keyboard."""
    with browser_page(1200, 1000) as page:
        browser = page.context.browser
        assert browser is not None
        for name, kind in PAGES.items():
            context = browser.new_context(
                viewport={"width": kind.width, "height": kind.height}, color_scheme=kind.scheme
            )
            own = context.new_page()
            own.goto(file.as_uri())
            own.wait_for_selector(".mark")
            if kind.printed:
                own.emulate_media(media="print")
            if kind.seen_as is not None:
                context.new_cdp_session(own).send("Emulation.setEmulatedVisionDeficiency", {"type": kind.seen_as})
            if kind.focused:
                own.locator("#legend button").last.focus()
                own.keyboard.press("Tab")
                own.keyboard.press("ArrowRight")
            own.screenshot(path=PICTURES / f"report-{name}.png")
            context.close()


if __name__ == "__main__":
    for size in SIZES:
        with new_folder() as folder:
            on_a_terminal(*size, folder)
    with new_folder() as folder:
        in_a_log(folder)
        on_the_reports_page(folder / "fpray-results" / "quickstart" / "report" / "report.html")
        on_mlflows_pages(folder / "fpray-results")
