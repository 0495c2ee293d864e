"""Settling a sweep into its folder: the trials there are of a sweep file that fits all their records.

Every accepted file is kept, as `starts/0001.yaml` and so on; `sweep.yaml` is the newest. A record names the start that
its trial was suggested by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import RootModel, ValidationError

from fpray.config import (
    Models,
    Sweep,
    dump_sweep,
    parse,
    resolved,
    todays_defaults,
    train_with_todays_keys,
    upgraded,
    with_todays_keys,
)
from fpray.console import first_of
from fpray.data import PIXELS, Fingerprint, differences
from fpray.errors import UserError
from fpray.records import Record, SweepFolder, Trial, commit, configuration_id, versions
from fpray.search import studies
from fpray.space import Choice
from fpray.storage import read_if_there, write_whole
from fpray.sweep.changes import fixed_differences, refuse_contradictions, search_changes


@dataclass(frozen=True)
class Start:
    """A start of a sweep, by a file that fits the trials there: its number, and what has changed since the last."""

    number: int
    changes: tuple[str, ...] = ()


def next_start(sweep: Sweep, folder: SweepFolder, records: Sequence[Record]) -> Start:
    """The start that a sweep would be, if it fits what is in its folder.

    Args:
        records: of the trials there.

    Raises:
        UserError: if data, model or training differ from those of the records, or a constant from the values that
            all of them ran with; with the differences.
    """
    new, old, newest = resolved(sweep), _recorded(folder), folder.newest_start()
    if old is None:
        return Start(newest + 1)
    if new == old:
        return Start(max(newest, 1))
    models, models_were = Models.model_validate(old["model"]), old["model"]
    if models != sweep.model and _extends(models, sweep, [record.trial for record in records]):
        models_were = new["model"]
    if changed := fixed_differences(old | {"model": models_were}, new):
        raise UserError(
            f"'{folder.path}' has trials with other settings: {'; '.join(changed)}. "
            "Change them back, or give the sweep another name"
        )
    refuse_contradictions(sweep, old, records)
    more_models = [f"the models were {_named(models)}, are {_named(sweep.model)}"] if models != sweep.model else []
    return Start(max(newest, 1) + 1, (*more_models, *search_changes(old, new, records)))


def settle(sweep: Sweep, folder: SweepFolder, start: Start) -> None:
    """Write the resolved sweep file into its folder, as the newest and as that of its start."""
    made_with = ", ".join(f"{package} {number}" for package, number in versions().items())
    header = f"# {made_with}, commit {commit() or 'unknown'}\n"
    content = (header + dump_sweep(sweep)).encode()
    newest = folder.newest_start()
    if start.number == 2 and newest == 0:  # the file of a version that kept none
        write_whole(folder.start_file(1), read_if_there(folder.sweep_file) or b"")
    if newest < start.number:
        write_whole(folder.start_file(start.number), content)
    write_whole(folder.sweep_file, content)
    if read_if_there(folder.defaults_file) is None:
        write_whole(folder.defaults_file, json.dumps(todays_defaults(), indent=1).encode())
    write_whole(folder.plan_file, json.dumps({study.name: study.trials for study in studies(sweep)}).encode())


def require_same_data(found: Mapping[str, Fingerprint], folder: SweepFolder, records: Sequence[Record]) -> None:
    """Hold the fingerprints of the data against those that the trials there ran on; keep them where there are none.

    Raises:
        UserError: if trials ran on other data, with what has changed, or on the pixels of an earlier version.
    """
    known = _recorded_data(folder) if records else None
    if records and (known is None or any(split.pixels < PIXELS for split in known.values())):
        raise UserError(
            f"'{folder.path}' has trials of an earlier fpray, whose images differ from this one's by rounding; it can "
            "be looked at, and goes on with that version alone: give the sweep another name to run it with this one"
        )
    if known is not None and any(found[name].stage != split.stage for name, split in known.items() if name in found):
        raise UserError(
            f"'{folder.path}' has trials on the DrawNet of an earlier fpray, with other models and prompts; it can be "
            "looked at, and goes on with that version alone: give the sweep another name to run it with this one"
        )
    if known is None:
        write_whole(folder.data_file, RootModel[dict[str, Fingerprint]](dict(found)).model_dump_json(indent=1).encode())
    elif changed := differences(known, found):
        raise UserError(
            f"'{folder.path}' has trials of other data: {'; '.join(changed)}. "
            "Put it back as it was, or give the sweep another name"
        )


def _recorded_data(folder: SweepFolder) -> dict[str, Fingerprint] | None:
    content = read_if_there(folder.data_file)
    try:
        return None if content is None else RootModel[dict[str, Fingerprint]].model_validate_json(content).root
    except ValidationError:
        raise UserError(f"'{folder.data_file}' is damaged; put it back, or give the sweep another name") from None


def _named(models: Models) -> str:
    return ", ".join(model.short for model in models.each())


def changed_plugins(sweep: Sweep, records: Iterable[Record]) -> list[str]:
    """A line for each plug-in that has changed since some of the trials ran with it."""
    ran: dict[str, list[str]] = {}
    for record, plugin in product(records, sweep.plugins):
        trial, ran_with = record.trial, record.provenance.plugins if record.provenance else {}
        known = ran_with.get(plugin.name, plugin.sha256)
        if known != plugin.sha256 and plugin.concerns(trial.method, sweep.data.layout):
            ran.setdefault(plugin.name, []).append(trial.id)
    return [
        f"{name} has changed since {first_of(trials, 5)} ran with it; they stay as they are, and another name for the "
        "sweep runs all anew"
        for name, trials in ran.items()
    ]


def settled_before(folder: SweepFolder) -> dict[str, int | bool]:
    """What the trials in a sweep's folder have for the keys of `train` that may be `auto`; nothing if there are none.

    Raises:
        UserError: if the resolved sweep file there is damaged, or of a newer fpray.
    """
    old = _recorded(folder)
    if old is None:
        return {}
    known: dict[str, int | bool] = {"batch_size": int(old["train"]["batch_size"])}
    compiled = old["train"].get("compile")
    return known | {"compile": compiled} if isinstance(compiled, bool) else known


def _recorded(folder: SweepFolder) -> dict[str, Any] | None:
    """The resolved sweep that the folder's trials are of, as today's format has it; None if there are none."""
    path = folder.sweep_file
    content = read_if_there(path)
    if content is None or not (folder.path / "trials").exists():
        return None
    damaged = UserError(f"'{path}' is damaged; put it back, or give the sweep another name")
    try:
        written = dict(parse(content.decode(), str(path)))
    except (UserError, TypeError, ValueError):
        raise damaged from None
    old = upgraded(written, str(path))
    old["data"] = with_todays_keys(old.get("data"))
    try:
        Models.model_validate(old["model"])
        int(old["train"]["batch_size"])
    except (TypeError, ValueError, KeyError):
        raise damaged from None
    old["train"] = train_with_todays_keys(old["train"])
    return old


def _extends(old: Models, sweep: Sweep, trials: Iterable[Trial]) -> bool:
    """Whether the sweep's models differ from the old ones so that the old trials stay right: some are still wanted,
    they are searched or compared as they were, and no new trial takes the id of a trial of another model."""
    models = sweep.model.each()
    same_kind = isinstance(old.name, Choice) == isinstance(sweep.model.name, Choice)
    names = [study.name for study in studies(sweep)]
    others = [trial for trial in trials if trial.model not in models]
    taken = any(t.configuration == configuration_id(name, t.number) for t in others for name in names)
    return same_kind and not set(models).isdisjoint(old.each()) and not taken
