"""An exported model in MLflow's Model Registry: found by its alias, served without pickle, and the same there."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

import fpray
from fpray.data import decode
from fpray.errors import UserError
from fpray.results import Results
from fpray.tracking import register_model
from tests.export.test_commands import said
from tests.faults.mlflow_server import free_port
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def registered(finished: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported folder of a model that is registered as `sweets`."""
    to = tmp_path_factory.mktemp("exported") / "model"
    result = said("export", finished.folder, "--trial", "full-001", "--to", to, "--register", "sweets")
    assert result.exit_code == 0, result.output
    assert "registered as models:/sweets@champion (version 1)" in result.output
    return to


def address(results: Results) -> str:
    return f"sqlite:///{results.folder.parent}/mlflow.db"


def rows(pictures: Path) -> tuple[list[Path], list[str]]:
    files = sorted((pictures / "sketch").glob("*/00[0-2].png"))
    return files, [base64.b64encode(file.read_bytes()).decode() for file in files]


def test_it_is_found_by_its_alias_and_labels_the_same(registered: Path, finished: Results, pictures: Path) -> None:
    mlflow.set_tracking_uri(address(finished))
    served = mlflow.pyfunc.load_model("models:/sweets@champion")
    files, images = rows(pictures)
    found = served.predict(pd.DataFrame({"image": images}))
    expected = list(fpray.load_model(registered).label([decode(file.read_bytes()) for file in files]))
    assert found["class"].tolist() == [label.name for label in expected]
    assert found["probability"].tolist() == pytest.approx([label.probability for label in expected], abs=5e-3)
    assert served.metadata.metadata["fpray.trial"] == "full-001"


def test_nothing_of_it_is_a_pickle(registered: Path, finished: Results, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(address(finished))
    there = Path(mlflow.artifacts.download_artifacts("models:/sweets@champion", dst_path=str(tmp_path)))
    names = {file.name for file in there.rglob("*") if file.is_file()}
    assert "served.py" in names and "open_clip_model.safetensors" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".bin", ".pth"))]


def test_an_alias_may_be_named_and_versions_count(registered: Path, finished: Results) -> None:
    sweep, storage = finished.sweep, finished.folder.parent
    told = register_model(sweep, storage, registered, "full-001", "again", "sweets@candidate")
    assert told == "registered as models:/sweets@candidate (version 2)"
    client = MlflowClient(address(finished))
    assert client.get_model_version_by_alias("sweets", "champion").version == 1


def test_a_sweep_that_is_not_tracked_has_no_registry(finished: Results, tmp_path: Path) -> None:
    untracked = finished.sweep.model_copy(update={"tracking": None})
    with pytest.raises(UserError, match="--register: the sweep has `tracking: null`"):
        register_model(untracked, finished.folder.parent, tmp_path, "full-001", "why", "any")


@pytest.mark.long
def test_mlflow_serves_it(registered: Path, finished: Results, pictures: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/sweets@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    # MLflow looks for uvicorn's command, which is there though the virtual environment may not be active.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"MLFLOW_TRACKING_URI": address(finished), "PATH": path}
    files, images = rows(pictures)
    expected = list(fpray.load_model(registered).label([decode(file.read_bytes()) for file in files]))
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            wait_for(lambda: _answers(port), going_on=lambda: server.poll() is None, pause=1)
            body = {"dataframe_records": [{"image": image} for image in images]}
            answer = requests.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=60)
        finally:
            os.killpg(server.pid, 9)
    assert answer.status_code == 200, answer.text
    found = json.loads(answer.text)["predictions"]
    assert [row["class"] for row in found] == [label.name for label in expected]


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok
    except requests.ConnectionError:
        return False
