"""The loss of Ray: servers that hang for a moment are waited for, those that hang for good are not."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from fpray.execution.lost import ANSWER_SECONDS
from tests.faults.ray_processes import descendants, of_ray
from tests.waiting import is_alive, wait_for

pytestmark = pytest.mark.long

COMMAND = """
import os, sys
from fpray.execution import RayWatch, connect

def on_lost(sentence):
    print(sentence, flush=True)
    os._exit(75)

with RayWatch(None, on_lost) as watch:
    connect(None)
    print("connected", flush=True)
    for line in sys.stdin:
        watch.settle()
        print("settled", flush=True)
"""


@contextmanager
def command() -> Iterator[subprocess.Popen[str]]:
    """A process that has started a Ray and watches it. For each line that it is given it says when Ray is well."""
    call = [sys.executable, "-c", COMMAND]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        seen: list[psutil.Process] = []
        try:
            assert process.stdout.readline() == "connected\n"
            seen = descendants(process.pid)
            yield process
            assert wait_for(lambda: not any(map(is_alive, seen)))
        finally:
            for left in seen:
                if left.is_running():
                    left.kill()
            process.kill()


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("server", ["gcs_server", "raylet"])
def test_a_server_that_hangs(server: str) -> None:
    with command() as process:
        assert process.stdout is not None
        ask(process)
        assert process.stdout.readline() == "settled\n"
        (hanging,) = of_ray(process.pid)[server]
        hanging.send_signal(signal.SIGSTOP)
        ask(process)
        # It gives no answer, which holds back what is asked until it is known what that means.
        answered, _, _ = select.select([process.stdout], [], [], ANSWER_SECONDS + 2)
        assert not answered, process.stdout.readline()
        hanging.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "settled\n"
        hanging.send_signal(signal.SIGSTOP)
        name = {"gcs_server": "GCS", "raylet": "raylet on this machine"}[server]
        assert process.stdout.readline() == (
            f"Ray's {name} doesn't answer any more; the same command goes on from the last checkpoints\n"
        )
        assert process.wait() == 75
