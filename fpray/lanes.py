"""Lanes: what a sweep compares. Each method has one for each model, with trials and a front of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fpray.config import Sweep
from fpray.pretrained import Model
from fpray.records import Trial
from fpray.settings import MethodSettings
from fpray.space import Choice, Grid, Space, is_finite


@dataclass(frozen=True)
class Lane:
    """One method on one model, or on several that its search chooses from."""

    method: str
    settings: MethodSettings
    models: tuple[Model, ...]
    model: str | None
    """The short name of the model, where the sweep file lists models to compare."""

    @property
    def name(self) -> str:
        """What the ids of its trials begin with."""
        return lane_name(self.method, self.model)

    @cached_property
    def trials(self) -> int:
        """How many configurations it tries; those that no sampler chooses are tried with every model."""
        return self.settings.trials * (len(self.models) if isinstance(self.space().get("model"), Grid) else 1)

    def space(self) -> Space:
        """The search dimensions, the model first where there are several; without a derived method's source."""
        space = self.settings.space()
        if len(self.models) == 1 or self.settings.sources():
            return space
        kind = Grid if is_finite(space) else Choice
        return {"model": kind(tuple(model.short for model in self.models))} | space

    def has(self, trial: Trial) -> bool:
        """Whether a trial is one of this lane's. One that names no model is of the only one there was."""
        if trial.method != self.method or trial.number >= self.trials:
            return False
        return trial.model in self.models or (trial.model is None and self.model is None)


def lane_name(method: str, model: str | None) -> str:
    """What trials, files and figures call a lane: `full`, or `full-ViT-B-16` where models are compared."""
    return method if model is None else f"{method}-{model}"


def lanes(sweep: Sweep) -> list[Lane]:
    """Every lane, one model's before the next one's, methods in the order of tables."""
    return [
        Lane(method, settings, models, model)
        for model, models in sweep.model.apart().items()
        for method, settings in sweep.methods.chosen().items()
    ]
