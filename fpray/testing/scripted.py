"""A method that does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from fpray.methods import Batch, TrainedMethod, TrainedParams

Script = Callable[[TrainedMethod[Any]], object]
"""It is given the method; what it raises, the step raises."""


def scripted(
    *, before_losses: Callable[[Batch], object] | None = None, after_step: Script | None = None
) -> type[TrainedMethod[TrainedParams]]:
    """Full fine-tuning under the name `scripted`, which also calls what it is given.

    Args:
        before_losses: called with each batch, or part of one.
        after_step: called with the method after each optimiser step.
    """

    class Scripted(TrainedMethod[TrainedParams]):
        name = "scripted"
        Params = TrainedParams

        def forward(self, batch: Batch) -> Mapping[str, Tensor]:
            if before_losses is not None:
                before_losses(batch)
            return super().forward(batch)

        def after_step(self, lr_factor: float) -> None:
            if after_step is not None:
                after_step(self)

    return Scripted
