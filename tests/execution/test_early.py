"""Ray starts beside the command's imports and checks, and ends with it, whatever it meets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tests.waiting import is_alive, wait_for

SERVERS = {"gcs_server", "raylet"}
BESIDE = """
import sys

from fpray.execution import started_early

with started_early():
    import ray

    assert "fpray.execution.executor" not in sys.modules
    from fpray.execution import connect

    connect(None)
    assert ray.is_initialized()
    print(ray.get(ray.remote(lambda: "it works").remote()))
assert not ray.is_initialized()
"""


def servers_below(pid: int) -> set[psutil.Process]:
    """Ray's servers that a process has started."""
    try:
        return {p for p in psutil.Process(pid).children(recursive=True) if p.name() in SERVERS}
    except psutil.NoSuchProcess:
        return set()


def test_it_is_there_when_it_is_wanted_and_gone_in_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "it works\n"), done.stderr


def test_a_mistake_ends_it_too(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(f"train: {{epoch: 3}}\nstorage: {tmp_path}\n")
    call = [sys.executable, "-m", "fpray.sweep", str(tmp_path / "wrong.yaml")]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        seen: set[psutil.Process] = set()
        wait_for(lambda: seen.update(servers_below(command.pid)), lambda: command.poll() is None)
        _, said = command.communicate()
    assert (command.returncode, said.count("\n")) == (2, 1), said
    assert seen, "Ray did not start"
    assert not any(map(is_alive, seen))
