"""The names of parameters and accuracies in MLflow, chosen for its run list, charts and compare page."""

from __future__ import annotations

from fpray.records import column_of


class Names:
    """Today's: no two methods' hyperparameters share a key, and accuracies sort by part, ID before OOD before domains.

    `wise_ft.alpha`; `val/id`, `val/ood` (the domains' mean), `test/ood/sketch`.
    """

    version = "2"

    def param(self, method: str, name: str) -> str:
        """The key of a method's hyperparameter."""
        return f"{method}.{name}"

    def accuracy(self, key: str) -> str:
        """The key of an accuracy, which is `ood/sketch/test/top1` in the records."""
        return column_of(key)


class EarlierNames(Names):
    """Those of sweeps whose runs an earlier version began, which keep them: plain, and the records' own."""

    version = "1"

    def param(self, method: str, name: str) -> str:
        return name

    def accuracy(self, key: str) -> str:
        return key
