"""How large the report's page is, and how long a browser takes to show it.

    python -m benchmarks.page fpray-results/quickstart --trials 500

The sweep's configurations are repeated, each with accuracies of its own, until there are as many. Times are of Chromium
without a window, from the start of loading to the drawn picture, scripts included: the median of the rounds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import sync_playwright

import fpray
from fpray.report import Content, as_html

SCRIPT = "performance.getEntriesByType('navigation')[0].domComplete"


def enlarged(content: Content, trials: int) -> Content:
    """The content with so many points, which differ."""
    rng, own = np.random.default_rng(0), content.points
    points = []
    for n in range(trials):
        point = own[n % len(own)]
        shift = {part: {s: v + rng.normal() for s, v in getattr(point, part).items()} for part in ("val", "test")}
        points.append(point.model_copy(update={"name": f"{point.method}-{n:03d}", "rules": (), "source": None} | shift))
    return content.model_copy(update={"points": (*own, *points)[:trials]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the sweep's name or folder")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    html = as_html(enlarged(fpray.load(arguments.name).content, arguments.trials))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "page.html")
        file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = []
        for _ in range(arguments.rounds):
            page = browser.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector(".mark")
            times.append(page.evaluate(SCRIPT))
            page.close()
        browser.close()
    print(f"{arguments.trials} configurations: {len(html) / 1e6:.2f} MB, {median(times) / 1000:.2f} s")


if __name__ == "__main__":
    main()
