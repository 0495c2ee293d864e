"""A trial: one configuration to train on one draw of the data with one seed, and the id that names it everywhere."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from fpray.model import Model
from fpray.space import Params

TRIAL_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""The pattern of a trial's id: it is the name of a folder, and can't lead out of the sweep's."""
ALPHA = "alpha"
"""The one hyperparameter of a point of a curve."""
_PARTS = re.compile(r"(?P<configuration>.+-\d{3,})(?:-d\d+)?(?:-s\d+)?")


class Recorded(BaseModel):
    """Base of everything that a record holds."""

    # JSON has no NaN: pydantic would write null, which does not read back as a number.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Trial(Recorded):
    """One configuration to train on one draw of the data with one seed. `number` counts from 0 within the study."""

    id: str = Field(pattern=TRIAL_ID)
    method: str
    number: int = Field(ge=0)
    seed: int
    """The seed of its training."""
    draw: int = 0
    """The seed of its data."""
    params: Params
    """The hyperparameters."""
    model: Model | None = None
    """The model that it starts from; None in older records, which are of the only model that their sweep had."""
    sources: tuple[str, ...] = ()
    """The ids of the finished trials whose weights it builds on; empty for a trial that trains."""

    @property
    def configuration(self) -> str:
        """The id without draw and seed: the same for all trials of one configuration."""
        return configuration_of(self.id)

    def epochs(self, usual: int) -> int:
        """The epochs of its training: its own, or the usual number."""
        return int(self.params.get("epochs", usual))

    def point(self, alpha: float) -> Trial:
        """A point of this trial's curve, as a trial that has this one for its source and needs what its method does."""
        changes = {"id": f"{self.id}-alpha-{alpha:.3g}", "params": {ALPHA: alpha}, "sources": (self.id,)}
        return self.model_copy(update=changes)


def configuration_id(study: str, number: int) -> str:
    """The name of a study's configuration: `full-003`."""
    return f"{study}-{number:03d}"


def trial_id(configuration: str, draw: int, seed: int, *, draws: int = 1, seeds: int = 1) -> str:
    """The id of a configuration's trial, which names draw and seed where the sweep has several `draws` or `seeds`:
    `full-003-d2-s1`."""
    of_draw = f"{configuration}-d{draw}" if draws > 1 else configuration
    return f"{of_draw}-s{seed}" if seeds > 1 else of_draw


def configuration_of(trial_id: str) -> str:
    """The configuration of a trial, by its id."""
    parts = _PARTS.fullmatch(trial_id)
    return parts["configuration"] if parts else trial_id
