"""Makes the pictures of the terminal in docs/: the embedded example at its first second, in the middle and at its end.

pip install '.[test]' && python -m docs.captures
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.terminal import Terminal

DOCS = Path(__file__).parent
SIZES = ((80, 24), (120, 40))


def picture(terminal: Terminal, name: str) -> None:
    """Save what stands on the screen, as it stands there."""
    columns, rows = terminal.screen.columns, terminal.screen.lines
    lines = terminal.lines()
    console = Console(record=True, width=columns, height=rows, file=StringIO())
    for line in [*lines, *[""] * (rows - len(lines))]:
        console.print(Text(line), no_wrap=True, overflow="crop")
    console.save_svg(str(DOCS / f"{name}.svg"), title=f"fpray sweep, {columns} x {rows}")
    (DOCS / f"{name}.txt").write_text("\n".join(lines) + "\n")


def wait(until: Callable[[], bool], terminal: Terminal) -> None:
    while not until() and terminal.goes_on():
        time.sleep(0.1)


def capture(columns: int, rows: int) -> None:
    """Run the embedded example in a terminal of a size."""
    name = f"terminal-{columns}x{rows}"
    with tempfile.TemporaryDirectory(prefix="fpray-captures-") as folder:
        call, began = [sys.executable, "-m", "fpray", "sweep"], time.monotonic()
        with Terminal(call, columns, rows, Path(folder)) as terminal:
            wait(lambda: bool(terminal.lines()), terminal)
            print(f"{name}: first line after {time.monotonic() - began:.2f} s")
            time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
            picture(terminal, f"{name}-first-second")
            wait(lambda: any(" 15 of 31 trials done" in f" {line}" for line in terminal.lines()), terminal)
            picture(terminal, f"{name}-middle")
            wait(lambda: not terminal.goes_on(), terminal)
            time.sleep(0.5)
            picture(terminal, f"{name}-end")
            print(f"{name}: {time.monotonic() - began:.0f} s, exit code {terminal.process.returncode}")


if __name__ == "__main__":
    for size in SIZES:
        capture(*size)
