"""The folder of a sweep: its trials are of a sweep file that fits all the records in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upath import UPath

from fpray.config import Sweep
from fpray.errors import UserError
from fpray.lanes import lanes
from fpray.pretrained import Models
from fpray.records import Trial
from fpray.space import Choice
from fpray.storage import read_whole, write_whole
from fpray.store import RecordStore
from fpray.sweepfile import dump_sweep, parse
from fpray.trial import commit, versions

FIXED = ("data", "model", "train")
"""The sections that decide what a record means. The models may change as far as `_extends` says."""
FREE = {"train.lr", "train.accumulate", "train.gradient_checkpointing", "train.compile"}
"""What may change in them: the range of `lr` is searched, and the others are ways to compute the same step."""


def settle(sweep: Sweep, folder: UPath) -> None:
    """Write the resolved sweep file into its folder, if it fits what is there.

    Raises:
        UserError: if data, model or training differ from those of the records, with the differences.
    """
    new, old = parse(dump_sweep(sweep), sweep.name), _recorded(folder)
    if old is not None:
        models = Models.model_validate(old["model"])
        if models != sweep.model and _extends(models, sweep, [r.trial for r in RecordStore(folder).read_all()]):
            old["model"] = new["model"]
        changed = [line for section in FIXED for line in _differences(section, old.get(section), new[section])]
        if changed:
            raise UserError(
                f"'{folder}' has trials with other settings: {'; '.join(changed)}. "
                "Change them back, or give the sweep another name"
            )
    made_with = ", ".join(f"{package} {number}" for package, number in versions().items())
    header = f"# {made_with}, commit {commit() or 'unknown'}\n"
    write_whole(folder / "sweep.yaml", (header + dump_sweep(sweep)).encode())


def recorded_batch_size(folder: UPath) -> int | None:
    """The batch size of the trials in a sweep's folder; None if there are none.

    Raises:
        UserError: if the resolved sweep file there is damaged.
    """
    old = _recorded(folder)
    return None if old is None else int(old["train"]["batch_size"])


def _recorded(folder: UPath) -> dict[str, Any] | None:
    """The resolved sweep that the folder's trials are of; None if there are none."""
    path = folder / "sweep.yaml"
    if not path.exists() or not (folder / "trials").exists():
        return None
    try:
        old = dict(parse(read_whole(path).decode(), str(path)))
        Models.model_validate(old["model"])
        int(old["train"]["batch_size"])
    except (UserError, TypeError, ValueError, KeyError):
        raise UserError(f"'{path}' is damaged; put it back, or give the sweep another name") from None
    return old


def _extends(old: Models, sweep: Sweep, trials: Iterable[Trial]) -> bool:
    """Whether the sweep's models differ from the old ones so that the old trials stay right: some are still wanted,
    they are searched or compared as they were, and no new trial takes the id of a trial of another model."""
    models = sweep.model.each()
    same_kind = isinstance(old.name, Choice) == isinstance(sweep.model.name, Choice)
    names = [lane.name for lane in lanes(sweep)]
    taken = (t for t in trials if t.model not in models for name in names if t.id.startswith(f"{name}-{t.number:03d}"))
    return same_kind and not set(models).isdisjoint(old.each()) and not any(taken)


def _differences(key: str, old: Any, new: Any) -> list[str]:
    if key in FREE or old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for k in sorted(old | new) for line in _differences(f"{key}.{k}", old.get(k), new.get(k))]
    return [f"{key} was {old}, is {new}"]
