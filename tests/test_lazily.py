"""Exports of a package that are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fpray.model
from fpray.lazily import attach

PAGE = """
from fpray.lazily import attach

__getattr__ = attach(__name__, {"answer": "slow"})
"""


def test_a_name_is_imported_when_it_is_first_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_package").mkdir()
    (tmp_path / "lazy_package" / "__init__.py").write_text(PAGE)
    (tmp_path / "lazy_package" / "slow.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import lazy_package

    assert "lazy_package.slow" not in sys.modules
    assert lazy_package.answer == 42
    assert "lazy_package.slow" in sys.modules


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'fpray.model' has no attribute 'nonsense'$"):
        attach("fpray.model", {"unpack": "attention"})("nonsense")
    assert not hasattr(fpray.model, "nonsense")


def test_every_lazy_name_of_the_models_page_is_there() -> None:
    assert all(getattr(fpray.model, name) is not None for name in fpray.model.__all__)


def test_the_names_of_models_need_no_torch() -> None:
    code = "import sys; from fpray.model import LOCAL, Model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
