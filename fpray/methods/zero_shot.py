"""Zero-shot: the pre-trained model as it is, with the head made from class-name prompts."""

from __future__ import annotations

from fpray.methods.base import Hyperparameters, Method
from fpray.model import Classifier


class ZeroShot(Method[Hyperparameters]):
    """Trains nothing (CLIP, arXiv 2103.00020)."""

    name = "zero_shot"
    Params = Hyperparameters
    default_trials = 1

    def plain(self) -> Classifier:
        return self.reference.classifier
