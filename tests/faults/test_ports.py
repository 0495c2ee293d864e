"""Ports that a sweep opens are reached by nobody from another machine, and nobody without the token."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fpray.tracking.pages import pages
from tests.waiting import PATIENCE_SECONDS, wait_for

OWN_RAY = """
import sys, fpray.execution, ray
fpray.execution.connect(None)
work = ray.remote(lambda: ray.util.get_node_ip_address())
ray.get(work.remote())
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
CLIENT = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False)
except Exception as error:
    print("refused:", error)
else:
    print("joined and did", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_NUM_REDIS_GET_RETRIES": "2"}
"""Without the first Ray takes 127.0.0.1 for the machine's other address, where nothing listens; the second is speed."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """The test's own, without anything that it says of Ray, and with another home folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return kept | {"HOME": str(home)} | more


def listening(process: psutil.Process) -> dict[str, set[str]]:
    """The addresses on which a process and its descendants listen, by the processes' names."""
    found: dict[str, set[str]] = {}
    for part in [process, *process.children(recursive=True)]:
        try:
            name, connections = part.name(), part.net_connections("all")
        except psutil.NoSuchProcess:  # a server's short helper, ended since it was listed
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN and connection.family != socket.AF_UNIX:
                found.setdefault(name, set()).add(connection.laddr.ip.removeprefix("::ffff:"))
            assert connection.type != socket.SOCK_DGRAM or connection.family == socket.AF_UNIX, connection
    return found


@pytest.fixture(scope="module")
def mlflow_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psutil.Process]:
    """MLflow's pages, by the command that a sweep prints, on a free port."""
    command = pages(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db", "1").command
    assert command is not None
    python, *call = shlex.split(command)
    assert python == "python"
    call = [sys.executable, *call, "--workers", "1"]
    with subprocess.Popen(call, start_new_session=True) as server:
        yield psutil.Process(server.pid)
        os.killpg(server.pid, signal.SIGTERM)  # with its helpers, of which some may end by themselves meanwhile


@pytest.fixture(scope="module")
def own_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[psutil.Process, str, Path]]:
    """A Ray that fpray started for itself, in another process: that process, the address, the home folder.

    Somebody has named another cluster in the temporary folder, which Ray left to itself would join.
    """
    home = tmp_path_factory.mktemp("home")
    with tempfile.TemporaryDirectory(prefix="r") as temporary:  # short: Ray puts sockets below it
        (Path(temporary) / "ray").mkdir()
        (Path(temporary) / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
        with subprocess.Popen(
            [sys.executable, "-c", OWN_RAY],
            env=environment(home, RAY_TMPDIR=temporary),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as driver:
            assert driver.stdout is not None and driver.stdin is not None
            yield psutil.Process(driver.pid), driver.stdout.readline().strip(), home
            driver.stdin.close()


def test_all_of_a_ray_of_its_own_is_on_loopback(own_ray: tuple[psutil.Process, str, Path]) -> None:
    process, address, _ = own_ray
    found = listening(process)
    assert {"gcs_server", "raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent"} <= found.keys()
    assert {ip for ips in found.values() for ip in ips} == {"127.0.0.1"}, found
    assert address.startswith("127.0.0.1:")


def test_its_token_is_for_its_owner_alone(own_ray: tuple[psutil.Process, str, Path]) -> None:
    token = own_ray[2] / ".ray" / "auth_token"
    assert len(token.read_text().strip()) >= 32
    assert token.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_none_but_its_owner_gets_in(own_ray: tuple[psutil.Process, str, Path], tmp_path: Path) -> None:
    _, address, home = own_ray
    clients = {
        "owner": environment(home, **LOOPBACK, RAY_AUTH_MODE="token"),
        "no token": environment(tmp_path, **LOOPBACK),
        "wrong token": environment(tmp_path, **LOOPBACK, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64),
    }
    processes = {
        who: subprocess.Popen(
            [sys.executable, "-c", CLIENT, address],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for who, env in clients.items()
    }
    said = {who: process.communicate(timeout=PATIENCE_SECONDS)[0] for who, process in processes.items()}
    assert "joined and did 42" in said.pop("owner")
    for who, text in said.items():
        assert "joined" not in text, who
        assert "token is missing or incorrect" in text, who


@pytest.mark.long
def test_the_command_that_opens_mlflow_listens_on_loopback(mlflow_ui: psutil.Process) -> None:
    assert wait_for(lambda: listening(mlflow_ui), mlflow_ui.is_running)
    found = listening(mlflow_ui)
    assert {ip for ips in found.values() for ip in ips} == {"127.0.0.1"}, found
