"""The page in a real browser: whole without a network, for the keyboard, and without a fault that axe-core finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from fpray.report import as_html
from fpray.results import Results
from tests.browser import browser_page, require_browser

require_browser()


@pytest.fixture(scope="module")
def file(finished: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(as_html(finished.content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(file: Path) -> Iterator[Page]:
    with browser_page(1200, 900) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector(".mark")
        assert asked == [file.as_uri()]
        yield page


@contextmanager
def another(page: Page, width: int = 1200, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """Another page of the same browser."""
    assert page.context.browser is not None
    context = page.context.browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def marks(page: Page) -> list[str]:
    return [str(mark.get_attribute("aria-label")) for mark in page.locator("#chart .mark").all()]


def test_every_configuration_is_a_mark_that_says_what_it_is(page: Page, finished: Results) -> None:
    labels = marks(page)
    assert len(labels) == len(finished.content.points)
    for point in finished.content.points:
        (label,) = [label for label in labels if label.startswith(f"{point.name}: ")]
        assert f"test ID {point.test['id']:.1f}" in label and point.text in label


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing(page: Page, file: Path, scheme: Literal["light", "dark"], width: int) -> None:
    with another(page, width, scheme) as own:
        own.goto(file.as_uri())
        own.wait_for_selector(".mark")
        found = Axe().run(own)
        assert found.violations_count == 0, found.generate_report()
        wider = own.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0  # what is too wide scrolls by itself


def test_marks_are_reached_by_keyboard(page: Page) -> None:
    page.locator("#legend button").last.focus()
    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert first == marks(page)[0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == marks(page)[1]
    assert str(page.locator("#details").text_content()).replace("\n", "; ") == marks(page)[1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == marks(page)[-1]


def test_a_method_alone(page: Page, finished: Results) -> None:
    button = page.get_by_role("button", name="full", exact=True)
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert {label.split("-")[0] for label in marks(page)} == {"full"}
    button.press("Enter")
    assert len(marks(page)) == len(finished.content.points)


def test_switches_show_other_accuracies(page: Page, finished: Results) -> None:
    point = next(p for p in finished.content.points if p.name == "full-000")
    page.select_option("#part", "val")
    (label,) = [label for label in marks(page) if label.startswith("full-000")]
    assert f"validation ID {point.val['id']:.1f}" in label
    page.select_option("#axes", "logit")
    assert len(marks(page)) == len(finished.content.points)
    page.select_option("#domain", "ood/sketch")
    assert "sketch" in str(page.locator("#chart").text_content())
    for key, value in (("part", "test"), ("axes", "linear"), ("domain", "mean")):
        page.select_option(f"#{key}", value)


def test_every_knob_is_drawn(page: Page) -> None:
    page.select_option("#knob-method", "full")
    assert page.locator("#knob option").all_text_contents() == ["lr"]
    assert page.locator("#knob-chart path").count() == 2 * 2


def test_the_table_has_every_pick(page: Page, finished: Results) -> None:
    text = str(page.locator("#picks").text_content())
    for method in finished.report.methods:
        for own in method.picks.values():
            assert own.name in text and f"{own.test.id:.1f}" in text


def test_words_of_records_are_no_markup(page: Page, finished: Results, tmp_path: Path) -> None:
    evil = "</script><script>document.title='evil'</script><b>"
    points = tuple(p.model_copy(update={"text": evil}) for p in finished.content.points)
    content = finished.content.model_copy(update={"points": points, "sweep_file": evil, "answer": (evil,)})
    (tmp_path / "evil.html").write_text(as_html(content), encoding="utf-8")
    with another(page) as own:
        own.goto((tmp_path / "evil.html").as_uri())
        own.wait_for_selector(".mark")
        assert own.title() == "small: ID and OOD accuracy by method"
        assert own.locator("b").count() == 0
        assert evil in str(own.locator(".mark").first.get_attribute("aria-label"))
