"""The note on MLflow's pages: what the sweep compares, what it found so far, and how to see more, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from fpray.config import Sweep
from fpray.report import Report, describe, rules_line


def note(
    sweep: Sweep, report: Report, planned: int, folder: str, picture: str | None = None, files: str | None = None
) -> str:
    """The note of a sweep.

    Args:
        report: of the trials that have ended.
        planned: the number of all trials.
        folder: where the records and the report are.
        picture: the address of the fronts' picture, once there is one.
        files: the address of the page of the sweep's files, where there is a picture.
    """
    ended = sum(m.finished + m.failed for m in report.methods)
    failed = f", {report.failed()} failed" if report.failed() else ""
    lines = [
        f"**{sweep.name}**: ways to fine-tune {_models(sweep)} on {sweep.data.layout}, and what they cost on data from "
        "elsewhere.",
        "",
        f"{ended} of {planned} trials have ended{failed}. Test accuracy in %, of the trials that rules pick; OOD is "
        "the mean of the domains.",
        "",
        *_table(report),
        "",
        f"{rules_line(sweep.report.rules, sweep.search.objectives)}.",
    ]
    if picture is not None:
        lines += ["", f"![ID against OOD test accuracy, each method's front]({picture})"]
        lines += [
            "",
            f"The page to decide by (`report.html`) and all numbers (`numbers.json`, `trials.csv`): [files]({files}).",
        ]
    return "\n".join([*lines, "", f"Records and report: `{folder}`"])


def _models(sweep: Sweep) -> str:
    return ", ".join(f"{m.name} ({m.pretrained})" if m.pretrained else m.name for m in sweep.model.each())


def _table(report: Report) -> Iterator[str]:
    yield _row("method", "trials", "picked by", "trial", "test ID", "test OOD", "hyperparameters")
    yield "|---|---|---|---|---|---|---|"
    for m in report.methods:
        for picked, rules in m.picked():
            test = (f"{picked.test.id:.1f}", f"{picked.test.ood:.1f}")
            yield _row(m.name, str(m.finished), ", ".join(rules), picked.name, *test, _plain(describe(picked.params)))
        if not m.picks:
            yield _row(m.name, "0", "", "", "", "", "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """A text that is no markup in a table's cell."""
    return f"`{text.replace('|', '/').replace('`', '')}`" if text else ""
