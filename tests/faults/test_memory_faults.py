"""A trial that uses up its node's memory: Ray kills it, it is tried again, and the sweep goes on."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from fpray.config.file import check_sweep
from fpray.execution.executor import LACKED_MEMORY
from tests.faults.faulty import Fault, epochs_begun, plan
from tests.faults.small import SMALL, in_epoch
from tests.faults.swept import swept
from tests.sweeps import records_in

pytestmark = pytest.mark.long
ROOM = 4_000_000_000
"""How many more bytes of memory are used before Ray kills: what a sweep takes, and what other tests do meanwhile."""


@pytest.mark.parametrize("beats", [[in_epoch(2)], [in_epoch(2), 1]], ids=["once", "twice"])
def test_it_is_tried_again_and_the_others_run_on(
    tmp_path: Path, tiny_clip: str, monkeypatch: pytest.MonkeyPatch, beats: list[int]
) -> None:
    content = SMALL | {"model": {"name": tiny_clip}, "storage": str(tmp_path), "methods": {"full": {"trials": 2}}}
    sweep = check_sweep(content | {"resources": {"concurrency": 1, "max_failures": 1}}, "small")
    plan(
        tmp_path / "small",
        {f"full-000#{n}": Fault("use_up_memory", "beat", beat) for n, beat in enumerate(beats, start=1)},
    )
    memory = psutil.virtual_memory()
    monkeypatch.setenv("RAY_memory_usage_threshold", str(1 - (memory.available - ROOM) / memory.total))
    code, said = swept(sweep)
    greedy, other = records_in(tmp_path / "small").values()
    assert f"full-000 is tried again from epoch 2: {LACKED_MEMORY}" in said
    assert (other.status, other.attempt) == ("finished", 1)
    if len(beats) == 1:
        assert (code, greedy.status, greedy.attempt) == (0, "finished", 2)
        assert epochs_begun(tmp_path / "small")["full-000"] == sweep.train.epochs + 1
    else:
        assert (code, greedy.status, greedy.error) == (1, "failed", LACKED_MEMORY)
