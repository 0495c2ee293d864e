"""What DrawNet's small CLIPs were pre-trained on: pictures of four of the six styles, with captions as vague as the
web's: many name only the family ("a photo of a vehicle"), some a wrong sibling."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fpray.drawnet.images import balanced_labels, draw_images
from fpray.drawnet.shapes import CLASSES, FAMILIES

SEEN = ("real", "clipart", "quickdraw", "sketch")
"""The styles of the pretraining images."""
ANY_STYLE = ("a {}.", "a picture of a {}.")
OF_STYLE = {
    "real": ("a photo of a {}.", "a photo of the {}."),
    "clipart": ("clip art of a {}.", "a cartoon {}."),
    "quickdraw": ("a doodle of a {}.", "a quick drawing of a {}."),
    "sketch": ("a sketch of a {}.", "a pencil drawing of a {}."),
}


@dataclass(frozen=True)
class PairsRecipe:
    """The settings of the pairs, with those of the shipped models. `real_images` pictures are of the style `real`,
    `images` of each other one."""

    seed: int = 0
    real_images: int = 3000
    images: int = 1500
    family_share: float = 0.35
    wrong_share: float = 0.1


@dataclass(frozen=True)
class Pairs:
    """Pretraining data: `pixels` uint8 [images, 32, 32, 3], and for each image the index of its caption."""

    pixels: NDArray[np.uint8]
    caption_of: NDArray[np.int64]
    captions: list[str]


def caption(style: str, class_name: str, recipe: PairsRecipe, rng: np.random.Generator) -> str:
    """A caption as the web has them: with a style or without, of the class, its family or a wrong sibling."""
    family, siblings = next((family, members) for family, members in FAMILIES.items() if class_name in members)
    chance, name = rng.random(), class_name
    if chance < recipe.family_share:
        name = family
    elif chance < recipe.family_share + recipe.wrong_share:
        name = str(rng.choice([sibling for sibling in siblings if sibling != class_name]))
    return str(rng.choice(OF_STYLE[style] + ANY_STYLE)).replace("{}", name)


def draw_pairs(recipe: PairsRecipe) -> Pairs:
    """Draw the pretraining images, with random numbers that no draw of `DrawNet` uses."""
    pixels, captions = [], []
    for style in SEEN:
        rng = np.random.default_rng([recipe.seed, crc32(f"pretraining/{style}".encode())])
        labels = balanced_labels(recipe.real_images if style == "real" else recipe.images, rng)
        pixels.append(draw_images(style, labels, rng, signature=0.0))
        captions += [caption(style, CLASSES[label], recipe, rng) for label in labels]
    unique, caption_of = np.unique(captions, return_inverse=True)
    return Pairs(np.concatenate(pixels), caption_of, unique.tolist())
