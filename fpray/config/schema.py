"""The sweep file: what a user asks for, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from fpray.config.batches import require_batches
from fpray.config.data import Data
from fpray.config.methods import Methods, listed
from fpray.config.models import Models
from fpray.config.plugins import PLUGINS, Plugin, install
from fpray.config.reporting import Reporting
from fpray.config.resources import Resources
from fpray.config.train import Train
from fpray.errors import did_you_mean
from fpray.methods import LISTS, METHODS, Method
from fpray.section import Section
from fpray.space import Choice, Constant, Grid
from fpray.storage import DEFAULT_STORAGE

Objective = Annotated[str, WithJsonSchema({"type": "string", "pattern": "/val/top1$"})]
ID_VAL, OOD_VAL = "id/val/top1", "ood/val/top1"
"""The usual objectives."""


Objectives = Annotated[tuple[Objective, ...], Field(min_length=1, max_length=2)]


class Search(Section):
    """The choice of trials. The objectives are accuracies to maximise, in per cent."""

    sampler: Literal["tpe", "nsga2", "qmc", "random", "grid"] = "tpe"
    """Optuna's sampler, after the quasi-random start; `qmc` for nothing but quasi-random points; `grid` tries the
    values of every choice and grid in turn."""
    startup: int = Field(16, ge=0)
    """With `tpe` and `nsga2`, how many of a method's first configurations are quasi-random points, which cover the
    space more evenly than random ones. After them the sampler learns from the results that are there, see `lag`."""
    objectives: Objectives = (ID_VAL, OOD_VAL)
    """The two accuracies that are maximised, both of validation images: ID, OOD, or an OOD domain's. ID alone,
    `[id/val/top1]`, for a search that sees no OOD label."""
    seed: int = Field(0, ge=0)
    """The seed of what the sampler suggests."""
    lag: int = Field(8, ge=0)
    """A method's trial n is suggested from the results of its trials before n - lag, no more and no fewer: so it
    does not depend on which trial happens to end first, and up to lag + 1 trials of one method run at a time."""
    reference_point: tuple[float, float] | None = None
    """The (ID, OOD) accuracies, in per cent, above which the hypervolume of a front is measured; null for zero-shot's
    ID and the lowest OOD of any front."""

    @field_validator("objectives")
    @classmethod
    def _validation_only(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        for objective in objectives:
            if not objective.endswith("/val/top1"):
                raise ValueError(f"'{objective}' is not a validation accuracy; use id/val/top1 and ood/val/top1")
        if objectives[1:] == objectives[:1]:
            raise ValueError(f"'{objectives[0]}' is there twice; name two, as id/val/top1 and ood/val/top1")
        if len(objectives) == 1 and objectives[0] != ID_VAL:
            raise ValueError(f"'{objectives[0]}' alone is no trade-off; add {ID_VAL}, which may stand alone")
        return objectives

    @property
    def axes(self) -> tuple[str, str]:
        """The two validation accuracies that fronts and picks are chosen by: the objectives, or with ID alone OOD
        too, which the search hasn't seen."""
        return (self.objectives[0], self.objectives[1] if len(self.objectives) > 1 else OOD_VAL)


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What a sweep may be called."""
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "file", "databricks")
"""What an address of MLflow starts with, before a `+driver`."""
SCHEMES_WITHOUT_HOST = ("databricks", "uc", "file")


class Tracking(Section):
    """The place where MLflow records the sweep; without a URI, a sqlite file in the storage folder."""

    uri: str | None = None
    """MLflow's address, such as `http://HOST:5000` or `sqlite:///FILE`; null for a sqlite file in `storage`."""
    experiment: str | None = None
    """The experiment's name; null for the sweep's."""

    @field_validator("uri")
    @classmethod
    def _of_a_known_kind(cls, uri: str | None) -> str | None:
        if uri is None or uri.partition(":")[0] in SCHEMES_WITHOUT_HOST:
            return uri
        scheme, separator, place = uri.partition("://")
        if not separator or not place:
            raise ValueError(f"'{uri}' is no address; write it as http://HOST:5000 or sqlite:///FILE")
        if scheme.partition("+")[0] not in SCHEMES:
            raise ValueError(
                f"'{scheme}' in '{uri}' is no kind of address that MLflow knows; {did_you_mean(scheme, SCHEMES)}"
            )
        return uri


Plugins = Annotated[
    tuple[InstanceOf[Plugin], ...],
    PlainSerializer(lambda plugins: [plugin.as_yaml() for plugin in plugins]),
    WithJsonSchema(PLUGINS),
]
"""The `plugins` of a sweep file, loaded."""


class TrialSettings(Section):
    """The part of a sweep file that a method's trials run by. The rest may hold a password, and stays here."""

    plugins: Plugins
    data: Data
    train: Train
    resources: Resources

    def drawn(self, seed: int) -> TrialSettings:
        """The settings with one draw of the data."""
        return self.model_copy(update={"data": self.data.drawn(seed)})

    def packed(self) -> PackedSettings:
        """The settings as they travel to another process."""
        return PackedSettings(self.plugins, self.data.model_dump(mode="json"), self.train, self.resources)


@dataclass(frozen=True)
class PackedSettings:
    """Settings whose data section is plain data: its class may be of a plug-in, which another process must install."""

    plugins: tuple[Plugin, ...]
    data: dict[str, Any]
    train: Train
    resources: Resources

    def unpacked(self) -> TrialSettings:
        """The settings, with the plug-ins' methods and layouts added to this process's."""
        for plugin in self.plugins:
            install(plugin)
        return TrialSettings.model_validate(vars(self))


