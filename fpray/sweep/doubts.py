"""What a sweep's plan can't answer, told before it starts: a line each, and it starts all the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from fpray.config import Sweep
from fpray.data import Split
from fpray.methods import METHODS, TrainedMethod, TrainedParams
from fpray.space import Constant, Grid, Log, OneOf, Range

FEWEST_STEPS = 100
"""Of a training: in fewer, Adam's averages have hardly begun, and what pulls slowly can't show."""
WIDEST_HALF = 2.5
"""Points that a validation accuracy may be uncertain by."""
USUAL_LR = 0.15
"""A good learning rate of full fine-tuning times the square root of the image tower's weights: 1.6e-5 for ViT-B/16
(WiSE-FT takes 3e-5, TRACER 1e-5), 1.6e-4 for DrawNet's smallest."""
FAR = 8.0
"""The factor by which the middle of a range may be off that."""


def doubts(sweep: Sweep, sizes: Mapping[Split, int], weights: Mapping[str, int]) -> list[str]:
    """A line for each thing that keeps the plan from answering its question.

    Args:
        sizes: the number of images of each split.
        weights: the number of each model's image tower, by the model's name.
    """
    return [
        *_steps(sweep, sizes),
        *_learning_rates(sweep, weights),
        *_configurations(sweep),
        *_validation(sweep, sizes),
    ]


def _steps(sweep: Sweep, sizes: Mapping[Split, int]) -> Iterator[str]:
    size, images = sweep.train.batch_size, sum(n for split, n in sizes.items() if split.part == "train")
    if size == "auto":
        return
    if size > images:
        yield f"train.batch_size is {size:,} and there are {images:,} images to train on: an epoch is one step"
    steps = sweep.train.epochs * max(1, images // size)
    if steps < FEWEST_STEPS and any(issubclass(METHODS[name], TrainedMethod) for name in sweep.methods):
        yield (
            f"a training has {steps} steps, and methods hardly differ before {FEWEST_STEPS}: raise train.epochs, or "
            "lower train.batch_size"
        )


def _learning_rates(sweep: Sweep, weights: Mapping[str, int]) -> Iterator[str]:
    middles = {name: _middle(s.space()["lr"]) for name, s in sweep.methods.items() if _searches_as_full(name)}
    for model, count in weights.items():
        usual = USUAL_LR / math.sqrt(count)
        off = {name: middle for name, middle in middles.items() if not 1 / FAR < middle / usual < FAR}
        if off:
            yield (
                f"the learning rates of {', '.join(off)} lie around {next(iter(off.values())):.0e}, and a model of the "
                f"size of '{model}' takes some {usual:.0e}: set train.lr"
            )


def _searches_as_full(method: str) -> bool:
    """Whether a method's learning rate is of full fine-tuning's kind; a linear probe's, or LoRA's, is of another."""
    field = METHODS[method].Params.model_fields.get("lr")
    return field is not None and field.metadata == TrainedParams.model_fields["lr"].metadata


def _middle(dimension: Constant | Range | OneOf) -> float:
    """The middle of a learning rate's dimension, on the scale that it is searched on."""
    values = [float(value) for value in dimension.extremes()]
    if isinstance(dimension, Range) and not isinstance(dimension, Log):
        return (min(values) + max(values)) / 2
    return math.sqrt(min(values) * max(values))


def _configurations(sweep: Sweep) -> Iterator[str]:
    for name, settings in sweep.methods.items():
        searched = [key for key, d in settings.space().items() if not isinstance(d, Constant | Grid)]
        if settings.trials < len(searched):
            yield (
                f"methods.{name}: {settings.trials} configurations are fewer than what is searched, "
                f"{', '.join(searched)}: raise its trials, or set some"
            )


def _validation(sweep: Sweep, sizes: Mapping[Split, int]) -> Iterator[str]:
    parts: dict[str, Sequence[int]] = {
        "ID": [n for split, n in sizes.items() if split.part == "val" and split.role == "id"],
        "OOD": [n for split, n in sizes.items() if split.part == "val" and split.role == "ood"],
    }
    for role, counts in parts.items():
        # Of a mean over domains, each accuracy about a half: 1.96 * 50 / sqrt(n) for one.
        half = 98 * math.sqrt(sum(1 / n for n in counts)) / len(counts) if counts else 0.0
        if half > WIDEST_HALF:
            images = " + ".join(f"{n:,}" for n in counts) if len(set(counts)) > 1 else f"{len(counts)} x {counts[0]:,}"
            yield (
                f"{role} validation accuracy, of {images} images, is uncertain by up to {half:.1f} points: which of "
                "several close trials is picked is chance"
            )
