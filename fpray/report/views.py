"""A view of a sweep's accuracies: of each method its configurations' ID and OOD accuracies, as claims look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpray.report.outcomes import ood_mean
from fpray.report.pareto import Configuration
from fpray.space import Params
from fpray.statistics import Accuracies, is_on_front, ood_at_id

Column = NDArray[np.float64]
PARTS = ("val", "test")


@dataclass(frozen=True)
class MethodView:
    """A method's configurations: their hyperparameters, and their accuracies in per cent, [configurations] each."""

    method: str
    names: tuple[str, ...]
    params: tuple[Params, ...]
    trainings: tuple[tuple[str, ...], ...]
    """The trainings that each is a point of, see `Configuration.trainings`."""
    id_val: Column
    ood_val: Column
    id_test: Column
    ood_test: Column

    @classmethod
    def of(cls, configurations: Sequence[Configuration]) -> MethodView:
        """The view of some configurations of one method, with the accuracies that the report has of them."""
        val, test = (np.array([getattr(c, part).pair for c in configurations]).reshape(-1, 2) for part in PARTS)
        return cls(
            method=configurations[0].method,
            names=tuple(c.name for c in configurations),
            params=tuple(c.params for c in configurations),
            trainings=tuple(c.trainings for c in configurations),
            id_val=val[:, 0],
            ood_val=val[:, 1],
            id_test=test[:, 0],
            ood_test=test[:, 1],
        )

    def front(self, rows: Sequence[int] | None = None) -> NDArray[np.float64]:
        """The (ID, OOD) test accuracies of the front that validation images choose, [configurations, 2].

        Args:
            rows: the configurations that there are; all of them by default.
        """
        chosen = np.arange(len(self.names)) if rows is None else np.array(rows, dtype=int)
        kept = chosen[is_on_front(np.column_stack([self.id_val, self.ood_val])[chosen])]
        return np.asarray(np.column_stack([self.id_test, self.ood_test])[kept])

    def ood_at(self, id_test: float) -> float:
        """The OOD test accuracy at an ID test accuracy, on that front; see `ood_at_id`."""
        return ood_at_id(self.front(), id_test)

    def best_id(self) -> int:
        """The configuration that has the highest ID validation accuracy."""
        return int(np.lexsort((self.ood_val, self.id_val))[-1])

    def best_ood(self, least_id: float) -> int | None:
        """The one with the highest OOD validation accuracy among those with so much ID validation accuracy."""
        rows = np.flatnonzero(self.id_val >= least_id)
        return int(rows[np.argmax(self.ood_val[rows])]) if len(rows) else None


def rows_by_model(
    configurations: Mapping[str, Configuration], names: tuple[str, ...], accuracies: Accuracies
) -> dict[str | None, tuple[tuple[str, ...], Accuracies]]:
    """The names and accuracies of each model's configurations, by its short name; all by None where none are compared.

    Args:
        configurations: by name.
        names: of the rows of the accuracies.
    """
    rows: dict[str | None, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(configurations[name].model, []).append(row)
    return {
        model: (tuple(names[row] for row in own), {split: column[own] for split, column in accuracies.items()})
        for model, own in rows.items()
    }


def view(
    configurations: Mapping[str, Configuration], names: tuple[str, ...], accuracies: Accuracies
) -> dict[str, MethodView]:
    """Every method's view, from the accuracies of all configurations on each split.

    Args:
        configurations: by name.
        names: of the rows of the accuracies.
    """
    methods = np.array([configurations[name].method for name in names])
    columns = {part: ood_mean(accuracies, part) for part in PARTS}
    found = {}
    for method in dict.fromkeys(methods.tolist()):
        rows = np.flatnonzero(methods == method)
        found[method] = MethodView(
            method=method,
            names=tuple(names[row] for row in rows),
            params=tuple(configurations[names[row]].params for row in rows),
            trainings=tuple(configurations[names[row]].trainings for row in rows),
            id_val=accuracies["id/val"][rows],
            ood_val=columns["val"][rows],
            id_test=accuracies["id/test"][rows],
            ood_test=columns["test"][rows],
        )
    return found
