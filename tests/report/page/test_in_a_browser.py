"""The page in a real browser: whole without a network, for the keyboard, and without a fault that axe-core finds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from fpray.config import check_sweep
from fpray.records import Count, Record, Trial
from fpray.report import as_html, content_of, make_report
from fpray.report.page.lines import Surface
from fpray.results import Results
from tests.browser import browser_page, require_browser

require_browser()

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHIFTS = ("imagenet_v2", "imagenet_sketch", "imagenet_r", "objectnet", "imagenet_a")
SWEEP = check_sweep({"name": "published", "methods": {"full": {"trials": 72}}}, "published")


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


def test_the_baseline_and_the_surfaces_of_repeats_are_drawn_where_they_hold(
    page: Page, finished: Results, tmp_path: Path
) -> None:
    assert page.locator("#chart .baseline").count() == 1
    page.get_by_label("baseline").uncheck()
    assert page.locator("#chart .baseline").count() == 0
    page.get_by_label("baseline").check()
    assert page.locator("#surfaces").is_hidden()
    surfaces = tuple(Surface(method="full", share=share, corners=((60, 50), (70, 40))) for share in (0.5, 1))
    content = finished.content.model_copy(update={"surfaces": surfaces})
    (tmp_path / "repeats.html").write_text(as_html(content), encoding="utf-8")
    with another(page) as own:
        own.goto((tmp_path / "repeats.html").as_uri())
        own.get_by_label("what half of the repeats attain").check()
        assert own.locator("#chart .surface").count() == 2
        for key, value in (("part", "val"), ("domain", "worst")):
            own.select_option(f"#{key}", value)
            assert own.locator("#chart .surface, #chart .baseline").count() == 0


@pytest.mark.parametrize("name", ["model_soups_b32", "wise_ft_b16"])
def test_published_models_have_their_fronts(name: str, page: Page, tmp_path: Path) -> None:
    """By the page, from records, as by a comparison of each with each."""
    with (FIXTURES / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    unit = 100 if name == "model_soups_b32" else 1
    records = [published(number, row, unit) for number, row in enumerate(rows)]
    report = make_report(SWEEP, records)
    (tmp_path / "report.html").write_text(as_html(content_of(SWEEP, report, records, {}, "")), encoding="utf-8")
    accuracies = [(float(row["imagenet"]), sum(float(row[shift]) for shift in SHIFTS)) for row in rows]
    expected = {
        f"full-{n:03d}"
        for n, (own, ood) in enumerate(accuracies)
        if not any(a >= own and b >= ood and (a, b) != (own, ood) for a, b in accuracies)
    }
    if name == "wise_ft_b16":
        assert {rows[int(trial[-3:])]["alpha"] for trial in expected} == {"0.7", "0.6", "0.5", "0.4"}
    with another(page) as own:
        own.goto((tmp_path / "report.html").as_uri())
        labels = [mark.get_attribute("aria-label") for mark in own.locator("#chart .mark:not(.faint)").all()]
        assert {str(label).split(":")[0] for label in labels} == expected
        assert own.locator("#chart .mark").count() == len(rows)


def published(number: int, row: dict[str, str], unit: int) -> Record:
    """A published model as a trial, with its test accuracies for validation ones, too."""
    places = {"id": "imagenet"} | {f"ood/{shift}": shift for shift in SHIFTS}
    counts = {
        f"{split}/{part}": Count(correct=round(10_000 * unit * float(row[key])), total=1_000_000)
        for split, key in places.items()
        for part in ("val", "test")
    }
    trial = Trial(id=f"full-{number:03d}", method="full", number=number, seed=0, params={"lr": 1e-5})
    return Record(trial=trial, started=0, status="finished", results=counts)


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
