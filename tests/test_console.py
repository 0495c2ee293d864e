"""Lines on the terminal: long lists cut short, lines whole, and progress as a bar or as lines."""

from __future__ import annotations

import io
from typing import Literal

from rich.console import Console

from fpray.console import first_of, print_line, with_progress


def test_long_lists_are_cut_short() -> None:
    assert first_of(["a", "b", "c"], 3) == "a, b, c"
    assert first_of([str(number) for number in range(2000)], 2) == "0, 1 and 1,998 more"


def test_a_line_is_printed_as_it_is() -> None:
    stream = io.StringIO()
    line = f"[bold]{'word ' * 40}[/] :smile: 'text' 3.5"
    print_line(line, Console(file=stream, width=40))
    assert stream.getvalue() == f"{line}\n"


def test_a_style_colours_a_line_on_a_terminal_only() -> None:
    shown = []
    for terminal in (True, False):
        stream = io.StringIO()
        colours: Literal["standard", "auto"] = "standard" if terminal else "auto"
        print_line("careful", Console(file=stream, force_terminal=terminal, color_system=colours), "yellow")
        shown.append(stream.getvalue())
    assert shown == ["\x1b[33mcareful\x1b[0m\n", "careful\n"]


def test_progress_off_a_terminal_is_a_line_for_every_ten_thousand_images() -> None:
    stream = io.StringIO()
    items = with_progress(range(30_000), "id/train", 30_000, Console(file=stream))
    assert list(items) == list(range(30_000))
    assert stream.getvalue().splitlines() == [
        "id/train: 10,000 of 30,000 images tried",
        "id/train: 20,000 of 30,000 images tried",
    ]


def test_progress_on_a_terminal_is_a_bar() -> None:
    stream = io.StringIO()
    items = with_progress(range(30_000), "id/train", 30_000, Console(file=stream, force_terminal=True, width=80))
    assert list(items) == list(range(30_000))
    assert "id/train" in stream.getvalue() and "images tried" not in stream.getvalue()


def test_without_a_console_there_is_no_progress() -> None:
    assert list(with_progress(iter("abc"), "id/train", 3, None)) == ["a", "b", "c"]
