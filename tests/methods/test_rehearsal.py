"""Rehearsal: its losses are the formulas, of the images that are replayed."""

from __future__ import annotations

from typing import Any

import torch
from open_clip.loss import ClipLoss
from torch.distributions import Categorical, kl_divergence

from fpray.methods.rehearsal import Rehearsal
from fpray.model import Reference
from fpray.space import Choice, Constant
from fpray.testing import MethodConformance, first_batch, small_reference


class TestCaptions(MethodConformance):
    method = Rehearsal
    test_losses_are_means_over_images = None  # type: ignore[assignment] # it compares images with each other

    def params(self) -> Any:
        return super().params() | {"form": "captions"}


def moved(reference: Reference, form: str) -> Rehearsal:
    """The method away from the reference in every weight."""
    method = Rehearsal.make({"lr": 1e-3, "strength": 2.0, "form": form}, reference)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return method.eval()


def test_unlabelled_is_the_divergence_on_replayed_images() -> None:
    reference = small_reference()
    method = moved(reference, "unlabelled")
    batch = first_batch(method)
    batch = {**batch, "replayed": batch["replayed"][:7]}  # a size of their own
    with torch.no_grad():
        p0 = Categorical(logits=reference.classifier(batch["replayed"]))
        p = Categorical(logits=method.classifier(batch["replayed"]))
        p_labelled = Categorical(logits=method.classifier(batch["images"]))
        losses = method(batch)
    expected = kl_divergence(p0, p).mean()
    assert expected > 1e-3
    torch.testing.assert_close(losses["rehearsal"], 2 * expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses["cross_entropy"], -p_labelled.log_prob(batch["labels"]).mean())


def test_unlabelled_is_zero_at_the_reference() -> None:
    method = Rehearsal.make({"lr": 1e-3, "strength": 1.0, "form": "unlabelled"}, small_reference()).eval()
    loss = method(first_batch(method))["rehearsal"].detach()
    torch.testing.assert_close(loss, torch.tensor(0.0), rtol=0, atol=1e-6)


def test_captions_is_open_clips_loss_of_the_pairs() -> None:
    reference = small_reference()
    method = moved(reference, "captions")
    items, clip = method.replayed_data(), reference.loaded.clip
    batch = first_batch(method)
    texts = [(reference.rehearsed.all_images.captions or [])[index] for index in range(12)]
    assert torch.equal(batch["replayed_captions"], reference.loaded.tokenizer(texts)) and set(items[0]) == {
        "replayed",
        "replayed_captions",
    }
    with torch.no_grad():
        features = torch.nn.functional.normalize(method.classifier.encoder(batch["replayed"]), dim=-1)
        text_features = clip.encode_text(reference.loaded.tokenizer(texts), normalize=True)
        expected = ClipLoss()(features, text_features, clip.logit_scale.exp())
        loss = method(batch)["rehearsal"]
    torch.testing.assert_close(loss, 2 * expected, rtol=1e-4, atol=1e-6)


def test_what_it_asks_for_follows_from_the_forms_that_are_searched() -> None:
    for form, wanted in ((Constant("unlabelled"), "images"), (Choice(("unlabelled", "captions")), "pairs")):
        assert Rehearsal.replays({"form": form}) == wanted
        assert Rehearsal.compares({"form": form}) == (wanted == "pairs")
