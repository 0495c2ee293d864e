"""How far off the time left was over a sweep's course: the estimate is made again at each moment of a finished sweep.

    python benchmarks/timeleft.py fpray-results/quickstart

The records say when each trial began, ended, and had each of its epochs behind it; so what the command knew at any
moment is known, and how long the sweep then still took.
"""

from __future__ import annotations

import sys

import fpray
from fpray.records import Record
from fpray.search import studies
from fpray.sweep.timeleft import TimeLeft

SHARES = (0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9)


def at(record: Record, now: float) -> Record:
    """A finished trial's record as it was at a moment."""
    if record.ended is not None and record.ended <= now:
        return record
    history = tuple(epoch for epoch in record.history if epoch.ended <= now)
    return record.model_copy(update={"status": "running", "ended": None, "cost": None, "history": history})


def main(name: str) -> None:
    results = fpray.load(name)
    records = [record for record in results.records if record.ended is not None]
    began = min(record.started for record in records)
    ended = max(record.ended or 0.0 for record in records)
    left = TimeLeft(studies(results.sweep), results.sweep.train.epochs, began)
    print(f"{results.sweep.name}: {len(records)} trials in {ended - began:.0f} s")
    print("| share of the time | really left | said | off by |\n|---|---|---|---|")
    for share in SHARES:
        now = began + share * (ended - began)
        known = [at(record, now) for record in records if record.started <= now]
        running = sum(not record.has_ended for record in known)
        estimate = left(known, now, max(running, 1))
        if estimate is not None:
            real = ended - now
            print(f"| {share:.0%} | {real:.0f} s | {estimate:.0f} s | {estimate / real - 1:+.0%} |")


if __name__ == "__main__":
    main(sys.argv[1])
