"""The figure as a picture, in each format."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from fpray.report import figures
from fpray.report.report import Report


def test_the_picture_is_a_png(report: Report) -> None:
    assert figures.png(report).startswith(b"\x89PNG")


def test_a_papers_picture_is_as_wide_as_a_column_and_its_text_is_text(report: Report, compared: Report) -> None:
    for shown, names in ((report, {"zero_shot", "full", "l2"}), (compared, {"full-small", "full-large"})):
        root = ET.fromstring(figures.picture(shown, "svg"))
        assert float(root.attrib["width"].removesuffix("pt")) / 72 == pytest.approx(3.35, abs=0.01)
        texts = [element for element in root.iter() if element.tag.endswith("}text")]
        assert names <= {"".join(text.itertext()).strip() for text in texts}
        sizes = [float(size) for text in texts for size in re.findall(r"([\d.]+)px", text.attrib["style"])]
        assert sizes and min(sizes) >= 6


def test_the_same_report_gives_the_same_file(report: Report) -> None:
    for kind in ("png", "svg", "pdf"):
        assert figures.picture(report, kind) == figures.picture(report, kind)  # type: ignore[arg-type]
    assert figures.picture(report, "pdf").startswith(b"%PDF")


def test_methods_differ_in_more_than_colour() -> None:
    assert len(set(figures.MARKS)) == len(set(map(str, figures.DASHES))) == len(figures.COLOURS) == 8


def test_eight_methods_have_a_step_of_each_dash(report: Report) -> None:
    full = next(method for method in report.methods if method.name == "full")
    names = [f"method{number}" for number in range(8)]
    own = tuple(full.model_copy(update={"method": name}) for name in names)
    points = tuple(p.model_copy(update={"method": name}) for name in names for p in report.of(full))
    many = report.model_copy(update={"methods": own, "points": points})
    root = ET.fromstring(figures.picture(many, "svg"))
    styles = [path.attrib.get("style", "") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    of_lines = {found[1] for style in styles if (found := re.search(r"stroke-dasharray: ([^;]+)", style))}
    assert len(of_lines) == len(figures.DASHES) - 1  # the first is solid
