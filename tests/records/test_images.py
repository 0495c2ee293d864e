"""What a trial said of each image: it reads back, takes few bytes, and an earlier version's bits are read too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from fpray.records import Count, DamagedRecordError, ImageResults, Record, RecordStore, Trial

RECORD = Record(trial=Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 1e-4}), started=1.0)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    (tmp_path / "trials" / "full-000").mkdir(parents=True)
    return RecordStore(UPath(tmp_path))


def results(images: int, seed: int = 0) -> ImageResults:
    rng = np.random.default_rng(seed)
    labels, classes = (rng.integers(0, 345, images).astype(np.uint16) for _ in range(2))
    return ImageResults(labels, classes, *(rng.random(images).astype(np.float16) for _ in range(2)))


def test_it_reads_back(store: RecordStore) -> None:
    written = {"id/test": results(1000), "ood/sketch/test": results(8, seed=1)}
    store.write_images("full-000", written)
    read = store.read_images("full-000")
    assert list(read) == list(written)
    for split, own in written.items():
        for part in ("labels", "classes", "confidences", "losses"):
            assert np.array_equal(getattr(read[split], part), getattr(own, part))
            assert getattr(read[split], part).dtype == getattr(own, part).dtype
    correct = store.read_correct(RECORD)
    assert correct["id/test"].tolist() == (written["id/test"].labels == written["id/test"].classes).tolist()


def test_an_image_takes_about_six_bytes(store: RecordStore) -> None:
    store.write_images("full-000", {"id/test": results(20_000)})  # random numbers are the hardest to pack
    assert (store.trial_folder("full-000") / "images.npz").stat().st_size < 7 * 20_000


def test_bits_of_an_earlier_version_are_read(store: RecordStore) -> None:
    bits = np.random.default_rng(0).random(11) < 0.5
    record = RECORD.finished(results={"id/test": Count(correct=int(bits.sum()), total=11)})
    with (store.trial_folder("full-000") / "correct.npz").open("wb") as file:
        np.savez(file, **{"id/test": np.packbits(bits)})
    assert np.array_equal(store.read_correct(record)["id/test"], bits)
    with pytest.raises(FileNotFoundError):
        store.read_images("full-000")


@pytest.mark.parametrize("name", ["images.npz", "correct.npz"])
@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: b"", lambda content: b"PK\3\4 cut"])
def test_damage_is_told(store: RecordStore, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = store.trial_folder("full-000") / name
    with path.open("wb") as file:
        np.savez(file, **{"id/test/labels": np.zeros(9, dtype=np.uint16)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedRecordError, match=f"{name}' is damaged"):
        store.read_correct(RECORD)
