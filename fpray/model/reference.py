"""The reference: the frozen pre-trained model on the sweep's data, from which every method starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fpray.data import (
    Batch,
    Dataset,
    Items,
    Rehearsed,
    Replayed,
    ReplayedPairs,
    Split,
    Transformed,
    in_order,
    rehearsed,
    retained,
    to_device,
)
from fpray.errors import UserError
from fpray.model.augment import OPEN_CLIPS, PixelAugment
from fpray.model.classifier import Classifier, head_of, zero_shot_rows
from fpray.model.clip import LoadedClip, load_clip, memory_of
from fpray.model.known import computed_by, known_or_computed

PICTURES = ("images", "replayed")
"""The values of a batch that are pictures."""


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
        """A text that changes with any weight of the model, and with the head."""
        digest = hashlib.blake2b(self.loaded.digest.encode())
        digest.update(memory_of(self.classifier.head.weight))
        return digest.hexdigest()

    def augmented(self, split: Split) -> Items:
        """The pixels of the split's images, cropped for training, with labels."""
        return Transformed(self.dataset.images(split), self.loaded.augment.crop)

    @cached_property
    def rehearsed(self) -> Rehearsed:
        """The images that a method may replay.

        Raises:
            UserError: if the data's options name none.
        """
        if (found := rehearsed(self.dataset)) is None:
            raise UserError("data.rehearsal: there is nothing to replay; give it a source")
        return found

    def replayed(self) -> Items:
        """The pixels of the images to replay, `replayed`, cropped as for training."""
        return Replayed(self.rehearsed.all_images, self.loaded.augment.crop)

    def replayed_pairs(self) -> Items:
        """The same with the tokens of their captions, `replayed_captions`.

        Raises:
            UserError: if the images have none.
        """
        images = self.rehearsed.all_images
        if images.captions is None:
            raise UserError("data.rehearsal.source: nothing is said of these images; give a .csv or .tsv of captions")
        return ReplayedPairs(images, images.captions, self.loaded.augment.crop, self.loaded.tokenizer)

    def on_device(self, batch: Batch) -> Batch:
        """A batch on the device, its pictures, where they are pixels still, as the image tower takes them."""
        moved = to_device(batch, self.device)
        pixels = [name for name in PICTURES if name in moved and moved[name].dtype == torch.uint8]
        return {**moved, **{name: self.loaded.preprocess.normalised(moved[name]) for name in pixels}}

    def in_order(self, indices: Mapping[Split, Sequence[int]], batch_size: int | None = None) -> DataLoader[Batch]:
        """Batches of the pixels of some images of one split after another, cropped as open_clip does for evaluation.

        Args:
            batch_size: of a number that suits the device, if it is None.
        """
        splits = [(self.dataset.images(split), own) for split, own in indices.items()]
        crop = self.loaded.preprocess.crop
        return in_order(splits, crop, self.loader_workers, self.device, batch_size, self.kept_bytes)

    @cached_property
    def retained(self) -> Sequence[Reference]:
        """The same model on the data's sets of other classes, each with the head of their prompts."""
        return [
            reference_on(self.loaded, own, self.device, self.loader_workers, self.kept_bytes)
            for own in retained(self.dataset)
        ]

    @torch.no_grad()
    def features(self, split: Split) -> Tensor:
        """The reference's features of a split, [images, embed_dim], on the CPU: computed once on a node, kept."""
        if split not in self._features:
            images = self.dataset.images(split)
            cropped = Transformed(images, self.loaded.preprocess.crop).crops.source() if self.kept_bytes else None
            if cropped is None:
                self._features[split] = self._computed(split)
                return self._features[split]
            self._features[split] = known_or_computed(
                f"features of {len(images):,} images",
                f"{self.digest} {computed_by(self.device)}\n{cropped}",
                (len(images), self.classifier.head.in_features),
                self.kept_bytes,
                lambda: self._computed(split),
                # An image that can't be read is found to be so by each process that reads it.
                lambda: () if images.unreadable is None else images.unreadable.nonzero().flatten().tolist(),
            )
        return self._features[split]

    def _computed(self, split: Split) -> Tensor:
        batches = self.in_order({split: range(len(self.dataset.images(split)))})
        # Never autocast, whatever the caller does: what is kept must not depend on who asked first.
        with torch.autocast(self.device.type, enabled=False):
            return torch.cat([self.classifier.features(self.on_device(batch)["images"]).cpu() for batch in batches])


def load_reference(
    name: str,
    pretrained: str | None,
    dataset: Dataset,
    device: torch.device,
    loader_workers: int = 0,
    kept_bytes: int = 0,
    augment: PixelAugment = OPEN_CLIPS,
) -> Reference:
    """Load the pre-trained model and make its zero-shot classifier for the dataset's classes.

    Args:
        augment: what `Reference.augmented` does to pixels.
    """
    loaded = load_clip(name, pretrained, device, augment)
    if device.type == "cuda":
        loaded.clip.to(memory_format=torch.channels_last)
    return reference_on(loaded, dataset, device, loader_workers, kept_bytes)


def reference_on(
    loaded: LoadedClip, dataset: Dataset, device: torch.device, loader_workers: int = 0, kept_bytes: int = 0
) -> Reference:
    """A loaded model with its zero-shot classifier for a dataset's classes."""
    head = head_of(_head_rows(loaded, dataset, kept_bytes).to(device))
    classifier = Classifier(loaded.visual, head).eval().requires_grad_(False)
    return Reference(loaded, dataset, classifier, device, loader_workers, kept_bytes)


def _head_rows(loaded: LoadedClip, dataset: Dataset, kept_bytes: int) -> Tensor:
    """The zero-shot head's weight for a dataset's classes, on the CPU."""
    classes, templates = list(dataset.classes), list(dataset.templates)

    def compute() -> Tensor:
        return zero_shot_rows(loaded, classes, templates).cpu()

    if not kept_bytes:
        return compute()
    device, width = loaded.logit_scale.device, loaded.encode_text([classes[0]]).shape[1]
    source = f"{loaded.digest} {computed_by(device)}\n{json.dumps([classes, templates])}"
    return known_or_computed(
        f"zero-shot head of {len(classes):,} classes", source, (len(classes), width), kept_bytes, compute
    )
