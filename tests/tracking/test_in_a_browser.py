"""MLflow's pages of a real sweep on a real server, in a real browser: what one sees, and after how many clicks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from mlflow import MlflowClient
from playwright.sync_api import Page
from typer.testing import CliRunner

from fpray.__main__ import app
from fpray.config import read_sweep
from tests.browser import browser_page, require_browser
from tests.faults.mlflow_server import Server
from tests.faults.small import SMALL
from tests.sweeps import run_here
from tests.tracking.runs_page import CLOSE_ASSISTANT, EXPAND_NOTE, PICTURE, columns, comparison, is_drawn, run_names
from tests.waiting import wait_for

pytestmark = pytest.mark.long
require_browser()

METHODS = {
    "zero_shot": None,
    "full": {"trials": 2},
    "lora": {"trials": 2, "alpha": 8},
    "wise_ft": {"trials": 2, "of": ["full"]},
}
TRIALS = ["full-000", "full-001", "lora-000", "lora-001", "wise_ft-000", "wise_ft-001", "zero_shot-000"]


@dataclass(frozen=True)
class Tracked:
    """A sweep on a server, and the address that the command has printed."""

    server: str
    address: str

    def runs_of(self, *methods: str) -> list[str]:
        """The ids of some methods' runs."""
        found = MlflowClient(self.server).search_runs([self.experiment])
        return [run.info.run_id for run in found if run.data.params.get("method") in methods]

    @property
    def experiment(self) -> str:
        return str(MlflowClient(self.server).get_experiment_by_name("small").experiment_id)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Iterator[Tracked]:
    folder = tmp_path_factory.mktemp("browsed")
    server = Server(folder)
    server.start()
    content = SMALL | {"model": {"name": tiny_clip}, "storage": str(folder), "methods": METHODS}
    content |= {"train": SMALL["train"] | {"epochs": 1}, "tracking": {"uri": server.uri}}
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(content))
    run_here(read_sweep(file))  # its trials; the command then tells MLflow of them
    try:
        server.wait()
        done = CliRunner().invoke(app, ["sweep", str(file)])
        assert done.exit_code == 0, done.output
        printed = re.search(r"MLflow: (http\S+)", done.output)
        assert printed is not None, done.output
        yield Tracked(server.uri, printed[1])
    finally:
        server.kill()


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def test_the_printed_address_lists_the_trials_with_both_accuracies(tracked: Tracked, page: Page) -> None:
    page.goto(tracked.address)
    assert wait_for(lambda: sorted(run_names(page)) == TRIALS)
    page.click(CLOSE_ASSISTANT)  # MLflow opens it once for each user
    accuracies = [f"metrics.`{part}/{domain}`" for part in ("val", "test") for domain in ("id", "ood")]
    assert columns(page) == ["params.`method`", *accuracies]
    assert page.locator("[role=row]", has_text="small").count() == 0  # the sweep's own run has no accuracies


def test_the_fronts_are_one_click_away(tracked: Tracked, page: Page) -> None:
    page.goto(tracked.address)
    page.click(EXPAND_NOTE)
    assert wait_for(lambda: is_drawn(page.locator(PICTURE)))
    box = page.locator(PICTURE).bounding_box()
    assert box is not None and box["width"] > 400 and box["y"] < 1080
    assert page.get_by_role("cell", name="knee").first.is_visible()


def test_charts_begin_with_id_against_ood(tracked: Tracked, page: Page) -> None:
    page.goto(f"{tracked.address}&compareRunsMode=CHART")
    page.wait_for_selector(".js-plotly-plot .scatterlayer .point")
    first = page.locator(".js-plotly-plot").first
    assert first.locator(".xtitle").text_content() == "test/id"
    assert first.locator(".ytitle").text_content() == "test/ood"
    assert first.locator(".point").count() == len(TRIALS)


def test_no_two_methods_share_a_parameter_when_they_are_compared(tracked: Tracked, page: Page) -> None:
    page.goto(comparison(tracked.server, tracked.experiment, tracked.runs_of("lora", "wise_ft")))
    page.wait_for_selector("text=Run details")
    said = page.inner_text("body")
    assert "lora.alpha" in said and "wise_ft.alpha" in said
    assert not re.search(r"^alpha\b", said, re.MULTILINE)


def test_the_comparison_of_one_method_is_drawn_with_its_own_parameters(tracked: Tracked, page: Page) -> None:
    page.goto(comparison(tracked.server, tracked.experiment, tracked.runs_of("lora")))
    page.wait_for_selector(".js-plotly-plot .parcoords")
    axes = page.locator(".parcoords .axis-title").all_text_contents()
    assert len(axes) > 1 and all(axis.startswith(("lora.", "val/", "test/")) for axis in axes), axes
    page.get_by_role("tab", name="Scatter Plot").click()
    page.wait_for_selector(".js-plotly-plot .xtitle")
    assert str(page.locator(".js-plotly-plot .xtitle").text_content()).startswith("lora.")
