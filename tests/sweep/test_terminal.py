"""The command on a terminal: a first line at once, a view that fits, and a table at the end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.faults.small import SMALL
from tests.terminal import Terminal
from tests.waiting import wait_for

pytestmark = pytest.mark.long
EPOCHS = 60  # enough to be seen in the view, which is drawn a few times a second
METHODS = {"zero_shot": None, "full": {"trials": 2}, "wise_ft": {"trials": 2}}


@pytest.fixture
def call(tmp_path: Path, tiny_clip: str) -> Callable[..., list[str]]:
    """The command on a small sweep of some epochs."""

    def call(epochs: int) -> list[str]:
        content = SMALL | {"model": {"name": tiny_clip}, "storage": str(tmp_path / "results"), "methods": METHODS}
        content["train"] = SMALL["train"] | {"epochs": epochs}
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
        return [sys.executable, "-m", "fpray", "sweep", str(tmp_path / "small.yaml")]

    return call


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_from_the_first_line_to_the_table(
    call: Callable[..., list[str]], tmp_path: Path, columns: int, rows: int
) -> None:
    with Terminal(call(EPOCHS), columns, rows, tmp_path) as terminal:
        assert wait_for(lambda: bool(terminal.lines()), terminal.goes_on)
        assert re.match(r"fpray [\d.]+: sweep small in ", terminal.lines()[0])
        assert wait_for(lambda: re.search(r"\b[12] running", terminal.said()), terminal.goes_on), terminal.said()
        assert wait_for(lambda: any(f"/{EPOCHS}  cross_entropy" in line for line in terminal.lines()), terminal.goes_on)
        view = terminal.lines()
        assert any(re.match(r"full +[█▒░]{20}  \d/2 done", line) for line in view), view
        assert any(re.search(r"of 5 trials done, .* so far, ", line) for line in view), view
        assert len(view) <= rows
        assert wait_for(lambda: not terminal.goes_on())
        said = terminal.said()
    assert "test accuracy in %" in said
    assert "[5/5]" in said and "Traceback" not in said
    assert said.count("of 5 trials done") <= 1  # the view was left once, not over and over


def test_ctrl_c_leaves_the_terminal_as_it_was(call: Callable[..., list[str]], tmp_path: Path) -> None:
    with Terminal(call(200), 80, 24, tmp_path) as terminal:
        assert wait_for(lambda: any("/200  cross_entropy" in line for line in terminal.lines()), terminal.goes_on)
        terminal.press_ctrl_c()
        assert wait_for(lambda: not terminal.goes_on())
        assert terminal.process.returncode == 130
        said = terminal.said()
    assert "stopping: trials end the epoch they are in" in said
    assert "the same command goes on from here" in said
