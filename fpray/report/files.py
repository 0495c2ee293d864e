"""The report's files: a page and pictures for people, JSON and CSV for programs."""

from __future__ import annotations

from upath import UPath

from fpray.report import figures
from fpray.report.page import Content, as_html, trials_csv
from fpray.report.report import Report
from fpray.storage import write_whole


def write_report(report: Report, content: Content, folder: UPath) -> list[UPath]:
    """Write the page, the figure as pictures, each method's front and all numbers.

    Args:
        folder: made if need be; files of an earlier report are replaced.

    Returns:
        The files written.

    Raises:
        StorageError: if one can't be written.
    """
    contents = {f"front-{m.name}.json": m.model_dump_json(indent=1).encode() for m in report.methods}
    contents |= {
        "report.json": report.model_dump_json(indent=1).encode(),
        "numbers.json": content.model_dump_json(indent=1).encode(),
        "trials.csv": trials_csv(content.points).encode(),
        "report.html": as_html(content).encode(),
        "fronts.png": figures.png(report),
        "fronts.svg": figures.picture(report, "svg"),
        "fronts.pdf": figures.picture(report, "pdf"),
    }
    for name, written in contents.items():
        write_whole(folder / name, written)
    return [folder / name for name in contents]
