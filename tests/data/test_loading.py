"""Loading: every image once an epoch, the same whoever loads it; an unreadable one has a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from fpray.data.encoded import ImageFiles
from fpray.data.loading import Draws, EpochBatches, Rounds, Transformed, in_order, loader
from fpray.errors import UserError
from fpray.model.reference import Reference

CPU = torch.device("cpu")


def batches_of(epoch: int, **changes: int) -> list[list[int]]:
    one = {"size": 50, "batch_size": 12, "seed": 3, "rank": 0, "world_size": 1} | changes
    batches = EpochBatches(**one, epochs=range(epoch, epoch + 1))
    drawn = list(batches)
    assert len(drawn) == len(batches) == batches.steps
    assert {e for batch in drawn for e, _ in batch} == {epoch}
    return [[index for _, index in batch] for batch in drawn]


def test_each_epoch_is_a_shuffle_of_its_own() -> None:
    epochs = [[i for batch in batches_of(epoch, batch_size=10) for i in batch] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs} | {tuple(range(50))}) == 5
    assert batches_of(2) == batches_of(2) != batches_of(2, seed=4)


def test_epochs_follow_each_other_in_one_stream() -> None:
    stream = EpochBatches(50, 12, seed=3, rank=0, world_size=1, epochs=range(2, 5))
    drawn = list(stream)
    assert len(stream) == len(drawn) == 3 * stream.steps == 12
    assert [batch[0][0] for batch in drawn] == [2] * 4 + [3] * 4 + [4] * 4
    assert [[i for _, i in batch] for batch in drawn] == [batch for epoch in (2, 3, 4) for batch in batches_of(epoch)]


def test_what_is_less_than_a_batch_waits_for_another_epoch() -> None:
    epochs = [batches_of(epoch) for epoch in range(20)]
    assert all([len(batch) for batch in epoch] == [12] * 4 for epoch in epochs)
    assert all(len({i for batch in epoch for i in batch}) == 48 for epoch in epochs)
    assert {i for epoch in epochs for batch in epoch for i in batch} == set(range(50))


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    assert [sorted(batch) for batch in batches_of(0, batch_size=512)] == [list(range(50))]


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_workers_share_out_each_global_batch(world_size: int) -> None:
    whole = batches_of(1)
    shares = [batches_of(1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        assert {len(part) for part in parts} == {12 // world_size}
        assert sorted(i for part in parts for i in part) == sorted(batch)


def test_workers_share_evenly_even_a_batch_larger_than_the_data() -> None:
    shares = [batches_of(0, batch_size=512, rank=rank, world_size=4) for rank in range(4)]
    assert [[len(batch) for batch in share] for share in shares] == [[12]] * 4  # 48 of 50 images


def test_rounds_are_epochs_that_may_be_entered_anywhere() -> None:
    whole = list(EpochBatches(50, 12, seed=3, rank=0, world_size=1, epochs=range(6)))  # 4 batches each
    for numbers in (range(0, 24), range(0, 3), range(5, 18), range(23, 24)):
        rounds = Rounds(50, 12, 3, 0, 1, numbers)
        assert list(rounds) == whole[numbers.start : numbers.stop]
        assert (len(rounds), rounds.steps, rounds.rounds) == (len(numbers), 4, -(-numbers.stop // 4))


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_meets_images_in_order(workers: int, reference: Reference) -> None:
    images = reference.dataset.images(reference.dataset.splits()[1])
    batches = list(in_order([(images, [5, 2, 9, 0, 11])], reference.loaded.preprocess.crop, workers, CPU, batch_size=2))
    assert [len(batch["images"]) for batch in batches] == [2, 2, 1]
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == [images.labels[i] for i in (5, 2, 9, 0, 11)]
    assert torch.equal(
        torch.cat([batch["images"] for batch in batches])[2], reference.loaded.preprocess.crop(images.pixels_of(9))
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_goes_through_one_split_after_another(workers: int, reference: Reference) -> None:
    one, other = (reference.dataset.images(split) for split in reference.dataset.splits()[1:3])
    parts = [(one, range(1, 18, 2)), (other, [3, 0]), (one, []), (other, [4])]
    batches = list(in_order(parts, reference.loaded.preprocess.crop, workers, CPU, batch_size=4))
    labels = [images.labels[index] for images, indices in parts for index in indices]
    assert [len(batch["images"]) for batch in batches] == [4, 4, 4]
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == labels
    assert torch.equal(batches[2]["images"][1], reference.loaded.preprocess.crop(other.pixels_of(3)))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_augmented_image_does_not_depend_on_who_loads_it(workers: int, reference: Reference) -> None:
    draws = Draws(reference.augmented(reference.dataset.splits()[0]), seed=5)

    def epochs(loaders: int) -> list[torch.Tensor]:
        batches, seen = EpochBatches(48, 12, seed=5, rank=0, world_size=1, epochs=range(2)), []
        for batch in loader(draws, loaders, CPU, batch_sampler=batches):
            torch.rand(loaders + 1)
            seen.append(batch["images"])
        return seen

    alone, shared = epochs(0), epochs(workers)
    assert len(alone) == 8
    assert all(torch.equal(one, other) for one, other in zip(alone, shared, strict=True))


def test_each_draw_augments_anew_and_leaves_the_process_its_random_numbers(reference: Reference) -> None:
    draws = Draws(reference.augmented(reference.dataset.splits()[0]), seed=0)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    pictures = [draws[epoch, 7]["images"] for epoch in range(4)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(draws[2, 7]["images"], pictures[2])
    assert len({picture.numpy().tobytes() for picture in pictures}) == 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """200 grey images whose brightness is their number; 7 and 8 are no images."""
    for number in range(200):
        Image.new("RGB", (8, 8), (number,) * 3).save(tmp_path / f"{number:03d}.png")
    for number in (7, 8):
        (tmp_path / f"{number:03d}.png").write_text("not an image")
    return tmp_path


def files(folder: Path) -> ImageFiles:
    return ImageFiles(folder, [f"{n:03d}.png" for n in range(200)], [n % 5 for n in range(200)])


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float().mean()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_training_image_is_skipped_and_noted(workers: int, folder: Path) -> None:
    images = files(folder)
    batches = EpochBatches(200, 50, 0, 0, 1, range(1))
    batched = loader(Draws(Transformed(images, brightness), 0), workers, CPU, batch_sampler=batches)
    seen = [(int(x), int(y)) for b in batched for x, y in zip(b["images"], b["labels"], strict=True)]
    assert len(seen) == 200
    assert sorted(seen) == sorted((n if n not in (7, 8) else 9, (n if n not in (7, 8) else 9) % 5) for n in range(200))
    assert [images.name_of(i) for i in images.unreadable.nonzero()] == ["007.png", "008.png"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_evaluation_image_is_black_and_noted(workers: int, folder: Path) -> None:
    images = files(folder)
    batches = list(in_order([(images, range(5, 11))], brightness, workers, CPU))
    assert torch.cat([batch["images"] for batch in batches]).tolist() == [5, 6, 0, 0, 9, 10]
    assert images.unreadable.nonzero().flatten().tolist() == [7, 8]


@pytest.mark.parametrize("workers", [0, 2])
def test_more_than_a_hundredth_unreadable_is_an_error(workers: int, folder: Path) -> None:
    (folder / "003.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"3 of 200 images can't be decoded, more than 1 %: 003.png, 007.png, 008.png"):
        list(in_order([(files(folder), range(200))], brightness, workers, CPU))
