"""Batches that a sweep can't make are told when its file is read, with what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fpray.config.file import check_sweep
from fpray.errors import UserError
from fpray.methods import TrainedMethod, TrainedParams
from fpray.testing import registered

CAPTIONS = {"rehearsal": {"form": "captions"}}
EITHER = {"rehearsal": {"form": {"choice": ["unlabelled", "captions"]}}}


def check(methods: Any, rehearsal: Any, **sections: Any) -> None:
    data = {"rehearsal": rehearsal} | sections.pop("data", {})
    check_sweep({"name": "s", "methods": methods, "data": data} | sections, "s")


def complaint(methods: Any, rehearsal: Any, **sections: Any) -> str:
    with pytest.raises(UserError) as caught:
        check(methods, rehearsal, **sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_method_that_replays_needs_something_to_replay(tmp_path: Path) -> None:
    check(["rehearsal"], {"source": "pretraining"})
    said = complaint(["full", "rehearsal"], None)
    assert said == (
        "s: methods.rehearsal: there is nothing to replay; add data.rehearsal, {source: ...} with pretraining, or "
        "leave the method out"
    )
    domains = {"layout": "domains", "root": str(tmp_path), "id": "photo"}
    assert "with a folder of images, or leave" in complaint(["rehearsal"], None, data=domains)
    assert "with a .csv or .tsv of images and captions" in complaint(CAPTIONS, None, data=domains)
    assert "data.rehearsal.source: field required" in complaint(["rehearsal"], {})


@pytest.mark.parametrize("methods", [CAPTIONS, EITHER])
def test_captions_need_a_source_that_has_some(methods: Any) -> None:
    for source in ("pretraining", "a.csv", "b.TSV"):
        check(methods, {"source": source})
    check(["rehearsal"], {"source": "folder"})
    said = complaint(methods, {"source": "/folder"})
    assert said.startswith("s: data.rehearsal.source: methods.rehearsal needs captions, and '/folder' is a folder")


@pytest.mark.parametrize("methods", [CAPTIONS, EITHER])
def test_what_compares_images_cant_be_cut(methods: Any) -> None:
    source = {"source": "pretraining"}
    check(["rehearsal"], source, train={"accumulate": 2})
    assert "train.accumulate: rehearsal compares the images of a batch" in complaint(
        methods, source, train={"accumulate": 2}
    )


def test_a_method_may_say_so_of_itself() -> None:
    class Compares(TrainedMethod[TrainedParams]):
        name = "compares"
        Params = TrainedParams
        compares_images = True

    with registered(Compares):
        check(["compares"], None)
        assert "compares compares the images" in complaint(["compares"], None, train={"accumulate": 2})


def test_what_is_replayed_can_be_shared_and_cut_in_equal_parts() -> None:
    def said(size: int, train: dict[str, Any], workers: int = 1) -> str:
        resources = {"workers": workers, "cpus": 1}
        return complaint(["rehearsal"], {"source": "pretraining", "batch_size": size}, train=train, resources=resources)

    check(["rehearsal"], {"source": "pretraining", "batch_size": 6}, train={"batch_size": 9, "accumulate": 3})
    check(["full"], {"source": "pretraining", "batch_size": 7}, train={"batch_size": 8, "accumulate": 3})
    assert "data.rehearsal.batch_size: 9 can't be shared evenly by 2 workers" in said(9, {"batch_size": 8}, workers=2)
    assert "3 parts of a batch must be equal" in said(7, {"batch_size": 9, "accumulate": 3})
    assert "a worker has 6 and 8 images" in said(6, {"batch_size": 8, "accumulate": 3})
    assert "batch_size: input should be greater than or equal to 1" in said(0, {})
