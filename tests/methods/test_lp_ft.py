"""LP-FT: it starts as the best linear probe, and trains encoder and head from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from upath import UPath

from fpray.config import check_sweep
from fpray.methods.linear_probe import LinearProbe
from fpray.methods.lp_ft import LPFT
from fpray.model import Reference, weights_of
from fpray.records import RecordStore
from tests.finished import pictures
from tests.sweeps import run_here

__all__ = ["pictures"]


def test_it_starts_with_the_probes_logits(reference: Reference, pixels: Tensor) -> None:
    probe = LinearProbe.make({"lr": 1e-2}, reference)
    with torch.no_grad():
        probe.classifier.head.weight += torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
        probe.classifier.head.bias += torch.arange(3.0)
        method = LPFT.make({"lr": 1e-4}, reference)
        method.take_sources([weights_of(probe.plain())])
        assert torch.equal(method.eval().classifier(pixels), probe.eval().classifier(pixels))
    assert all(weight.requires_grad for weight in method.parameters())


def test_in_a_sweep_it_builds_on_the_best_probe(pictures: Path, tiny_clip: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "name": "two-phases",
        "data": {"layout": "domains", "root": str(pictures), "id": "photo", "id_val": 0.3, "ood_val": 0.4},
        "model": {"name": tiny_clip},
        "train": {"epochs": 2, "batch_size": 16, "alphas": 3, "lr": 1e-3},
        "methods": {
            "linear_probe": {"lr": {"grid": [1e-4, 3e-2, 1e-3]}},
            "lp_ft": {"trials": 2, "lr": {"log": [1e-3, 1e-2]}},
            "wise_ft": {"trials": 2, "of": "lp_ft"},
        },
        "storage": str(tmp_path),
    }
    sweep = check_sweep(content, "two.yaml")
    run_here(sweep)
    records = {r.trial.id: r for r in RecordStore(UPath(tmp_path) / "two-phases").read_all()}
    assert len(records) == 7 and all(record.status == "finished" for record in records.values())
    probes = {id_: record.results["id/val"].top1 for id_, record in records.items() if id_.startswith("linear_probe")}
    for record in records.values():
        if record.trial.method == "lp_ft":
            assert probes[record.trial.sources[0]] == max(probes.values())
            assert record.history
        if record.trial.method == "wise_ft":
            assert record.trial.sources[0].startswith("lp_ft")
