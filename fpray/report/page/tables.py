"""The page's numbers as CSV: a row for each configuration."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO

from fpray.report.page.points import Point


def trials_csv(points: Sequence[Point]) -> str:
    """A row for each configuration: what it is, every accuracy with half its interval, what it took."""
    params = dict.fromkeys(f"{p.method}.{name}" for p in points for name in p.params)
    splits = {part: dict.fromkeys(s for p in points for s in getattr(p, part)) for part in ("val", "test")}
    halves = dict.fromkeys(split for p in points for split in p.half)
    heads = ["configuration", "method", "model", "source", "rules", *params]
    heads += [f"{part}/{split}" for part in ("val", "test") for split in splits[part]]
    heads += [f"half of test/{split}" for split in halves]
    heads += ["id/ECE", "half of id/ECE", "ood/ECE", "half of ood/ECE", "seconds", "distance", "cka"]
    stream = StringIO()
    writer = csv.DictWriter(stream, heads, lineterminator="\n", restval="")
    writer.writeheader()
    for p in points:
        row: dict[str, object] = {"configuration": p.name, "method": p.method, "model": p.model, "source": p.source}
        row |= {"rules": " ".join(p.rules)} | {f"{p.method}.{name}": value for name, value in p.params.items()}
        row |= {f"val/{s}": v for s, v in p.val.items()} | {f"test/{s}": v for s, v in p.test.items()}
        row |= {f"half of test/{split}": value for split, value in p.half.items()}
        for part, (error, half) in p.calibration.items():
            row |= {f"{part}/ECE": error, f"half of {part}/ECE": half}
        row |= {"seconds": p.seconds, "distance": p.distance, "cka": p.cka}
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return stream.getvalue()
