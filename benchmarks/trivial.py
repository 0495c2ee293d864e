"""What a thousand trials cost that do nothing, on one machine without tracking, and what it costs to go on after them.

    python -m benchmarks.trivial

Whatever takes time or memory here is fpray's, Tune's or Ray's own: the trials write a made-up result.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray

from benchmarks.cluster import resident_mb
from fpray.config import TrialSettings
from fpray.config.file import check_sweep
from fpray.execution import executor
from fpray.records import Count, Record, SweepFolder
from fpray.sweep.run import run_sweep
from fpray.training import Runtime

TRIALS, MARK = 1000, 100
SETTLED = 20
"""The trials after which a process has all that it will ever need."""


def finish(log: Path, record: Record, settings: TrialSettings, place: SweepFolder, runtime: Runtime) -> None:
    """A trial that does nothing, and writes down when it began and ended, where, and how large its process is."""
    began = time.time()
    results = {
        f"{domain}/{part}": Count(correct=1, total=2) for domain in ("id", "ood/any") for part in ("val", "test")
    }
    place.records.write(record.finished(results=results))
    (log / record.trial.id).write_text(json.dumps([os.getpid(), began, time.time(), resident_mb()]))


@contextlib.contextmanager
def ray_of_its_own() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def run(storage: Path, trials: int) -> tuple[float, list[list[float]], list[float]]:
    """Run a sweep of so many trials.

    Returns:
        When it began; pid, begin, end and MB of each trial that was run; the command's MB as trials ended.
    """
    log = storage / f"log-{trials}"
    log.mkdir()
    content: dict[str, Any] = {"name": "trivial", "storage": str(storage), "tracking": None}
    content |= {"data": {"train_images": 40}, "methods": {"full": {"trials": trials}}}
    own: list[float] = []
    complete = executor._ScheduleSearcher.on_trial_complete

    def counted(self: Any, *arguments: Any, **named: Any) -> None:
        complete(self, *arguments, **named)
        own.append(resident_mb())

    executor._ScheduleSearcher.on_trial_complete = counted  # type: ignore[method-assign]
    began = time.time()
    with ray_of_its_own(), contextlib.redirect_stdout(io.StringIO()):
        run_sweep(check_sweep(content, "trivial"), work=partial(finish, log))
    executor._ScheduleSearcher.on_trial_complete = complete  # type: ignore[method-assign]
    return began, sorted((json.loads(file.read_text()) for file in log.iterdir()), key=lambda row: row[1]), own


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fpray-trivial-") as folder:
        storage = Path(folder)
        _, rows, own = run(storage, TRIALS)
        each = (rows[-1][1] - rows[0][1] - sum(row[2] - row[1] for row in rows) / 2) / (TRIALS - 1)
        sizes = defaultdict(list)
        for pid, *_, size in rows:
            sizes[pid].append(size)
        grown = max(of[-1] - of[SETTLED] for of in sizes.values() if len(of) > SETTLED)
        began, further, _ = run(storage, TRIALS + 1)
        resumed = further[0][1] - began
    with tempfile.TemporaryDirectory(prefix="fpray-trivial-") as folder:
        began, first, _ = run(Path(folder), 1)
        fresh = first[0][1] - began
    figures = {
        "ms a trial": 1000 * each,
        "the command, MB a trial": (own[-1] - own[MARK]) / (TRIALS - MARK),
        "a trial's process, MB from its 20th trial to its last": grown,
        "to the next trial after 1,000, s": resumed,
        "to the first trial of a new sweep, s": fresh,
        "versions": {package: version(package) for package in ("ray", "torch", "optuna")},
    }
    for name, value in figures.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    print(json.dumps(json.loads(json.dumps(figures), parse_float=lambda number: round(float(number), 4))))


if __name__ == "__main__":
    main()
