"""Mistakes that a user can mend, and the words for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fpray.redaction import hidden

MOST_LISTED = 10
"""Known words that a hint lists."""


class UserError(Exception):
    """A mistake that the user can mend; its message says how, without secrets. The command exits with code 2."""

    def __str__(self) -> str:
        return hidden(super().__str__())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped word: the nearest known one, upper or lower case; if none is near, the known ones."""
    known = sorted(known)
    by_lower = {name.lower(): name for name in known}
    # In a very short word even one wrong letter is much.
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.65 if len(word) > 3 else 0.5)
    if near:
        return f"did you mean '{by_lower[near[0]]}'?"
    more = f", ... and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"known are: {', '.join(known[:MOST_LISTED])}{more}"


def message_of(error: BaseException) -> str:
    """The message of an error (the system's own for an OSError) as a part of a sentence.

    It is on one line, without a capital at its start or a full stop at its end; an error without a message gives the
    name of its class.
    """
    message = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
    return (message[:1].lower() + message[1:]).rstrip(".")
