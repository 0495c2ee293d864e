"""The reference: the frozen pre-trained model on the sweep's data, from which every method starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

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
    kept_bytes: int = 0
    """The most bytes to keep on this node's disk of what is computed once for all trials there."""
    _features: dict[Split, Tensor] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """A text that changes with any weight of the model."""
        digest = hashlib.blake2b(self.loaded.name.encode())
        for value in self.classifier.state_dict().values():
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def augmented(self, split: Split) -> Items:
        """The pixels of the split's images, cropped as open_clip does for training, with labels."""
        return Transformed(self.dataset.images(split), self.loaded.augment.crop)

    def on_device(self, batch: Batch) -> Batch:
        """A batch on the device, with its `images`, where they are pixels still, as the image tower takes them."""
        moved = to_device(batch, self.device)
        if "images" not in moved or moved["images"].dtype != torch.uint8:
            return moved
        return {**moved, "images": self.loaded.preprocess.normalised(moved["images"])}

    def in_order(self, indices: Mapping[Split, Sequence[int]]) -> DataLoader[Batch]:
        """Batches of the pixels of some images of one split after another, cropped as open_clip does for evaluation."""
        splits = [(self.dataset.images(split), own) for split, own in indices.items()]
        crop = self.loaded.preprocess.crop
        return in_order(splits, crop, self.loader_workers, self.device, kept_bytes=self.kept_bytes)

    @torch.no_grad()
    def features(self, split: Split) -> Tensor:
        """The reference's features of a split, [images, embed_dim], on the CPU: computed once in a process, kept."""
        if split not in self._features:
            batches = self.in_order({split: range(len(self.dataset.images(split)))})
            # Never autocast, whatever the caller does: what is kept must not depend on who asked first.
            with torch.autocast(self.device.type, enabled=False):
                self._features[split] = torch.cat(
                    [self.classifier.features(self.on_device(batch)["images"]).cpu() for batch in batches]
                )
        return self._features[split]


def load_reference(
    name: str,
    pretrained: str | None,
    dataset: Dataset,
    device: torch.device,
    loader_workers: int = 0,
    kept_bytes: int = 0,
) -> Reference:
    """Load the pre-trained model and make its zero-shot classifier for the dataset's classes."""
    loaded = load_clip(name, pretrained, device)
    if device.type == "cuda":
        loaded.clip.to(memory_format=torch.channels_last)
    head = zero_shot_head(loaded, dataset.classes, dataset.templates)
    classifier = Classifier(loaded.visual, head).eval().requires_grad_(False)
    return Reference(loaded, dataset, classifier, device, loader_workers, kept_bytes)
