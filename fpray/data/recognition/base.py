"""What is found out about the images in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "FOLDER"
"""What messages start with: the argument of `fpray init`."""


@dataclass(frozen=True)
class Recognised:
    """The `data` section that reads the images in a folder."""

    seen: str
    """What lies in the folder, in words."""
    options: Mapping[str, Any]
    """The section, without what is as by default."""
    remarks: Mapping[str, str]
    """What was assumed or is to be edited, by the key that it is about."""
