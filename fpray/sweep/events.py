"""What the command says: a line an event, with a time stamp where nobody watches, and what it is doing meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from fpray.console import print_line


class Events:
    """Lines on a console. Off a terminal, in a log, each has the time, and what takes a while is a line too."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Tell of an event."""
        stamp = "" if self.console.is_terminal else f"{time.strftime('%Y-%m-%d %H:%M:%S')} "
        print_line(f"{stamp}{line}", self.console)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show what the command is doing, while it does that."""
        if not self.console.is_terminal:
            self.say(what)
            yield
            return
        with self.console.status(what):
            yield


# Wide enough off a terminal too: a log's lines are not to be broken.
events = Events(Console(width=None if sys.stdout.isatty() else 160))
