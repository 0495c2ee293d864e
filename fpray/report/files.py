"""The report's files: JSON for programs, a page and a picture for people."""

from __future__ import annotations

from upath import UPath

from fpray.report import figures
from fpray.report.report import Report
from fpray.storage import write_whole


def write_report(report: Report, folder: UPath) -> list[UPath]:
    """Write each method's front and the whole report as JSON, the figure as a page and as a picture.

    Args:
        folder: made if need be; files of an earlier report are replaced.

    Returns:
        The files written.

    Raises:
        StorageError: if one can't be written.
    """
    contents = {f"front-{m.name}.json": m.model_dump_json(indent=1).encode() for m in report.methods}
    contents |= {"report.json": report.model_dump_json(indent=1).encode()}
    contents |= {"fronts.html": figures.html(report).encode(), "fronts.png": figures.png(report)}
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]
