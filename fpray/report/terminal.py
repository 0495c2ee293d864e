"""The report on a terminal: for each method, the configurations that validation picked and what they reach in test."""

from __future__ import annotations

from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpray.console import many
from fpray.report.curves import Averaged
from fpray.report.pareto import Configuration
from fpray.report.picks import pick, rules_line
from fpray.report.report import Report, describe


def table(report: Report) -> RenderableType:
    """The methods' picks, each with both test accuracies in per cent and the id of its trial; their hyperparameters
    below. It fits 80 columns."""
    shown = Table(title=_title(report), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    compared = any(m.model is not None for m in report.methods)
    for heading in ("model", "method") if compared else ("method",):
        shown.add_column(heading, overflow="fold", min_width=min(12, max(len(m.method) for m in report.methods)))
    shown.add_column("trials", justify="right")
    shown.add_column("picked by")
    shown.add_column(
        "trial", overflow="fold", min_width=min(16, max((len(point.name) for point in report.points), default=0))
    )
    shown.add_column("test ID", justify="right")
    shown.add_column("test OOD", justify="right")
    for m in report.methods:
        names = (m.model, m.method) if compared else (m.method,)
        trials = f"{m.finished}" + (f" + {m.failed} failed" if m.failed else "")
        for n, (picked, rules) in enumerate(m.picked()):
            first = (*names, trials) if n == 0 else ("",) * (len(names) + 1)
            shown.add_row(*first, "\n".join(rules), picked.name, interval(picked, "id"), interval(picked, "ood"))
        if not m.picks:
            shown.add_row(*names, trials, "-", "-", "-", "-")
    of_rules = Text(rules_line(dict.fromkeys(rule for m in report.methods for rule in m.picks), report.objectives))
    more = (*_hypervolumes(report), *_averaged(report), *_by_size(report))
    return Group(shown, *_hyperparameters(report), of_rules, *more)


def table_html(report: Report) -> str:
    """The same table for a notebook's cell."""
    console = Console(file=StringIO(), record=True, width=100)
    console.print(table(report))
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _title(report: Report) -> str:
    repeats = max((len(point.trials) for point in report.points), default=1)
    means = f", mean of {repeats} trials" if repeats > 1 else ""
    known = any(point.test_half is not None for point in report.points)
    return f"{report.sweep}: test accuracy in %{means}" + (" ± half its 95 % interval" if known else "")


def _hyperparameters(report: Report) -> list[Text]:
    picked = [configuration for m in report.methods for configuration, _ in m.picked()]
    width = max((len(c.name) for c in picked), default=0)
    # Not plain strings, in which [words] would be markup.
    return [Text(f"{c.name:<{width}}  {describe(c.params)}") for c in picked if c.params]


def _hypervolumes(report: Report) -> list[Text]:
    """At equal trainings and, where that is something else, at equal points."""
    own = [m for m in report.methods if m.picks]
    at_trainings = ", ".join(f"{m.name} {m.hypervolume:.0f}" for m in own)
    at_points = ", ".join(f"{m.name} {m.hypervolume_at_points:.0f}" for m in own)
    if not own or report.reference_point == (0.0, 0.0):  # as in an older report, over which it says nothing
        return []
    r_id, r_ood = report.reference_point
    over = f"hypervolume over ({r_id:.4g}, {r_ood:.4g})"
    lines = [f"{over}, of {many(report.trainings, 'training')} each: {at_trainings}"]
    if at_points != at_trainings:
        lines.append(f"of {many(report.configurations, 'configuration')} each: {at_points}")
    return [Text(line) for line in lines]


def _averaged(report: Report) -> list[Text]:
    """The knee of each method's curves, where that is not a trial itself."""
    knees = {m.name: knee for m in report.methods if (knee := pick(m.curve, "knee")) is not None}
    lines = [_at_alpha(name, knee) for name, knee in knees.items() if 0 < knee.alpha < 1 and knee.test is not None]
    heading = Text("averaged with the pre-trained weights (WiSE-FT), at the knee of each method's curves:")
    return [heading, *lines] if lines else []


def _at_alpha(method: str, point: Averaged) -> Text:
    assert point.test is not None
    reached = f"test ID {point.test.id:.1f}, test OOD {point.test.ood:.1f}"
    return Text(f"{method:<12}  {point.configuration} at alpha {point.alpha:.3g}: {reached}")


def _by_size(report: Report) -> list[Text]:
    """What each method gains over full fine-tuning on each model, and whether that is more on a larger one."""
    if report.sizes is None:
        return []
    lines = [f"by size: {', '.join(own.text for own in report.sizes.models)}"]
    if report.sizes.gains:
        lines.append("points of OOD accuracy over full fine-tuning at equal ID, and how many more on larger models:")
    for own in report.sizes.gains:
        each = [f"{model} {gain.value:+.1f} ± {gain.half:.1f}" for model, gain in own.on.items()]
        more = [f"{d.value:+.1f} ± {d.half:.1f} more on {model}, {d.verdict}" for model, d in own.more.items()]
        lines.append(f"{own.method:<12}  {', '.join(each) or '-'}" + (f"; {'; '.join(more)}" if more else ""))
    return [Text(line) for line in (*lines, *report.sizes.said())]


def interval(configuration: Configuration, part: Literal["id", "ood"]) -> str:
    """A test accuracy in per cent, with the half width of its 95 % interval where that is known."""
    mean = f"{getattr(configuration.test, part):.1f}"
    return mean if configuration.test_half is None else f"{mean} ± {getattr(configuration.test_half, part):.1f}"
