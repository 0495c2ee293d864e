"""Makes docs/methods.md, the page of fpray's own methods, from their files and from what was measured.

python -m docs.methods > docs/methods.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from benchmarks.costs import Cost, Costs
from fpray.config.methods import asks, settings_of
from fpray.config.text import inline
from fpray.methods import LISTS, METHODS, Method, TrainedMethod
from fpray.methods.base import Takes
from fpray.methods.published import PublishedAccuracy

TAKEN: dict[Takes, str] = {
    "one": "a trial of",
    "pair": "two seeds of a trial of",
    "best": "the best trial of",
    "all": "all trials of",
}
"""What a method's `takes` means of those that it builds on."""
MEASURED = sorted((Path(__file__).parents[1] / "benchmarks").glob("costs*.json"))

HEAD = """
    # The methods

    What each of fpray's own methods does, by which formula, what it needs and costs, and what was published of it: made
    from its file in `fpray/methods/` by `python -m docs.methods > docs/methods.md`. What the keys of each mean stands
    in [sweep-file.md](sweep-file.md#methods), what they do on DrawNet in [findings.md](findings.md),
    the paper's, and [beyond.md](beyond.md), all of them.
"""
WORDS = """
    **In the formulas** w is what is trained, w0 the pre-trained and w1 a fine-tuned model's weights; loss is what is
    minimised, its mean over the images, CE the cross-entropy. z is an image's L2-normalised feature, z0 the pre-trained
    model's, s the scale of CLIP's logits; lr_t is the learning rate of step t, lr its peak.
"""
COST = """
    **Cost** is the time of a step over that of one of full fine-tuning; after "then", that of trials after the first
    one on the same draws, which find the reference's features computed. *No steps*: nothing is trained in the loop, so
    a trial costs its evaluation; its section says what it does beside. A method that builds on others' trials has the
    cost of those before its own. `full` over itself shows how much is noise.
"""
PUBLISHED = """
    **Published** are ID / OOD accuracies, in per cent, of OpenAI's ViT-B/16 on ImageNet, OOD the plain mean of
    ImageNet-V2, -R, -A and -Sketch (4), or of these and ObjectNet (5), and who has them; the sections have more, with
    sources. Recipes differ, so compare figures of one source, and with care: rows of TRACER's tables that are other
    papers' methods may have those papers' recipes. fpray has measured none of them.
"""


def page(measured: Iterable[Costs]) -> str:
    """The page, in Markdown."""
    own = [method for method in METHODS.values() if method.__module__.startswith("fpray.methods.")]
    costs = list(measured)
    lists = "; ".join(
        f"`methods: {word}` is {', '.join(f'`{name}`' for name in names)}" for word, names in LISTS.items()
    )
    parts = [cleandoc(HEAD), _overview(own, costs), *map(cleandoc, (WORDS, COST))]
    parts += [f"- {_of_run(run)}" for run in costs]
    parts += [cleandoc(PUBLISHED), f"**Lists**: {lists}; `methods: all` is every method that asks for nothing."]
    for method in own:
        parts += [f"## {method.name}", *_section(method, costs)]
    return _linked("\n\n".join(parts))


def _linked(text: str) -> str:
    """The text with the numbers of arXiv's papers as links."""
    return re.sub(r"\b(\d{4}\.\d{5})\b", r"[\1](https://arxiv.org/abs/\1)", text)


def _overview(methods: Iterable[type[Method[Any]]], costs: list[Costs]) -> str:
    heads = ["method", "what it does", "needs", *(f"cost on {run.model}" for run in costs)]
    heads += ["published, 4", "published, 5"]
    rows = [heads, ["---"] * len(heads)]
    for method in methods:
        cells = [f"[{method.name}](#{method.name})", _line_of(method), _needs(method)]
        cells += [_cost(method, run) for run in costs]
        cells += [_first(method.published, shifts) for shifts in (4, 5)]
        rows.append([cell.replace("|", r"\|") for cell in cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _line_of(method: type[Method[Any]]) -> str:
    """The first sentence of the method's file."""
    return " ".join(cleandoc(sys.modules[method.__module__].__doc__ or "").partition("\n\n")[0].split())


def _needs(method: type[Method[Any]]) -> str:
    sources = " or ".join(f"`{name}`" for name in method.builds_on or ())
    learns = "half of the ID validation images" if method.learns_from_validation else ""
    asked = [f"the key `{name}`" for name, field in settings_of(method).model_fields.items() if field.is_required()]
    return "; ".join(
        filter(None, (f"{TAKEN[method.takes]} {sources}" if sources else "", learns, method.needs, *asked))
    )


def _cost(method: type[Method[Any]], run: Costs) -> str:
    """A cell of the overview."""
    if not issubclass(method, TrainedMethod):
        return "no steps"
    if (cost := run.methods.get(method.name)) is None:
        return "not measured"
    return f"{cost.step.median:.2f}" + ("" if cost.known is None else f", then {cost.known.median:.2f}")


def _first(published: Iterable[PublishedAccuracy], shifts: int) -> str:
    """A cell of the overview: the first figures with so many shifts, and who has them."""
    found = next((own for own in published if own.shifts == shifts), None)
    return f"{found.id} / {found.ood}, {found.source.partition(',')[0]}" if found else ""


def _section(method: type[Method[Any]], costs: list[Costs]) -> Iterator[str]:
    """What the class says of itself, then a list of the rest."""
    yield cleandoc(method.__doc__ or "")
    lines = [f"- By default `{inline({method.name: _defaults(method)})}`; [its keys](sweep-file.md#{method.name})."]
    if needs := _needs(method):
        lines.append(f"- Needs {needs}.")
    lines += [f"- {_costs(run.methods[method.name], run)}" for run in costs if method.name in run.methods]
    for own in method.published:
        lines.append(f"- Published: {own.id} / {own.ood}, the mean of {own.shifts} shifts ({own.source}).")
    yield "\n".join(lines)


def _defaults(method: type[Method[Any]]) -> dict[str, Any]:
    """The settings that a sweep file gives it which says no more than it must."""
    kind = settings_of(method)
    settings = (
        kind.model_construct(trials=method.default_trials) if asks(method) else kind.model_validate({})
    )  # some defaults follow from others
    return settings.model_dump(mode="json", exclude_none=True)


def _costs(cost: Cost, run: Costs) -> str:
    later = "" if cost.known is None else f", then {cost.known}"
    return f"Cost on {run.model}: {cost.step} of full fine-tuning's step{later}; {cost.memory:.2f} of its memory."


def _of_run(run: Costs) -> str:
    return (
        f"{run.model}: batches of {run.batch}, {run.precision}, {run.device}, torch {run.torch}, {run.day}; "
        f"{run.pairs} pairs of steps of each method; full fine-tuning's take {run.full_ms:g} ms and {run.full_mib:g} "
        f"MiB. Measured by `python -m benchmarks.costs --model {run.model} --batch {run.batch}`."
    )


if __name__ == "__main__":
    print(page(Costs.model_validate_json(file.read_text(encoding="utf-8")) for file in MEASURED))
