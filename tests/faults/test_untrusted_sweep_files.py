"""Sweep files that would run code, or eat the memory: one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner
from upath import UPath

from fpray.config.file import check_sweep, read_sweep
from fpray.errors import UserError
from fpray.records import SweepFolder
from fpray.sweep.__main__ import app
from tests.sweeps import settled

TAGS = [
    'data: !!python/object/apply:open ["TRAP", "w"]',
    'data: !!python/object/new:os.system ["touch TRAP"]',
    "name: !!python/name:os.system",
    'train: {epochs: !!python/object/apply:os.system ["touch TRAP"]}',
    "? !!python/object/apply:os.system [touch TRAP]\n: 1",
]


@pytest.mark.parametrize("text", TAGS)
def test_a_sweep_file_runs_nothing(text: str, trap: Path, tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text(text.replace("TRAP", str(trap)))
    done = CliRunner().invoke(app, [str(file), "--dry-run"])
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "not valid YAML" in done.stderr
    assert not trap.exists()


def test_an_override_runs_nothing(trap: Path) -> None:
    evil = f'train.epochs=!!python/object/apply:open ["{trap}", "w"]'
    done = CliRunner().invoke(app, ["--dry-run", "--set", evil])
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert not trap.exists()


@pytest.mark.parametrize("text", TAGS)
def test_the_resolved_sweep_file_in_the_folder_runs_nothing(text: str, trap: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep" / "trials").mkdir(parents=True)
    (tmp_path / "sweep" / "sweep.yaml").write_text(text.replace("TRAP", str(trap)))
    with pytest.raises(UserError, match="is damaged"):
        settled(check_sweep({"name": "sweep"}, ""), SweepFolder(UPath(tmp_path / "sweep")))
    assert not trap.exists()


def laughs(join: str) -> str:
    """Thirty lines that stand for a billion values."""
    lines = ["a0: &a0 [x, x]" if join == "[{}]" else "a0: &a0 {x: 1}"]
    for n in range(1, 31):
        lines.append(f"a{n}: &a{n} " + join.format(f"*a{n - 1}, *a{n - 1}"))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (laughs("[{}]"), "its aliases stand for too much"),
        (laughs("{{<<: [{}]}}"), "its aliases stand for too much"),
        ("data: &a [*a]", "its aliases stand for too much"),
        ("data: &a {b: *a}", "its aliases stand for too much"),
        ("data: " + "[" * 50_000, "nested too deeply"),
        ("train: {epochs: " + "9" * 5000 + "}", "can't be read"),
        ("name: 2026-13-45", "can't be read"),
        ("train: {compile: !!bool perhaps}", "can't be read"),
        ("train: {epochs: !!timestamp soon}", "can't be read"),
    ],
    ids=["lists", "merges", "circle", "circle of keys", "deep", "long number", "date", "bool", "timestamp"],
)
def test_a_sweep_file_eats_no_memory(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_sweep(file)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
