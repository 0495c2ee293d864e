"""Lipsum-FT: its loss is the paper's formula, of texts that are new in each step and the same for all workers."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import pytest
import torch

from fpray.errors import UserError
from fpray.methods.lipsum_ft import LipsumFT, random_texts
from fpray.model import Reference
from fpray.testing import first_batch

PARAMS = {"lr": 1e-3, "strength": 2.0, "texts": 5, "tokens": 3}


def moved(reference: Reference) -> LipsumFT:
    """The method away from the reference in every weight of the encoder."""
    method = LipsumFT.make(PARAMS, reference)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in method.classifier.encoder.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return method.eval()


def test_the_change_is_the_formula(reference: Reference) -> None:
    method = moved(reference)
    batch = first_batch(method)
    clip = reference.loaded
    with torch.no_grad():
        texts = clip.encode_tokens(random_texts(clip, 5, 3, 0))
        torch.testing.assert_close(texts.norm(dim=-1), torch.ones(5))
        total, images = 0.0, method.classifier.features(batch["images"])
        for z, z0 in zip(images, reference.classifier.features(batch["images"]), strict=True):
            total += sum(float(20 * (z - z0) @ t) ** 2 for t in texts) / (2 * 5)  # 20: the tiny CLIP's scale
        found = float(method(batch)["lipsum"])
    assert found == pytest.approx(2 * total / len(images), rel=1e-4)
    assert found > 1e-3


def test_texts_are_tokens_between_start_and_end(reference: Reference) -> None:
    texts = random_texts(reference.loaded, 50, 8, 3)
    assert texts.shape == (50, 16)  # the tiny CLIP's context
    assert set(texts[:, 0].tolist()) == {49406} and set(texts[:, 9].tolist()) == {49407}
    assert int(texts[:, 1:9].min()) >= 0 and int(texts[:, 1:9].max()) < 49406
    assert not texts[:, 10:].any()
    assert torch.equal(texts, random_texts(reference.loaded, 50, 8, 3))
    assert not torch.equal(texts, random_texts(reference.loaded, 50, 8, 4))


def test_each_step_has_texts_of_its_own_and_the_head_does_not_matter(reference: Reference) -> None:
    method = moved(reference)
    batch = first_batch(method)
    with torch.no_grad():
        first = float(method(batch)["lipsum"])
        method.classifier.head.weight.zero_()
        assert float(method(batch)["lipsum"]) == first
        method.after_step(1.0)
        assert float(method(batch)["lipsum"]) != first


def test_there_is_nothing_to_keep_at_the_reference(reference: Reference) -> None:
    method = LipsumFT.make(PARAMS, reference).eval()
    assert float(method(first_batch(method))["lipsum"].detach()) == pytest.approx(0, abs=1e-8)


def test_another_tokenizer_is_refused(reference: Reference) -> None:
    LipsumFT.check(reference.loaded, {}, ["a"])
    other = replace(reference.loaded, name="any/siglip", tokenizer=lambda texts: torch.zeros(len(texts), 16))
    with pytest.raises(UserError, match="methods.lipsum_ft: 'any/siglip' has a tokenizer of its own"):
        LipsumFT.check(other, {}, ["a"])
    assert open_clip.get_tokenizer("ViT-B-32").sot_token_id == 49406
