"""Reading a sweep file: YAML as people write it, overrides, and a sweep that is written reads back the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fpray.config.file import check_sweep, dump_sweep, read_sweep
from fpray.config.schema import Sweep
from fpray.config.text import default_file
from fpray.errors import UserError
from fpray.space import Choice, Constant, Log

TEN_LINES = """\
name: first
data: {layout: drawnet, seed: 1}
model: {name: drawnet-s}
train: {epochs: 4, batch_size: 100, lr: {log: [1e-5, 1e-4]}}
search: {sampler: nsga2, seed: 7}
methods:
  full: {trials: 4}
  l2: {strength: {choice: [0.1, 1]}}
  wise_ft: {of: [full, l2], trials: 3}
storage: s3://bucket/sweeps
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "my.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        read_sweep(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ten_lines_are_a_sweep(file: Callable[[str], Path]) -> None:
    assert len(TEN_LINES.splitlines()) == 10
    sweep = read_sweep(file(TEN_LINES))
    chosen = sweep.methods
    assert (sweep.name, sweep.storage, sweep.train.epochs, sweep.search.seed) == ("first", "s3://bucket/sweeps", 4, 7)
    assert chosen["full"].space() == {"lr": Log(1e-5, 1e-4)}
    assert chosen["l2"].space()["strength"] == Choice((0.1, 1))
    assert (chosen["wise_ft"].sources(), chosen["wise_ft"].trials) == (("full", "l2"), 3)


def test_an_empty_file_is_named_after_itself(file: Callable[[str], Path]) -> None:
    assert read_sweep(file("")) == check_sweep({"name": "my"}, "")
    assert read_sweep(file("# nothing\n")).name == "my"


def test_the_embedded_example_is_a_sweep() -> None:
    assert read_sweep(default_file()).name == "quickstart"


@pytest.mark.parametrize("number", ["1e-4", "1E-4", "1.0e-4", "0.0001", ".1e-3", "+1e-4", "1.e-4"])
def test_a_number_is_a_number_however_it_is_written(number: str, file: Callable[[str], Path]) -> None:
    sweep = read_sweep(file(f"methods: {{full: {{lr: {number}}}}}"))
    assert sweep.methods["full"].space()["lr"] == Constant(pytest.approx(1e-4))


def test_merged_keys_may_be_overridden(file: Callable[[str], Path]) -> None:
    sweep = read_sweep(file("methods:\n  full: &a {lr: 1e-5, trials: 1}\n  l2:\n    <<: *a\n    trials: 4\n"))
    assert sweep.methods["l2"].trials == 4
    assert sweep.methods["l2"].space()["lr"] == Constant(1e-5)


@pytest.mark.parametrize(
    "sweep",
    [
        check_sweep({"name": "every-default"}, ""),
        check_sweep({"name": "1e5", "storage": "1e-4", "tracking": None}, ""),
        check_sweep(
            {
                "name": "every-kind",
                "train": {"lr": {"log": [1e-5, 3e-4]}, "seeds": [2, 0], "clip_grad_norm": None},
                "methods": {
                    "full": {"trials": 3},
                    "l2": {"strength": {"uniform": [0, 0.1]}, "lr": 3e-05},
                    "kd": {"form": {"grid": ["kl", "mse_logits"]}, "strength": {"choice": [1, 0.5]}},
                    "lora": {"rank": {"int": [1, 8]}},
                    "wise_ft": {"of": ["l2", "full"], "alpha": {"grid": [0.1, 0.9]}},
                },
                "resources": {"concurrency": 3, "cpus": 0.5},
            },
            "",
        ),
    ],
    ids=lambda sweep: sweep.name,
)
def test_a_written_sweep_reads_back_the_same(sweep: Sweep, file: Callable[[str], Path]) -> None:
    again = read_sweep(file(dump_sweep(sweep)))
    assert again == sweep
    assert dump_sweep(again) == dump_sweep(sweep)


def test_overrides_have_dotted_keys_and_yaml_values(file: Callable[[str], Path]) -> None:
    overrides = ["train.epochs=5", "name=other", "methods.l2.strength={log: [1e-3, 1]}", "tracking=null"]
    sweep = read_sweep(file(TEN_LINES), overrides)
    assert (sweep.train.epochs, sweep.train.batch_size, sweep.name, sweep.tracking) == (5, 100, "other", None)
    assert sweep.methods["l2"].space()["strength"] == Log(1e-3, 1.0)
    assert list(sweep.methods) == ["full", "l2", "wise_ft"]


def test_an_override_makes_the_section_that_is_not_there(file: Callable[[str], Path]) -> None:
    assert read_sweep(file("name: x"), ["model.pretrained=openai", "model.name=ViT-B-16"]).model.name == "ViT-B-16"
    assert read_sweep(file("train:"), ["train.epochs=2"]).train.epochs == 2


def test_an_override_of_a_listed_method_keeps_the_others(file: Callable[[str], Path]) -> None:
    sweep = read_sweep(file("methods: [full, l2]"), ["methods.l2.trials=3"])
    assert {name: settings.trials for name, settings in sweep.methods.items()} == {"full": 8, "l2": 3}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epochs", ["train.epochs: write an override", "key=value"]),
        ("=4", ["key=value"]),
        ("train.epochs=[1", ["override of train.epochs", "not valid YAML"]),
        ("train.epochs=many", ["train.epochs", "integer"]),
        ("train.epoch=4", ["train", "unknown key 'epoch'", "did you mean 'epochs'?"]),
        ("name.first=4", ["name"]),
    ],
)
def test_a_bad_override_is_said(override: str, said: list[str], file: Callable[[str], Path]) -> None:
    sentence = complaint(file(TEN_LINES), override)
    assert all(part in sentence for part in said), sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:\n  epochs: 3\n bad: [", ["my.yaml, line 3", "not valid YAML"]),
        ("train:\n\tepochs: 3", ["my.yaml, line 2", "not valid YAML"]),
        ("train: {epochs: 3}\nmodel: {}\ntrain: {epochs: 4}", ["my.yaml, line 3", "'train' is there twice"]),
        ("methods:\n  full: {}\n  l2: {}\n  full: {}\n", ["my.yaml, line 4", "'full' is there twice"]),
        ("? [a, b]\n: c", ["my.yaml, line 1", "not valid YAML"]),
        ("name: !!python/object:os.system x", ["my.yaml, line 1", "not valid YAML"]),
        ("- a\n- b", ["my.yaml", "key: value"]),
        ("hello", ["my.yaml", "key: value"]),
        ("3: 4", ["my.yaml", "unknown key '3'"]),
        ("name: \x00", ["my.yaml", "not valid YAML"]),
    ],
)
def test_what_is_no_sweep_file_is_said_with_its_line(text: str, said: list[str], file: Callable[[str], Path]) -> None:
    sentence = complaint(file(text))
    assert all(part in sentence for part in said), sentence


def test_a_file_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    assert all(part in complaint(tmp_path / "gone.yaml") for part in ("can't read", "gone.yaml", "no such file"))
    assert "is a directory" in complaint(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("storage: é".encode("latin-1"))
    assert "UTF-8" in complaint(tmp_path / "latin.yaml")
