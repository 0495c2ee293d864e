"""The sweep file: what a user asks for, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from fpray.data import DATASETS
from fpray.data.base import Options
from fpray.errors import did_you_mean
from fpray.methods import METHODS, Method, TrainedMethod
from fpray.pretrained import Models
from fpray.section import Section
from fpray.settings import Methods
from fpray.space import Choice, Constant, Dimension, Grid


def _auto_or_from(least: int) -> BeforeValidator:
    def check(written: Any) -> Any:
        if written != "auto" and (not isinstance(written, int) or written < least):
            raise ValueError(f"must be 'auto' or a whole number, at least {least}, not {written!r}")
        return written

    return BeforeValidator(check)


_AutoOrFrom0 = Annotated[Literal["auto"] | int, _auto_or_from(0)]
_AutoOrFrom1 = Annotated[Literal["auto"] | int, _auto_or_from(1)]


class Train(Section):
    """How a trial trains. Defaults are WiSE-FT's recipe (github.com/mlfoundations/wise-ft)."""

    epochs: int = Field(10, ge=1)
    batch_size: _AutoOrFrom1 = 512
    """Images in a step, over all workers of the trial; `auto`: the largest power of two for each that fits its GPU."""
    accumulate: int = Field(1, ge=1)
    """In how many parts, one after another, a worker computes its share of a batch: the same gradient, less memory."""
    optimizer: Literal["adamw"] = "adamw"
    lr: Dimension | None = Field(None, description="for the methods that don't set their own")
    weight_decay: float = Field(0.1, ge=0)
    weight_decay_on: Literal["all", "matrices"] = "all"
    """`matrices` spares norms and biases, as open_clip's own training does."""
    warmup_steps: int = Field(500, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_grad_norm: float | None = Field(1.0, gt=0)
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """The weights are fp32 always; with bf16 the forward pass is autocast, and the rest is tf32."""
    gradient_checkpointing: bool = False
    """Compute a block's activations once more in the backward pass instead of keeping them."""
    compile: bool = False
    """Let torch.compile make the image encoder faster; the first step then takes a minute."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = (0,)

    @property
    def autocast(self) -> torch.dtype | None:
        """The type that the forward pass computes in; None for the weights' own, fp32."""
        return torch.bfloat16 if self.precision == "bf16" else None

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_or_more_seeds(cls, written: Any) -> Any:
        seeds = tuple(written) if isinstance(written, Sequence) and not isinstance(written, str) else (written,)
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError("give one seed or more, each once")
        return seeds


class Search(Section):
    """How trials are chosen. Both objectives are accuracies to maximise, in per cent."""

    sampler: Literal["tpe", "nsga2", "random", "grid"] = "tpe"
    objectives: tuple[str, str] = ("id/val/top1", "ood/val/top1")
    seed: int = Field(0, ge=0)
    lag: int = Field(8, ge=0)
    """A method's trial n is suggested from the results of its trials before n - lag, no more and no fewer: so it
    does not depend on which trial happens to end first, and up to lag + 1 trials of one method run at a time."""
    reference_point: tuple[float, float] = (0.0, 0.0)
    """The (ID, OOD) accuracies, in per cent, above which the hypervolume of a front is measured."""

    @field_validator("objectives")
    @classmethod
    def _validation_only(cls, objectives: tuple[str, str]) -> tuple[str, str]:
        for objective in objectives:
            if not objective.endswith("/val/top1"):
                raise ValueError(f"'{objective}' is not a validation accuracy; use id/val/top1 and ood/val/top1")
        if objectives[0] == objectives[1]:
            raise ValueError(f"'{objectives[0]}' is there twice; name two, as id/val/top1 and ood/val/top1")
        return objectives


class Resources(Section):
    """What one worker of a trial needs, how many workers a trial has, and how many trials run at a time."""

    cpus: float = Field(1, gt=0)
    gpus: float = Field(0, ge=0, le=1)
    """A worker uses one GPU, or with less than 1 a part of one that other trials share."""
    workers: int = Field(1, ge=1)
    concurrency: _AutoOrFrom1 = "auto"
    loader_workers: _AutoOrFrom0 = "auto"
    """Processes of each worker that load images; `auto`: with a GPU one less than its CPUs, else none."""
    max_failures: int = Field(1, ge=0)
    """How many attempts in a row may fail without getting an epoch further before the trial has failed."""
    stall_seconds: float = Field(1800, gt=0)
    """After how many seconds without a step or an evaluated batch an attempt counts as hung, and is ended."""

    @model_validator(mode="after")
    def _whole_gpus_for_groups(self) -> Resources:
        if self.workers > 1 and self.gpus not in (0, 1):
            raise ValueError(f"{self.workers} workers can't share a GPU; set gpus to 1, or workers to 1")
        return self

    @property
    def loaders(self) -> int:
        """How many processes load images for one worker; 0: it loads them itself."""
        if self.loader_workers != "auto":
            return self.loader_workers
        return max(0, int(self.cpus) - 1) if self.gpus else 0


class Tracking(Section):
    """Where MLflow records the sweep; without a URI, in a sqlite file in the storage folder."""

    uri: str | None = None
    experiment: str | None = Field(None, description="the sweep's name if not given")


class Sweep(Section):
    """A whole sweep file, resolved: every default is filled in."""

    name: str
    data: SerializeAsAny[Options] = Field(default_factory=dict, validate_default=True)
    model: Models = Models()
    train: Train = Train()
    search: Search = Search()
    methods: Methods = Field(default_factory=dict, validate_default=True)
    resources: Resources = Resources()
    storage: str = "fpray-results"
    tracking: Tracking | None = Tracking()

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                f"{name!r} must start with a letter or digit, and hold only letters, digits, '.', '_', '-'"
            )
        return name

    @field_validator("data", mode="before")
    @classmethod
    def _read_data(cls, written: Any) -> Any:
        written = {} if written is None else written
        if not isinstance(written, Mapping):
            return written
        name = written.get("layout", "drawnet")
        if not isinstance(name, str) or name not in DATASETS:
            raise ValueError(f"unknown layout '{name}'; {did_you_mean(str(name), DATASETS)}")
        if "layout" not in written:
            fitting = [n for n, kind in DATASETS.items() if written.keys() <= kind.Options.model_fields.keys()]
            if fitting and name not in fitting:
                raise ValueError(f"has the keys of another layout than '{name}'; add layout: {' or '.join(fitting)}")
        return DATASETS[name].Options.model_validate(written)

    @field_validator("methods", mode="before")
    @classmethod
    def _read_methods(cls, written: Any, info: ValidationInfo) -> Any:
        """Name every method where none is named; fill in the common learning rate; search grids by grid."""
        written = written or dict.fromkeys(METHODS)
        if isinstance(written, list | tuple) and all(isinstance(name, str) for name in written):
            written = dict.fromkeys(written)
        if not isinstance(written, Mapping):
            raise ValueError(
                "name the methods alone, [full, l2], or as keys with settings, {full: {trials: 8}, l2: {}}"
            )
        filled = {name: {} if settings is None else settings for name, settings in written.items()}
        for name, settings in filled.items():
            if name in METHODS and isinstance(settings, Mapping):
                filled[name] = cls._fill(METHODS[name], dict(settings), info)
        return filled

    @staticmethod
    def _fill(method: type[Method], settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        train, search = info.data.get("train"), info.data.get("search")
        if train is not None and train.lr is not None and "lr" in method.Params.model_fields:
            settings.setdefault("lr", train.lr)
        if search is not None and search.sampler == "grid":
            for key, value in settings.items():
                if isinstance(value, Mapping) and "choice" in value:
                    settings[key] = {"grid": value["choice"]}
                elif isinstance(value, Choice):
                    settings[key] = Grid(value.values)
        return settings

    @model_validator(mode="after")
    def _fits_together(self) -> Sweep:
        chosen = self.methods.chosen()
        for name, settings in chosen.items():
            for source in settings.sources():
                if source not in chosen:
                    raise ValueError(f"methods.{name}.of: '{source}' is not among the sweep's methods; add it there")
                if not issubclass(METHODS[source], TrainedMethod):
                    raise ValueError(f"methods.{name}.of: '{source}' trains nothing; name methods that do")
            for key, dimension in settings.space().items():
                if self.search.sampler == "grid" and not isinstance(dimension, Constant | Grid):
                    raise ValueError(f"methods.{name}.{key}: sampler 'grid' needs {{grid: [...]}} or a constant here")
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Sweep:
        batch_size, workers, parts = self.train.batch_size, self.resources.workers, self.train.accumulate
        if batch_size == "auto":
            if not self.resources.gpus:
                raise ValueError(
                    "train.batch_size: 'auto' is what fits on a GPU, and resources.gpus is 0; give a number"
                )
        elif batch_size % workers:
            raise ValueError(f"train.batch_size: {batch_size} can't be shared evenly by {workers} workers")
        elif batch_size // workers < parts:
            share = f"the {batch_size // workers} images that each worker has of a batch"
            raise ValueError(f"train.accumulate: {share} can't be cut into {parts} parts; lower it")
        return self
