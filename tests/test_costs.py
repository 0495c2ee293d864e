"""benchmarks/costs.py: which steps are compared, and what is counted as memory. How long anything took is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.costs import Bench, Costs, Ratio, measured, table
from fpray.config.file import check_sweep
from fpray.methods import METHODS, TrainedMethod
from fpray.testing import small_reference
from fpray.training import Runtime


@pytest.fixture(scope="module")
def bench() -> Bench:
    train = {"batch_size": 16, "warmup_steps": 0}
    data = {"rehearsal": {"source": "pretraining"}}
    sweep = check_sweep({"name": "costs", "data": data, "methods": "all", "train": train}, "test")
    return Bench(small_reference(), sweep, Runtime(torch.device("cpu")))


@pytest.fixture(scope="module")
def costs(bench: Bench) -> Costs:
    return measured(bench, ["kd", "ema", "linear_probe"], pairs=3, rounds=2, model="tiny")


def test_a_ratio_is_of_the_pairs() -> None:
    """The machine that is ten times slower in one pair is so for both of it."""
    ratio = Ratio.of([2.0, 20.0, 3.0, 2.0, 1.0], [1.0, 10.0, 1.0, 1.0, 1.0])
    assert (ratio.low, ratio.median, ratio.high) == (2.0, 2.0, 2.0)
    assert str(Ratio.of([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])) == "1.00 (0.75 to 1.25)"


def test_every_method_that_trains_and_asks_for_nothing_can_take_its_pairs(bench: Bench) -> None:
    names = [name for name in bench.sweep.methods if issubclass(METHODS[name], TrainedMethod)]
    assert {"full", "kd", "linear_probe", "lora", "lp_ft", "rehearsal"} <= set(names)
    for name in names:
        own = list(bench.seconds(name, pairs=2))
        assert len(own) == 2 and all(min(pair.values()) > 0 for pair in own), name


def test_what_is_fixed_is_computed_in_one_step_and_known_in_the_other(bench: Bench, costs: Costs) -> None:
    assert costs.methods["kd"].known is not None
    assert costs.methods["ema"].known is None
    calls = []
    stepper, batch = bench.ready("kd")
    encoder = bench.reference.classifier.encoder
    hook = encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    stepper.step(batch, 1.0)
    assert len(calls) == 1
    with torch.no_grad():
        fixed = stepper.method.fixed(batch)
    assert fixed is not None
    calls.clear()
    stepper.step({**batch, "fixed": fixed}, 1.0)
    hook.remove()
    assert calls == []


def test_pairs_are_those_of_all_rounds(costs: Costs) -> None:
    assert (costs.pairs, costs.batch, costs.model) == (6, 16, "tiny")


def test_memory_is_that_of_the_method(bench: Bench) -> None:
    full, again = bench.peak_bytes("full"), bench.peak_bytes("full")
    weights = sum(4 * weight.numel() for weight in bench.reference.classifier.parameters())
    assert full == again
    assert full > 4 * weights  # the weights, their gradients, and two moments
    assert bench.peak_bytes("ema") >= full + weights  # their average, too
    assert bench.peak_bytes("linear_probe") < full


def test_what_is_kept_is_read_again(costs: Costs, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(costs.model_dump_json(indent=1))
    assert Costs.model_validate_json(file.read_text()) == costs
    rows = list(table(costs))
    assert rows[1].startswith("| kd | ") and len(rows) == 4
