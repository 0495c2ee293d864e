"""A sweep's results from Python: its records, its table, its fronts and its picks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpray.config import Sweep, check_sweep, checked_rule, default_file, dump_sweep, parse, read_content, words_of
from fpray.errors import UserError, did_you_mean
from fpray.methods import METHODS
from fpray.records import Record, SweepFolder, column_of
from fpray.report import (
    Configuration,
    Content,
    MethodReport,
    Outcomes,
    Report,
    content_of,
    known_outcomes,
    make_report,
    measures_of,
    pick,
    png,
    table_html,
)
from fpray.results.finding import find
from fpray.search import Schedule, export_studies
from fpray.storage import open_storage, read_whole

if TYPE_CHECKING:
    from pandas import DataFrame


class Results:
    """What a sweep has found so far, read from its folder; read anew by `load`."""

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder.path
        self.records: list[Record] = folder.records.read_all()
        """The records of all its trials."""
        self.points: list[Record] = folder.points.records.read_all()
        """Those of the points of their curves that were evaluated on the test images."""
        self.sweep = _sweep_in(folder)

    @cached_property
    def report(self) -> Report:
        """Each method's front and picks."""
        return make_report(self.sweep, self._wanted, self.points, self._draws)

    @cached_property
    def content(self) -> Content:
        """All numbers of the report's page."""
        written = dump_sweep(self.sweep)
        return content_of(
            self.sweep,
            self.report,
            self._wanted,
            self._draws,
            written,
            evaluations=self.evaluations,
            store=SweepFolder(self.folder).records,
        )

    @cached_property
    def _wanted(self) -> list[Record]:
        """The records of the trials that the sweep file asks for."""
        return Schedule(self.sweep, self.records).wanted()

    @cached_property
    def _draws(self) -> dict[int, Outcomes]:
        """What they said of each image."""
        return known_outcomes(self.sweep, self._wanted, SweepFolder(self.folder).records)

    @cached_property
    def evaluations(self) -> dict[str, list[Record]]:
        """The records of trials that `fpray evaluate` has evaluated on other data, by the evaluation's name."""
        folder = SweepFolder(self.folder)
        return {name: folder.evaluation(name).records.read_all() for name in folder.evaluations()}

    def frame(self) -> DataFrame:
        """A row for each trial: what it is, its hyperparameters (`full.lr`), accuracies in per cent (`test/ood`), its
        cost in seconds, and how far it moved from the reference."""
        import pandas as pd

        return pd.DataFrame([_row(record) for record in self.records])

    def measures(self) -> DataFrame:
        """A row for each finished trial, with measures beside accuracy on the test images: calibration (`id/ECE`, 10
        bins), cross-entropy (`ood/NLL`), accuracy by class (`id/macro`), the worst domain (`ood/worst`), the harmonic
        mean, and what became of the images that zero-shot got right (`ood/kept`, `lost`, `won`), in per cent."""
        import pandas as pd

        store = SweepFolder(self.folder).records
        images = {r.trial.id: store.read_images(r.trial.id) for r in self.records if r.status == "finished"}
        known = {(r.trial.model, r.trial.draw): images[r.trial.id] for r in self._zero_shot() if r.trial.id in images}
        rows = [
            {"trial": r.trial.id} | measures_of(images[r.trial.id], known.get((r.trial.model, r.trial.draw)))
            for r in self.records
            if r.trial.id in images
        ]
        return pd.DataFrame(rows)

    def _zero_shot(self) -> list[Record]:
        return [record for record in self.records if record.trial.method == "zero_shot"]

    def front(self, method: str) -> list[Configuration]:
        """The configurations of a method's front, the highest ID validation accuracy first.

        Args:
            method: its name; with the model where several are compared, as `full-ViT-B-16`.

        Raises:
            UserError: if the sweep has no such method.
        """
        return list(self._method(method).front)

    def best(self, method: str | None = None, rule: str = "knee") -> Configuration:
        """The configuration of a method, or of all, that a rule picks: `id_val`, `ood_val`, `knee`, `min_id=80` or
        `oracle`, see `report.rules` of the sweep file.

        Raises:
            UserError: if the sweep has no such method or rule, or no configuration of the method will do.
        """
        try:
            checked_rule(rule)
        except ValueError as error:
            raise UserError(str(error)) from None
        own = list(self.report.points) if method is None else self.report.of(self._method(method))
        picked = pick(own, rule)
        if picked is None:
            of = f" of '{method}'" if method else ""
            raise UserError(f"no configuration{of} has {words_of(rule) if own else 'finished'}")
        return picked

    def export_studies(self, storage: str) -> list[str]:
        """Write the sweep's Optuna studies into a storage of Optuna's; returns their names there.

        Args:
            storage: an address as Optuna takes it, `sqlite:///studies.db`.

        Raises:
            UserError: if it has studies of these names, or can't be opened.
        """
        return export_studies(self.sweep, self.records, storage)

    def _method(self, name: str) -> MethodReport:
        found = {method.name: method for method in self.report.methods}
        if name not in found:
            raise UserError(f"the sweep has no method '{name}'; {did_you_mean(name, found)}")
        return found[name]

    def __repr__(self) -> str:
        ended = sum(record.has_ended for record in self.records)
        return f"Results({str(self.folder)!r}: {ended} of {len(self.records)} trials begun have ended)"

    def _repr_html_(self) -> str:
        """The table and the figure, which a notebook's cell shows."""
        figure = b64encode(png(self.report)).decode()
        name = escape(self.sweep.name)
        return f'{table_html(self.report)}<img alt="Fronts of {name}" src="data:image/png;base64,{figure}">'


