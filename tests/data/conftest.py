"""A tree of domains in folders, for the tests that share its images out; other layouts' tests have their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data import trees


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    return trees.domains(tmp_path)


@pytest.fixture
def tree(tmp_path: Path, section: dict[str, Any]) -> Path:
    return tmp_path
