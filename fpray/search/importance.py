"""Importances: which hyperparameter of a method its accuracies hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpray.records import Record
from fpray.search.export import trials_of
from fpray.search.searcher import importances
from fpray.search.study import Study
from fpray.space import Constant

FEWEST = 8
"""Configurations below which nothing can be said."""


@dataclass(frozen=True)
class Importance:
    """The share of an accuracy's variation that a hyperparameter makes, in [0, 1], and its standard deviation over
    resamples of the configurations."""

    key: str
    objective: str
    share: float
    deviation: float


def importances_of(study: Study, records: Sequence[Record], objectives: Sequence[str]) -> list[Importance]:
    """The importances of a study's hyperparameters, for each accuracy; none where there are too few configurations.

    Args:
        objectives: the metric keys of the accuracies.
    """
    space = study.space()
    if sum(not isinstance(dimension, Constant) for dimension in space.values()) < 2:
        return []
    found = []
    for objective in objectives:
        trials = [
            (params, values[0])
            for params, values in trials_of(study, records, [objective])
            if values is not None and space.keys() <= params.keys()
        ]
        if len(trials) < FEWEST or len({value for _, value in trials}) < 2:
            return []
        for key, shares in importances(space, trials).items():
            found.append(Importance(key, objective, shares[0], float(np.std(shares[1:], ddof=1))))
    return found
