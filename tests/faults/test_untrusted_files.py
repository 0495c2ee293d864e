"""Files from others are read as data: nothing in them runs or leads out of the sweep's folder."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import tarfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.data.layouts.webdataset import WebDataset
from fpray.errors import UserError
from fpray.model.opening import open_model
from fpray.records import Record, Trial
from fpray.records.store import RecordStore
from fpray.report import as_html, content_of
from fpray.report.figures import png
from fpray.report.report import make_report
from fpray.report.terminal import table
from fpray.training.checkpoint import newest_checkpoint
from tests.evil import Evil


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(UPath(tmp_path / "sweep"))


@pytest.fixture
def tiny_config(tiny_clip: str) -> dict[str, Any]:
    """The tiny model's architecture."""
    folder = Path(tiny_clip.removeprefix("local-dir:"))
    return json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]


def test_the_trap_works(trap: Path) -> None:
    pickle.loads(pickle.dumps(Evil(trap))).close()
    assert trap.exists()


# Weights.

WEIGHTS: dict[str, tuple[str, Callable[[Evil, Path], object]]] = {
    "zip": ("w.pt", lambda evil, path: torch.save({"state_dict": {}, "x": evil}, path)),
    "legacy": ("w.pth", lambda evil, p: torch.save(evil, p, _use_new_zipfile_serialization=False)),
    "bare pickle": ("w.bin", lambda evil, path: path.write_bytes(pickle.dumps(evil))),
    "old pickle": ("w.pkl", lambda evil, path: path.write_bytes(pickle.dumps(evil, protocol=0))),
    "named safetensors": ("w.safetensors", lambda evil, path: path.write_bytes(pickle.dumps(evil))),
    "zip named safetensors": ("w.safetensors", lambda evil, path: torch.save(evil, path)),
    "numpy": ("w.npz", lambda evil, path: np.savez(path, positional=np.array([evil], object))),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_would_run_code_are_refused(
    kind: str, trap: Path, tmp_path: Path, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny", tiny_config)
    name, write = WEIGHTS[kind]
    path = tmp_path / name
    write(Evil(trap), path)
    with pytest.raises(UserError) as caught:
        open_model("ViT-tiny", str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not trap.exists()


def test_pickled_weights_in_a_models_folder_are_refused(
    trap: Path, tmp_path: Path, tiny_config: dict[str, Any]
) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": tiny_config}))
    torch.save(Evil(trap), tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(UserError, match="could run code and is not read"):
        open_model(f"local-dir:{tmp_path}", None)
    assert not trap.exists()


# A trial's files.


def lying(length: int, content: bytes = b"{}") -> bytes:
    """A safetensors file whose header says that it has another length."""
    return struct.pack("<Q", length) + content


def out_of_bounds(begin: int, end: int) -> bytes:
    """A safetensors file with a tensor that lies outside it."""
    header = json.dumps({"t": {"dtype": "F32", "shape": [2**40], "data_offsets": [begin, end]}}).encode()
    return struct.pack("<Q", len(header)) + header


DAMAGED: dict[str, Callable[[Evil], bytes]] = {
    "pickle": pickle.dumps,
    "old pickle": lambda evil: pickle.dumps(evil, protocol=0),
    "empty": lambda evil: b"",
    "short": lambda evil: b"\x01\x02",
    "huge header": lambda evil: lying(2**62),
    "negative header": lambda evil: lying(2**64 - 1),
    "header beyond the end": lambda evil: lying(1000),
    "header is no object": lambda evil: lying(2, b"[]"),
    "header is no JSON": lambda evil: lying(4, b"\xff\xff\xff\xff"),
    "tensor beyond the end": lambda evil: out_of_bounds(0, 2**42),
    "negative offsets": lambda evil: out_of_bounds(-8, 2**42 - 8),
    "deep header": lambda evil: lying(200_000, b"[" * 200_000),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_checkpoint_that_is_none_is_passed_over(kind: str, trap: Path, store: RecordStore) -> None:
    folder = Path(store.checkpoint_folder("full-000").path)
    folder.mkdir(parents=True)
    (folder / "epoch-0001.safetensors").write_bytes(save({"method.w": torch.ones(2)}, {"history": "[]"}))
    (folder / "epoch-0002.safetensors").write_bytes(DAMAGED[kind](Evil(trap)))
    checkpoint = newest_checkpoint(UPath(folder))
    assert checkpoint is not None
    assert list(checkpoint.tensors) == ["method.w"]
    assert not trap.exists()


@pytest.mark.parametrize("metadata", [None, {"history": "{"}, {"history": "[1]"}, {"history": "[" * 100_000}])
def test_a_checkpoint_without_its_history_is_passed_over(metadata: dict[str, str] | None, store: RecordStore) -> None:
    folder = Path(store.checkpoint_folder("full-000").path)
    folder.mkdir(parents=True)
    (folder / "epoch-0002.safetensors").write_bytes(save({"method.w": torch.ones(2)}, metadata))
    assert newest_checkpoint(UPath(folder)) is None


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_source_of_wise_ft_that_is_no_weights_is_refused(kind: str, trap: Path, store: RecordStore) -> None:
    folder = Path(store.trial_folder("full-000").path)
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(DAMAGED[kind](Evil(trap)))
    with pytest.raises(UserError, match=r"weights.safetensors' is damaged"):
        store.read_weights("full-000")
    assert not trap.exists()


RECORDS: dict[str, Callable[[Evil, Record], bytes]] = {
    "pickle": lambda evil, record: pickle.dumps(evil),
    "python tag": lambda evil, record: f'!!python/object/apply:open ["{evil.trap}", "w"]'.encode(),
    "deep": lambda evil, record: b"[" * 1_000_000,
    "another trial's": lambda evil, record: record.model_dump_json().replace("full-000", "full-001").encode(),
    "of a path": lambda evil, record: record.model_dump_json().replace('"full-000"', '"../../../etc"').encode(),
    "unknown key": lambda evil, record: record.model_dump_json().replace('"started"', '"__class__"').encode(),
    "no UTF-8": lambda evil, record: b"\xff\xfe{}",
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_that_is_none_is_left_out(
    kind: str, trap: Path, store: RecordStore, record_of: Callable[..., Record]
) -> None:
    good, told = record_of("full-002"), []
    store.write(good)
    folder = Path(store.trial_folder("full-000").path)
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(RECORDS[kind](Evil(trap), record_of()))
    assert store.read_all(told.append) == [good]
    assert len(told) == 1
    assert not trap.exists()


PATHS = ["../../x", "..", ".", "", "/etc/x", "a/b", "a\\b", "full-000\0", "full-000\n", "../full-000", "full-000/.."]


@pytest.mark.parametrize("name", PATHS)
def test_a_trials_id_leads_nowhere_else(name: str, store: RecordStore) -> None:
    with pytest.raises(ValueError):
        Trial(id=name, method="full", number=0, seed=0, params={})
    with pytest.raises(ValueError):
        store.trial_folder(name)
    with pytest.raises(ValueError):
        store.read_weights(name)  # as WiSE-FT does, with the `source` of a record


def test_what_lies_beside_the_trials_is_left_alone(store: RecordStore, tmp_path: Path) -> None:
    trials = Path(store.folder.path, "trials")
    trials.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "record.json").write_text("{}")
    for name in ("bad name", "..hidden", "a\nb"):
        (trials / name).symlink_to(outside)
    assert store.read_all() == []
    assert (outside / "record.json").read_text() == "{}"


# Data.


def test_what_else_is_in_and_beside_shards_is_not_unpickled(trap: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    evil = pickle.dumps(Evil(trap))
    for part in ("train", "test", "ood"):
        with tarfile.open(tmp_path / f"{part}.tar", "w") as shard:
            members = {f"{n:03d}.png": buffer.getvalue() for n in range(6)}
            members |= {f"{n:03d}.cls": str(n % 2).encode() for n in range(6)}
            members |= {f"000.{kind}": evil for kind in ("pyd", "pth", "pickle", "pkl", "npy", "pt")}
            for name, content in sorted(members.items()):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
        np.savez(tmp_path / f"{part}.tar.index.npz", stamp=np.array([Evil(trap)], object))
    data = {
        "layout": "webdataset",
        "id": {"train": f"{tmp_path}/train.tar", "test": f"{tmp_path}/test.tar"},
        "ood": {"o": {"test": f"{tmp_path}/ood.tar"}},
        "classes": ["a", "b"],
        "id_val": 0.5,
        "ood_val": 0.5,
    }
    dataset = WebDataset(check_sweep({"name": "w", "data": data}, "").data)
    images = [dataset.images(split) for split in dataset.splits()]
    assert sum(len(part) for part in images) == 18
    assert all(part[i].size == (8, 8) for part in images for i in range(len(part)))
    assert not trap.exists()


# What is shown of them.

MARKUP = ["[bold]", "[/nope]", "[red]x[/]", "<script>alert(1)</script>", "</script><script>alert(1)</script>", "$x_{$"]


@pytest.mark.parametrize("word", MARKUP)
def test_words_of_records_are_shown_as_they_are(word: str, record_of: Callable[..., Record]) -> None:
    counts = {s: {"correct": 1, "total": 2} for s in ("id/val", "id/test", "ood/a/val", "ood/a/test")}
    record = record_of("full-000", {"lr": 1e-5, "word": word}, status="finished", results=counts)
    sweep = Sweep(name="any", methods={"full": {"trials": 1}})
    report = make_report(sweep, [record])
    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(table(report))
    assert f"word={word}" in console.export_text()
    page = as_html(content_of(sweep, report, [record], {}, word))
    assert "<script>alert" not in page
    (data,) = re.findall('<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    (point,) = json.loads(data)["points"]
    assert point["params"]["word"] == word
    (written,) = re.findall('<pre tabindex="0">(.*?)</pre>', page, re.DOTALL)
    assert unescape(written) == word
    assert png(report)
