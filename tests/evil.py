"""A pickle that does harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Evil:
    """A pickle of it makes a file where it is unpickled."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.trap), "w")
