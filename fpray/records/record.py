"""Records: one folder for each trial, and the truth about it. Everything else is derived from them.

A record's life: `begun` for each attempt, `resumed` where the attempt's work starts, `after_epoch` for each epoch, and
then `finished` or `failed`. An attempt that ended before its trial did is counted by `attempt_failed`. Each gives the
record that follows, and checks what it is given.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fpray.formats import FORMAT, format_of
from fpray.model import Model
from fpray.records.trial import Recorded, Trial
from fpray.space import Params

DIED = "the trial's process ended before the trial did"


class Count(Recorded):
    """The number of images of a split that were classified rightly, and of all."""

    correct: int = Field(ge=0)
    total: int = Field(ge=0)

    @property
    def top1(self) -> float:
        """Accuracy in per cent."""
        return 100 * self.correct / self.total


class Epoch(Recorded):
    """The results of one epoch of training. `epoch` and `step` count those done; `ended` is Unix time in seconds.

    `seconds` are those of the training steps, `validation_seconds` those of the validation that followed.
    """

    epoch: int
    step: int
    lr: float
    losses: dict[str, float]
    validation: dict[str, Count]
    images: int
    seconds: float
    validation_seconds: float
    ended: float


class CurvePoint(Recorded):
    """A place between the reference's weights (alpha 0) and those that a trial trained (1), as WiSE-FT interpolates
    them, and what it gives on the validation splits."""

    alpha: float = Field(ge=0, le=1)
    validation: dict[str, Count]


class Movement(Recorded):
    """The distance of the model from the reference: the paper's explanation of lost OOD accuracy."""

    distance: float
    """L2 norm of w - w0 over encoder and head."""
    relative_distance: float
    """The same, over the norm of w0."""
    cka: dict[str, float]
    """Linear CKA of the features with the reference's, in [0, 1], on each validation split."""


class Cost(Recorded):
    """The cost of a trial, without epochs that an interruption made it repeat.

    `seconds` are those of training, validation and the final evaluation; `images` is how many were trained on, and
    `images_per_second` how fast.
    """

    seconds: float
    images: int
    images_per_second: float


class Provenance(Recorded):
    """The code, packages and device that a trial ran with."""

    versions: dict[str, str]
    commit: str | None
    device: str
    plugins: dict[str, str] = {}
    """The sha256 of each plug-in's code, by the file's name."""


Status = Literal["running", "finished", "failed"]


