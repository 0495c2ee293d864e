"""FLYP: the contrastive loss is its formula, and the head is always that of the text tower as it is."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fpray.config import Sweep
from fpray.methods.contrastive import clip_loss, encoded_once
from fpray.methods.flyp import FLYP
from fpray.model import Reference, rows_of_prompts
from fpray.testing import first_batch


def made(reference: Reference, **params: str) -> FLYP:
    return FLYP.make({"lr": 1e-3} | params, reference)


def moved(reference: Reference, **params: str) -> FLYP:
    """The method away from the reference in both towers."""
    method, generator = made(reference, **params), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (p for p in method.parameters() if p.requires_grad):
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    method.after_step(1.0)
    return method.eval()


def log_softmax_of(row: list[float], place: int) -> float:
    return row[place] - math.log(sum(math.exp(value) for value in row))


def test_the_contrastive_loss_is_the_mean_over_both_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.nn.functional.normalize(torch.randn(5, 3, generator=generator), dim=-1) for _ in range(2))
    logits = [[7.0 * float(z @ t) for t in texts] for z in images]
    over_texts = [-log_softmax_of(logits[i], i) for i in range(5)]
    over_images = [-log_softmax_of([row[i] for row in logits], i) for i in range(5)]
    expected = (sum(over_texts) / 5 + sum(over_images) / 5) / 2
    assert float(clip_loss(images, texts, torch.tensor(7.0))) == pytest.approx(expected, rel=1e-5)


def test_the_texts_are_those_of_the_images_classes(reference: Reference) -> None:
    method = moved(reference)
    batch = first_batch(method)
    clip, data = method.loaded, reference.dataset
    with torch.no_grad():
        torch.manual_seed(5)
        found = float(method(batch)["contrastive"])
        torch.manual_seed(5)
        drawn = torch.randint(len(data.templates), (12,)).tolist()
        assert set(drawn) == {0, 1}
        classes = [data.classes[label] for label in batch["labels"].tolist()]
        texts = clip.encode_text([data.templates[t].replace("{}", c) for t, c in zip(drawn, classes, strict=True)])
        expected = float(clip_loss(method.classifier.features(batch["images"]), texts, clip.logit_scale.exp()))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_ablation_classifies_by_one_drawn_text_for_each_class(reference: Reference) -> None:
    method = moved(reference, form="cross_entropy")
    batch = first_batch(method)
    clip, data = method.loaded, reference.dataset
    with torch.no_grad():
        torch.manual_seed(5)
        found = float(method(batch)["cross_entropy"])
        torch.manual_seed(5)
        drawn = torch.randint(len(data.templates), (3,)).tolist()
        texts = clip.encode_text([data.templates[t].replace("{}", c) for t, c in zip(drawn, data.classes, strict=True)])
        total = 0.0
        for z, label in zip(method.classifier.features(batch["images"]), batch["labels"].tolist(), strict=True):
            total -= log_softmax_of([float(clip.logit_scale.exp() * z @ t) for t in texts], label)
    assert found == pytest.approx(total / 12, rel=1e-4)


def test_it_begins_as_the_zero_shot_classifier(reference: Reference, pixels: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(made(reference).current().eval()(pixels), reference.classifier(pixels))


def test_the_head_is_that_of_the_trained_text_tower(reference: Reference) -> None:
    method = moved(reference)
    assert not torch.allclose(method.current().head.weight, reference.classifier.head.weight, atol=1e-2)
    assert torch.equal(method.current().head.weight, rows_of_prompts(method.loaded, method.prompts))
    assert method.current() is method.plain()
    before = method.current().head.weight.clone()
    with torch.no_grad():
        method.loaded.logit_scale.add_(1)
    method.after_step(1.0)
    torch.testing.assert_close(method.current().head.weight, before * math.e)


def test_the_image_tower_is_one_and_not_the_references(reference: Reference) -> None:
    method = made(reference)
    assert method.clip.get_submodule("visual") is method.classifier.encoder
    shared = {id(weight) for weight in reference.loaded.clip.parameters()}
    assert not [name for name, weight in method.clip.named_parameters() if id(weight) in shared]


def test_equal_texts_are_encoded_once(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, asked = reference.loaded, list[int]()
    prompts = clip.tokenizer(["red", "blue", "red", "red"])
    encode = type(clip).encode_tokens
    monkeypatch.setattr(type(clip), "encode_tokens", lambda self, t: asked.append(len(t)) or encode(self, t))
    with torch.no_grad():
        found = encoded_once(clip, prompts)
        torch.testing.assert_close(found, encode(clip, prompts))
    assert asked == [2]


@pytest.mark.parametrize("augment", [{"mixup": 0.2}, {"label_smoothing": 0.1}])
def test_an_image_is_of_one_class(augment: dict[str, float]) -> None:
    written = {"name": "any", "methods": ["full", "flyp"], "train": {"augment": augment}}
    with pytest.raises(ValidationError, match=rf"train\.augment\.{next(iter(augment))}: flyp compares .* set it to 0"):
        Sweep.model_validate(written)
    Sweep.model_validate(written | {"methods": ["full"]})


def test_a_batch_can_not_be_cut_in_parts() -> None:
    written = {"name": "any", "methods": ["full", "flyp"], "train": {"accumulate": 2}}
    with pytest.raises(ValidationError, match="flyp compares the images of a batch with each other"):
        Sweep.model_validate(written)
    Sweep.model_validate(written | {"methods": ["full"]})
