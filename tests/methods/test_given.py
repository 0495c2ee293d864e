"""Given: a checkpoint of one's own is read as what it is, and what doesn't fit is told before any trial."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor

from fpray.errors import UserError
from fpray.methods.given import Given
from fpray.methods.wise_ft import WiseFT
from fpray.model.classifier import weights_of
from fpray.model.reference import Reference
from fpray.space import Constant, Grid, Params
from fpray.testing import TINY, MethodConformance, make_tiny_clip
from tests.evil import Evil


@pytest.fixture(scope="session")
def other() -> CLIP:
    """A CLIP of the tiny architecture with weights of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return CLIP(**TINY).eval()


@pytest.fixture
def written(other: CLIP, tmp_path: Path) -> Path:
    """Its weights in a file."""
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in other.state_dict().items()}}, tmp_path / "own.pt"
    )
    return tmp_path / "own.pt"


@pytest.fixture
def exported(other: CLIP, tmp_path: Path) -> Path:
    """Its folder as `fpray export` writes one, with a head whose rows are in another order than the data's."""
    folder = tmp_path / "exported"
    folder.mkdir()
    make_tiny_clip(folder)
    save_file({k: v.contiguous() for k, v in other.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "classes.json").write_text(json.dumps(["blue square", "red square", "green square"]))
    weight = torch.arange(3.0)[:, None] * torch.ones(3, 16)
    save_file({"weight": weight, "bias": torch.arange(3.0)}, folder / "head.safetensors")
    return folder


class TestGiven(MethodConformance):
    """As every method."""

    method = Given

    @pytest.fixture(autouse=True)
    def _own(self, written: Path) -> None:
        self.path = str(written)

    def params(self) -> Params:
        return {"checkpoint": self.path}


def features(clip: CLIP, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return clip.encode_image(pixels, normalize=True)


def test_a_file_of_weights_gets_its_own_zero_shot_head(
    written: Path, other: CLIP, reference: Reference, pixels: Tensor
) -> None:
    classifier = Given.make({"checkpoint": str(written)}, reference).plain()
    own = features(other, pixels)
    prompts = (
        [f"a {name}." for name in reference.dataset.classes],
        [f"a photo of a {n}." for n in reference.dataset.classes],
    )
    with torch.no_grad():
        texts = torch.stack([other.encode_text(reference.loaded.tokenizer(p), normalize=True) for p in prompts]).mean(0)
        expected = other.logit_scale.exp() * own @ torch.nn.functional.normalize(texts, dim=-1).T
        torch.testing.assert_close(classifier(pixels), expected, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(classifier(pixels), reference.classifier(pixels), atol=1e-2)


def test_an_exported_folders_head_is_taken_in_the_datas_order(
    exported: Path, other: CLIP, reference: Reference, pixels: Tensor
) -> None:
    classifier = Given.make({"checkpoint": str(exported)}, reference).plain()
    assert classifier.head.bias.tolist() == [1, 2, 0]
    assert classifier.head.weight[:, 0].tolist() == [1, 2, 0]
    with torch.no_grad():
        torch.testing.assert_close(classifier.features(pixels), features(other, pixels))


def test_wise_ft_goes_from_the_pre_trained_model_to_it(written: Path, reference: Reference) -> None:
    own = weights_of(Given.make({"checkpoint": str(written)}, reference).plain())
    method = WiseFT.make({"alpha": 0.25}, reference)
    method.take_sources([own])
    between, start = weights_of(method.plain()), weights_of(reference.classifier)
    for key, value in between.items():
        torch.testing.assert_close(value, 0.75 * start[key] + 0.25 * own[key])


def without_visual(folder: Path) -> Path:
    save_file({"visual.proj": torch.zeros(32, 16)}, folder / "half.safetensors")
    return folder / "half.safetensors"


def of_another_size(folder: Path) -> Path:
    torch.save(CLIP(**TINY | {"embed_dim": 8}).state_dict(), folder / "narrow.pt")
    return folder / "narrow.pt"


def no_weights(folder: Path) -> Path:
    (folder / "notes.pt").write_text("not weights")
    return folder / "notes.pt"


def code(folder: Path) -> Path:
    torch.save({"state_dict": Evil(folder / "executed")}, folder / "evil.pt")
    return folder / "evil.pt"


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "gone.pt", "no such file or folder: '.*gone.pt'; name one that is there"),
        (without_visual, r"'.*' is no checkpoint of '.*' \(.* is missing there\); name the model"),
        (of_another_size, r"'.*narrow.pt' is no checkpoint of '.*' \(.* is .*8.* there and .*16.* in the model\)"),
        (no_weights, "'.*notes.pt' is no file of weights; name one that torch.save wrote"),
        (code, "'.*evil.pt' holds more than tensors, which could run code and is not read"),
        (empty, "'.*empty' can't be read .*config file missing"),
    ],
)
def test_what_cannot_be_taken_is_told_in_a_sentence(
    make: Callable[[Path], Path], said: str, tmp_path: Path, reference: Reference
) -> None:
    path = str(make(tmp_path))
    with pytest.raises(UserError, match=f"methods.given.checkpoint: {said}") as caught:
        Given.check(reference.loaded, {"checkpoint": Constant(path)}, reference.dataset.classes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_a_head_of_other_classes_is_told(exported: Path, reference: Reference, tmp_path: Path) -> None:
    more = Path(shutil.copytree(exported, tmp_path / "more"))
    for classes, said in (
        (["red square", "cube"], "tells 3 classes apart, and 'cube' is none of them"),
        (["red square", "blue square"], "knows a class 'green square' too, which the data has not"),
    ):
        with pytest.raises(UserError, match=said):
            Given.check(reference.loaded, {"checkpoint": Grid((str(more),))}, classes)
    Given.check(reference.loaded, {"checkpoint": Grid((str(exported), str(more)))}, reference.dataset.classes)
