"""The figure as a picture: every method's trials and front, ID against OOD test accuracy."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpray.report.report import MethodReport, Report
from fpray.statistics import is_on_front

Format = Literal["png", "svg", "pdf"]
X, Y = "ID test accuracy (%)", "OOD test accuracy, mean of domains (%)"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a7a7a", "#e69f00")
"""Okabe and Ito's, which colour-blind readers tell apart, with a darker yellow; in the order of methods."""
MARKS = ("o", "s", "^", "D", "P", "X", "v", "h")
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (7, 1, 1, 1, 1, 1)), (0, (1, 4)))
"""So that methods are told apart in grey print, too."""
PAPER = 3.35
"""Inches: the width of a column of a paper."""
SCREEN = 8.0


def png(report: Report) -> bytes:
    """The figure for a screen."""
    return picture(report, "png", SCREEN)


def picture(report: Report, kind: Format, width: float = PAPER) -> bytes:
    """The figure in a format.

    Args:
        width: in inches; type is 7 points in a paper's column and 10 on a screen.
    """
    size = 7 if width < 5 else 10
    with rc_context({"font.size": size, "svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "fpray"}):
        figure = Figure(figsize=(width, width * (0.9 if width < 5 else 0.7)), dpi=120, layout="constrained")
        axes = figure.subplots()
        plain = [m.name for m in report.methods if m.method != "zero_shot"]
        for method in report.methods:
            _draw(axes, report, method, plain.index(method.name) if method.name in plain else None, size)
        axes.set(xlabel=X, ylabel=Y, title=f"{report.sweep}: fronts chosen on validation images" if size > 7 else "")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=size - 1)
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, dpi=300 if size == 7 else 120, metadata=NO_DATE[kind])
    return buffer.getvalue()


NO_DATE: dict[Format, dict[str, None] | None] = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""So that the same report gives the same file."""


def _draw(axes: Axes, report: Report, method: MethodReport, number: int | None, size: int) -> None:
    """A method's configurations, and the steps of what its front attains.

    Args:
        number: of the method among those that change the model; None for zero-shot, whose mark is WiSE-FT's star.
    """
    on_front = {point.name for point in method.front}
    colour = "black" if number is None else COLOURS[number % len(COLOURS)]
    turn = 0 if number is None else (number + number // 8) % 8  # a ninth has the first's colour with another mark
    mark = "*" if number is None else MARKS[turn]
    large = (12 if number is None else 6) * size / 10
    rest = np.array([p.test.pair for p in report.of(method) if p.name not in on_front]).reshape(-1, 2)
    front = np.array([p.test.pair for p in method.front]).reshape(-1, 2)
    axes.plot(rest[:, 0], rest[:, 1], mark, color=colour, alpha=0.35, markersize=large * 0.7)
    axes.plot(front[:, 0], front[:, 1], mark, color=colour, markersize=large, label=method.name, zorder=3)
    if number is not None and len(front):
        corners = front[is_on_front(front)]
        corners = corners[np.argsort(corners[:, 0])]
        axes.step(
            corners[:, 0], corners[:, 1], linestyle=DASHES[turn], where="pre", color=colour, linewidth=0.12 * size
        )
