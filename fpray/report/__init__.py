"""The report: what a sweep found, derived from its records.

`make_report` finds each method's Pareto front, its hypervolume, and the picks of each rule; `table` shows them on the
terminal and `table_html` in a notebook. `content_of` computes all that the page shows, `as_html` makes the page, and
`write_report` writes it beside pictures (`png`), JSON and CSV.
Validation images decide what is on a front and what is picked; test accuracies are only reported.

Names are imported when they are first asked for: only the pictures need matplotlib.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.report.curves import Averaged, curve_front
    from fpray.report.figures import png
    from fpray.report.files import write_report
    from fpray.report.measures import measures_of
    from fpray.report.outcomes import Outcomes, estimated, known_outcomes, ood_mean
    from fpray.report.page import Content, as_html, content_of, together
    from fpray.report.pareto import Configuration
    from fpray.report.picks import pick, rules_line
    from fpray.report.published import remarks_on
    from fpray.report.report import MethodReport, Report, describe, make_report
    from fpray.report.terminal import table, table_html

__getattr__ = attach(
    __name__,
    {
        "Averaged": "curves",
        "curve_front": "curves",
        "png": "figures",
        "write_report": "files",
        **dict.fromkeys(("Outcomes", "estimated", "known_outcomes", "ood_mean"), "outcomes"),
        **dict.fromkeys(("Content", "as_html", "content_of", "together"), "page"),
        "Configuration": "pareto",
        "measures_of": "measures",
        "pick": "picks",
        "rules_line": "picks",
        "remarks_on": "published",
        "MethodReport": "report",
        "Report": "report",
        "describe": "report",
        "make_report": "report",
        "table": "terminal",
        "table_html": "terminal",
    },
)

__all__ = [
    "Averaged",
    "Configuration",
    "Content",
    "MethodReport",
    "Outcomes",
    "Report",
    "as_html",
    "content_of",
    "curve_front",
    "describe",
    "estimated",
    "known_outcomes",
    "make_report",
    "measures_of",
    "ood_mean",
    "pick",
    "png",
    "remarks_on",
    "rules_line",
    "table",
    "table_html",
    "together",
    "write_report",
]
