"""The figure: every method's trials and front, ID against OOD test accuracy."""

from __future__ import annotations

from io import BytesIO

import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.colors import qualitative

from fpray.pareto import Point
from fpray.report import MethodReport, Report, describe

X, Y = "ID test accuracy (%)", "OOD test accuracy, mean of domains (%)"


def _colours(report: Report) -> dict[str, str]:
    return {m.method: qualitative.D3[i % len(qualitative.D3)] for i, m in enumerate(report.methods)}


def _rest(report: Report, method: MethodReport) -> list[Point]:
    on_front = {p.name for p in method.front}
    return [p for p in report.points if p.method == method.method and p.name not in on_front]


def html(report: Report) -> str:
    """An interactive page that needs no network; the hyperparameters show where the mouse hovers."""
    figure, colours = go.Figure(), _colours(report)
    for method in report.methods:
        best, rest = list(method.front), _rest(report, method)
        for shown, mode, opacity in ((best, "lines+markers", 1.0), (rest, "markers", 0.35)):
            figure.add_scatter(
                x=[p.test.id for p in shown],
                y=[p.test.ood for p in shown],
                text=[f"<b>{p.name}</b><br>{describe(p.params).replace(' ', '<br>')}" for p in shown],
                hovertemplate="%{text}<br>ID %{x:.1f} %, OOD %{y:.1f} %<extra></extra>",
                mode=mode,
                name=method.method,
                legendgroup=method.method,
                showlegend=mode != "markers",
                opacity=opacity,
                marker={"color": colours[method.method], "size": 9 if opacity == 1 else 6},
            )
    figure.update_layout(
        title=f"{report.sweep}: fronts chosen on validation images, shown on test images",
        xaxis_title=X,
        yaxis_title=Y,
        template="plotly_white",
    )
    return figure.to_html(include_plotlyjs=True, full_html=True, default_height="95vh")


def png(report: Report) -> bytes:
    """The same figure as a picture."""
    figure, colours = Figure(figsize=(8, 5.5), dpi=120, layout="constrained"), _colours(report)
    axes = figure.subplots()
    for method in report.methods:
        colour, rest = colours[method.method], _rest(report, method)
        ids, oods = [p.test.id for p in method.front], [p.test.ood for p in method.front]
        # The star is the WiSE-FT paper's mark for the pre-trained model.
        mark = "*" if method.method == "zero_shot" else "o-"
        axes.plot(ids, oods, mark, color=colour, label=method.method, markersize=12 if mark == "*" else 6, zorder=3)
        axes.plot([p.test.id for p in rest], [p.test.ood for p in rest], "o", color=colour, alpha=0.35, markersize=4)
    axes.set(xlabel=X, ylabel=Y, title=f"{report.sweep}: fronts chosen on validation, shown on test images")
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
