"""The search: which trial is next, so that the records become complete.

A sweep has a study for each method (and model, where models are compared). The `Schedule` asks the studies in turn and
tells each what its trials gave; a suggestion depends on the sweep's seed, the trial's number and the results told
before it, and on nothing else. A schedule is made from a sweep and its records, so it goes on where they end;
`tried_again` has the trials that failed go on, too. `export_studies` writes the studies for Optuna's own tools,
`importances_of` says which hyperparameters a study's accuracies hang on.

The only package that knows Optuna.
"""

from fpray.search.again import tried_again
from fpray.search.export import export_studies
from fpray.search.importance import Importance, importances_of
from fpray.search.schedule import AskAndTell, Schedule, Wait
from fpray.search.study import Study, studies, study_name

__all__ = [
    "AskAndTell",
    "Importance",
    "Schedule",
    "Study",
    "Wait",
    "export_studies",
    "importances_of",
    "studies",
    "study_name",
    "tried_again",
]
