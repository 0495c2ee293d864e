"""batch_size: auto is the largest power of two that fits, found by real steps of every method."""

from __future__ import annotations

import pytest
import torch

from fpray.config.file import check_sweep
from fpray.config.train import Train
from fpray.methods import Batch, TrainedMethod
from fpray.methods.full import Full
from fpray.methods.linear_probe import LinearProbe
from fpray.model.reference import Reference
from fpray.space import Space
from fpray.testing import registered, scripted
from fpray.training.batchsize import fits, largest, take_steps

METHODS = ["zero_shot", "linear_probe", "full", "kd", "lora", "wise_ft"]
TRAIN = Train()


@pytest.mark.parametrize(("most", "found"), [(0, 0), (1, 1), (3, 2), (16, 16), (17, 16), (10**9, 64)])
def test_the_largest_power_of_two_that_fits_and_is_within_the_limit(most: int, found: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= most

    assert largest(fits, limit=100) == found
    assert len(tried) == len(set(tried))


def spaces_of(*names: str) -> dict[str, Space]:
    sweep = check_sweep({"name": "s", "methods": [*METHODS, *names]}, "s")
    return {name: settings.space() for name, settings in sweep.methods.items()}


def test_what_does_not_fit_is_found_by_taking_steps(reference: Reference) -> None:
    def have_room_for_eight(batch: Batch) -> None:
        if len(batch["labels"]) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with registered(scripted(before_losses=have_room_for_eight)):
        assert fits(TRAIN, spaces_of("scripted"), reference, 8)
        assert not fits(TRAIN, spaces_of("scripted"), reference, 9)


def test_every_method_takes_its_steps(reference: Reference) -> None:
    assert fits(TRAIN, spaces_of(), reference, 4)


def test_only_methods_that_train_the_encoder_are_tried(reference: Reference) -> None:
    def change(method: TrainedMethod) -> bool:
        before = method.classifier.head.weight.detach().clone()
        take_steps(method, TRAIN, 2)
        return not torch.equal(method.classifier.head.weight, before)

    assert change(Full.make({"lr": 1e-3}, reference))
    assert not change(LinearProbe.make({"lr": 1e-3}, reference))


def test_an_error_that_is_not_memorys_stays_itself(reference: Reference) -> None:
    def fail(batch: Batch) -> None:
        raise RuntimeError("wrong")

    with registered(scripted(before_losses=fail)), pytest.raises(RuntimeError, match="wrong"):
        fits(TRAIN, spaces_of("scripted"), reference, 2)
