"""The figures: a page that stands alone, and a picture."""

from __future__ import annotations

from fpray.report import figures
from fpray.report.report import Report


def test_the_figures_tell_models_apart(compared: Report) -> None:
    page = figures.html(compared)
    for name in ("full-small", "full-large", "zero_shot-large"):
        assert f'"name":"{name}"' in page
    assert '"symbol":"circle"' in page
    assert '"symbol":"square"' in page
    assert figures.png(compared).startswith(b"\x89PNG")


def test_the_page_needs_no_network_and_shows_hyperparameters(report: Report) -> None:
    page = figures.html(report)
    assert "full-001" in page
    assert "lr=1e-05" in page
    assert "<script src=" not in page


def test_the_picture_is_a_png(report: Report) -> None:
    assert figures.png(report).startswith(b"\x89PNG")
