"""Pruned weights: what goes and what stays, and the same weights again from an export."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from upath import UPath

from fpray.errors import UserError
from fpray.export import by_trial, write_model
from fpray.export.again import weights_of_trial
from fpray.records import Count, SweepFolder, digest_of, prune, pruned_digest
from fpray.results import Results
from fpray.sweep.pruning import prune_weights


@pytest.fixture
def copy(finished: Results, tmp_path: Path) -> Results:
    """The sweep in a folder of its own, which may be changed."""
    shutil.copytree(str(finished.folder), tmp_path / "small")
    return Results(SweepFolder(UPath(tmp_path / "small")))


def has_weights(results: Results) -> set[str]:
    return {path.parent.name for path in Path(str(results.folder), "trials").glob("*/weights.safetensors")}


def test_what_is_needed_stays(copy: Results) -> None:
    store, every = SweepFolder(copy.folder).records, has_weights(copy)
    kept = copy.sweep.model_copy(update={"keep": "front"})
    assert prune_weights(copy.sweep, copy.report, copy.records, store) is None and has_weights(copy) == every
    only = copy.report.model_copy(
        update={
            "methods": tuple(
                m.model_copy(update={"front": (), "picks": {}, "curve": ()}) if m.method in ("lora", "wise_ft") else m
                for m in copy.report.methods
            )
        }
    )
    said = prune_weights(kept, only, copy.records, store)
    gone = {"wise_ft-000", "lora-000"}
    assert copy.sweep.methods["wise_ft"].sources() == ("full",)
    assert said is not None and said.startswith("keep: front has removed the weights of 2 trials")
    assert every - has_weights(copy) == gone
    assert prune_weights(kept, only, copy.records, store) is None  # once


@pytest.mark.parametrize("trial", ["full-001", "lora-000", "wise_ft-000"])
def test_a_pruned_trial_comes_again_to_the_bit(trial: str, copy: Results, finished: Results, tmp_path: Path) -> None:
    store = SweepFolder(copy.folder).records
    before = store.read_weights(trial)
    assert prune(store, trial) == sum(v.numel() * v.element_size() for v in before.values())
    assert prune(store, trial) == 0
    assert pruned_digest(store, trial) == digest_of(before)
    with pytest.raises(UserError, match=f"the weights of {trial} were removed"):
        store.read_weights(trial)
    record = next(record for record in copy.records if record.trial.id == trial)
    again, remark = weights_of_trial(copy, record)
    assert remark is None and digest_of(again) == digest_of(before)
    assert write_model(copy, by_trial(copy, trial), tmp_path / "again") is None
    write_model(finished, by_trial(finished, trial), tmp_path / "kept")
    for name in ("open_clip_model.safetensors", "head.safetensors"):
        again, kept = (load_file(tmp_path / folder / name) for folder in ("again", "kept"))
        assert digest_of(again) == digest_of(kept)


def test_its_sources_come_again_too(copy: Results) -> None:
    store = SweepFolder(copy.folder).records
    record = next(record for record in copy.records if record.trial.id == "wise_ft-000")
    digest = digest_of(store.read_weights("wise_ft-000"))
    for trial in ("wise_ft-000", *record.trial.sources):
        prune(store, trial)
    again, _ = weights_of_trial(copy, record)
    assert digest_of(again) == digest


def test_one_that_comes_out_otherwise_is_not_given_away(copy: Results) -> None:
    store = SweepFolder(copy.folder).records
    prune(store, "full-001")
    (store.trial_folder("full-001") / "weights.pruned.json").write_text('{"digest": "other", "bytes": 1}')
    record = next(record for record in copy.records if record.trial.id == "full-001")
    _, remark = weights_of_trial(copy, record)
    assert remark is not None and "trained again on this machine; by 0.0 %" in remark
    count = record.results["id/test"]
    other = record.results | {"id/test": Count(correct=count.correct // 2, total=count.total)}
    with pytest.raises(UserError, match="full-001 was trained again, .* differs from its record by"):
        weights_of_trial(copy, record.model_copy(update={"results": other}))
