"""Leaving: the command ends with a sentence and its exit code, and gives back its hold, whatever hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fpray.sweep.leaving import EXIT_CODE
from tests.waiting import PATIENCE_SECONDS

PROGRAM = """
import sys, threading
from pathlib import Path
from fpray.sweep.leaving import Leaving

def hang(word):
    print(word, flush=True)
    print(word, file=sys.stderr, flush=True)
    threading.Event().wait()

leaving = Leaving(give_back=Path(sys.argv[1]).touch)
leaving.stop_progress = lambda: hang("before")
leaving.leave_tracker = lambda: hang("after")
threading.Thread(target=leaving.leave, args=("Ray is lost",)).start()
threading.Event().wait()
"""


def test_it_ends_whatever_hangs_and_says_one_thing(tmp_path: Path) -> None:
    call = [sys.executable, "-c", PROGRAM, tmp_path / "given back"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == EXIT_CODE
    assert (done.stdout, done.stderr) == ("before\n", "before\nfpray: Ray is lost\n")
    assert (tmp_path / "given back").exists()
