"""LiNeS and block-wise WiSE-FT: each weight's share is its depth's, and their ends are known models."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from fpray.errors import UserError
from fpray.methods.block_wise_ft import BlockWiseFT
from fpray.methods.depth import blocks_of, is_before_blocks
from fpray.methods.lines import Lines
from fpray.methods.wise_ft import WiseFT
from fpray.model import Classifier, Reference, load_reference, weights_of
from fpray.space import Params
from fpray.testing import TINY, Squares, make_tiny_clip


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The reference of a tiny CLIP with six blocks."""
    folder = tmp_path_factory.mktemp("deep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TINY, "vision_cfg", TINY["vision_cfg"] | {"layers": 6})
        name = make_tiny_clip(folder)
    return load_reference(name, None, Squares(), torch.device("cpu"))


@pytest.fixture(scope="module")
def fine_tuned(deep: Reference) -> Classifier:
    classifier = copy.deepcopy(deep.classifier)
    with torch.no_grad():
        for weight in classifier.parameters():
            weight += 1
    return classifier


Made = Callable[[type[Lines] | type[BlockWiseFT] | type[WiseFT], Params], dict[str, Tensor]]


@pytest.fixture
def made(deep: Reference, fine_tuned: Classifier) -> Made:
    """The weights that a method makes of the two, less the pre-trained ones: each is its share, for all are 1 apart."""

    def make(kind: type[Lines] | type[BlockWiseFT] | type[WiseFT], params: Params) -> dict[str, Tensor]:
        method = kind.make(params, deep)
        method.take_sources([weights_of(fine_tuned)])
        before = weights_of(deep.classifier)
        return {key: value - before[key] for key, value in weights_of(method.plain()).items()}

    return make


def block(key: str) -> int | None:
    return int(key.split("resblocks.")[1].split(".")[0]) if "resblocks." in key else None


@pytest.mark.parametrize("head", ["whole", "alpha"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_lines_scales_block_l_of_6(made: Made, alpha: float, head: str) -> None:
    for key, share in made(Lines, {"alpha": alpha, "head": head}).items():
        number = block(key)
        expected = alpha if number is None else alpha + (1 - alpha) * number / 5
        if key.startswith("head.") and head == "whole":
            expected = 1.0
        torch.testing.assert_close(share, torch.full_like(share, expected), rtol=0, atol=1e-5, msg=key)


def test_block_wise_ft_has_an_alpha_for_each_third(made: Made) -> None:
    first = {"visual.class_embedding", "visual.positional_embedding", "visual.conv1.weight"}
    first |= {"visual.ln_pre.weight", "visual.ln_pre.bias"}
    for key, share in made(BlockWiseFT, {"low": 0.1, "middle": 0.5, "high": 0.9}).items():
        number = block(key)
        expected = (0.1 if key in first else 0.9) if number is None else (0.1, 0.5, 0.9)[number // 2]
        torch.testing.assert_close(share, torch.full_like(share, expected), rtol=0, atol=1e-5, msg=key)


def test_equal_alphas_are_wise_ft(made: Made) -> None:
    wise = made(WiseFT, {"alpha": 0.4})
    for key, share in made(BlockWiseFT, {"low": 0.4, "middle": 0.4, "high": 0.4}).items():
        torch.testing.assert_close(share, wise[key], rtol=0, atol=1e-6)


NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "open_clip": (("transformer.resblocks.0.ln_1.weight", "transformer.resblocks.11.ln_1.weight"), ("conv1.weight",)),
    "clip_resnet": (("layer1.0.conv1.weight", "layer4.2.bn3.bias"), ("conv1.weight", "bn3.bias")),
    "timm_resnet": (("trunk.layer1.0.bn1.weight", "trunk.layer3.0.bn1.weight"), ("trunk.conv1.weight",)),
    "convnext": (("trunk.stages.0.blocks.1.norm.bias", "trunk.stages.3.blocks.0.norm.bias"), ("trunk.stem.0.bias",)),
    "timm_vit": (("trunk.blocks.0.norm1.bias", "trunk.blocks.7.norm1.bias"), ("trunk.pos_embed", "trunk.cls_token")),
}
"""The ends of names of weights of the first and the last block, and before them."""


@pytest.mark.parametrize("tower", NAMES)
def test_names_tell_the_block(tower: str) -> None:
    ends, before = ([f"visual.{end}" for end in own] for own in NAMES[tower])
    assert blocks_of([*ends, *before]) == {ends[0]: 0, ends[1]: 1}
    assert all(is_before_blocks(key) for key in before)
    for end in ("proj", "attnpool.positional_embedding", "trunk.norm.bias", "trunk.head.weight"):
        assert not is_before_blocks(f"visual.{end}") and not blocks_of([f"visual.{end}"])


def test_a_tower_without_blocks_is_refused(reference: Reference) -> None:
    clip = copy.deepcopy(reference.loaded.clip)
    assert isinstance(clip, CLIP)
    clip.visual = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16))
    for method in (Lines, BlockWiseFT):
        method.check(reference.loaded, {}, ["a"])
        with pytest.raises(UserError, match=f"methods.{method.name}: the weights of 'flat' don't say in which block"):
            method.check(replace(reference.loaded, clip=clip, name="flat"), {}, ["a"])
