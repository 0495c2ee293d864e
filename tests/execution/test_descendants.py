"""Descendants: found when their parents are dead, whatever they are called, and ended with all theirs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS

PROGRAM = """
import os, subprocess, sys, time
from fpray.execution.descendants import adopt_orphans, children, kill_descendants

sleep = sys.argv[1]
adopt_orphans()
parent = subprocess.Popen(["sh", "-c", f"'{sleep}' 600 & '{sleep}' 600 & echo up; wait"], stdout=subprocess.PIPE)
parent.stdout.readline()
assert [(p.name, p.has_died) for p in children()] == [("sh", False)]
parent.kill()
os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
while True:
    orphans = [p for p in children() if p.pid != parent.pid]
    if "sh" not in {p.name for p in orphans}:  # one that has been forked may not be the other program yet
        break
    time.sleep(0.01)
assert [(p.name, p.has_died) for p in orphans] == [("a) Z 1 (b", False)] * 2, orphans
assert [p.has_died for p in children() if p.pid == parent.pid] == [True]
kill_descendants()
assert all(p.has_died for p in children()), children()
"""


def test_orphans_are_found_and_ended(tmp_path: Path) -> None:
    sleep = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "", sleep)
    subprocess.run([sys.executable, "-c", PROGRAM, sleep], check=True, timeout=PATIENCE_SECONDS)
