"""What a frozen model gives is computed once on a node: the same to the bit, and anew where anything differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fpray.data.layouts.domains import Domains, DomainsOptions
from fpray.kept import kept_files
from fpray.model.classifier import Classifier
from fpray.model.known import known_or_computed
from fpray.model.reference import Reference, load_reference


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpray.kept.kept_folder", lambda: tmp_path / "rows")


class Computing:
    """Computes a matrix, and counts how often."""

    def __init__(self, *uncertain: int) -> None:
        self.times, self._uncertain = 0, uncertain

    def __call__(self) -> Tensor:
        self.times += 1
        return torch.arange(12, dtype=torch.float32).reshape(4, 3)

    def asked(self, source: str = "a", limit: int = 2**20) -> Tensor:
        return known_or_computed("numbers", source, (4, 3), limit, self, lambda: self._uncertain)


def test_it_is_computed_once_for_each_source() -> None:
    computing = Computing()
    for source, times in (("a", 1), ("a", 1), ("b", 2), ("a", 2)):
        assert torch.equal(computing.asked(source), torch.arange(12).reshape(4, 3))
        assert computing.times == times


def test_without_room_it_is_computed_each_time() -> None:
    computing = Computing()
    assert torch.equal(computing.asked(limit=100), computing.asked(limit=100))
    assert computing.times == 2 and kept_files() == []


def test_where_a_row_is_not_certain_it_is_computed_again() -> None:
    computing = Computing(2)
    assert torch.equal(computing.asked(), computing.asked())
    assert computing.times == 2


def test_a_damaged_file_is_computed_again() -> None:
    computing = Computing()
    computing.asked()
    ((file, _),) = kept_files()
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert torch.equal(computing.asked(), torch.arange(12).reshape(4, 3))
    assert computing.times == 2


@pytest.fixture
def load(tmp_path: Path, tiny_clip: str) -> Callable[..., Reference]:
    """A reference as another process would load it, on two domains of which one has a broken image."""
    rng = np.random.default_rng(0)
    for domain in ("photo", "sketch"):
        for name in ("cat", "dog"):
            (tmp_path / "tree" / domain / name).mkdir(parents=True)
            for number in range(110):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "tree" / domain / name / f"{number:03d}.png")

    def load(kept_bytes: int = 2**30, template: str = "a {}.") -> Reference:
        options = DomainsOptions(layout="domains", root=str(tmp_path / "tree"), id="photo", templates=(template,))
        return load_reference(tiny_clip, None, Domains(options), torch.device("cpu"), kept_bytes=kept_bytes)

    return load


def refuse(*_: object) -> Tensor:
    raise AssertionError("computed again")


def test_features_and_head_are_those_that_a_process_computes_itself(
    load: Callable[..., Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, first = load(kept_bytes=0), load()
    splits = [split for split in plain.dataset.splits() if split.part != "train"]
    for split in splits:
        assert torch.equal(first.features(split), plain.features(split))
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "features", refuse)
        patch.setattr("fpray.model.reference.zero_shot_rows", refuse)
        second = load()
        assert torch.equal(second.classifier.head.weight, plain.classifier.head.weight)
        assert not second.classifier.head.bias.any()
        for split in splits:
            assert torch.equal(second.features(split), plain.features(split))
        with pytest.raises(AssertionError, match="computed again"):
            load(template="a drawing of a {}.")


def test_an_image_that_cannot_be_read_is_found_by_each_process(load: Callable[..., Reference]) -> None:
    (split,) = [split for split in load().dataset.splits() if split.name == "ood/sketch/test"]
    images = load().dataset.images(split)
    Path(images.root, images.name_of(3)).write_text("not an image")
    for _ in range(2):
        reference = load()
        reference.features(split)
        marks = reference.dataset.images(split).unreadable
        assert marks is not None and marks.nonzero().flatten().tolist() == [3]
