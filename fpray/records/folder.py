"""A sweep's folder: its records, its report, and what else lies there."""

from __future__ import annotations

from dataclasses import dataclass

from upath import UPath

from fpray.records.record import Record
from fpray.records.stop import StopRequest
from fpray.records.store import AttemptStore, RecordStore
from fpray.storage import files_below


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep, `<storage>/<sweep name>`."""

    path: UPath

    @property
    def sweep_file(self) -> UPath:
        """The resolved sweep file that its trials are of: that of the newest start."""
        return self.path / "sweep.yaml"

    def start_file(self, number: int) -> UPath:
        """The resolved sweep file of a start, from 1 on."""
        return self.path / "starts" / f"{number:04d}.yaml"

    def newest_start(self) -> int:
        """The number of the newest start whose file was kept; 0 if there is none."""
        names = files_below(self.path / "starts", "[0-9][0-9][0-9][0-9].yaml")
        return max((int(name.removesuffix(".yaml")) for name in names), default=0)

    @property
    def defaults_file(self) -> UPath:
        """The defaults of the sweep file's keys when the folder was started."""
        return self.path / "defaults.json"

    @property
    def plan_file(self) -> UPath:
        """The number of trials of each study, for those who look without making a schedule."""
        return self.path / "plan.json"

    @property
    def data_file(self) -> UPath:
        """The fingerprints of the data that its trials ran on."""
        return self.path / "data.json"

    @property
    def records(self) -> RecordStore:
        return RecordStore(self.path)

    @property
    def points(self) -> SweepFolder:
        """The folder of the points of curves that were evaluated on the test images, with a record for each."""
        return SweepFolder(self.path / "points")

    def evaluation(self, name: str) -> SweepFolder:
        """The folder of trials that were evaluated on other data, with a record for each."""
        return SweepFolder(self.path / "evaluations" / name)

    def evaluations(self) -> list[str]:
        """The names of those that there are."""
        place = self.path / "evaluations"
        return [name.removesuffix("/sweep.yaml") for name in files_below(place, "*/sweep.yaml")]

    @property
    def stop(self) -> StopRequest:
        return StopRequest(self.path)

    @property
    def report(self) -> UPath:
        """The folder of the report's files."""
        return self.path / "report"

    def attempt(self, begun: Record) -> AttemptStore:
        """The records as an attempt at a trial may write them, see `RecordStore.claim`."""
        return AttemptStore(self.path, begun)