def load(name: str | Path) -> Results:
    """The results of a sweep that is there.

    Args:
        name: its folder, its address, its sweep file, or its name, as `fpray status` takes it.

    Raises:
        UserError: if there is none.
    """
    return Results(find(str(name)))


def run(
    file: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),  # noqa: A002 - as the command's option is called
    *,
    address: str | None = None,
    retry_failed: bool = False,
    hours: float | None = None,
) -> Results:
    """Run a sweep, or go on with it, as `fpray sweep` does; returns its results.

    Args:
        file: the sweep file; without one, the embedded example.
        set: keys to override, as `{"train.epochs": 4}` or `["train.epochs=4"]`.
        address, retry_failed, hours: as the command's options.

    Raises:
        UserError: for a mistake that can be mended.
    """
    from fpray.sweep import run_sweep, sweep_for_its_folder  # late: an old sweep is loaded without what runs one

    path = default_file() if file is None else Path(file)
    overrides = [f"{key}={value}" for key, value in set.items()] if isinstance(set, Mapping) else set
    sweep, _ = sweep_for_its_folder(read_content(path, overrides), path)
    run_sweep(sweep, address=address, retry_failed=retry_failed, hours=hours)
    return Results(SweepFolder(open_storage(sweep.storage) / sweep.name))


def _sweep_in(folder: SweepFolder) -> Sweep:
    """The resolved sweep in a folder, without its plug-ins, which are not run, and the methods that they add."""
    written = dict(parse(read_whole(folder.sweep_file).decode(), str(folder.sweep_file)))
    methods = {name: settings for name, settings in written.get("methods", {}).items() if name in METHODS}
    return check_sweep(written | {"plugins": [], "methods": methods}, str(folder.sweep_file))


def _row(record: Record) -> dict[str, Any]:
    trial = record.trial
    row: dict[str, Any] = {
        "trial": trial.id,
        "method": trial.method,
        "number": trial.number,
        "seed": trial.seed,
        "draw": trial.draw,
    }
    row |= {"model": trial.model.short if trial.model else None, "status": record.status}
    row |= {f"{trial.method}.{name}": value for name, value in (trial.params | record.implied).items()}
    row |= {column_of(key): value for key, value in record.metrics().items()}
    row["source"] = ", ".join(trial.sources) or None
    row["seconds"] = record.cost.seconds if record.cost else None
    row["distance"] = record.movement.distance if record.movement else None
    return row
