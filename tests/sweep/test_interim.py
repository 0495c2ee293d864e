"""The page while a sweep runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from upath import UPath

from fpray.records import Count, Record, SweepFolder
from fpray.search import Schedule
from fpray.sweep import interim
from fpray.sweep.interim import InterimPage
from tests.sweeps import sweep_of


def ended(record: Record, right: int) -> Record:
    splits = ("id/val", "id/test", "ood/a/val", "ood/a/test")
    return record.finished(results={split: Count(correct=right, total=100) for split in splits})


def test_it_is_made_anew_when_trials_end_and_the_last_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, folder, said = Schedule(sweep_of(), []), SweepFolder(UPath(tmp_path / "s")), list[str]()
    page, file = InterimPage(schedule, folder, said.append), tmp_path / "s" / "report" / "report.html"
    page.trial_ended()
    assert not file.exists() and not said  # nothing has finished
    schedule.tell(ended(schedule.ask(), 60))
    page.trial_ended()
    first = file.read_text()
    assert "The sweep still runs:" in first and "1 of 2 trials have ended" in first
    assert said == [f"the report so far: {file}"]
    schedule.tell(ended(schedule.ask(), 70))
    page.trial_ended()
    assert file.read_text() == first  # it is young
    monkeypatch.setattr(interim, "EVERY", 0.0)
    page.trial_ended()
    assert "2 of 2 trials have ended" in file.read_text() and len(said) == 1
