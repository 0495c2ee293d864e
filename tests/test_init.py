"""`fpray init` writes a sweep file that is right for the images in a folder as they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from fpray.__main__ import app
from fpray.config import parse, read_sweep, sweep_schema
from fpray.data import DATASETS, open_dataset
from tests.data.trees import TREES, make_images

SHARES = {"domainnet": ("data.id_val=0.1", "data.ood_val=0.2")}
"""Of lists so short that the default share of some is none of their images."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def written(*arguments: str | Path) -> Path:
    """The file that a command says it wrote."""
    result = run("init", *arguments)
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.split("'")[1])


def complaint(*arguments: str | Path) -> str:
    result = run("init", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    return result.stderr


def require_right(file: Path, *overrides: str) -> None:
    """The file is valid by the schema that it names, and its data is whole."""
    text = file.read_text()
    address = text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    assert Path(url2pathname(urlparse(address).path)).name == "sweep.schema.json"
    assert Path(url2pathname(urlparse(address).path)).is_file()
    assert [*Draft202012Validator(sweep_schema()).iter_errors(parse(text, str(file)))] == []
    checked = run("check", file, *(f"--set={override}" for override in overrides))
    assert checked.exit_code == 0, checked.stderr


@pytest.mark.parametrize("layout", sorted(TREES.keys() - {"drawnet"}))
def test_what_it_writes_passes_the_check(layout: str, tmp_path: Path) -> None:
    by_hand: dict[str, Any] = TREES[layout](tmp_path / "my data")
    file = written(tmp_path / "my data")
    assert file == Path("my-data.yaml")
    overrides = SHARES.get(layout, ())
    require_right(file, *overrides)
    sweep = read_sweep(file, overrides)
    assert (sweep.name, sweep.data.layout) == ("my-data", layout)
    splits = open_dataset(sweep.data).splits()
    assert {split.name for split in splits} == {split.name for split in _opened(by_hand).splits()}


def _opened(section: dict[str, Any]) -> Any:
    kind = DATASETS[section["layout"]]
    return kind(kind.Options.model_validate(section))


def test_without_a_folder_it_writes_the_embedded_example() -> None:
    file = written()
    assert file == Path("quickstart.yaml")
    require_right(file)
    assert read_sweep(file).data.layout == "drawnet"


def test_comments_say_what_was_seen_and_assumed(tmp_path: Path) -> None:
    TREES["domains"](tmp_path / "tree")
    text = written(tmp_path / "tree", "--output", "my sweep.yaml").read_text()
    assert "which saw 3 domains of 3 classes: art painting with 42" in " ".join(text.replace("\n# ", " ").split())
    assert "\n  id: photo  # assumed, as the domain with the most images (95)" in text
    assert "\n  id_test: 0.2  # The share of the ID domain's images for the test.\n" in text
    assert "\nname: my-sweep\n" in text


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    file = written()
    before = file.read_text()
    assert "'quickstart.yaml' is there already" in complaint()
    TREES["domains"](tmp_path / "quickstart")
    assert "'quickstart.yaml' is there already" in complaint(tmp_path / "quickstart")
    assert "can't write 'no/my.yaml': no such file" in complaint("-o", "no/my.yaml")
    assert file.read_text() == before
    assert [*Path().iterdir()] == [file]


def test_a_folder_that_it_cant_recognise_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path / "tree", {"cat": 2, "dog": 3})
    (tmp_path / "tree" / "labels.csv").write_text("")
    told = complaint(tmp_path / "tree")
    assert f"no layout that fpray knows is in '{tmp_path}/tree'" in told
    assert "looked for DomainNet's lists" in told
    assert "found the folders cat, dog and the files labels.csv" in told
    assert [*Path().iterdir()] == []


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert f"can't look into '{tmp_path}/nowhere': no such file or directory" in complaint(tmp_path / "nowhere")


def test_names_cant_break_out_of_comments(tmp_path: Path) -> None:
    make_images(tmp_path / "tree", {f"{name}/{of}": 20 for name in ("a\nmethods: [", "b # c") for of in ("x", "y: z")})
    require_right(written(tmp_path / "tree"))
