"""Lines on the terminal, printed whole however long they are, and the progress of a long loop."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

PROGRESS_EVERY = 10_000
"""Images between two lines of progress, if the output is no terminal."""

_Item = TypeVar("_Item")


def with_progress(
    items: Iterable[_Item], name: str, total: int, console: Console | None
) -> Generator[_Item, None, None]:
    """The same items, while the console shows how many have gone by: in a bar on a terminal, else now and then."""
    if console is None:
        yield from items
        return
    if console.is_terminal:
        yield from track(items, description=name, total=total, console=console, transient=True)
        return
    for number, item in enumerate(items, 1):
        yield item
        if number % PROGRESS_EVERY == 0 and number < total:
            print_line(f"{name}: {number:,} of {total:,} images tried", console)


def first_of(words: Sequence[str], most: int) -> str:
    """The first words of a list, at most `most`, and how many more there are."""
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def many(number: int, what: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def print_line(line: str, console: Console, style: str | None = None) -> None:
    """Print a line as it is: not wrapped, without markup, and without colours but `style`."""
    console.print(line, style=style, highlight=False, markup=False, emoji=False, soft_wrap=True)
