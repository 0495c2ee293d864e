"""The reference: the frozen pre-trained model on the sweep's data, from which every method starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fpray.data import Batch, Dataset, Items, Split, Transformed, in_order, to_device
from fpray.model.classifier import Classifier, zero_shot_head
from fpray.model.clip import LoadedClip, load_clip


@dataclass
class Reference:
    """The start of every method: both towers, tokenizer, classes, templates, and the zero-shot classifier.

    Nothing here is ever changed by a trial: the trials that follow in the same process share it.
    """

    loaded: LoadedClip
    dataset: Dataset
    classifier: Classifier
    device: torch.device
    loader_workers: int = 0
    """The number of processes that load images for this one; with 0 it loads them itself."""
    _features: dict[Split, Tensor] = field(default_factory=dict)

    def augmented(self, split: Split) -> Items:
        """The split's images through open_clip's training transform, with labels."""
        return Transformed(self.dataset.images(split), self.loaded.augment)

    def in_order(self, indices: Mapping[Split, Sequence[int]]) -> DataLoader[Batch]:
        """Batches of some images of one split after another, through open_clip's evaluation transform."""
        splits = [(self.dataset.images(split), own) for split, own in indices.items()]
        return in_order(splits, self.loaded.preprocess, self.loader_workers, self.device)

    @torch.no_grad()
    def features(self, split: Split) -> Tensor:
        """The reference's features of a split, [images, embed_dim], on the CPU: computed once in a process, kept."""
        if split not in self._features:
            batches = self.in_order({split: range(len(self.dataset.images(split)))})
            # Never autocast, whatever the caller does: what is kept must not depend on who asked first.
            with torch.autocast(self.device.type, enabled=False):
                self._features[split] = torch.cat(
                    [self.classifier.features(to_device(batch, self.device)["images"]).cpu() for batch in batches]
                )
        return self._features[split]


def load_reference(
    name: str, pretrained: str | None, dataset: Dataset, device: torch.device, loader_workers: int = 0
) -> Reference:
    """Load the pre-trained model and make its zero-shot classifier for the dataset's classes."""
    loaded = load_clip(name, pretrained, device)
    if device.type == "cuda":
        loaded.clip.to(memory_format=torch.channels_last)
    head = zero_shot_head(loaded, dataset.classes, dataset.templates)
    classifier = Classifier(loaded.visual, head).eval().requires_grad_(False)
    return Reference(loaded, dataset, classifier, device, loader_workers)
