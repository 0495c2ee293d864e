"""MLflow's sqlite file beside a sweep's folder: made whole, and told where its artifacts are now."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.version import VERSION
from upath import UPath

from fpray.storage import cache_folder, write_whole

_LOCATIONS = (("experiments", "artifact_location"), ("runs", "artifact_uri"))
"""MLflow's tables and columns that hold an address below the folder of all artifacts."""


def prepare_database(uri: str, artifacts: Path | None) -> None:
    """Create MLflow's sqlite file, whole or not at all, where the address is of one that does not exist.

    MLflow builds the file in dozens of steps. Killed between two of them, it leaves a file that it can't open again.

    Args:
        artifacts: the folder of all artifacts, where it lies beside the file. A file that was moved or copied with it
            still names the place where it was.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or "?" in uri:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # several sweeps may share the file
        if not path.exists():
            beside = Path(f"{path}.part")
            beside.unlink(missing_ok=True)
            _make(beside)
            beside.replace(path)
        elif artifacts is not None and artifacts.parent == path.parent:
            _relocate(path, artifacts.as_uri())


def _make(file: Path) -> None:
    """Make an empty database. MLflow takes seconds for the steps of all its versions, so the cache keeps one."""
    kept = cache_folder() / f"mlflow-{VERSION}.db"
    with suppress(OSError):  # there is none, or it can't be read
        shutil.copyfile(kept, file)
        return
    MlflowClient(f"sqlite:///{file}").search_experiments(max_results=1)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM experiments")  # of MLflow's own, which names a folder here; it comes by itself
    with suppress(OSError):  # a cache that takes nothing costs the next one these seconds
        write_whole(UPath(kept), file.read_bytes())


def _relocate(file: Path, artifacts: str) -> None:
    """Have all addresses of artifacts begin with where they are now. MLflow has no call for that."""
    name = artifacts.rpartition("/")[2]
    known = "SELECT DISTINCT artifact_location FROM experiments"
    with closing(sqlite3.connect(file, timeout=60)) as database, database:
        for (was,) in database.execute(known).fetchall():
            if was == artifacts or not (was or "").startswith("file://") or was.rpartition("/")[2] != name:
                continue
            for table, column in _LOCATIONS:
                moved = (
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} || '/' LIKE ? ESCAPE '!'"
                )
                below = "".join(f"!{c}" if c in "!%_" else c for c in was) + "/%"
                database.execute(moved, (artifacts, len(was) + 1, below))
