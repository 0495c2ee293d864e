"""What others have published of a method, as its file says it: accuracies to hold one's own against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedAccuracy:
    """Top-1 accuracies in per cent of OpenAI's CLIP ViT-B/16, fine-tuned on ImageNet."""

    id: float
    """On ImageNet's own validation images."""
    ood: float
    """The plain mean over the `shifts`."""
    shifts: int
    """5 for ImageNet-V2, -R, -A, -Sketch and ObjectNet; 4 for those without ObjectNet."""
    source: str
    """Who has it, in a word before the first comma; where; and after a colon what is its own in the recipe."""
