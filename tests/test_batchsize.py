"""batch_size: auto is the largest power of two that fits, found by real steps of every method."""

from __future__ import annotations

import pytest
import torch

from fpray.batchsize import fits, largest, take_steps
from fpray.methods import METHODS, TrainedMethod
from fpray.methods.full import Full
from fpray.methods.linear_probe import LinearProbe
from fpray.reference import Reference
from fpray.sweepfile import check_sweep

SWEEP = check_sweep({"name": "s", "methods": ["zero_shot", "linear_probe", "full", "kd", "lora", "wise_ft"]}, "s")


@pytest.mark.parametrize(("most", "found"), [(0, 0), (1, 1), (3, 2), (16, 16), (17, 16), (10**9, 64)])
def test_the_largest_power_of_two_that_fits_and_is_within_the_limit(most: int, found: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= most

    assert largest(fits, limit=100) == found
    assert len(tried) == len(set(tried))


class Greedy(Full):
    """Full fine-tuning on a device that has room for eight images."""

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(labels) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return dict(super().forward(inputs, labels))


def test_what_does_not_fit_is_found_by_taking_steps(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "full", Greedy)
    assert fits(SWEEP, reference, 8)
    assert not fits(SWEEP, reference, 9)


def test_every_method_takes_its_steps(reference: Reference) -> None:
    assert fits(SWEEP, reference, 4)


def test_only_methods_that_train_the_encoder_are_tried(reference: Reference) -> None:
    def change(method: TrainedMethod) -> bool:
        before = method.classifier.head.weight.detach().clone()
        take_steps(method, SWEEP, 2)
        return not torch.equal(method.classifier.head.weight, before)

    assert change(Full(Full.Params(lr=1e-3), reference))
    assert not change(LinearProbe(LinearProbe.Params(lr=1e-3), reference))


def test_an_error_that_is_not_memorys_stays_itself(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Full):
        def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            raise RuntimeError("wrong")

    monkeypatch.setitem(METHODS, "full", Wrong)
    with pytest.raises(RuntimeError, match="wrong"):
        fits(SWEEP, reference, 2)
