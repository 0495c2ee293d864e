"""What is fixed of a method's images is computed once, and another trial gets it to the bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from fpray.config.augment import Augment
from fpray.config.train import Train
from fpray.data import Batch, Draws
from fpray.kept import kept_files
from fpray.methods import METHODS
from fpray.methods.kd import KD
from fpray.model.reference import Reference
from fpray.training.fixed import fixed_for
from fpray.training.loop import train
from fpray.training.runtime import Runtime
from tests.training.test_loop import build

SETTINGS = Train(epochs=3, batch_size=20, warmup_steps=3)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path))


def features_kept() -> int:
    """The number of files of features; those of crops are of another kind."""
    return sum("fixed part" in what for _, what in kept_files())


def distilled(
    reference: Reference, alone: Runtime, *, kept: int, settings: Train = SETTINGS, seed: int = 0, strength: float = 0.5
) -> tuple[dict[str, Tensor], int]:
    """The weights that KD ends with, and the images that the reference was asked about."""
    asked = 0

    def count(module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        nonlocal asked
        asked += len(args[0]) if module is reference.classifier.encoder else 0

    own = dataclasses.replace(reference, kept_bytes=kept)
    method = METHODS["kd"].make({"lr": 1e-3, "strength": strength, "form": "kl", "temperature": 1.0}, own)
    with register_module_forward_pre_hook(count):
        train(method, settings, seed, reference.dataset.splits(), alone, None, lambda checkpoint: None)
    return {key: value.clone() for key, value in method.state_dict().items()}, asked


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS.model_copy(update={"accumulate": 3})], ids=["whole", "cut"])
def test_a_second_trial_gets_what_the_first_computed_and_ends_the_same(
    settings: Train, reference: Reference, alone: Runtime
) -> None:
    plain, all_of_them = distilled(reference, alone, kept=0, settings=settings)
    first, computed = distilled(reference, alone, kept=2**24, settings=settings)
    second, again = distilled(reference, alone, kept=2**24, settings=settings)
    assert equal(first, plain) and equal(second, plain)
    assert computed == all_of_them == 3 * 40
    assert again == (20 if settings.accumulate == 1 else 7), "the first part tells what a row is, no other is computed"
    _, with_another_strength = distilled(reference, alone, kept=2**24, settings=settings, strength=0.9)
    assert with_another_strength == again


def test_other_draws_or_batches_have_a_file_of_their_own(reference: Reference, alone: Runtime) -> None:
    distilled(reference, alone, kept=2**24)
    for change in ({"seed": 1}, {"settings": SETTINGS.model_copy(update={"batch_size": 24})}):
        before = features_kept()
        plain, asked = distilled(reference, alone, kept=0, **change)  # type: ignore[arg-type]
        own, computed = distilled(reference, alone, kept=2**24, **change)  # type: ignore[arg-type]
        assert equal(own, plain) and computed == asked
        assert features_kept() == before + 1


def test_a_damaged_row_is_computed_with_its_batch(reference: Reference, alone: Runtime) -> None:
    plain, _ = distilled(reference, alone, kept=2**24)
    (file,) = [file for file, what in kept_files() if "fixed part" in what]
    content = bytearray(file.read_bytes())
    content[-40] ^= 1  # of the last draw of the last epoch, if it is in a batch, or of one that is in none
    content[-16 * 4 * 30] ^= 1
    file.write_bytes(content)
    again, computed = distilled(reference, alone, kept=2**24)
    assert equal(again, plain)
    assert computed in (20, 40, 60)


def test_a_method_without_such_numbers_keeps_none(reference: Reference, alone: Runtime) -> None:
    method = METHODS["full"].make({"lr": 1e-3}, reference)
    draws = Draws(reference.augmented(reference.dataset.splits()[0]), 0, 3)
    assert fixed_for(method, draws, SETTINGS, alone) is None


def test_images_that_more_than_the_draw_decides_are_not_kept(reference: Reference, alone: Runtime) -> None:
    own = dataclasses.replace(reference, kept_bytes=2**24)
    method = METHODS["kd"].make({"lr": 1e-3, "strength": 0.5, "form": "kl", "temperature": 1.0}, own)
    draws = Draws(reference.augmented(reference.dataset.splits()[0]), 0, 3)
    draws.items.source = lambda epochs, seed: None  # type: ignore[method-assign]
    fixed = fixed_for(method, draws, SETTINGS, alone)
    assert fixed is not None
    batch: Batch = {"images": torch.zeros(2, 3, 32, 32), "labels": torch.zeros(2), "draws": torch.tensor([3, 4])}
    assert torch.equal(fixed.added_to(batch)["fixed"], reference.classifier.features(batch["images"]))
    assert features_kept() == 0


def test_a_method_of_ones_own_computes_each_time(reference: Reference, alone: Runtime) -> None:
    """It may be another one tomorrow, under the same name."""

    class Own(KD):
        def fixed(self, batch: Batch) -> Tensor:
            return 2 * super().fixed(batch)

    own = dataclasses.replace(reference, kept_bytes=2**24)
    method = Own.make({"lr": 1e-3, "strength": 0.5, "form": "kl", "temperature": 1.0}, own)
    fixed = fixed_for(method, Draws(reference.augmented(reference.dataset.splits()[0]), 0, 3), SETTINGS, alone)
    assert fixed is not None
    batch: Batch = {"images": torch.zeros(2, 3, 32, 32), "labels": torch.zeros(2), "draws": torch.tensor([3, 4])}
    assert torch.equal(fixed.added_to(batch)["fixed"], 2 * reference.classifier.features(batch["images"]))
    assert features_kept() == 0


def test_smoothed_labels_leave_it_as_it_is(reference: Reference, alone: Runtime) -> None:
    settings = SETTINGS.model_copy(update={"augment": Augment(label_smoothing=0.1)})
    distilled(reference, alone, kept=2**24)
    _, asked = distilled(reference, alone, kept=2**24, settings=settings)
    assert asked == 20


def test_with_mixup_it_is_of_the_mixed_images_and_none_is_kept(reference: Reference, alone: Runtime) -> None:
    settings = SETTINGS.model_copy(update={"augment": Augment(mixup=0.5)})
    distilled(reference, alone, kept=2**24)
    before = features_kept()
    plain, all_of_them = distilled(reference, alone, kept=0, settings=settings)
    for _ in range(2):
        own, computed = distilled(reference, alone, kept=2**24, settings=settings)
        assert equal(own, plain) and computed == all_of_them == 3 * 40
    assert features_kept() == before


@pytest.mark.parametrize("name", ["kd", "car_ft", "lipsum_ft"])
def test_with_mixup_the_teacher_sees_what_the_student_sees(name: str, reference: Reference, alone: Runtime) -> None:
    def seen(settings: Train) -> tuple[list[Tensor], list[Tensor]]:
        own = dataclasses.replace(reference, kept_bytes=2**24)
        method, by_teacher, by_student = build(name, own), list[Tensor](), list[Tensor]()

        def note(module: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
            if module is own.classifier.encoder:
                by_teacher.append(args[0].clone())
            elif module is method.classifier.encoder and module.training:
                by_student.append(args[0].clone())

        with register_module_forward_pre_hook(note):
            train(method, settings, 0, own.dataset.splits(), alone, None, lambda checkpoint: None)
        return by_teacher, by_student

    _, plain = seen(SETTINGS)
    teacher, student = seen(SETTINGS.model_copy(update={"augment": Augment(mixup=0.5)}))
    assert len(teacher) == len(student) == len(plain) == 6
    for own, known, unmixed in zip(student, teacher, plain, strict=True):
        assert torch.equal(own, known) and not torch.equal(own, unmixed)
