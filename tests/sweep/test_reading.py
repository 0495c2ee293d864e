"""Reading a sweep file for its folder: the defaults of its first start hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upath import UPath

from fpray.config import read_content
from fpray.records import Record, SweepFolder
from fpray.sweep.reading import sweep_for_its_folder
from tests.sweeps import settled


def test_a_folder_keeps_its_defaults(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"{{storage: {tmp_path}, methods: {{full: {{trials: 1}}}}}}")

    def read() -> tuple[Any, list[str]]:
        return sweep_for_its_folder(read_content(file), file)

    sweep, lines = read()
    assert lines == []
    folder = SweepFolder(UPath(tmp_path / "own"))
    settled(sweep, folder)
    folder.records.write(record_of())
    # As an earlier version would have left it.
    then = json.loads(folder.defaults_file.read_text()) | {"train.epochs": 7}
    folder.defaults_file.write_text(json.dumps(then))
    folder.sweep_file.write_text(folder.sweep_file.read_text().replace("epochs: 10", "epochs: 7"))
    sweep, lines = read()
    assert sweep.train.epochs == 7
    assert lines == ["train.epochs stays 7, the default when this folder was started; today's is 10"]
    settled(sweep, folder)
    assert json.loads(folder.defaults_file.read_text())["train.epochs"] == 7
    folder.defaults_file.write_text("{")
    assert read()[0].train.epochs == 10
