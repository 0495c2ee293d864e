"""MLflow's sqlite file: an empty one is built once for a version of MLflow, and copied from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from fpray.tracking import database
from fpray.tracking.database import prepare_database


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The addresses at which MLflow was asked to build a database; with a cache that is empty."""
    asked: list[str] = []

    def client(uri: str) -> MlflowClient:
        asked.append(uri)
        return MlflowClient(uri)

    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(database, "MlflowClient", client)
    return asked


def experiments(file: Path) -> dict[str, str]:
    found = MlflowClient(f"sqlite:///{file}").search_experiments()
    return {experiment.name: experiment.artifact_location for experiment in found}


def test_the_second_is_a_copy_that_names_no_folder_of_the_first(
    built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        files.append(tmp_path / name / "mlflow.db")
        prepare_database(f"sqlite:///{files[-1]}", None)
        assert not Path(f"{files[-1]}.part").exists()
    assert len(built) == 1
    for file in files:
        assert MlflowClient(f"sqlite:///{file}").create_experiment("mine") != ""
        assert set(experiments(file)) == {"Default", "mine"}
    assert f"{tmp_path}/first" not in experiments(files[1])["Default"]


def test_a_cache_that_takes_nothing_costs_time_alone(built: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    for name in ("first.db", "second.db"):
        prepare_database(f"sqlite:///{tmp_path}/{name}", None)
        assert set(experiments(tmp_path / name)) == {"Default"}
    assert len(built) == 2
