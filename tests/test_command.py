"""How commands end: a mistake is a sentence, another error says where its traceback is, and neither shows a secret."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

from fpray.command import told_in_a_sentence
from fpray.errors import UserError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def code_of(error: BaseException) -> int:
    with pytest.raises(typer.Exit) as left, told_in_a_sentence():
        raise error
    return left.value.exit_code


def test_a_mistake_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(UserError("train.epochs: no")) == 2
    assert capsys.readouterr().err == "fpray: train.epochs: no\n"


def test_ctrl_c_says_that_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(KeyboardInterrupt()) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_any_other_error_says_where_its_traceback_is(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["fpray", "sweep", "tracking.uri=http://me:hush@host"])
    assert code_of(KeyError("http://me:hush@host")) == 70
    (file,) = (cache / "errors").iterdir()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fpray: an error that is not your mistake, KeyError: ")
    assert f"its traceback is in '{file}'" in line
    written = file.read_text()
    assert written.startswith("fpray sweep tracking.uri=http://***@host\n")
    assert "Traceback (most recent call last)" in written and "test_command.py" in written
    assert "hush" not in line + written


def test_where_it_can_t_be_written_it_is_shown(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.write_text("a file")
    assert code_of(KeyError("x")) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("left", [typer.Exit(3), typer.Abort()])
def test_a_command_s_own_ends_pass(left: BaseException) -> None:
    with pytest.raises(type(left)), told_in_a_sentence():
        raise left
