"""Given: a model of one's own, evaluated as it is; a comparison's point, and a source for WiSE-FT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

from fpray.methods.base import Hyperparameters, Method
from fpray.model import Classifier, LoadedClip, read_checkpoint
from fpray.space import Asked, Space

KEY = "methods.given.checkpoint"


class GivenParams(Hyperparameters):
    """Where the model is."""

    checkpoint: Annotated[str, Asked()]
    """A folder that `fpray export` wrote, with its head; or a file or a `local-dir` folder of a whole CLIP's weights,
    which gets the zero-shot head of its own text tower. It is of the sweep's model. For several write
    `{grid: [...]}`."""


class Given(Method[GivenParams]):
    """Trains nothing: the model in a checkpoint of the same architecture, fine-tuned elsewhere."""

    name = "given"
    Params = GivenParams
    default_trials = 1
    is_source = True

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        for path in space["checkpoint"].extremes():
            read_checkpoint(str(path), KEY, loaded, classes, ["a {}."])

    @cached_property
    def _classifier(self) -> Classifier:
        own = self.reference
        return read_checkpoint(self.params.checkpoint, KEY, own.loaded, own.dataset.classes, own.dataset.templates)

    def plain(self) -> Classifier:
        return self._classifier
