"""A real browser, without a window: Debian's Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "chromium"
SECONDS = 120.0
"""How long a page may take on a busy machine."""


def require_browser() -> None:
    """Skip the module that calls this while it is imported, where there is no Chromium."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip("needs chromium", allow_module_level=True)


@contextmanager
def browser_page(width: int = 1920, height: int = 1080) -> Iterator[Page]:
    """A page of so many pixels; it is gone after the `with` block, the browser too."""
    # Chromium's own sandbox can't be made by root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=options)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(SECONDS * 1000)
        yield page
        browser.close()
