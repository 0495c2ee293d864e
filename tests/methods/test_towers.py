"""Every kind of image tower that open_clip has, tiny: every method trains it, and what is left is open_clip's own."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.coca_model import CoCa
from open_clip.model import CLIP, CustomTextCLIP
from safetensors.torch import save_file
from torch import Tensor, nn
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.config.train import Train
from fpray.data.base import Dataset, Split
from fpray.errors import UserError
from fpray.methods import METHODS, Method, TrainedMethod
from fpray.methods.l1 import L1
from fpray.methods.l2 import L2
from fpray.methods.lora import LoRA
from fpray.methods.wise_ft import WiseFT
from fpray.model.classifier import load_weights, weights_of, zero_shot_head
from fpray.model.opening import open_model
from fpray.model.reference import Reference, load_reference
from fpray.records.record import Epoch
from fpray.sweep.preflight import preflight
from fpray.training.checkpoint import Checkpoint, newest_checkpoint
from fpray.training.loop import train
from fpray.training.runtime import Runtime

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
VIT = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16}
TIMM = {"timm_model_pretrained": False, "timm_proj": "linear"}
TOWERS: dict[str, dict[str, Any]] = {
    "vit": {"vision_cfg": VIT},
    "modified_resnet": {"vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}},
    "timm_vit": {"vision_cfg": TIMM | {"timm_model_name": "test_vit", "timm_pool": "token", "image_size": 160}},
    "timm_resnet": {"vision_cfg": TIMM | {"timm_model_name": "test_resnet", "timm_pool": "avg", "image_size": 32}},
    "timm_convnext": {"vision_cfg": TIMM | {"timm_model_name": "test_convnext", "timm_pool": "", "image_size": 32}},
    "siglip": {
        "vision_cfg": VIT | {"pool_type": "avg"},
        "text_cfg": TEXT | {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
        "custom_text": True,
        "init_logit_scale": 2.3026,
        "init_logit_bias": -10,
    },
    "coca": {
        "vision_cfg": VIT | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": TEXT | {"heads": 2, "attn_pooler_heads": 2},
        "custom_text": True,
    },
}
WITH_BATCH_NORM = ["modified_resnet", "timm_resnet"]
WITHOUT_ADAPTERS = ["modified_resnet", "timm_resnet", "timm_convnext"]
SETTINGS = Train(epochs=3, batch_size=16, warmup_steps=0, checkpoint_seconds=0)


def new_model(tower: str) -> nn.Module:
    """Plain open_clip of that architecture, with random weights."""
    config = {"embed_dim": 16, "text_cfg": TEXT} | copy.deepcopy(TOWERS[tower])
    kind = CLIP if not config.pop("custom_text", False) else CoCa if "multimodal_cfg" in config else CustomTextCLIP
    return kind(**config)


@pytest.fixture(scope="session")
def name_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Gives the model name of a tower's CLIP: a folder, made once."""
    names: dict[str, str] = {}

    def make(tower: str) -> str:
        if tower not in names:
            folder = tmp_path_factory.mktemp(tower)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                state = new_model(tower).state_dict()
            save_file({k: v.contiguous() for k, v in state.items()}, folder / "open_clip_model.safetensors")
            config = {"model_cfg": {"embed_dim": 16, "text_cfg": TEXT} | TOWERS[tower], "preprocess_cfg": {}}
            (folder / "open_clip_config.json").write_text(json.dumps(config))
            names[tower] = f"local-dir:{folder}"
        return names[tower]

    return make


@pytest.fixture(scope="session")
def reference_of(name_of: Callable[[str], str], squares: Dataset) -> Callable[[str], Reference]:
    """Gives the reference of a tower, made once."""
    references: dict[str, Reference] = {}

    def make(tower: str) -> Reference:
        if tower not in references:
            references[tower] = load_reference(name_of(tower), None, squares, torch.device("cpu"))
        return references[tower]

    return make


def build(name: str, reference: Reference) -> TrainedMethod:
    methods, replayed = [name, *(METHODS[name].builds_on or ())], {"rehearsal": {"source": "pretraining"}}
    space = Sweep(name="any", data=replayed, methods=methods).methods[name].space()
    params = {key: dimension.extremes()[0] for key, dimension in space.items()} | {
        "lr": 0.1 if name == "linear_probe" else 3e-3
    }
    torch.manual_seed(0)
    method = METHODS[name].make(params, reference)
    assert isinstance(method, TrainedMethod)
    return method


def run(method: TrainedMethod, runtime: Runtime) -> tuple[Epoch, ...]:
    kept: list[object] = []
    return train(method, SETTINGS, 0, [Split("id", "plain", "train")], runtime, None, kept.append).history


def some_pixels(reference: Reference) -> Tensor:
    images = reference.dataset.images(Split("id", "plain", "val"))
    return torch.stack([reference.loaded.preprocess(images[i]) for i in range(3)])


