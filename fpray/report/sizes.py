"""Model size, where a sweep compares models: what protection gains on each, and whether more or less on a larger one.

The paper (arXiv 2405.16027) leaves the question open. How it is answered stands here before any data is seen. A
method's gain on a model is its OOD accuracy over full fine-tuning's at equal ID accuracy, as `at_equal_id` has it: the
mean over `ABOVE_ZERO_SHOT`, counted from the same model's zero-shot accuracy, where both methods have one. The gain on
a larger model is held against that on the smallest where all four have one. Fronts are chosen on validation images, in
each draw by itself; all models see the same images, on which differences are paired. Gains and their differences are
the claims of one table, for which p-values are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fpray.report.differences import Difference, differences_of
from fpray.report.findings import BASES, Views, mean_of_known, ood_above_zero_shot
from fpray.report.outcomes import Outcomes, estimated
from fpray.report.pareto import Configuration
from fpray.report.picks import pick
from fpray.report.views import rows_by_model, view
from fpray.statistics import Accuracies

FULL, _ = BASES


class Sized(BaseModel):
    """A model by its size, and what is reached with it."""

    model_config = ConfigDict(frozen=True)

    model: str
    weights: int | None
    """Of its image tower; None where all its records are older ones."""
    bases: dict[str, Configuration]
    """What the rule picks of each of `BASES`."""
    best: Configuration | None = None
    """Of all other methods, the one with the highest OOD validation accuracy among those with no less ID validation
    accuracy than what the rule picks of full fine-tuning; None where none has as much."""

    @property
    def text(self) -> str:
        """Its name and, where it is known, its size."""
        return self.model if self.weights is None else f"{self.model} ({self.weights / 1e6:,.1f} million weights)"


class Gains(BaseModel):
    """A method's gains over full fine-tuning, in points of OOD accuracy at equal ID accuracy."""

    model_config = ConfigDict(frozen=True)

    method: str
    on: dict[str, Difference]
    """By model."""
    more: dict[str, Difference]
    """By larger model: the gain on it less that on the smallest."""


class Sizes(BaseModel):
    """The models from the smallest to the largest, in the sweep file's order where a size isn't known."""

    model_config = ConfigDict(frozen=True)

    rule: str
    models: tuple[Sized, ...]
    gains: tuple[Gains, ...]
    """None where nothing is known of the images."""

    def said(self) -> tuple[str, ...]:
        """The answer, a sentence for each larger model: on it, which methods gain more, or less."""
        return tuple(
            _said(self.models[0].model, m.model, found) for m in self.models[1:] if (found := self._more(m.model))
        )

    def _more(self, model: str) -> dict[str, str]:
        """The verdict on a gain's being larger on a larger model, by method."""
        return {own.method: own.more[model].verdict for own in self.gains if model in own.more}


def sizes_of(
    points: Sequence[Configuration],
    rule: str,
    weights: Mapping[str, int | None],
    draws: Mapping[int, Outcomes],
    margin: float,
) -> Sizes:
    """Compare models.

    Args:
        points: every configuration of the sweep.
        rule: which picks are shown.
        weights: of each model's image tower, by the model's short name, in the sweep file's order.
        draws: what each trial said of each image.
        margin: points up to which a difference is none.
    """
    known = {model: count for model, count in weights.items() if count is not None}
    models = sorted(weights, key=lambda model: known[model]) if len(known) == len(weights) else list(weights)
    return Sizes(
        rule=rule,
        models=tuple(_sized([p for p in points if p.model == m], m, weights[m], rule) for m in models),
        gains=_gains({point.name: point for point in points}, models, draws, margin),
    )


WORDS = {"seen": "larger", "not seen": "smaller", "equivalent": "equivalent", "undecided": "undecided"}


def _said(smallest: str, larger: str, verdicts: Mapping[str, str]) -> str:
    told = {words: [m for m, found in verdicts.items() if found == own] for own, words in WORDS.items()}
    each = "; ".join(f"{words} for {', '.join(own)}" for words, own in told.items() if own)
    return f"On {larger}, held against {smallest}, the gain over full fine-tuning at equal ID accuracy is {each}."


def _sized(own: Sequence[Configuration], model: str, weights: int | None, rule: str) -> Sized:
    bases = {base: found for base in BASES if (found := pick([c for c in own if c.method == base], rule)) is not None}
    others = [c for c in own if c.method not in BASES and FULL in bases and c.val.id >= bases[FULL].val.id]
    return Sized(model=model, weights=weights, bases=bases, best=pick(others, "ood_val"))


def _gains(
    configurations: Mapping[str, Configuration], models: Sequence[str], draws: Mapping[int, Outcomes], margin: float
) -> tuple[Gains, ...]:
    there = {model: {c.method for c in configurations.values() if c.model == model} for model in models}
    able = [model for model in models if there[model].issuperset(BASES)]
    methods = [m for m in dict.fromkeys(c.method for c in configurations.values()) if m not in BASES]
    if not draws or not able:
        return ()
    smallest, *larger = models

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
        found: dict[str, float] = {}
        rows = rows_by_model(configurations, names, accuracies)
        ood = {model: _ood_by_method(view(configurations, *rows[model])) for model in able}
        for method in methods:
            gains = {model: own[method] - own[FULL] for model, own in ood.items() if method in own}
            found |= {f"{method} {model}": mean_of_known(own) for model, own in gains.items()}
            both = [model for model in larger if model in gains and smallest in gains]
            found |= {f"{method} {m} - {smallest}": mean_of_known(gains[m] - gains[smallest]) for m in both}
        return found

    known = differences_of(estimated(draws, numbers), margin)
    return tuple(
        Gains(
            method=method,
            on={model: known[key] for model in models if (key := f"{method} {model}") in known},
            more={model: known[key] for model in larger if (key := f"{method} {model} - {smallest}") in known},
        )
        for method in methods
    )


def _ood_by_method(views: Views) -> dict[str, NDArray[np.float64]]:
    return {method: ood_above_zero_shot(views, method) for method in views}
