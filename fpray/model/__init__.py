"""The pre-trained model: the names that a sweep file may say, opening one, and the reference that methods start from.

A `Model` is a name and the tag of its weights. `open_model` finds out before a sweep whether it loads; if not, the
`UserError` says why. `load_reference` makes the `Reference` from it and a dataset: both towers, tokenizer, transforms
(in training what a `PixelAugment` says), and the zero-shot `Classifier`, which is a frozen image encoder with a linear
head. `weights_of` a trained classifier have the keys that plain open_clip knows, and `load_weights` reads them back;
`averaged` and `interpolate` are between two models'. `rows_of_prompts` are the zero-shot head's, `head_of` makes a head
of them. `read_checkpoint` opens one of a user's own, and `read_head` an exported head.
`unpack` and `pack` rewrite attention for LoRA.

Names need no torch; the rest, which does, is imported when it is first used.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach
from fpray.model.names import LOCAL, SHIPPED, Model, require_model

if TYPE_CHECKING:
    from fpray.model.attention import pack, unpack
    from fpray.model.augment import PixelAugment, RandAugment
    from fpray.model.checkpoints import CLASSES_FILE, HEAD_FILE, read_checkpoint, read_head
    from fpray.model.classifier import (
        Classifier,
        averaged,
        averaged_each,
        head_of,
        interpolate,
        load_weights,
        metadata_of,
        prompts_of,
        rows_of_prompts,
        weights_of,
        with_weights,
    )
    from fpray.model.clip import LoadedClip, open_clip_config, save_tokenizer, switch_on_checkpointing
    from fpray.model.known import computed_by, device_name
    from fpray.model.opening import open_model
    from fpray.model.reference import Reference, load_reference

__getattr__ = attach(
    __name__,
    {
        **dict.fromkeys(("pack", "unpack"), "attention"),
        **dict.fromkeys(("PixelAugment", "RandAugment"), "augment"),
        **dict.fromkeys(("CLASSES_FILE", "HEAD_FILE", "read_checkpoint", "read_head"), "checkpoints"),
        **dict.fromkeys(
            (
                "Classifier",
                "averaged",
                "averaged_each",
                "head_of",
                "interpolate",
                "load_weights",
                "metadata_of",
                "prompts_of",
                "rows_of_prompts",
                "weights_of",
                "with_weights",
            ),
            "classifier",
        ),
        **dict.fromkeys(("LoadedClip", "open_clip_config", "save_tokenizer", "switch_on_checkpointing"), "clip"),
        **dict.fromkeys(("computed_by", "device_name"), "known"),
        "open_model": "opening",
        **dict.fromkeys(("Reference", "load_reference"), "reference"),
    },
)

__all__ = [
    "CLASSES_FILE",
    "Classifier",
    "HEAD_FILE",
    "LOCAL",
    "SHIPPED",
    "LoadedClip",
    "Model",
    "PixelAugment",
    "RandAugment",
    "Reference",
    "averaged",
    "averaged_each",
    "computed_by",
    "device_name",
    "head_of",
    "interpolate",
    "load_reference",
    "load_weights",
    "metadata_of",
    "open_clip_config",
    "open_model",
    "pack",
    "prompts_of",
    "read_checkpoint",
    "read_head",
    "require_model",
    "rows_of_prompts",
    "save_tokenizer",
    "switch_on_checkpointing",
    "unpack",
    "weights_of",
    "with_weights",
]