class Sweep(Section):
    """A whole sweep file, resolved: every default is filled in."""

    name: Annotated[str, Field(json_schema_extra={"pattern": f"^{NAME}$"})]
    """The sweep's name, which its folder has too; without it, the file's name."""
    plugins: Plugins = ()
    """Files of Python code, relative to this one, with methods and layouts of your own."""
    data: Data = Field(default_factory=dict, validate_default=True)
    """The images: their layout, and its options."""
    model: Models = Models()
    """The pre-trained model, or several to compare or to search among."""
    train: Train = Train()
    """The training, which is the same for all methods but for what they search."""
    search: Search = Search()
    """The choice of trials."""
    methods: Methods = Field(default_factory=dict, validate_default=True)
    """The methods to compare, with their trials and what is searched: a mapping, a list of names, or a word for a list.
    `paper`, the default, has those that the paper compares and the linear probe; `fast` has full fine-tuning and what
    is made of it for nothing; `all` has every method that can do without settings, and with `data.rehearsal` those that
    replay."""
    report: Reporting = Reporting()
    """What the report shows of each method."""
    resources: Resources = Resources()
    """What a trial needs of the machines, and how trials are run there."""
    keep: Literal["all", "front"] = "all"
    """The weights that stay when the sweep has ended: of all trials, or of those that a front, a pick or a curve needs,
    or that others may be made from; `fpray export` trains any other again."""
    storage: str = DEFAULT_STORAGE
    """The folder in which the sweep's own lies: a path, or an address that fsspec knows, such as `s3://BUCKET/FOLDER`."""
    tracking: Tracking | None = Tracking()
    """The place where MLflow records the sweep; null for none."""

    def resources_of(self, method: str) -> Resources:
        """The resources of a method's trials."""
        return self.resources.of_method(self.methods[method].resources)

    def trial_settings(self, method: str) -> TrialSettings:
        """The settings that a method's trials run by."""
        resources = self.resources_of(method)
        return TrialSettings(plugins=self.plugins, data=self.data, train=self.train, resources=resources)

    def with_train(self, **settled: Any) -> Sweep:
        """The sweep with other values in some keys of `train`, which are not checked: what `auto` stands for."""
        return self.model_copy(update={"train": self.train.model_copy(update=settled)})

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(
                f"{name!r} must start with a letter or digit, and hold only letters, digits, '.', '_', '-'"
            )
        return name

    @field_validator("methods", mode="before")
    @classmethod
    def _read_methods(cls, written: Any, info: ValidationInfo) -> Any:
        """Name the methods of a word; fill in the common learning rate; search grids by grid."""
        train, data = info.data.get("train"), info.data.get("data")
        seeds, replaying = len(train.seeds) if train else 1, bool(data and data.rehearsal)
        written = listed(written or "paper", seeds=seeds, replaying=replaying)
        if isinstance(written, list | tuple) and all(isinstance(name, str) for name in written):
            written = dict.fromkeys(written)
        if not isinstance(written, Mapping):
            raise ValueError(
                "name the methods alone, [full, l2], as keys with settings, {full: {trials: 8}, l2: {}}, or by one of "
                f"the words {', '.join(['all', *LISTS])}"
            )
        filled = {name: {} if settings is None else settings for name, settings in written.items()}
        for name, settings in filled.items():
            if name in METHODS and isinstance(settings, Mapping):
                filled[name] = cls._fill(METHODS[name], dict(settings), info)
        return filled

    @staticmethod
    def _fill(method: type[Method[Any]], settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
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
        for name, settings in self.methods.items():
            for source in settings.sources():
                if source not in self.methods:
                    raise ValueError(f"methods.{name}.of: '{source}' is not among the sweep's methods; add it there")
                if not METHODS[source].is_source:
                    raise ValueError(f"methods.{name}.of: '{source}' trains nothing; name methods that do")
                if settings.takes == "pair" and len(self.train.seeds) == 1:
                    raise ValueError(
                        f"methods.{name}: it takes two seeds of each configuration, and train.seeds has one; write "
                        f"seeds: [0, 1], or leave {name} out"
                    )
                if name in self._beneath(source):
                    raise ValueError(f"methods.{name}.of: '{source}' builds on {name} in turn; name another method")
            for key, dimension in settings.space().items():
                if self.search.sampler == "grid" and not isinstance(dimension, Constant | Grid):
                    raise ValueError(f"methods.{name}.{key}: sampler 'grid' needs {{grid: [...]}} or a constant here")
        return self

    def _beneath(self, method: str, above: frozenset[str] = frozenset()) -> set[str]:
        """A method and all that it builds on, directly or not."""
        if method in above or method not in self.methods:
            return {method}
        sources = self.methods[method].sources()
        return {method}.union(*(self._beneath(source, above | {method}) for source in sources))

    @model_validator(mode="after")
    def _batches_can_be_made(self) -> Sweep:
        for name, settings in self.methods.items():
            try:
                resources = self.resources_of(name)
            except ValidationError as error:
                raise ValueError(f"methods.{name}.resources: {error.errors()[0]['ctx']['error']}") from None
            require_batches(name, settings, self.train, self.data, resources)
        return self
