"""Leave one domain out: each OOD domain's test accuracy of what the other OOD domains choose.

So no label of the domain that is judged is seen, as DomainBed's leave-one-domain-out cross-validation has it, but for
what the search has seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fpray.report.pareto import Configuration
from fpray.statistics import Accuracies


def left_out(
    configurations: Mapping[str, Configuration], names: tuple[str, ...], accuracies: Accuracies
) -> dict[str, float]:
    """Of each method the mean over the OOD domains, each judged by the configuration with the highest mean validation
    accuracy on the others. Not a number for a single OOD domain.

    Args:
        configurations: by name.
        names: of the rows of the accuracies.
    """
    methods = np.array([configurations[name].method for name in names])
    domains = [s.split("/")[1] for s in accuracies if s.startswith("ood/") and s.endswith("/val")]
    val, test = (np.array([accuracies[f"ood/{domain}/{part}"] for domain in domains]) for part in ("val", "test"))
    found = {}
    for method in dict.fromkeys(methods.tolist()):
        rows = np.flatnonzero(methods == method)
        others = [np.delete(val[:, rows], n, axis=0) for n in range(len(domains))]
        judged = [test[n, rows[np.argmax(mine.mean(axis=0))]] for n, mine in enumerate(others) if len(mine)]
        found[method] = float(np.mean(judged)) if judged else float("nan")
    return found
