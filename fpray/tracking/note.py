"""The note on MLflow's pages: what the sweep compares, what it found so far, and how to see more, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from fpray.config import Sweep
from fpray.report import Report, describe

RULES = {"id_val": "ID validation", "ood_val": "OOD validation", "knee": "knee of the front"}


def note(sweep: Sweep, report: Report, planned: int, folder: str, picture: str | None = None) -> str:
    """The note of a sweep.

    Args:
        report: of the trials that have ended.
        planned: the number of all trials.
        folder: where the records and the report are.
        picture: the address of the fronts' picture, once there is one.
    """
    ended = sum(m.finished + m.failed for m in report.methods)
    failed = f", {report.failed()} failed" if report.failed() else ""
    lines = [
        f"**{sweep.name}**: ways to fine-tune {_models(sweep)} on {sweep.data.layout}, and what they cost on data from "
        "elsewhere.",
        "",
        f"{ended} of {planned} trials have ended{failed}. Test accuracy in %, of the trial that validation images "
        "pick; OOD is the mean of the domains.",
        "",
        *_table(report),
    ]
    if picture is not None:
        lines += ["", f"![ID against OOD test accuracy, each method's front]({picture})"]
        lines += ["", "The interactive figure is this run's artifact `fronts.html`, all numbers are in `report.json`."]
    return "\n".join([*lines, "", f"Records and report: `{folder}`"])


def _models(sweep: Sweep) -> str:
    return ", ".join(f"{m.name} ({m.pretrained})" if m.pretrained else m.name for m in sweep.model.each())


def _table(report: Report) -> Iterator[str]:
    yield _row("method", "trials", "picked by", "trial", "test ID", "test OOD", "hyperparameters")
    yield "|---|---|---|---|---|---|---|"
    for m in report.methods:
        for rule, picked in m.picks().items():
            test = (f"{picked.test.id:.1f}", f"{picked.test.ood:.1f}")
            yield _row(m.name, str(m.finished), RULES[rule], picked.name, *test, _plain(describe(picked.params)))
        if not m.picks():
            yield _row(m.name, "0", "", "", "", "", "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """A text that is no markup in a table's cell."""
    return f"`{text.replace('|', '/').replace('`', '')}`" if text else ""