def same_in_plain_open_clip(method: Method, tower: str) -> None:
    """What the method leaves behind, saved: gives the same logits in fpray, and in plain open_clip with the head."""
    # Without gradients, as what is loaded: torch folds matrix products otherwise where a weight wants one.
    left, pixels = method.plain().eval().requires_grad_(False), some_pixels(method.reference)
    weights = weights_of(left)
    reloaded = copy.deepcopy(method.reference.classifier)
    load_weights(reloaded, weights)
    plain = new_model(tower).eval()
    missing, unexpected = plain.load_state_dict({k: v for k, v in weights.items() if k[:5] != "head."}, strict=False)
    assert not unexpected
    assert not [key for key in missing if key.startswith("visual.")]
    with torch.no_grad():
        logits = left(pixels)
        assert logits.isfinite().all()
        assert torch.equal(reloaded(pixels), logits)
        features = plain.encode_image(pixels, normalize=True)
        torch.testing.assert_close(features @ weights["head.weight"].T + weights["head.bias"], logits)


TRAINED = [name for name, kind in METHODS.items() if issubclass(kind, TrainedMethod)]
CASES = [
    *((tower, name) for tower in ("modified_resnet", "timm_resnet", "timm_vit") for name in TRAINED),
    *((tower, name) for tower in ("timm_convnext", "siglip", "coca") for name in ("full", "lora", "flyp")),
]