class Record(Recorded):
    """All that is known of a trial."""

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT)
    trial: Trial
    start: int | None = Field(None, ge=1)
    """The start of the sweep that the trial was suggested by; its file is `starts/0001.yaml` and so on. None in records
    of before starts were kept."""
    status: Status = "running"
    attempt: int = Field(0, ge=0)
    """The number of times that the trial was begun; a later attempt goes on where the one before was interrupted."""
    failures: int = Field(0, ge=0)
    """The number of attempts in a row that failed without getting an epoch further than any before."""
    started: float
    ended: float | None = None
    history: tuple[Epoch, ...] = ()
    checkpoint: int = Field(0, ge=0)
    """The number of epochs after which the newest checkpoint was written."""
    furthest: int = Field(0, ge=0)
    """The number of epochs that the attempt which got furthest has done, before this one."""
    implied: dict[str, float] = {}
    """What the hyperparameters amount to in the trial's training: a kappa's strength, or a strength's kappa."""
    results: dict[str, Count] = {}
    curve: tuple[CurvePoint, ...] = ()
    """By alpha; none for a trial that trains nothing."""
    movement: Movement | None = None
    weights: int | None = Field(None, ge=1)
    """The number of weights of its model's image tower, which is the model's size; None in older records."""
    cost: Cost | None = None
    provenance: Provenance | None = None
    error: str | None = None
    unreadable: dict[str, tuple[str, ...]] = {}
    """The images that couldn't be decoded, by split: skipped in training, counted as wrong in evaluation."""

    @property
    def has_ended(self) -> bool:
        """Whether the trial has finished or failed; one that was interrupted hasn't."""
        return self.status != "running"

    def begun(self, failures: int) -> Record:
        """The next attempt begins, after so many `failures` in a row."""
        return self._going_on(attempt=self.attempt + 1, failures=failures)

    def resumed(self, history: tuple[Epoch, ...], provenance: Provenance) -> Record:
        """The attempt's work starts, from its newest checkpoint's history."""
        furthest = max(self.furthest, len(self.history))
        return self._going_on(history=history, checkpoint=len(history), furthest=furthest, provenance=provenance)

    def with_checkpoint(self, epochs: int) -> Record:
        """A checkpoint was written after so many epochs."""
        return self._going_on(checkpoint=epochs)

    def after_epoch(self, history: tuple[Epoch, ...]) -> Record:
        """One more epoch is done; further than any attempt before, those no longer count as failures in a row."""
        if len(history) <= len(self.history):
            raise ValueError(f"{self.trial.id} has {len(self.history)} epochs already")
        failures = 0 if len(history) > self.furthest else self.failures
        return self._going_on(history=history, failures=failures, error=None)

    def finished(
        self,
        *,
        results: Mapping[str, Count],
        implied: Mapping[str, float] | None = None,
        curve: tuple[CurvePoint, ...] = (),
        movement: Movement | None = None,
        weights: int | None = None,
        cost: Cost | None = None,
        unreadable: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Record:
        """The trial has ended well."""
        return self._going_on(
            status="finished",
            ended=time.time(),
            results=results,
            implied=implied or {},
            curve=curve,
            movement=movement,
            weights=weights,
            cost=cost,
            unreadable=unreadable or {},
            failures=0,
            error=None,
        )

    def failed(self, error: str) -> Record:
        """The trial has ended badly."""
        return self._going_on(status="failed", ended=time.time(), error=error)

    def with_error(self, error: str) -> Record:
        """The attempt fails, for this reason; whether the trial has failed is decided by `attempt_failed`."""
        return self._going_on(error=error)

    def attempt_failed(self, max_failures: int) -> Record:
        """An attempt ended before the trial did: the trial goes on, or has failed if that came too often in a row."""
        counted = self._going_on(failures=self.failures + 1)
        return counted.failed(self.error or DIED) if counted.failures > max_failures else counted

    def again(self) -> Record:
        """A trial that failed is to go on as if it had been interrupted."""
        if self.status != "failed":
            raise ValueError(f"{self.trial.id} has not failed")
        return self._changed(status="running", failures=0, error=None, ended=None)

    def drawn_anew(self, params: Params, start: int) -> Record:
        """A trial that is to go on begins from nothing, with other hyperparameters that a later start suggests."""
        trial = self.trial.model_copy(update={"params": params})
        nothing: dict[str, Any] = {"history": (), "checkpoint": 0, "furthest": 0, "provenance": None, "error": None}
        return self._going_on(trial=trial, start=start, **nothing)

    def of_model(self, model: Model) -> Record:
        """The record of a trial that names its model, which format 1 didn't do at first."""
        return self._changed(trial=self.trial.model_copy(update={"model": model}))

    def of_attempt(self, attempt: int) -> Record:
        """The record as that of a later attempt, which has begun since it was read."""
        return self._changed(attempt=attempt)

    def metrics(self) -> dict[str, float]:
        """The final accuracies by key, see `accuracies`."""
        return accuracies(self.results)

    def _going_on(self, **changes: Any) -> Record:
        if self.has_ended:
            raise ValueError(f"{self.trial.id} has {self.status} already")
        return self._changed(**changes)

    def _changed(self, **changes: Any) -> Record:
        return Record.model_validate(dict(self) | changes)  # not `model_copy`, which checks nothing


def accuracy_key(split: str) -> str:
    """The metric key of a split's accuracy: `id/val/top1`; with `ood/val` and `ood/test`, of the OOD domains' mean."""
    return f"{split}/top1"


def column_of(key: str) -> str:
    """The name of an accuracy in tables and in MLflow, part first: `test/ood/sketch`, of `ood/sketch/test/top1`."""
    *domain, part = key.removesuffix("/top1").split("/")
    return "/".join([part, *domain])


def accuracies(results: Mapping[str, Count]) -> dict[str, float]:
    """Accuracies in per cent by metric key: each split's (`ood/sketch/test/top1`), and the OOD domains' plain mean
    (`ood/test/top1`)."""
    metrics = {accuracy_key(name): count.top1 for name, count in results.items()}
    for part in ("val", "test"):
        domains = [
            count.top1 for name, count in results.items() if name.startswith("ood/") and name.endswith(f"/{part}")
        ]
        if domains:
            metrics[accuracy_key(f"ood/{part}")] = sum(domains) / len(domains)
    return metrics


def read_record(written: Any, where: str) -> Record:
    """A record from the content of its file, of whatever format.

    Raises:
        UserError: if a newer fpray wrote it.
        ValueError: if it isn't a record.
    """
    if not isinstance(written, dict):
        raise ValueError("a record is a mapping")
    if format_of(written, where) == 1:
        written = {"format": FORMAT, **written, "trial": _upgraded_trial(written.get("trial"))}
    return Record.model_validate(written)


def _upgraded_trial(trial: Any) -> Any:
    """A trial of format 1, which had its source and its model's short name among its hyperparameters."""
    if not isinstance(trial, dict) or not isinstance(trial.get("params"), dict):
        return trial
    params = {name: value for name, value in trial["params"].items() if name not in ("source", "model")}
    source = trial["params"].get("source")
    return {**trial, "params": params, "sources": [] if source is None else [source]}
