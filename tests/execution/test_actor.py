"""The process of a trial: what a trial has freed is the system's again, and not only the process's."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import PATIENCE_SECONDS

PROGRAM = """
import threading
import psutil
from fpray.execution.actor import give_memory_back

kept = []

def work():
    blocks = [bytearray(64_000) for _ in range(6_000)]
    kept.append(blocks[-1])  # so that none of the thread's memory before it is given back by itself

thread = threading.Thread(target=work)
thread.start()
thread.join()
before = psutil.Process().memory_info().rss
give_memory_back()
print(before - psutil.Process().memory_info().rss)
"""


def test_what_is_free_is_given_back() -> None:
    call = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(call, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert int(done.stdout) > 200_000_000  # of 384 MB
