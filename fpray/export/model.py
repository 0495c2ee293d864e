"""An exported model, opened: a ready classifier with its classes and its preprocessing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from fpray.errors import UserError
from fpray.model import CLASSES_FILE, HEAD_FILE, Classifier, LoadedClip, open_model, read_head


class Label(NamedTuple):
    """What an image was taken for, with the probability in [0, 1] that the model gives it."""

    name: str
    probability: float


class ExportedModel(nn.Module):
    """An image tower and a head on its L2-normalised features, from images to logits."""

    def __init__(self, clip: LoadedClip, classes: Sequence[str], head: nn.Linear) -> None:
        super().__init__()
        self._clip = clip
        self.classes = tuple(classes)
        self.classifier = Classifier(clip.visual, head).eval().requires_grad_(False)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, that `forward` takes."""
        return self._clip.image_size

    def preprocess(self, image: Image.Image) -> Tensor:
        """An image of any size and mode as `forward` takes it, [3, height, width], normalised."""
        return self._clip.preprocess(image.convert("RGB"))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, [batch, classes], of preprocessed images, [batch, 3, height, width]."""
        logits: Tensor = self.classifier(images)
        return logits

    @torch.no_grad()
    def probabilities(self, images: Iterable[Image.Image], batch_size: int = 64) -> Iterator[Tensor]:
        """The probability of each class, [classes], for each image."""
        device, waiting = self.classifier.head.weight.device, iter(images)
        while some := list(islice(waiting, batch_size)):
            batch = torch.stack([self.preprocess(image) for image in some]).to(device)
            yield from self(batch).softmax(dim=-1).cpu()

    def label(self, images: Iterable[Image.Image], batch_size: int = 64) -> Iterator[Label]:
        """The most probable class of each image."""
        for each in self.probabilities(images, batch_size):
            best = int(each.argmax())
            yield Label(self.classes[best], float(each[best]))


def load_model(folder: str | Path) -> ExportedModel:
    """Open a folder that `fpray export` wrote.

    Raises:
        UserError: if it is none, or something in it is missing or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"'{folder}' is not there; name a folder that `fpray export` wrote")
    for name in (CLASSES_FILE, HEAD_FILE):
        if not (folder / name).is_file():
            raise UserError(f"'{folder}' has no {name}; name a folder that `fpray export` wrote")
    clip = open_model(f"local-dir:{folder}", None)
    classes, head = read_head(folder)
    return ExportedModel(clip, classes, head)
