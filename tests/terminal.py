"""A command in a terminal of some size, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte


class Terminal:
    """A running command that believes to be on a terminal."""

    def __init__(
        self, call: Sequence[str], columns: int, rows: int, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        env.pop("COLUMNS", None)
        env.pop("LINES", None)
        self.process = subprocess.Popen(
            call, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=env, start_new_session=True
        )
        os.close(theirs)
        self._ours = ours
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """The lines on the screen, without the spaces at their ends and without empty lines at the bottom."""
        with self._lock:
            shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def said(self) -> str:
        """All that has stood on the screen, what has scrolled out first; what fills a line goes on in the next."""
        with self._lock:
            above = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        lines = [*(line.rstrip() for line in above), *self.lines()]
        return "".join(line if len(line) == self.screen.columns else f"{line}\n" for line in lines)

    def goes_on(self) -> bool:
        return self.process.poll() is None

    def press_ctrl_c(self) -> None:
        os.write(self._ours, b"\x03")
        self.process.send_signal(signal.SIGINT)  # the terminal is nobody's controlling one

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.goes_on():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._ours, 65536)
            except OSError:  # the command has ended
                return
            if not read:
                return
            with self._lock:
                self._stream.feed(read)
