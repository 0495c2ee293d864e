"""The watchdog: a thread that lives is left alone, one that hangs ends its process and tells where."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from fpray.execution.watchdog import EXIT_CODE, Watchdog
from tests.waiting import PATIENCE_SECONDS


def test_what_gives_signs_of_life_is_left_alone() -> None:
    told: list[str] = []
    with Watchdog(3, told.append) as watchdog:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            watchdog.beat()
            threading.Event().wait(0.05)
    assert told == []


HANGS = {
    "waits": "threading.Event().wait()",
    # A C function that keeps Python's lock: no other thread of Python's comes to run.
    "keeps the lock": "sum(range(10**13))",
}


@pytest.mark.parametrize("hang", HANGS)
def test_what_hangs_ends_its_process_and_tells_where(hang: str) -> None:
    program = f"""
import threading
from fpray.execution.watchdog import Watchdog

def where_it_stands():
    {HANGS[hang]}

with Watchdog(3, lambda stack: print(stack, flush=True)):
    where_it_stands()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert "where_it_stands" in done.stdout + done.stderr
    if hang == "waits":
        assert done.returncode == EXIT_CODE
        assert done.stdout.strip().endswith("no sign of life for 3 seconds; it stood there")
    else:
        assert done.returncode == 1


def test_a_telling_that_hangs_too_ends_as_well() -> None:
    program = """
import threading
from fpray.execution.watchdog import Watchdog

with Watchdog(1, lambda stack: threading.Event().wait()):
    threading.Event().wait()
"""
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE_SECONDS).returncode == 1
    )
