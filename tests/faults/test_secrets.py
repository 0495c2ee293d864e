"""Secrets of a sweep are nowhere in what it leaves: files, logs, MLflow's tables, the terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from typer.testing import CliRunner

from fpray import execution
from fpray.config.file import check_sweep, dump_sweep, read_sweep
from fpray.errors import UserError
from fpray.sweep.__main__ import app
from tests.faults.mlflow_server import free_port

IN_ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "planted-in-aws",
    "MLFLOW_TRACKING_USERNAME": "someone",
    "MLFLOW_TRACKING_PASSWORD": "planted-in-mlflow",
    "HF_TOKEN": "planted-in-hf",
}
ADDRESS = "http://planted-user:planted-password@127.0.0.1:PORT"
PLANTED = b"planted-"


@dataclass
class Ran:
    """A command that ran: what it said, and the files with secrets that it left or had for a while."""

    code: int
    said: str
    seen: set[str] = field(default_factory=set)
    leaks: set[str] = field(default_factory=set)

    def look(self, folder: Path) -> None:
        """Look for secrets in every file below a folder."""
        # Unlike `rglob` it passes over folders that are gone meanwhile.
        for path in (Path(inside) / name for inside, _, names in os.walk(folder) for name in names):
            if path.is_file() and not path.is_symlink():
                try:
                    content = path.read_bytes()
                except OSError:
                    continue  # gone meanwhile
                self.seen.add(str(path))
                if PLANTED in content:
                    at = content.index(PLANTED)
                    self.leaks.add(f"{path}: {content[max(0, at - 80) : at + 40]!r}")


def command(file: Path, temporary: Path, *options: str) -> Ran:
    """Run the command, and look into its temporary files again and again."""
    env = os.environ | IN_ENVIRONMENT | {"TMPDIR": str(temporary), "RAY_TMPDIR": str(temporary)}
    call, ran = [sys.executable, "-m", "fpray.sweep", str(file), *options], Ran(-1, "")
    with (file.parent / "said").open("w+") as said:
        with subprocess.Popen(call, env=env, cwd=file.parent, stdout=said, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                ran.look(temporary)
                try:
                    process.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
        ran.look(temporary)
        said.seek(0)
        ran.code, ran.said = process.returncode, said.read()
    return ran


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Iterator[Path]:
    """A small sweep, of a trial that ends well and one that fails, and the MLflow server that its address names."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "left").mkdir()
    port = str(free_port())
    content = {
        "name": "small",
        "data": {"train_images": 80},
        "model": {"name": tiny_clip},
        "train": {"epochs": 1, "batch_size": 40, "warmup_steps": 0, "clip_grad_norm": None, "alphas": 0},
        "methods": {"full": {"trials": 2, "lr": {"grid": [1e-4, 1e30]}}},
        "resources": {"max_failures": 0},
        "storage": str(folder / "left" / "storage"),
        "tracking": {"uri": ADDRESS.replace("PORT", port)},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(content))
    server = [sys.executable, "-m", "mlflow", "server", "--port", port, "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{folder}/left/mlflow.db"]
    server += ["--artifacts-destination", str(folder / "left" / "artifacts")]
    with (
        (folder / "left" / "log").open("wb") as log,
        subprocess.Popen(server, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        yield folder / "small.yaml"
        os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def ran(sweep_file: Path) -> Iterator[Ran]:
    """The sweep with its secrets."""
    temporary = Path(tempfile.mkdtemp(prefix="s"))  # short: Ray puts sockets below it
    yield command(sweep_file, temporary)
    shutil.rmtree(temporary)


@pytest.mark.long
def test_a_trial_ended_well_and_one_failed(ran: Ran) -> None:
    assert ran.code == 1, ran.said
    assert "1 + 1 failed" in ran.said


@pytest.mark.long
def test_what_the_command_says_has_no_secret(ran: Ran) -> None:
    assert PLANTED not in ran.said.encode()
    assert "MLflow: http://***@127.0.0.1:" in ran.said  # what it says of the address, it says without


@pytest.mark.long
def test_rays_logs_and_tunes_files_have_none(ran: Ran) -> None:
    assert any("/logs/runtime_env_agent" in path for path in ran.seen)
    assert any("fpray-tune-" in path for path in ran.seen)
    assert not [leak for leak in ran.leaks if "/left/" not in leak]


@pytest.mark.long
def test_what_is_left_has_none_and_neither_has_mlflow(ran: Ran, sweep_file: Path) -> None:
    left = sweep_file.parent / "left"
    ran.look(left)
    assert not ran.leaks
    names = {Path(path).name for path in ran.seen if path.startswith(str(left))}
    assert {"mlflow.db", "log", "sweep.yaml", "record.json", "report.json", "report.html", "fronts.png"} <= names
    assert any(path.startswith(f"{left}/artifacts") for path in ran.seen)
    client = MlflowClient(yaml.safe_load(sweep_file.read_text())["tracking"]["uri"])
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == {
        "small": "FAILED",
        "full-000": "FINISHED",
        "full-001": "FAILED",
    }


@pytest.mark.long
def test_the_resolved_file_has_none(ran: Ran, sweep_file: Path) -> None:
    written = sweep_file.parent / "left" / "storage" / "small" / "sweep.yaml"
    assert yaml.safe_load(written.read_text())["tracking"]["uri"].startswith("http://***@127.0.0.1:")
    with pytest.raises(UserError, match=r"tracking.uri: the secret in .* was hidden .*MLFLOW_TRACKING_PASSWORD"):
        read_sweep(written)
    shown = CliRunner().invoke(app, [str(sweep_file), "--dry-run"])
    assert shown.exit_code == 0
    assert "http://***@127.0.0.1:" in shown.stdout
    assert PLANTED not in shown.output.encode()


SHARDS = {"train": "s3://planted-k:planted-s@b/t.tar", "test": "s3://planted-k:planted-s@b/u.tar"}


def test_every_address_of_a_sweep_is_hidden_where_it_is_written() -> None:
    data = {"layout": "webdataset", "id": SHARDS, "ood": {"o": {"test": "https://h/o.tar?X-Amz-Signature=planted-x"}}}
    sweep = check_sweep(
        {
            "name": "s",
            "data": data | {"classes": ["a", "b"]},
            "storage": "s3://planted-k:planted-s@bucket/x",
            "tracking": {"uri": ADDRESS.replace("PORT", "5000")},
        },
        "",
    )
    text = dump_sweep(sweep)
    assert "planted" not in text
    assert text.count("://***@") == 4
    assert "X-Amz-Signature=***" in text
    assert sweep.storage == "s3://planted-k:planted-s@bucket/x"  # what is used is whole


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storage", "s3://***@bucket/x"),
        ("tracking.uri", "http://***@host"),
        ("tracking.uri", "https://host/?token=***"),
        ("data.id.train", "s3://***@b/t.tar"),
    ],
)
def test_a_hidden_secret_is_asked_for(key: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("")
    with pytest.raises(UserError) as caught:
        read_sweep(tmp_path / "s.yaml", [f"{key}={value}"])
    assert f"{key}: the secret in '{value}' was hidden" in str(caught.value)
    assert "by the environment" in str(caught.value)


@pytest.mark.parametrize(
    "mistake",
    [
        "tracking=http://u:planted-p@host",
        "tracking=[http://u:planted-p@host]",
        "storage={http://u:planted-p@host: 1}",
        "train.epochs=http://u:planted-p@host",
        "methods.full.lr=http://u:planted-p@host",
        "data.layout=http://u:planted-p@host",
        "search.objectives=[http://u:planted-p@host, b]",
        "name=http://u:planted-p@host",
        "http://u:planted-p@host",
        "storage=http://u:planted-p@host: [",
        "storage=nothing://u:planted-p@host/x",
        "storage=/proc/x?token=planted-p",
        "model.name=http://u:planted-p@host",
        "model={name: ViT-B-16, pretrained: 'http://u:planted-p@host'}",
    ],
)
def test_no_mistake_shows_a_secret(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "started_early", nullcontext, raising=False)  # a Ray for each takes ten seconds
    done = CliRunner().invoke(app, ["--set", "methods={zero_shot: {}}", "--set", mistake])
    assert done.exit_code == 2, done.output
    assert "planted" not in done.output
    assert len(done.stderr.strip().splitlines()) == 1
