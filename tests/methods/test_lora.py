"""LoRA: only peft's low-rank factors and the head train, where asked, and what is left is open_clip's own model."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from fpray.config import Train
from fpray.errors import UserError
from fpray.methods.lora import LoRA
from fpray.methods.oft import OFT
from fpray.model.classifier import weights_of
from fpray.model.reference import Reference
from fpray.space import Choice, Constant
from fpray.training import Runtime, train

SETTINGS = Train(epochs=3, batch_size=16, warmup_steps=0)
DEFAULT = {"lr": 1e-3, "rank": 4, "alpha": 16.0, "dropout": 0.0, "layers": "both"}
ATTENTION, MLP = {"q", "k", "v", "out"}, {"c_fc", "c_proj"}


def method_of(reference: Reference, **params: Any) -> LoRA:
    torch.manual_seed(0)
    return LoRA.make(DEFAULT | params, reference)


def move(method: LoRA) -> None:
    """B starts at 0, where LoRA changes nothing."""
    with torch.no_grad():
        for key, weight in method.named_parameters():
            if "lora_B" in key:
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(key))))


@pytest.mark.parametrize(("layers", "wrapped"), [("attention", ATTENTION), ("mlp", MLP), ("both", ATTENTION | MLP)])
def test_factors_on_the_asked_layers_and_the_head_train(layers: str, wrapped: set[str], reference: Reference) -> None:
    method = method_of(reference, layers=layers)
    trainable = {key: p for key, p in method.named_parameters() if p.requires_grad}
    factors = {key for key in trainable if "lora_" in key}
    assert trainable.keys() - factors == {"classifier.head.weight", "classifier.head.bias"}
    assert {key.split(".lora_")[0].rpartition(".")[2] for key in factors} == wrapped
    assert len(factors) == 2 * 2 * len(wrapped)  # A and B in each of two blocks
    assert all(4 in trainable[key].shape for key in factors)


def test_it_starts_at_the_reference(reference: Reference, pixels: Tensor) -> None:
    with torch.no_grad():
        ours = method_of(reference).eval().classifier(pixels)
        torch.testing.assert_close(ours, reference.classifier(pixels), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", ["attention", "mlp", "both"])
def test_merged_is_unmerged_under_plain_keys(layers: str, reference: Reference, pixels: Tensor) -> None:
    method = method_of(reference, layers=layers, dropout=0.4).eval()
    move(method)
    merged = method.plain().eval()
    plain, left = weights_of(reference.classifier), weights_of(merged)
    assert list(left) == list(plain)
    assert all(left[key].shape == plain[key].shape for key in plain)
    with torch.no_grad():
        live = method.classifier(pixels)
        torch.testing.assert_close(merged(pixels), live, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(live, reference.classifier(pixels), atol=0.05)


def test_merged_weights_are_w0_plus_scaled_product_of_the_factors(reference: Reference) -> None:
    method = method_of(reference, layers="attention", rank=2, alpha=6.0)
    move(method)
    factors = dict(method.named_parameters())
    left, start = weights_of(method.plain()), weights_of(reference.classifier)
    block = "resblocks.1.attn"
    for index, name in enumerate(("q", "k", "v")):
        prefix = f"classifier.encoder.base_model.model.transformer.{block}.{name}"
        delta = 3.0 * factors[f"{prefix}.lora_B.default.weight"] @ factors[f"{prefix}.lora_A.default.weight"]
        key = f"visual.transformer.{block}.in_proj_weight"
        change = left[key].chunk(3)[index] - start[key].chunk(3)[index]
        torch.testing.assert_close(change, delta.detach(), rtol=1e-4, atol=1e-6)
        assert change.abs().max() > 1e-2
    changed = {key for key in start if not torch.equal(left[key], start[key])}
    assert changed == {
        f"visual.transformer.resblocks.{block}.attn.{part}.weight".replace("in_proj.weight", "in_proj_weight")
        for block in (0, 1)
        for part in ("in_proj", "out_proj")
    }


@pytest.mark.parametrize(
    ("layer", "key", "rows"),
    [
        ("attn.k", "attn.in_proj_weight", slice(32, 64)),
        ("attn.out", "attn.out_proj.weight", slice(None)),
        ("mlp.c_fc", "mlp.c_fc.weight", slice(None)),
    ],
)
def test_at_full_rank_it_can_be_any_change_of_a_layer(
    layer: str, key: str, rows: slice, reference: Reference, pixels: Tensor
) -> None:
    dense = copy.deepcopy(reference.classifier)
    weight = dense.encoder.transformer.resblocks[1].get_parameter(key)[rows]
    change = 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        weight.add_(change)
    method = method_of(reference, rank=32, alpha=32.0).eval()
    u, s, v = torch.linalg.svd(change, full_matrices=False)
    factors, prefix = dict(method.named_parameters()), "classifier.encoder.base_model.model.transformer.resblocks.1."
    with torch.no_grad():
        factors[f"{prefix}{layer}.lora_B.default.weight"].copy_(u * s.sqrt())
        factors[f"{prefix}{layer}.lora_A.default.weight"].copy_(s.sqrt()[:, None] * v)
        expected = dense(pixels)
        assert not torch.allclose(expected, reference.classifier(pixels), atol=0.05)
        torch.testing.assert_close(method.classifier(pixels), expected, rtol=1e-4, atol=1e-5)
    left, known = weights_of(method.plain()), weights_of(dense)
    assert all(torch.allclose(left[name], known[name], rtol=1e-5, atol=1e-6) for name in known)


def test_a_tower_that_bypasses_its_layers_is_refused(reference: Reference) -> None:
    """timm's EVA hands the weight of `qkv` to a function: what LoRA adds to the layer would never be used."""
    eva = timm.models.eva.Eva(img_size=32, patch_size=16, embed_dim=32, depth=1, num_heads=2, num_classes=0)
    eva.image_size = 32
    clip = nn.Module()
    clip.visual = eva
    loaded = replace(reference.loaded, name="EVA", clip=clip)
    LoRA.check(loaded, {"layers": Constant("mlp")}, ["thing"])
    for layers in (Constant("attention"), Choice(("mlp", "both"))):
        with pytest.raises(UserError, match=r"methods.lora.layers: .* 'EVA' has no attention layers .*; write mlp"):
            LoRA.check(loaded, {"layers": layers}, ["thing"])


