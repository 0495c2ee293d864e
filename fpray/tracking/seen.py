"""A run as it was read from MLflow, and as it was written since."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.entities import Run

from fpray.tracking import points


@dataclass
class SeenRun:
    """A run's content on the server, as read and as written since."""

    id: str
    status: str
    started: int
    ended: int | None
    epoch: int
    """The last epoch logged; 0 if there is none."""
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]

    @classmethod
    def from_mlflow(cls, run: Run) -> SeenRun:
        info, data = run.info, run.data
        return cls(
            info.run_id,
            info.status,
            info.start_time,
            info.end_time,
            int(data.metrics.get(points.EPOCH, 0)),
            dict(data.metrics),
            dict(data.params),
            dict(data.tags),
        )
