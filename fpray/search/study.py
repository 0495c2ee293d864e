"""Studies: what a sweep compares. Each method has one for each model, with configurations and a front of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product

from fpray.config import MethodSettings, Sweep
from fpray.model import Model
from fpray.records import Trial, configuration_id, configuration_of, trial_id
from fpray.space import Choice, Constant, Grid, Params, Space, is_finite

MODEL, SOURCE = "model", "source"
"""The dimensions that a study may search besides a method's hyperparameters."""


@dataclass(frozen=True)
class Study:
    """One method on one model, or on several that its search chooses from."""

    method: str
    settings: MethodSettings
    models: tuple[Model, ...]
    model: str | None
    """The short name of the model, where the sweep file lists models to compare."""
    draws: tuple[int, ...]
    """The seeds of the data: each configuration is tried on every draw."""
    seeds: tuple[int, ...]
    """The seeds of the training: each configuration is tried with every one."""

    @property
    def name(self) -> str:
        """The first part of its trials' ids."""
        return study_name(self.method, self.model)

    @cached_property
    def configurations(self) -> int:
        """The number of configurations; those that no sampler chooses are tried with every model."""
        return self.settings.trials * (len(self.models) if isinstance(self.space().get(MODEL), Grid) else 1)

    @property
    def repeats(self) -> tuple[tuple[int, int], ...]:
        """The draw and the seed of each trial of a configuration."""
        return tuple(product(self.draws, self.seeds))

    @property
    def trials(self) -> int:
        """The number of trials: each configuration on every draw, with every seed."""
        return self.configurations * len(self.repeats)

    def epochs(self, usual: int) -> tuple[int, int]:
        """The fewest and the most epochs of its trainings: those that it searches, or the usual number."""
        searched = self.settings.space().get("epochs", Constant(usual)).extremes()
        return int(searched[0]), int(searched[-1])

    def space(self) -> Space:
        """The search dimensions, the model first where there are several; without a derived method's source."""
        space = self.settings.space()
        if len(self.models) == 1 or self.settings.sources():
            return space
        kind = Grid if is_finite(space) else Choice
        return {MODEL: kind(tuple(model.short for model in self.models))} | space

    def has(self, trial: Trial) -> bool:
        """Whether a trial is one of this study's. One that names no model is of the only one there was."""
        if trial.method != self.method or trial.number >= self.configurations:
            return False
        return trial.model in self.models or (trial.model is None and self.model is None)

    def trial(
        self,
        number: int,
        draw: int,
        seed: int,
        suggestion: Params,
        sources: Sequence[str] = (),
        source_model: Model | None = None,
    ) -> Trial:
        """The trial of a suggestion on one draw with one seed; it builds on its sources' trials with the same.

        Args:
            sources: the configurations that it builds on.
            source_model: those' model, which is the trial's too.
        """
        params = {name: value for name, value in suggestion.items() if name not in (MODEL, SOURCE)}
        suggested = next((m for m in self.models if m.short == suggestion.get(MODEL)), self.models[0])
        name = partial(trial_id, draw=draw, draws=len(self.draws), seeds=len(self.seeds))
        with_seeds = [seed]
        if self.settings.takes == "pair":
            with_seeds.append(self.seeds[(self.seeds.index(seed) + 1) % len(self.seeds)])
        return Trial(
            id=name(configuration_id(self.name, number), seed=seed),
            method=self.method,
            number=number,
            seed=seed,
            draw=draw,
            params=params,
            model=source_model or suggested,
            sources=tuple(name(source, seed=own) for source in sources for own in with_seeds),
        )

    def suggestion(self, trial: Trial) -> Params:
        """The suggestion that a trial was made from: all that was searched, whatever its draw and seed."""
        suggestion: Params = {}
        if len(self.models) > 1 and trial.model is not None:
            suggestion[MODEL] = trial.model.short
        if trial.sources and self.settings.takes != "all":
            suggestion[SOURCE] = configuration_of(trial.sources[0])
        return suggestion | trial.params


def study_name(method: str, model: str | None) -> str:
    """The name of a study in ids, files and figures: `full`, or `full-ViT-B-16` where models are compared."""
    return method if model is None else f"{method}-{model}"


def studies(sweep: Sweep) -> list[Study]:
    """Every study, one model's before the next one's, methods in the order of tables."""
    return [
        Study(method, settings, models, model, sweep.data.seeds, sweep.train.seeds)
        for model, models in sweep.model.apart().items()
        for method, settings in sweep.methods.items()
    ]