def test_the_check_leaves_the_model_as_it_is(reference: Reference) -> None:
    before = str(reference.loaded.clip.visual)
    LoRA.check(reference.loaded, {"layers": Choice(("attention", "mlp", "both"))}, ["thing"])
    assert str(reference.loaded.clip.visual) == before
    assert not any(module._forward_pre_hooks for module in reference.loaded.clip.modules())


def test_leaving_the_plain_model_keeps_the_method_as_it_is(reference: Reference, pixels: Tensor) -> None:
    method = method_of(reference).eval()
    move(method)
    with torch.no_grad():
        before = method.classifier(pixels)
        keys = list(method.state_dict())
        method.plain()
        assert torch.equal(method.classifier(pixels), before)
    assert list(method.state_dict()) == keys


def test_dropout_acts_in_training_only(reference: Reference, pixels: Tensor) -> None:
    method = method_of(reference, dropout=0.5)
    move(method)
    with torch.no_grad():
        method.eval()
        still = method.classifier(pixels)
        assert torch.equal(method.classifier(pixels), still)
        method.train()
        assert not torch.equal(method.classifier(pixels), method.classifier(pixels))
        method.eval()
        assert torch.equal(method.classifier(pixels), still)


def test_the_seed_decides_the_start(reference: Reference) -> None:
    first, again = (dict(method_of(reference).named_parameters()) for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    torch.manual_seed(1)
    other = dict(LoRA.make(DEFAULT, reference).named_parameters())
    assert any(not torch.equal(first[key], other[key]) for key in first if "lora_A" in key)


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora", "pissa"])
def test_each_variant_starts_at_the_reference_and_is_merged_equal(
    variant: str, reference: Reference, pixels: Tensor, alone: Runtime
) -> None:
    method = method_of(reference, variant=variant, rank=8, alpha=None)
    with torch.no_grad():
        torch.testing.assert_close(method.eval().classifier(pixels), reference.classifier(pixels), rtol=1e-4, atol=1e-4)
    torch.manual_seed(0)
    train(method, SETTINGS, 0, reference.dataset.splits(), alone, None, lambda checkpoint: None)
    with torch.no_grad():
        live = method.eval().classifier(pixels)
        torch.testing.assert_close(method.plain().eval()(pixels), live, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(live, reference.classifier(pixels), atol=0.01)


def factors_of(method: LoRA, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """A, B and the frozen weight of a layer."""
    found = dict(method.named_parameters())
    prefix = f"classifier.encoder.base_model.model.transformer.resblocks.0.{name}"
    a, b = (found[f"{prefix}.lora_{factor}.default.weight"].detach() for factor in "AB")
    return a, b, found[f"{prefix}.base_layer.weight"].detach()


def test_variants_are_their_formulas(reference: Reference) -> None:
    start = weights_of(reference.classifier)
    name, key = "mlp.c_fc", "visual.transformer.resblocks.0.mlp.c_fc.weight"
    stable = method_of(reference, variant="rslora", rank=4, alpha=None)
    move(stable)
    a, b, base = factors_of(stable, name)
    torch.testing.assert_close(weights_of(stable.plain())[key], base + 8 / 4**0.5 * b @ a, rtol=1e-4, atol=1e-5)
    principal = method_of(reference, variant="pissa", rank=4, alpha=None)
    a, b, base = factors_of(principal, name)
    u, s, v = torch.linalg.svd(start[key], full_matrices=False)
    torch.testing.assert_close(b @ a, u[:, :4] * s[:4] @ v[:4], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(base + b @ a, start[key], rtol=1e-4, atol=1e-5)
    lengths = method_of(reference, variant="dora", rank=4, alpha=None)
    move(lengths)
    a, b, base = factors_of(lengths, name)
    turned = base + b @ a
    expected = base.norm(dim=1, keepdim=True) * turned / turned.norm(dim=1, keepdim=True)
    torch.testing.assert_close(weights_of(lengths.plain())[key], expected, rtol=1e-4, atol=1e-5)


def test_oft_is_a_rotation(reference: Reference, pixels: Tensor, alone: Runtime) -> None:
    method = OFT.make({"lr": 1e-2, "layers": "mlp", "block_size": 8}, reference)
    with torch.no_grad():
        torch.testing.assert_close(method.eval().classifier(pixels), reference.classifier(pixels), rtol=1e-4, atol=1e-4)
    train(method, SETTINGS, 0, reference.dataset.splits(), alone, None, lambda checkpoint: None)
    start, left = weights_of(reference.classifier), weights_of(method.plain())
    for key in (f"visual.transformer.resblocks.{block}.mlp.c_fc.weight" for block in (0, 1)):
        torch.testing.assert_close(left[key] @ left[key].T, start[key] @ start[key].T, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(left[key], start[key], atol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(
            method.plain().eval()(pixels), method.eval().classifier(pixels), rtol=1e-4, atol=1e-4
        )
