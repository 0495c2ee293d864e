"""CAR-FT: its loss is the paper's formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.distributions import Categorical, kl_divergence

from fpray.methods.car_ft import CarFT, contexts_of
from fpray.model import Reference
from fpray.testing import Squares, first_batch, small_reference


class OneTemplate(Squares):
    @property
    def templates(self) -> Sequence[str]:
        return ("a {}.",)


def moved(reference: Reference) -> CarFT:
    """The method away from the reference in every weight of the encoder."""
    method = CarFT.make({"lr": 1e-3, "strength": 2.0}, reference)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in method.classifier.encoder.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return method.eval()


def test_the_divergence_is_the_formula() -> None:
    reference = small_reference()
    method = moved(reference)
    batch = first_batch(method)
    contexts = contexts_of(reference)
    assert contexts.shape == (2, 16)  # two templates
    torch.testing.assert_close(contexts.norm(dim=-1), torch.full((2,), 20.0))  # the tiny CLIP's scale
    with torch.no_grad():
        p0 = Categorical(logits=reference.classifier.features(batch["images"]) @ contexts.T)
        p = Categorical(logits=method.classifier.features(batch["images"]) @ contexts.T)
        expected = kl_divergence(p0, p).mean()
        loss = method(batch)["context"]
    assert expected > 1e-3
    torch.testing.assert_close(loss, 2 * expected, rtol=1e-4, atol=1e-6)


def test_there_is_nothing_to_keep_at_the_reference() -> None:
    method = CarFT.make({"lr": 1e-3, "strength": 1.0}, small_reference()).eval()
    torch.testing.assert_close(method(first_batch(method))["context"].detach(), torch.tensor(0.0), rtol=0, atol=1e-6)


def test_there_is_nothing_to_keep_with_one_template() -> None:
    method = moved(replace(small_reference(), dataset=OneTemplate()))
    assert method(first_batch(method))["context"] == 0
