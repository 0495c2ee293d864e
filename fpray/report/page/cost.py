"""The cost of a sweep, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from fpray.config import Sweep
from fpray.records import Record, commit
from fpray.report.report import Report


class Cost(BaseModel):
    """What a method's trials took, all together."""

    model_config = ConfigDict(frozen=True)

    method: str
    trials: int
    hours: float
    gpu_hours: float | None
    """None for trials without a GPU."""
    images_per_second: float | None
    """In training; None for a method that doesn't train."""
    not_training: float | None
    """The share of the time that was not training: validation and the test."""


def costs(sweep: Sweep, report: Report, records: Sequence[Record]) -> tuple[Cost, ...]:
    """The cost of each method."""
    return tuple(
        _cost(
            m.name,
            [r for r in records if r.status == "finished" and _is_of(r, m.method, m.model)],
            gpus_of(sweep, m.method),
        )
        for m in report.methods
    )


def gpus_of(sweep: Sweep, method: str) -> float:
    """The GPUs that a trial of a method has."""
    needs = sweep.resources_of(method)
    return needs.gpus * needs.workers


def disk_line(kept: Mapping[str, int]) -> str:
    """What the kept weights take.

    Args:
        kept: the bytes of each trial's.
    """
    return f"{sum(kept.values()) / 1e6:,.1f} MB of weights, of {len(kept)} trials"


def _is_of(record: Record, method: str, model: str | None) -> bool:
    own = record.trial
    return own.method == method and (model is None or (own.model is not None and own.model.short == model))


def _cost(name: str, records: Sequence[Record], gpus: float) -> Cost:
    seconds = sum(record.cost.seconds for record in records if record.cost)
    training = sum(epoch.seconds for record in records for epoch in record.history)
    images = sum(epoch.images for record in records for epoch in record.history)
    return Cost(
        method=name,
        trials=len(records),
        hours=seconds / 3600,
        gpu_hours=seconds / 3600 * gpus if gpus else None,
        images_per_second=images / training if training else None,
        not_training=1 - training / seconds if training and seconds else None,
    )


def provenance(sweep: Sweep, records: Sequence[Record]) -> dict[str, str]:
    """Versions, device, models, seeds: what the trials ran with, each value once."""
    known = [record.provenance for record in records if record.provenance is not None]
    versions: dict[str, dict[str, None]] = {}
    for own in known:
        for package, number in own.versions.items():
            versions.setdefault(package, {})[number] = None
    found = {
        "models": ", ".join(f"{m.name} ({m.pretrained})" if m.pretrained else m.name for m in sweep.model.each()),
        "draws of the data": ", ".join(map(str, sweep.data.seeds)),
        "training seeds": ", ".join(map(str, sweep.train.seeds)),
        "device": ", ".join(dict.fromkeys(own.device for own in known)),
    }
    if (made_by := commit()) is not None:
        found["report made by commit"] = made_by
    return found | {package: ", ".join(numbers) for package, numbers in versions.items()}
