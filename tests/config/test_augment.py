"""The `train.augment` section: WiSE-FT's recipe by default, and what is out of range is a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from open_clip.transform import AugmentationCfg

from fpray.config.augment import Augment
from fpray.config.file import check_sweep, dump_sweep
from fpray.config.text import parse
from fpray.errors import UserError
from fpray.model.augment import PixelAugment, RandAugment
from tests.sweeps import sweep_of

ALL = {
    "scale": [0.08, 1],
    "flip": 0.5,
    "randaugment": {"ops": 3, "magnitude": 12},
    "mixup": 0.2,
    "label_smoothing": 0.1,
}


def test_by_default_it_is_open_clips_crop_and_nothing_else() -> None:
    augment = sweep_of().train.augment
    assert augment.scale == AugmentationCfg().scale
    assert (augment.flip, augment.randaugment, augment.mixup, augment.label_smoothing) == (0, None, 0, 0)
    assert augment.pixels == PixelAugment()
    for empty in (None, {}, {"randaugment": None}):
        assert sweep_of(train={"augment": empty}) == sweep_of()


def test_a_file_with_all_of_it_reads_back() -> None:
    sweep = sweep_of(train={"augment": ALL})
    augment = sweep.train.augment
    assert augment == Augment(
        scale=(0.08, 1.0), flip=0.5, randaugment=RandAugment(ops=3, magnitude=12), mixup=0.2, label_smoothing=0.1
    )
    assert augment.pixels == PixelAugment(scale=(0.08, 1.0), flip=0.5, randaugment=RandAugment(ops=3, magnitude=12))
    assert check_sweep(parse(dump_sweep(sweep), "it"), "it") == sweep


def test_randaugment_without_keys_is_torchvisions_default() -> None:
    assert sweep_of(train={"augment": {"randaugment": {}}}).train.augment.randaugment == RandAugment(ops=2, magnitude=9)


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"scale": [0.0, 1.0]}, "train.augment.scale.0: input should be greater than 0"),
        ({"scale": [0.5, 1.1]}, "train.augment.scale.1: input should be less than or equal to 1"),
        ({"scale": [0.9, 0.5]}, "train.augment.scale: the least share, 0.9, is above the largest, 0.5; swap them"),
        ({"scale": [0.9]}, "train.augment.scale.1: field required"),
        ({"flip": 1.5}, "train.augment.flip: input should be less than or equal to 1"),
        ({"flip": True}, "train.augment.flip: takes numbers, not true or false"),
        ({"randaugment": {"ops": 0}}, "train.augment.randaugment.ops: input should be greater than or equal to 1"),
        ({"randaugment": {"magnitude": 31}}, "train.augment.randaugment.magnitude: input should be less than or equal"),
        ({"randaugment": 9}, "train.augment.randaugment: write keys below it, for example {ops: 9}"),
        ({"mixup": -0.1}, "train.augment.mixup: input should be greater than or equal to 0"),
        ({"label_smoothing": 1.0}, "train.augment.label_smoothing: input should be less than 1"),
        ({"cutmix": 1.0}, "train.augment: unknown key 'cutmix'"),
    ],
)
def test_what_is_out_of_range_is_a_sentence(augment: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        sweep_of(train={"augment": augment})
    assert str(caught.value).startswith(f"s.yaml: {said}")
