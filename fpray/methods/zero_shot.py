"""Zero-shot: the pre-trained model as it is, with the head made from class-name prompts."""

from __future__ import annotations

from fpray.methods.base import Hyperparameters, Method
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier


class ZeroShot(Method[Hyperparameters]):
    """Trains nothing (CLIP, arXiv 2103.00020).

        logits = W z;  W[c] = s * m / |m|, m the mean over the templates of t(template, c)

    t is the text tower's normalised feature, s the scale of CLIP's logits.
    """

    name = "zero_shot"
    Params = Hyperparameters
    default_trials = 1
    published = (
        PublishedAccuracy(68.33, 59.46, 4, "TRACER, arXiv 2605.29380, Table 2"),
        PublishedAccuracy(68.33, 58.39, 5, "TRACER, arXiv 2605.29380, Table 1"),
    )

    def plain(self) -> Classifier:
        return self.reference.classifier
