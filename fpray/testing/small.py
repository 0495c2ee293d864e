"""Small data: a tiny CLIP with random weights, a tiny dataset, and the reference made of both."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file

from fpray.data import DataOptions, Dataset, LabelledImages, RehearsalOptions, Split
from fpray.model import Reference, load_reference

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
"""The tiny CLIP's architecture, as open_clip's configurations have it."""
COLOURS = {"red square": (220, 40, 40), "green square": (40, 200, 60), "blue square": (50, 60, 220)}
SIZES = {
    Split("id", "plain", "train"): 48,
    Split("id", "plain", "val"): 18,
    Split("id", "plain", "test"): 21,
    Split("ood", "dark", "val"): 9,
    Split("ood", "dark", "test"): 12,
    Split("ood", "washed", "val"): 10,
    Split("ood", "washed", "test"): 11,
}


class SquareImages(LabelledImages):
    """Images in memory, [images, 32, 32, 3]."""

    def __init__(self, pixels: NDArray[np.uint8], labels: list[int]) -> None:
        self.pixels, self.labels = pixels, labels

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])

    def stamp(self) -> str:
        return blake2b(self.pixels.tobytes()).hexdigest()


class Squares(Dataset):
    """Coloured squares on noise, three classes; out of distribution they are dark or washed out."""

    name = "squares"

    def __init__(self) -> None:
        super().__init__(DataOptions(layout="squares", rehearsal=RehearsalOptions(source="pretraining")))
        self.drawn = {split: self._draw(split, size) for split, size in SIZES.items()}

    @property
    def classes(self) -> Sequence[str]:
        return tuple(COLOURS)

    @property
    def templates(self) -> Sequence[str]:
        return ("a {}.", "a photo of a {}.")

    def splits(self) -> Sequence[Split]:
        return tuple(SIZES)

    def images(self, split: Split) -> SquareImages:
        return self.drawn[split]

    def pretraining(self) -> SquareImages:
        """Dark and washed out squares, which the ID domain has none of, with captions."""
        parts = [self._draw(Split("rehearsal", domain, "train"), 15) for domain in ("dark", "washed")]
        labels = [label for part in parts for label in part.labels]
        images = SquareImages(np.concatenate([part.pixels for part in parts]), [0] * len(labels))
        images.captions = [f"a photo of a {self.classes[label]}." for label in labels]
        return images

    def _draw(self, split: Split, size: int) -> SquareImages:
        rng = np.random.default_rng(crc32(split.name.encode()))
        labels = [i % len(COLOURS) for i in range(size)]
        pixels = rng.integers(60, 180, (size, 32, 32, 3)).astype(float)
        for image, label in zip(pixels, labels, strict=True):
            x, y = rng.integers(0, 8, 2)
            image[y : y + 24, x : x + 24] = list(COLOURS.values())[label]
        scaled = {"plain": pixels, "dark": 0.4 * pixels, "washed": 128 + 0.5 * (pixels - 128)}[split.domain]
        return SquareImages(scaled.clip(0, 255).astype(np.uint8), labels)


def make_tiny_clip(folder: Path) -> str:
    """Write a CLIP with random weights into a folder; returns its model name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(**TINY)
    with torch.no_grad():
        model.logit_scale.fill_(np.log(20))
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": TINY, "preprocess_cfg": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


@cache
def small_reference() -> Reference:
    """The tiny CLIP on `Squares`, on the CPU. All tests in a process share it, as trials do: nothing may change it."""
    with tempfile.TemporaryDirectory(prefix="fpray-tiny-clip-") as folder:
        return load_reference(make_tiny_clip(Path(folder)), None, Squares(), torch.device("cpu"))
