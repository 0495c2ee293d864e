"""Signals: the first asks, the second ends; the request is a file that others see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from upath import UPath

from fpray.records.stop import StopRequest
from fpray.sweep.interrupt import Interrupt


def test_the_stop_sign_is_seen_by_whoever_looks(tmp_path: Path) -> None:
    here, there = StopRequest(UPath(tmp_path)), StopRequest(UPath(tmp_path))
    assert not there.is_made()
    here.make()
    assert there.is_made()
    for _ in range(2):  # there may be none
        here.withdraw()
        assert not there.is_made()


def test_the_first_signal_asks_and_interrupts_nothing() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        asked = threading.Event()
        with Interrupt(asked.set) as interrupt:
            assert interrupt.signal is None
            os.kill(os.getpid(), number)
            assert asked.wait(10)
            assert interrupt.signal == number
            assert interrupt.exit_code == code
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_second_ends_the_process_at_once() -> None:
    program = """
import os, signal, threading
from fpray.sweep.interrupt import Interrupt

with Interrupt(lambda: print("asked", flush=True)):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    threading.Event().wait()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143
    assert done.stderr.strip() == "ended at once; the same command goes on from the last checkpoints"


def test_it_can_take_the_signals_back_from_what_took_them() -> None:
    asked = threading.Event()
    with Interrupt(asked.set) as interrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Ray does when it starts
        interrupt.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(10)
