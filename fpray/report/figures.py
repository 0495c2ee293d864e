"""The figure: every method's trials and front, ID against OOD test accuracy."""

from __future__ import annotations

from html import escape
from io import BytesIO

import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.colors import qualitative

from fpray.report.pareto import Configuration
from fpray.report.report import MethodReport, Report, describe

X, Y = "ID test accuracy (%)", "OOD test accuracy, mean of domains (%)"
SHAPES = (("circle", "o"), ("square", "s"), ("triangle-up", "^"), ("diamond", "D"), ("x", "X"), ("cross", "P"))
"""The marks of the models, in the order of the report: each mark's name in plotly and in matplotlib."""


def _colours(report: Report) -> dict[str, str]:
    methods = dict.fromkeys(m.method for m in report.methods)
    return {method: qualitative.D3[i % len(qualitative.D3)] for i, method in enumerate(methods)}


def _shapes(report: Report) -> dict[str | None, tuple[str, str]]:
    models = dict.fromkeys(m.model for m in report.methods)
    return {model: SHAPES[i % len(SHAPES)] for i, model in enumerate(models)}


def _rest(report: Report, method: MethodReport) -> list[Configuration]:
    """The method's configurations that are not on its front."""
    on_front = {p.name for p in method.front}
    own = [p for p in report.points if (p.method, p.model) == (method.method, method.model)]
    return [p for p in own if p.name not in on_front]


def html(report: Report) -> str:
    """The figure as an interactive HTML page that needs no network; the hyperparameters show under the mouse."""
    figure, colours, shapes = go.Figure(), _colours(report), _shapes(report)
    for method in report.methods:
        best, rest = list(method.front), _rest(report, method)
        for shown, mode, opacity in ((best, "lines+markers", 1.0), (rest, "markers", 0.35)):
            figure.add_scatter(
                x=[p.test.id for p in shown],
                y=[p.test.ood for p in shown],
                text=[f"<b>{p.name}</b><br>{escape(describe(p.params)).replace(' ', '<br>')}" for p in shown],
                hovertemplate="%{text}<br>ID %{x:.1f} %, OOD %{y:.1f} %<extra></extra>",
                mode=mode,
                name=method.name,
                legendgroup=method.name,
                showlegend=mode != "markers",
                opacity=opacity,
                marker={
                    "color": colours[method.method],
                    "symbol": shapes[method.model][0],
                    "size": 9 if opacity == 1 else 6,
                },
            )
    figure.update_layout(
        title=f"{report.sweep}: fronts chosen on validation images, shown on test images",
        xaxis_title=X,
        yaxis_title=Y,
        template="plotly_white",
    )
    page: str = figure.to_html(include_plotlyjs=True, full_html=True, default_height="95vh")
    return page


def png(report: Report) -> bytes:
    """The same figure as a picture in PNG."""
    figure, colours, shapes = Figure(figsize=(8, 5.5), dpi=120, layout="constrained"), _colours(report), _shapes(report)
    axes = figure.subplots()
    for method in report.methods:
        colour, (_, shape), rest = colours[method.method], shapes[method.model], _rest(report, method)
        ids, oods = [p.test.id for p in method.front], [p.test.ood for p in method.front]
        # The star is the WiSE-FT paper's mark for the pre-trained model.
        mark = "*" if method.method == "zero_shot" else f"{shape}-"
        axes.plot(ids, oods, mark, color=colour, label=method.name, markersize=12 if mark == "*" else 6, zorder=3)
        if mark == "*" and method.model is not None:
            axes.plot(ids, oods, shape, color="white", markersize=3, zorder=4)
        axes.plot([p.test.id for p in rest], [p.test.ood for p in rest], shape, color=colour, alpha=0.35, markersize=4)
    axes.set(xlabel=X, ylabel=Y, title=f"{report.sweep}: fronts chosen on validation, shown on test images")
    axes.grid(alpha=0.3)
    axes.legend(ncols=len(shapes), fontsize=10 / len(shapes) ** 0.5)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
