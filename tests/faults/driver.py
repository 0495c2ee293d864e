"""The command as these tests start it: `python driver.py FILE [MOMENT COUNT]`.

Its trials are those of `faulty`. It kills itself during the COUNTth write of a record (MOMENT `write`), right after
it (`written`), or at the COUNTth batch for MLflow (`batch`: before it is sent; `batched`: when it has been).
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import faulty
from mlflow import MlflowClient

from fpray import sweep
from fpray.errors import UserError
from fpray.sweepfile import read_sweep


def main(file: str, moment: str = "", count: str = "0") -> int:
    counted: Counter[str] = Counter()

    def came(now: str) -> None:
        counted[now] += 1
        if (now, counted[now]) == (moment, int(count)):
            faulty.kill()

    log_batch = MlflowClient.log_batch

    def told_of(*arguments: Any, **named: Any) -> None:
        came("batch")
        log_batch(*arguments, **named)
        came("batched")

    MlflowClient.log_batch = told_of
    with faulty.telling_of_writes(came):
        try:
            return sweep.run(read_sweep(Path(file)), None, work=faulty.work)
        except UserError as error:
            print(f"fpray: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
