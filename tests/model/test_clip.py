"""The model: the zero-shot head is open_clip's own classifier; what can't be loaded is said before it is tried."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU

from fpray.errors import UserError
from fpray.model.classifier import load_weights, weights_of, zero_shot_head
from fpray.model.clip import load_clip
from fpray.model.names import require_model
from fpray.model.reference import Reference
from fpray.testing import TINY


def test_zero_shot_head_is_open_clips_classifier_times_the_logit_scale(reference: Reference) -> None:
    loaded, dataset = reference.loaded, reference.dataset
    theirs = open_clip.build_zero_shot_classifier(
        loaded.clip, loaded.tokenizer, dataset.classes, [t.replace("{}", "{0}") for t in dataset.templates]
    )
    head = zero_shot_head(loaded, dataset.classes, dataset.templates)
    torch.testing.assert_close(head.weight, theirs.T * loaded.clip.logit_scale.exp(), rtol=1e-5, atol=1e-5)
    assert torch.equal(head.bias, torch.zeros(3))
    torch.testing.assert_close(head.weight.norm(dim=1), torch.full((3,), 20.0))


def test_zero_shot_logits_are_clips_logits_for_one_template(reference: Reference, pixels: torch.Tensor) -> None:
    loaded, classes = reference.loaded, reference.dataset.classes
    head = zero_shot_head(loaded, classes, ["a {}."])
    tokens = loaded.tokenizer([f"a {name}." for name in classes])
    with torch.no_grad():
        theirs = loaded.clip.get_logits(pixels, tokens)[0]
        ours = head(reference.classifier.features(pixels))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_head_of_more_prompts_than_one_chunk_holds(reference: Reference) -> None:
    templates = [f"number {i} of a {{}}." for i in range(100)]  # 300 prompts, 256 go at a time
    whole = zero_shot_head(reference.loaded, reference.dataset.classes, templates)
    for label, name in enumerate(reference.dataset.classes):
        one = zero_shot_head(reference.loaded, [name], templates)
        torch.testing.assert_close(whole.weight[label], one.weight[0], rtol=1e-5, atol=1e-5)


def test_braces_in_a_class_name_are_kept(reference: Reference) -> None:
    odd = zero_shot_head(reference.loaded, ["{0} {name}"], ["a {}."])
    tokens = reference.loaded.tokenizer(["a {0} {name}."])
    with torch.no_grad():
        embedding = reference.loaded.clip.encode_text(tokens, normalize=True)
    torch.testing.assert_close(odd.weight, 20 * embedding, rtol=1e-4, atol=1e-5)


def test_weights_come_back(reference: Reference) -> None:
    classifier = copy.deepcopy(reference.classifier)
    weights = {key: torch.randn_like(value) for key, value in weights_of(classifier).items()}
    load_weights(classifier, weights)
    returned = weights_of(classifier)
    assert returned.keys() == weights.keys()
    assert all(torch.equal(returned[key], weights[key]) for key in weights)


def test_weights_of_another_architecture_are_refused(reference: Reference) -> None:
    weights = weights_of(reference.classifier)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_weights(copy.deepcopy(reference.classifier), {k: v for k, v in weights.items() if k != "visual.proj"})


def test_the_loaded_model_is_frozen_and_in_eval_mode(tiny_clip: str) -> None:
    clip = load_clip(tiny_clip, None, torch.device("cpu")).clip
    assert not any(p.requires_grad for p in clip.parameters())
    assert not any(module.training for module in clip.modules())


@pytest.mark.parametrize("architecture", ["ViT-tiny", "ViT-tiny-quickgelu"])
def test_a_tags_own_configuration_says_whether_gelu_is_quick(
    architecture: str, tiny_clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(Path(tiny_clip.removeprefix("local-dir:")) / "open_clip_model.safetensors")
    tags = {"openai": {"file": file, "quick_gelu": True}, "dfn2b": {"file": file, "quick_gelu": True}}
    if not architecture.endswith("quickgelu"):
        tags["laion2b"] = {"file": file}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, architecture, tags)
    config = TINY | ({"quick_gelu": True} if architecture.endswith("quickgelu") else {})
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, architecture, config)
    for tag, published in tags.items():
        require_model(architecture, tag)
        with warnings.catch_warnings(action="error"):  # open_clip warns of a wrong activation
            clip = load_clip(architecture, tag, torch.device("cpu")).clip
        for blocks in (clip.visual.transformer.resblocks, clip.transformer.resblocks):
            assert all(isinstance(block.mlp.gelu, QuickGELU) is published.get("quick_gelu", False) for block in blocks)


def test_open_clip_knows_which_published_weights_want_quick_gelu() -> None:
    for tag in ("openai", "metaclip_400m", "metaclip_fullcc", "dfn2b"):
        for name in ("ViT-B-16", "ViT-B-16-quickgelu"):
            assert open_clip.get_pretrained_cfg(name, tag)["quick_gelu"] is True
    assert not open_clip.get_pretrained_cfg("ViT-B-16", "laion2b_s34b_b88k").get("quick_gelu")


def test_a_folder_without_weights_is_an_error(tiny_clip: str, tmp_path: Path) -> None:
    config = Path(tiny_clip.removeprefix("local-dir:")) / "open_clip_config.json"
    (tmp_path / config.name).write_text(config.read_text())
    require_model(f"local-dir:{tmp_path}", None)
    with pytest.raises((RuntimeError, FileNotFoundError)):
        load_clip(f"local-dir:{tmp_path}", None, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "pretrained", "said"),
    [
        ("ViT-B-61", "openai", ["model.name", "'ViT-B-61'", "did you mean 'ViT-B-16'?"]),
        ("ViT-B-16", "opanai", ["model.pretrained", "'opanai'", "'ViT-B-16'", "did you mean 'openai'?"]),
        ("ViT-B-16", None, ["model.pretrained", "'ViT-B-16'", "'openai'"]),
        ("ViT-B-16-plus", None, ["model.pretrained", "'ViT-B-16-plus'", "a checkpoint file"]),
        ("ViT-B-16-plus", "openai", ["model.pretrained", "'openai'", "open_clip knows no tag of it"]),
        ("drawnet-s", "openai", ["model.pretrained", "'drawnet-s' has weights of its own", "leave 'openai' out"]),
        ("hf-hub:some/model", "openai", ["model.pretrained", "'hf-hub:some/model' has weights of its own"]),
        ("Drawnet-s", None, ["unknown model 'Drawnet-s'; did you mean 'drawnet-s'?"]),
        ("ViT-B/32", "openai", ["unknown model 'ViT-B/32'; did you mean 'ViT-B-32'?"]),
        ("/tmp/x/tiny-a", None, ["for a model in a folder write 'local-dir:/tmp/x/tiny-a'"]),
        ("local_dir:/tmp/x", None, ["a name with a colon begins with 'hf-hub:' or 'local-dir:'"]),
        ("openai/clip-vit-base-patch16", None, ["Hugging Face Hub write 'hf-hub:openai/clip-vit-base-patch16'"]),
        ("zzzzzzz", None, ["known are: EVA01-g-14, ", "... and "]),
        ("ViT-B-16", "/nope/x.pt", ["model.pretrained: no such file: '/nope/x.pt'; name one that is there, or a tag"]),
        ("local-dir:/nowhere", None, ["model.name", "open_clip_config.json", "'/nowhere'"]),
    ],
)
def test_a_model_that_is_not_there_is_said_in_one_sentence(name: str, pretrained: str | None, said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        require_model(name, pretrained)
    assert all(part in str(caught.value) for part in said), caught.value
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_there_is_known_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="for a model in a folder write 'local-dir:mine'"):
        require_model("mine", None)


def test_models_that_are_there_pass(tiny_clip: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"")
    for name, pretrained in (
        ("drawnet-s", None),
        (tiny_clip, None),
        ("ViT-B-16", "openai"),
        ("ViT-B-16", str(weights)),
        ("hf-hub:some/model", None),
    ):
        require_model(name, pretrained)