@pytest.mark.parametrize(
    ("tower", "name"), [case for case in CASES if case[1] not in ("lora", "oft") or case[0] not in WITHOUT_ADAPTERS]
)
def test_every_method_trains_every_tower(
    tower: str, name: str, reference_of: Callable[[str], Reference], alone: Runtime
) -> None:
    reference = reference_of(tower)
    before = {key: value.clone() for key, value in reference.classifier.state_dict().items()}
    method = build(name, reference)
    history = run(method, alone)
    first, last = (sum(history[i].losses.values()) for i in (0, -1))
    assert last < 0.95 * first
    same_in_plain_open_clip(method, tower)
    assert all(torch.equal(reference.classifier.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize("tower", TOWERS)
def test_zero_shot_leaves_what_was_loaded(tower: str, reference_of: Callable[[str], Reference]) -> None:
    same_in_plain_open_clip(METHODS["zero_shot"].make({}, reference_of(tower)), tower)


@pytest.mark.parametrize("tower", TOWERS)
def test_the_zero_shot_head_is_open_clips_classifier(tower: str, name_of: Callable[[str], str]) -> None:
    loaded = open_model(name_of(tower), None)
    classes, templates = ["red square", "blue square"], ["a {}.", "a photo of a {}."]
    theirs = open_clip.build_zero_shot_classifier(
        loaded.clip, loaded.tokenizer, classes, [t.replace("{}", "{0}") for t in templates]
    )
    head = zero_shot_head(loaded, classes, templates)
    torch.testing.assert_close(head.weight, theirs.T * loaded.clip.logit_scale.exp(), rtol=1e-5, atol=1e-5)
    assert torch.equal(head.bias, torch.zeros(2))


def test_siglips_bias_is_in_no_class_before_another(reference_of: Callable[[str], Reference]) -> None:
    reference = reference_of("siglip")
    loaded, pixels, classes = reference.loaded, some_pixels(reference), ["red square", "blue square"]
    with torch.no_grad():
        theirs = loaded.clip.get_logits(pixels, loaded.tokenizer([f"a {name}." for name in classes]))[0]
        ours = zero_shot_head(loaded, classes, ["a {}."])(reference.classifier.features(pixels))
    torch.testing.assert_close(ours - 10, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layers", ["attention", "mlp", "both"])
@pytest.mark.parametrize("tower", ["timm_vit", "coca"])
def test_lora_merged_is_lora_unmerged(tower: str, layers: str, reference_of: Callable[[str], Reference]) -> None:
    reference = reference_of(tower)
    method = LoRA.make({"lr": 1e-3, "rank": 4, "alpha": 16, "dropout": 0, "layers": layers}, reference).eval()
    with torch.no_grad():
        for key, weight in method.named_parameters():
            if "lora_B" in key:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(key))))
    merged, pixels = method.plain().eval(), some_pixels(reference)
    left, start = weights_of(merged), weights_of(reference.classifier)
    assert list(left) == list(start)
    changed = {part for key in start if not torch.equal(left[key], start[key]) for part in key.split(".")}
    assert ("attn" in changed, "mlp" in changed) == (layers != "mlp", layers != "attention")
    assert not changed & {"patch_embed", "conv1", "attn_pool", "head"}
    with torch.no_grad():
        torch.testing.assert_close(merged(pixels), method.classifier(pixels), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(merged(pixels), reference.classifier(pixels), atol=1e-3)


@pytest.mark.parametrize("tower", TOWERS)
def test_where_lora_cant_be_applied_is_said_before_the_sweep(tower: str, name_of: Callable[[str], str]) -> None:
    both = Sweep(name="any", model={"name": name_of(tower)}, methods=["full", "lora"])
    if tower not in WITHOUT_ADAPTERS:
        preflight(both, ["a"])
        return
    instead = "write mlp" if tower == "timm_convnext" else "leave lora out"
    with pytest.raises(UserError, match=f"methods.lora.layers: .* has no attention layers .*; {instead}$"):
        preflight(both, ["a"])
    preflight(both.model_copy(update={"methods": Sweep(name="any", methods=["full"]).methods}), ["a"])


@pytest.mark.parametrize("name", ["full", "flyp"])
@pytest.mark.parametrize("tower", TOWERS)
def test_every_weight_gets_a_gradient(tower: str, name: str, reference_of: Callable[[str], Reference]) -> None:
    """As several workers need it."""
    method = build(name, reference_of(tower))
    method.train()
    sum(method({"images": some_pixels(method.reference), "labels": torch.tensor([0, 1, 2])}).values()).backward()
    assert [key for key, p in method.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("tower", WITH_BATCH_NORM)
def test_wise_fts_ends_are_the_two_models_with_their_running_statistics(
    tower: str, reference_of: Callable[[str], Reference], alone: Runtime
) -> None:
    reference = reference_of(tower)
    method = build("full", reference)
    run(method, alone)
    ends = weights_of(reference.classifier), weights_of(method.plain())
    moved = {key for key in ends[0] if not torch.equal(ends[0][key], ends[1][key])}
    for statistic in ("running_mean", "running_var", "num_batches_tracked"):
        assert {key for key in ends[0] if key.endswith(statistic)} <= moved
    for alpha, end in zip((0.0, 1.0), ends, strict=True):
        assert (between := weights_of(interpolated(reference, ends[1], alpha))).keys() == end.keys()
        assert all(torch.equal(between[key], value) and between[key].dtype == value.dtype for key, value in end.items())
    half = weights_of(interpolated(reference, ends[1], 0.25))
    for key, value in half.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * ends[0][key] + 0.25 * ends[1][key])
        else:
            assert torch.equal(value, ends[0][key])


@pytest.mark.parametrize("tower", WITH_BATCH_NORM)
def test_a_checkpoint_has_the_running_statistics(
    tower: str, reference_of: Callable[[str], Reference], alone: Runtime, tmp_path: Path
) -> None:
    def keep(checkpoint: Checkpoint) -> None:
        checkpoint.write(UPath(tmp_path) / f"after-{len(checkpoint.history)}")

    whole, resumed = build("full", reference_of(tower)), build("full", reference_of(tower))
    splits = [Split("id", "plain", "train")]
    train(whole, SETTINGS, 0, splits, alone, None, keep)
    train(resumed, SETTINGS, 0, splits, alone, newest_checkpoint(UPath(tmp_path) / "after-1"), keep)
    assert all(torch.equal(resumed.state_dict()[key], value) for key, value in whole.state_dict().items())


def interpolated(reference: Reference, source: dict[str, Tensor], alpha: float) -> nn.Module:
    method = WiseFT.make({"alpha": alpha}, reference)
    method.take_sources([source])
    return method.plain()


@pytest.mark.parametrize("kind", [L1, L2])
@pytest.mark.parametrize("tower", WITH_BATCH_NORM)
def test_penalties_are_on_weights_and_not_on_running_statistics(
    tower: str, kind: type[L1 | L2], reference_of: Callable[[str], Reference]
) -> None:
    reference = reference_of(tower)
    method = kind.make({"lr": 1e-3, "strength": 0.05}, reference)
    with torch.no_grad():
        for value in (*method.classifier.parameters(), *method.classifier.buffers()):
            value.add_(torch.tensor(1.0).to(value.dtype))
    method.add_penalty()
    for weight in method.classifier.parameters():
        assert torch.allclose(weight.grad, torch.full_like(weight, 0.05 if kind is L1 else 0.1), rtol=1e-5)


@pytest.mark.parametrize(("tower", "can"), [("modified_resnet", False), ("timm_vit", True)])
def test_gradient_checkpointing_is_refused_where_a_tower_ignores_it(
    tower: str, can: bool, name_of: Callable[[str], str]
) -> None:
    train = {"gradient_checkpointing": True}
    sweep = check_sweep({"name": "s", "methods": ["full"], "model": {"name": name_of(tower)}, "train": train}, "s")
    if can:
        preflight(sweep, ["a"])
    else:
        with pytest.raises(UserError, match="train.gradient_checkpointing: the image tower of .* doesn't offer it"):
            preflight(sweep, ["a"])
