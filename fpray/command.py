"""How every command ends: a mistake of the user's in one sentence, and any other error with where its traceback is."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fpray.errors import UserError, message_of
from fpray.redaction import hidden

MISTAKE, UNEXPECTED, INTERRUPTED = 2, 70, 130
"""Exit codes: something to mend; fpray's own fault (`EX_SOFTWARE` of sysexits.h); Ctrl-C."""


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Turn errors into a sentence and the command's exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except UserError as error:
        print(f"fpray: {error}", file=sys.stderr)
        raise typer.Exit(MISTAKE) from None
    except KeyboardInterrupt:  # while trials run it is not raised, see `fpray.sweep.interrupt`
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        what = f"{type(error).__name__}: {hidden(message_of(error))}"
        print(f"fpray: an error that is not your mistake, {what}; {_written_down(error)}", file=sys.stderr)
        raise typer.Exit(UNEXPECTED) from None


def _written_down(error: Exception) -> str:
    """Write an error's traceback into the cache folder; returns the words for where."""
    from fpray.storage import cache_folder  # late: help needs none of it

    text = hidden(f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}")
    file = Path(cache_folder(), "errors", f"{time.strftime('%Y-%m-%d-%H%M%S')}.txt")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    except OSError:
        return f"its traceback:\n{text}"
    return f"its traceback is in '{file}': please report it"
