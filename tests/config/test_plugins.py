"""Plug-ins: files of the user's own, loaded from the sweep file of the command line and installed where trials run."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fpray.config import PackedSettings, dump_sweep, read_sweep
from fpray.errors import UserError
from fpray.methods import METHODS

METHOD = '''
from fpray.methods.full import Full

class Mine(Full):
    """Full fine-tuning by another name."""

    name = "mine"
'''
LAYOUT = """
from fpray.data.layouts.drawnet import DrawNet, DrawNetOptions

class MineOptions(DrawNetOptions):
    layout: str = "mine"
    spice: int = 3

class MineNet(DrawNet):
    name = "mine"
    Options = MineOptions
    options: MineOptions
"""


pytestmark = pytest.mark.usefixtures("plugins_go")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a sweep file that names two plug-ins, which lie beside it."""
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "layout.py").write_text(LAYOUT)
    (tmp_path / "s.yaml").write_text(
        "plugins: [mine.py, layout.py]\nmethods: {full: {}, mine: {trials: 2}}\ndata: {layout: mine, spice: 5}\n"
    )
    return tmp_path


def test_methods_and_layouts_of_files_beside_the_sweep_file_are_known(folder: Path) -> None:
    sweep = read_sweep(folder / "s.yaml")
    assert list(sweep.methods) == ["full", "mine"]
    assert (type(sweep.data).__name__, sweep.data.spice) == ("MineOptions", 5)
    assert METHODS["mine"].__module__ == "fpray_plugin_mine"


def test_the_resolved_file_has_their_hashes_and_reads_back(folder: Path, tmp_path: Path) -> None:
    sweep = read_sweep(folder / "s.yaml")
    resolved = tmp_path / "elsewhere" / "sweep.yaml"
    resolved.parent.mkdir()
    resolved.write_text(dump_sweep(sweep))
    assert read_sweep(resolved) == sweep
    (folder / "mine.py").write_text(METHOD + "# changed\n")
    with pytest.raises(UserError, match=r"mine.py' has changed since its sha256 was written .*take the sha256 out"):
        read_sweep(resolved)


def test_another_process_without_the_files_gets_them_with_the_settings(folder: Path) -> None:
    packed = read_sweep(folder / "s.yaml").trial_settings("mine").packed()
    (folder / "packed").write_bytes(pickle.dumps(packed))
    for name in ("mine.py", "layout.py", "s.yaml"):
        (folder / name).unlink()
    program = f"""
import pickle
from pathlib import Path
settings = pickle.loads(Path({str(folder / "packed")!r}).read_bytes()).unpacked()
from fpray.methods import METHODS
from fpray.data import DATASETS
print(type(settings.data).__name__, settings.data.spice, METHODS["mine"].__doc__)
assert type(settings.data) is DATASETS["mine"].Options
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.stdout == "MineOptions 5 Full fine-tuning by another name.\n", ran.stderr


def test_to_unpack_twice_installs_once(folder: Path) -> None:
    packed: PackedSettings = read_sweep(folder / "s.yaml").trial_settings("mine").packed()
    kind = METHODS["mine"]
    assert packed.unpacked() == packed.unpacked()
    assert METHODS["mine"] is kind


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "plugins: there is no 'my.py'; looked in '/"),
        ("from fpray.methods import Method\nclass Mine(Method):\n    name = 'mine'\n", "'mine' has no Params"),
        ("x = 1\n", "my.py' has no method and no layout; define a subclass of Method or of Dataset, with a name"),
        ("x = 1\ny = z\n", r"my.py' can't be run: name 'z' is not defined \(NameError at line 2\)"),
        ("x = 1\ny = (\n", r"my.py' can't be run: '\(' was never closed .*SyntaxError at line 2"),
        ("import nowhere_to_be_found\n", "my.py' can't be run: no module named 'nowhere_to_be_found'"),
        (METHOD.replace('"mine"', '"full"'), "'full' is there twice among the methods: .*my.py"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_one_sentence(source: str | None, message: str, tmp_path: Path) -> None:
    if source is not None:
        (tmp_path / "my.py").write_text(source)
    (tmp_path / "s.yaml").write_text("plugins: my.py\n")
    for _ in range(2):  # one that was refused doesn't count as loaded
        with pytest.raises(UserError, match=rf"s\.yaml: .*{message}"):
            read_sweep(tmp_path / "s.yaml")


@pytest.mark.parametrize("written", ["{a: 1}", "7", "[[my.py]]", "[{file: my.py, hash: 3}]"])
def test_a_list_that_is_none_is_said(written: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(f"plugins: {written}\n")
    with pytest.raises(UserError, match=r"plugins: must be a list of files, like \[my_method.py\]"):
        read_sweep(tmp_path / "s.yaml")


def test_files_that_cannot_be_told_apart_or_named_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(METHOD)
    (tmp_path / "my-method.py").write_text(METHOD)
    for written, message in (
        ("[a/mine.py, b/mine.py]", "two files are called 'mine.py'"),
        ("my-method.py", "a module"),
    ):
        (tmp_path / "s.yaml").write_text(f"plugins: {written}\n")
        with pytest.raises(UserError, match=message):
            read_sweep(tmp_path / "s.yaml")


def test_a_newer_format_is_refused_before_anything_runs(tmp_path: Path, trap: Path) -> None:
    (tmp_path / "my.py").write_text(f"open({str(trap)!r}, 'w')\n")
    (tmp_path / "s.yaml").write_text("format: 3\nplugins: [my.py]\n")
    with pytest.raises(UserError, match="was written by a newer fpray, in format 3"):
        read_sweep(tmp_path / "s.yaml")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["model", "source", "trials", "of", "space", "seed", "method"])
def test_a_hyperparameter_by_a_name_that_fpray_uses_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "from typing import Annotated\n"
        "from fpray.methods import TrainedMethod, TrainedParams\n"
        "from fpray.space import Uniform\n"
        f"class MyParams(TrainedParams):\n    {name}: Annotated[float, Uniform(0.0, 1.0)]\n"
        "class My(TrainedMethod[MyParams]):\n    name = 'my'\n    Params = MyParams\n"
    )
    (tmp_path / "s.yaml").write_text("plugins: [my.py]\nmethods: [my]\n")
    with pytest.raises(UserError, match=rf"the method 'my' can't call a hyperparameter '{name}'"):
        read_sweep(tmp_path / "s.yaml")


def test_a_hyperparameter_without_a_dimension_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "from fpray.methods import TrainedMethod, TrainedParams\n"
        "class MyParams(TrainedParams):\n    strength: float\n"
        "class My(TrainedMethod[MyParams]):\n    name = 'my'\n    Params = MyParams\n"
    )
    (tmp_path / "s.yaml").write_text("plugins: [my.py]\nmethods: [my]\n")
    with pytest.raises(UserError, match="'strength' of the method 'my' has neither a search dimension nor a default"):
        read_sweep(tmp_path / "s.yaml")
