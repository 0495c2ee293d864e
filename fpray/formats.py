"""The number of a file's format: by it a later fpray reads what this one wrote into a sweep's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fpray.errors import UserError

FORMAT = 2
"""The format of the records and resolved sweep files that this version writes.

Format 1 had no number. Its trials had their source and model among their hyperparameters, and its sweep files had
`train.optimizer`, which could only be adamw.
"""


def format_of(written: Mapping[str, Any], where: str) -> int:
    """The format of a file's content.

    Args:
        where: names the file in a message.

    Raises:
        UserError: if a newer fpray wrote it.
        ValueError: if the format is not a number that any fpray has used.
    """
    number = written.get("format", 1)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"'{number}' is not the number of a format")
    if number > FORMAT:
        raise UserError(
            f"'{where}' was written by a newer fpray, in format {number}, and this one reads formats up to {FORMAT}; "
            "update fpray"
        )
    return number
