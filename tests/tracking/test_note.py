"""The note on MLflow's pages, and what else the sweep's own run says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from upath import UPath

from fpray.data import Fingerprint, fingerprints_of_draws
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.report.report import make_report
from fpray.sweep.settling import require_same_data
from fpray.tracking.note import note
from tests.sweeps import settled
from tests.tracking.following import RESULTS, SWEEP, epochs, follow, runs

Make = Callable[..., Record]


def finished(make: Make, **params: object) -> Record:
    return make("full-000", {"lr": 1e-5} | params, history=epochs(1), status="finished", results=RESULTS, ended=1.8e9)


def test_it_has_both_accuracies_of_every_pick(record_of: Make) -> None:
    addresses = ("/get-artifact?path=x", "#/experiments/1/runs/7/artifacts")
    text = note(SWEEP, make_report(SWEEP, [finished(record_of)]), 2, "/results/tracked", *addresses)
    assert "1 of 2 trials have ended" in text
    rules = "id_val, ood_val, knee"
    assert f"| full | 1 | {rules} | full-000 | 60.0 | 60.0 | `lr=1e-05` |" in text
    assert (
        "knee: the highest mean of ID and OOD accuracy (sees ID and OOD validation labels); the search saw ID and OOD"
        in text
    )
    assert "![ID against OOD test accuracy, each method's front](/get-artifact?path=x)" in text
    assert "[files](#/experiments/1/runs/7/artifacts)" in text
    assert text.endswith("Records and report: `/results/tracked`")


def test_words_of_records_are_no_markup(record_of: Make) -> None:
    report = make_report(SWEEP, [finished(record_of, word="a|`<b>`")])
    (row,) = [line for line in note(SWEEP, report, 2, "x").splitlines() if "| full-000 |" in line]
    assert row.endswith("| `lr=1e-05 word=a/<b>` |")


def test_before_anything_has_finished() -> None:
    text = note(SWEEP, make_report(SWEEP, []), 2, "x")
    assert "0 of 2 trials have ended" in text and "| full | 0 |" in text and "![" not in text


def test_each_draw_has_its_data_in_mlflow(tmp_path: Path, record_of: Make) -> None:
    sweep = SWEEP.model_copy(update={"data": SWEEP.data.model_copy(update={"seeds": (0, 3)})})
    folder, uri = SweepFolder(UPath(tmp_path / "tracked")), f"sqlite:///{tmp_path}/mlflow.db"
    settled(sweep, folder)
    require_same_data(fingerprints_of_draws(sweep.data), folder, [])
    made = finished(record_of)
    trials = [made.trial.model_copy(update={"id": f"full-000-d{draw}", "draw": draw}) for draw in (0, 3)]
    assert follow(UPath(tmp_path), uri, [made.model_copy(update={"trial": t}) for t in trials], sweep) is None
    found = runs(uri)
    parent = {d.dataset.name: d.tags[0].value for d in found["tracked"].inputs.dataset_inputs}
    assert parent["id/train of seed 3"] == "training" and parent["ood/sketch/test of seed 0"] == "test"
    (trained_on,) = found["full-000-d3"].inputs.dataset_inputs
    assert trained_on.dataset.name == "id/train of seed 3"


def test_what_mlflow_has_of_the_sweep(tmp_path: Path, record_of: Make) -> None:
    folder, uri = SweepFolder(UPath(tmp_path / "tracked")), f"sqlite:///{tmp_path}/mlflow.db"
    settled(SWEEP, folder)
    splits = {
        f"{domain}/{part}": Fingerprint(images=8, names="ab", sizes="cd", labels="ef")
        for domain in ("id", "ood/a")
        for part in ("val", "test")
    }
    require_same_data(splits | {"id/train": Fingerprint(images=9, names="12", sizes="34", labels="56")}, folder, [])
    for _ in range(2):
        assert follow(UPath(tmp_path), uri, [finished(record_of)]) is None
    client, found = MlflowClient(uri), runs(uri)
    parent, trial = found["tracked"], found["full-000"]
    note_of_run = parent.data.tags["mlflow.note.content"]
    assert f"/get-artifact?path=fronts.png&run_uuid={parent.info.run_id}" in note_of_run
    experiment = client.get_experiment_by_name("tracked")
    assert experiment.tags["mlflow.note.content"] == note_of_run
    assert {"layout": "drawnet", "methods": "full", "epochs": "10", "seeds": "0"}.items() <= parent.data.params.items()
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"fronts.png", "sweep.yaml"}
    contexts = {d.dataset.name: d.tags[0].value for d in parent.inputs.dataset_inputs}
    assert contexts == {
        "id/train": "training",
        "id/val": "validation",
        "id/test": "test",
        "ood/a/val": "validation",
        "ood/a/test": "test",
    }
    (trained_on,) = trial.inputs.dataset_inputs
    assert (trained_on.dataset.name, trained_on.dataset.digest) == ("id/train", "123456")
    assert trial.data.tags["fpray.folder"] == f"{tmp_path}/tracked/trials/full-000"
    assert trial.data.tags["fpray.weights"].endswith("/full-000/weights.safetensors")
    assert json.loads(trial.data.tags["fpray.configuration"])["train"]["epochs"] == 10
