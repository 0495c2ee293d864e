"""The statistics of a sweep's results: how sure an accuracy is, and when two methods differ.

An `Estimate` is a value with its standard error and degrees of freedom, from which its interval, its p-value and a test
of equivalence follow. `over_draws` makes one of values that independent draws of the data gave, `by_resampling` one of
a single draw, by a bootstrap over its seeds and images. `holm` corrects the p-values of several claims, `verdict` says
what a claim's numbers amount to. `fronts` has the geometry of ID and OOD accuracy: what is on a front, its hypervolume,
its OOD accuracy at a given ID accuracy, and attainment surfaces.

Numbers in, numbers out: it knows nothing of sweeps, records or methods.
"""

from fpray.statistics.claims import Verdict, holm, verdict
from fpray.statistics.estimate import Estimate, over_draws
from fpray.statistics.fronts import attainment, hypervolume, is_on_front, mean_over_subsets, ood_at_id
from fpray.statistics.resampling import Accuracies, Correct, by_resampling, share

__all__ = [
    "Accuracies",
    "Correct",
    "Estimate",
    "Verdict",
    "attainment",
    "by_resampling",
    "holm",
    "hypervolume",
    "is_on_front",
    "mean_over_subsets",
    "ood_at_id",
    "over_draws",
    "share",
    "verdict",
]
