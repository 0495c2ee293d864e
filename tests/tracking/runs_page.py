"""What MLflow's pages show, by their own names of things."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from playwright.sync_api import Locator, Page

EXPAND_NOTE = "[data-component-id='mlflow.experiment.metadata_editor.expand_button']"
CLOSE_ASSISTANT = "[data-component-id='mlflow.assistant.chat_panel.close']"
PICTURE = "img[src*='fronts.png']"


def columns(page: Page) -> list[str]:
    """The run list's columns of parameters and metrics that are in sight, from left to right, by their keys."""
    found = dict[str, float]()
    for header in page.locator("[role=columnheader][col-id*='`']").all():
        box = header.bounding_box()
        if box is not None:
            found[header.get_attribute("col-id") or ""] = box["x"]
    return [key for key in sorted(found, key=lambda key: found[key]) if key.startswith(("params.", "metrics."))]


def run_names(page: Page) -> list[str]:
    """The runs that are listed so far, in order."""
    names = [link.inner_text().strip() for link in page.locator("[role=row] a[href*='/runs/']").all()]
    return [name for name in names if name]


def is_drawn(picture: Locator) -> bool:
    """Whether a picture has been loaded."""
    return bool(picture.evaluate("image => image.complete && image.naturalWidth > 0"))


def comparison(server: str, experiment: str, runs: Sequence[str]) -> str:
    """The address of the page that compares runs, which a click on Compare opens."""
    return f"{server}/#/compare-runs?runs={quote(json.dumps(list(runs)))}&experiments={quote(json.dumps([experiment]))}"
