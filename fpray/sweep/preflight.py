"""Before any trial: every model of a sweep really loads, and every method can be applied to it."""

from __future__ import annotations

from collections.abc import Sequence

from fpray.config import Sweep
from fpray.data import Split
from fpray.errors import UserError, did_you_mean
from fpray.methods import METHODS
from fpray.model import open_model, switch_on_checkpointing
from fpray.records import Count, accuracies


def preflight(sweep: Sweep, classes: Sequence[str]) -> dict[str, int]:
    """Load every model of a sweep once, and hold every chosen method against it.

    Args:
        classes: the names of the data's classes.

    Returns:
        The number of weights of each model's image tower.

    Raises:
        UserError: for the first model that can't be loaded, or the first method that can't be applied.
    """
    weights = {}
    for model in sweep.model.each():
        loaded = open_model(model.name, model.pretrained)
        if sweep.train.gradient_checkpointing and not switch_on_checkpointing(loaded.visual):
            raise UserError(
                f"train.gradient_checkpointing: the image tower of '{model.name}' doesn't offer it; leave it out"
            )
        for name, settings in sweep.methods.items():
            METHODS[name].check(loaded, settings.space(), classes)
        weights[model.short] = sum(weight.numel() for weight in loaded.visual.parameters())
    return weights


def check_objectives(sweep: Sweep, splits: Sequence[Split]) -> None:
    """Find out whether a dataset with these splits has the accuracies that a sweep searches by.

    Raises:
        UserError: for the first objective that it hasn't.
    """
    known = accuracies({split.name: Count(correct=0, total=1) for split in splits if split.part == "val"})
    for objective in sweep.search.objectives:
        if objective not in known:
            raise UserError(f"search.objectives: the data has no '{objective}'; {did_you_mean(objective, known)}")
