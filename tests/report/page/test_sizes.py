"""The page of a sweep that compares models: everything is held against the same model's, and size has its section."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from upath import UPath

from fpray.records import RecordStore
from fpray.report import Content, Report, as_html, content_of, table_html, together
from fpray.results import Results
from tests.browser import browser_page, require_browser
from tests.report.sized import PLANTED, Made, made

require_browser()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(RecordStore(UPath(tmp_path_factory.mktemp("planted"))), PLANTED)


@pytest.fixture(scope="module")
def report(planted: Made) -> Report:
    return planted.report()


@pytest.fixture(scope="module")
def content(planted: Made, report: Report) -> Content:
    return content_of(planted.sweep, report, planted.records, planted.draws, "", store=planted.store)


def test_picks_are_held_against_those_on_the_same_model(planted: Made, report: Report, content: Content) -> None:
    right = {
        r.trial.id: {split: images.correct for split, images in planted.store.read_images(r.trial.id).items()}
        for r in planted.records
    }
    assert {c.method for c in content.comparisons} == {m.name for m in report.methods}
    for own in content.comparisons:
        model = next(p.model for p in report.points if p.name == own.name)
        for key, difference in own.differences.items():
            part, base = key.split(" - ")
            other = next(m for m in report.methods if (m.method, m.model) == (base, model)).picks[own.rule].name
            split = {"id": "id/test", "ood": "ood/a/test"}[part]
            value = 100 * (right[own.name][split].mean() - right[other][split].mean())
            assert difference.value == pytest.approx(value)
    assert any(own.differences for own in content.comparisons)


def test_equal_id_is_counted_from_the_same_models_zero_shot(report: Report, content: Content) -> None:
    assert [own.method for own in content.equal_id] == [m.name for m in report.methods]
    known = {own.method: own for own in content.equal_id}
    assert report.sizes is not None
    for model in ("small", "large"):
        above = {
            more: known[f"l1-{model}"].ood[more][0] - known[f"full-{model}"].ood[more][0] for more in ("5", "10", "15")
        }
        assert report.sizes.gains[0].on[model].value == pytest.approx(sum(above.values()) / 3)


def test_the_section_has_every_number(report: Report, content: Content) -> None:
    assert content.sizes == {"by-size": report.sizes} and report.sizes is not None
    page = as_html(content)
    assert "By model size</h2>" in page and f"<p>{report.sizes.said()[0]}</p>" in page
    for own in report.sizes.gains:
        for found in (*own.on.values(), *own.more.values()):
            assert f"{found.value:+.1f} ± {found.half:.1f}" in page
    for model in report.sizes.models:
        for pick in (*model.bases.values(), model.best):
            assert pick is not None and pick.test_half is not None
            assert f"<td>{pick.test.ood:.1f} ± {pick.test_half.ood:.1f}</td>" in page
    assert Content.model_validate_json(content.model_dump_json()) == content


def test_one_model_has_nothing_of_it(finished: Results) -> None:
    assert finished.report.sizes is None
    for written in (finished.report.model_dump_json(), finished.content.model_dump_json()):
        assert '"sizes"' not in written
    assert "model size" not in as_html(finished.content)
    assert "by size" not in table_html(finished.report)


def test_the_findings_are_those_of_one_model(finished: Results, content: Content) -> None:
    assert finished.content.findings and not content.findings


def test_two_sweeps_have_a_section_each(content: Content, finished: Results) -> None:
    other = content.model_copy(update={"sweep": "other", "sizes": {"other": content.sizes["by-size"]}})
    page = as_html(together([content, other, finished.content]))
    assert "By model size: by-size</h2>" in page and "By model size: other</h2>" in page
    assert page.count('id="sizes-1"') == page.count('id="sizes-2"') == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing(scheme: str, width: int, content: Content, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(as_html(content), encoding="utf-8")
    with browser_page(width, 844) as page:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector(".mark")
        assert page.get_by_role("heading", name="By model size").is_visible()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0
