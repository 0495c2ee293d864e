"""The JSON schema of the sweep file takes what the reader takes, and says a sentence of every key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fpray.config.file import check_sweep, dump_sweep
from fpray.config.json_schema import sweep_schema
from fpray.config.text import parse
from fpray.errors import UserError
from fpray.methods import METHODS
from tests.test_pages import PAGES, ROOT, blocks_of, name_of

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
EXAMPLES = [(name_of(page), block) for page in PAGES for block in blocks_of(page, "yaml")]
SHARDS = {"train": "train-{0000..0002}.tar", "test": ["test.tar"]}


@pytest.fixture(scope="module")
def schema() -> Any:
    return sweep_schema()


def complaints(schema: Any, content: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(content)]


def test_it_is_a_schema(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)


def keys_of(schema: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that a schema describes, with its place."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from keys_of(part, f"{place}[{number}]")
    elif isinstance(schema, dict):
        for word, part in schema.items():
            if word == "properties":
                for key, inner in part.items():
                    yield f"{place}.{key}", inner
                    yield from keys_of(inner, f"{place}.{key}")
            elif word != "else":
                yield from keys_of(part, place if word != "$defs" else "$defs")


def test_every_key_has_a_sentence(schema: Any) -> None:
    found = list(keys_of(schema))
    assert len(found) > 100
    for place, key in found:
        told = key if "description" in key else schema["$defs"][key["$ref"].rpartition("/")[2]]
        assert told["description"].endswith("."), place


def test_a_sentence_is_the_docstring_below_the_key(schema: Any) -> None:
    strength = schema["$defs"]["l2_settings"]["properties"]["strength"]
    assert strength["description"] == METHODS["l2"].Params.model_fields["strength"].description
    assert strength["default"] is None
    kappa = schema["$defs"]["l2_settings"]["properties"]["kappa"]
    assert kappa["default"] == {"log": [0.3, 100.0]}


@pytest.mark.parametrize("file", SWEEPS, ids=name_of)
def test_shipped_files_are_valid_and_name_it_for_editors(schema: Any, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert complaints(schema, parse(text, str(file))) == []
    first = text.partition("\n")[0]
    assert first == "# yaml-language-server: $schema=sweep.schema.json"
    assert (file.parent / first.partition("=")[2]).is_file()


@pytest.mark.parametrize(("page", "block"), EXAMPLES)
def test_the_pages_examples_are_valid(schema: Any, page: str, block: str) -> None:
    assert complaints(schema, parse(block, page)) == []


TAKEN: list[dict[str, Any]] = [
    {},
    dict.fromkeys(("data", "model", "train", "search", "methods", "resources", "tracking", "plugins")),
    {"format": 2, "methods": []},
    {"format": 1, "methods": ["full", "wise_ft"]},
    {"methods": {"full": None, "l2": {}, "wise_ft": {"of": "l2"}}},
    {"methods": {"full": {"lr": 1e-5}, "wise_ft": {"of": ["full"], "alpha": {"grid": [0, 0.5, 1]}}}},
    {"methods": {"full": {"lr": {"uniform": [1e-6, 1e-5]}}, "l2": {"strength": {"log": [1e-3, 1]}}}},
    {"methods": {"lora": {"rank": {"int": [2, 8]}, "layers": {"choice": ["mlp", "both"]}}, "kd": {"form": "kl"}}},
    {"methods": {"linear_probe": {"resources": {"gpus": 0.25}}, "full": {"resources": None}}},
    {"train": {"seeds": 3, "batch_size": 64, "clip_grad_norm": None, "lr": {"choice": [1e-5, 1e-4]}}},
    {"train": {"seeds": [0, 1], "batch_size": "auto", "lr": 1e-4}, "resources": {"gpus": 1, "concurrency": 2}},
    {"train": {"augment": None}},
    {"train": {"augment": {"scale": [0.08, 1], "flip": 0.5, "randaugment": None, "mixup": 0.2}}},
    {"train": {"augment": {"randaugment": {"ops": 2, "magnitude": 9}, "label_smoothing": 0.1}}},
    {"model": {"name": "ViT-B-16", "pretrained": "openai"}},
    {"model": {"name": ["ViT-B-16", "RN50"], "pretrained": ["openai", None]}},
    {"model": {"name": {"choice": ["ViT-B-16", "RN50"]}, "pretrained": "openai"}},
    {"tracking": {"uri": "http://localhost:5000", "experiment": None}},
    {"search": {"objectives": ["id/val/top1", "ood/sketch/val/top1"], "reference_point": [50, 40.5]}},
    {"search": {"objectives": ["id/val/top1"], "reference_point": None}},
    {"data": {"train_images": 200}},
    {"data": {"layout": "drawnet", "seeds": [1, 2]}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "ood": "b", "classes": ["x", "y"], "templates": "a {}."}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "classes": {"x": "cat", "y": "dog"}}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "templates": {"a": ["a {}."], "b": "b {}."}}},
    {"data": {"layout": "domainnet", "root": "/d", "ood": ["sketch"], "id_val": 0.5}},
    {"data": {"layout": "imagenet", "root": "/d", "ood": ["v2", "r"], "folders": {"train": "t"}}},
    {"data": {"layout": "imagenet", "root": "/d", "wnids": ["n01440764", "n01443537"]}},
    {"data": {"layout": "webdataset", "id": SHARDS, "ood": {"x": {"test": "x.tar"}}, "classes": "imagenet"}},
    {"data": {"layout": "webdataset", "id": SHARDS, "ood": {"x": {"test": "x.tar"}}, "classes": ["a", "b"]}},
]


@pytest.mark.parametrize("content", TAKEN, ids=str)
def test_what_the_reader_takes_is_valid(schema: Any, content: dict[str, Any]) -> None:
    check_sweep({"name": "s", "plugins": ()} | {key: content[key] for key in content if key != "plugins"}, "s.yaml")
    assert complaints(schema, content) == []


MISTAKES: list[dict[str, Any]] = [
    {"trian": {}},
    {"name": "a/b"},
    {"name": 3},
    {"format": 99},
    {"train": {"epoch": 4}},
    {"train": {"epochs": "four"}},
    {"train": {"epochs": 0}},
    {"train": {"epochs": True}},
    {"train": {"batch_size": "largest"}},
    {"train": {"seeds": [0, 0]}},
    {"train": {"seeds": []}},
    {"train": {"precision": "fp16"}},
    {"train": 4},
    {"train": {"lr": {"log": [0, 1e-4]}}},
    {"methods": {"ful": {}}},
    {"methods": ["ful"]},
    {"methods": "full"},
    {"methods": {"full": {"strength": 1}}},
    {"methods": {"full": {"trials": 0}}},
    {"methods": {"full": 8}},
    {"methods": {"l2": {"strength": {"logg": [1e-3, 1]}}}},
    {"methods": {"l2": {"strength": {"log": [1e-3, 1], "uniform": [0, 1]}}}},
    {"methods": {"l2": {"strength": {"log": 1}}}},
    {"methods": {"l2": {"strength": ["log", 1e-3, 1]}}},
    {"methods": {"l2": {"strength": [{"log": [1e-3, 1]}]}}},
    {"methods": {"l2": {"strength": {"log": [0, 1]}}}},
    {"methods": {"l2": {"strength": {"uniform": [1]}}}},
    {"methods": {"l2": {"strength": -1}}},
    {"methods": {"l2": {"strength": "much"}}},
    {"methods": {"kd": {"form": {"choice": []}}}},
    {"methods": {"kd": {"form": {"choice": ["kl", "kl"]}}}},
    {"methods": {"kd": {"form": {"uniform": [0, 1]}}}},
    {"methods": {"kd": {"form": "mse"}}},
    {"methods": {"lora": {"rank": {"uniform": [1, 8]}}}},
    {"methods": {"lora": {"rank": 2.5}}},
    {"methods": {"full": {}, "wise_ft": {"of": []}}},
    {"methods": {"full": {"resources": {"gpu": 1}}}},
    {"model": "ViT-B-16"},
    {"model": {"name": []}},
    {"model": {"name": {"grid": ["ViT-B-16"]}}},
    {"resources": {"gpus": 2}},
    {"search": {"objectives": ["id/test/top1", "ood/val/top1"]}},
    {"search": {"objectives": []}},
    {"search": {"objectives": ["id/val/top1", "ood/val/top1", "ood/a/val/top1"]}},
    {"tracking": "http://localhost:5000"},
    {"storage": None},
    {"data": {"layout": "domain"}},
    {"data": {"root": "/d"}},
    {"data": {"layout": "domains", "root": "/d"}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "ood_share": 0.1}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "ood_val": 10}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "classes": ["x"]}},
    {"data": {"layout": "domains", "root": "/d", "id": "a", "templates": "a photo"}},
    {"data": {"layout": "domainnet", "root": "/d", "id": "reel"}},
    {"data": {"layout": "imagenet", "root": "/d", "ood": ["v3"]}},
    {"data": {"layout": "imagenet", "root": "/d", "folders": {"trian": "t"}}},
    {"data": {"layout": "webdataset", "id": SHARDS, "ood": {}, "classes": "imagenet"}},
    {"data": {"layout": "webdataset", "id": {"train": "t.tar"}, "ood": {"x": {"test": "x"}}, "classes": "imagenet"}},
]


@pytest.mark.parametrize("content", MISTAKES, ids=str)
def test_mistakes_are_refused_as_by_the_reader(schema: Any, content: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        check_sweep({"name": "s"} | content, "s.yaml")
    assert complaints(schema, content) != []


def test_a_resolved_file_is_valid(schema: Any) -> None:
    assert complaints(schema, parse(dump_sweep(check_sweep({"name": "s"}, "s.yaml")), "s.yaml")) == []


def test_names_of_plugins_are_for_files_that_have_some(schema: Any) -> None:
    mine: dict[str, Any] = {"methods": {"full": {}, "digrap": {"omega": 1}}, "data": {"layout": "csv", "file": "x"}}
    assert complaints(schema, mine | {"plugins": ["mine.py"]}) == []
    assert complaints(schema, mine | {"plugins": [{"file": "/x/mine.py", "sha256": "0"}]}) == []
    assert complaints(schema, {"methods": ["digrap"], "plugins": "mine.py"}) == []
    assert complaints(schema, {"methods": mine["methods"]}) != []
    assert complaints(schema, {"data": mine["data"]}) != []
    assert complaints(schema, {"methods": {"full": {"strength": 1}}, "plugins": ["mine.py"]}) != []
    assert complaints(schema, {"plugins": [{"path": "mine.py"}]}) != []
