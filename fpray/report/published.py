"""Published zero-shot accuracies: where data and model have some, the zero-shot trial must have the same.

Nothing is trained, so a difference means that names, prompts, crop or mapping are not the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpray.config import Sweep
from fpray.model import Model
from fpray.records import Record


@dataclass(frozen=True)
class Published:
    """Top-1 accuracies in per cent by split, and by how much one of ours may differ from each."""

    accuracies: Mapping[str, float]
    tolerance: Mapping[str, float]
    source: str


IMAGENET = {"id": 0.05, "ood": 0.4}
"""Points: ImageNet's test is whole, of each other set 90 %."""
DOMAINNET = {"id": 1.0, "ood": 1.0}
"""Points: the figures are of prompts with `_` in class names, and of other lists."""
KNOWN = {
    ("imagenet", Model(name="ViT-B-16", pretrained="openai")): Published(
        {
            "id/test": 68.33,
            "ood/v2/test": 61.93,
            "ood/r/test": 77.71,
            "ood/a/test": 49.95,
            "ood/sketch/test": 48.26,
            "ood/objectnet/test": 54.17,
        },
        IMAGENET,
        "TRACER, arXiv 2605.29380, Table 1",
    ),
    ("domainnet", Model(name="ViT-B-16", pretrained="openai")): Published(
        {
            "id/test": 82.46,
            "ood/painting/test": 66.69,
            "ood/clipart/test": 65.57,
            "ood/infograph/test": 43.77,
            "ood/sketch/test": 56.98,
        },
        DOMAINNET,
        "Lipsum-FT's logs, ID real",
    ),
}


def remarks_on(record: Record, sweep: Sweep) -> list[str]:
    """A line for each accuracy of a finished zero-shot trial that differs from the published one by more than it may;
    none where nothing is published for the data and the model, or the data is part of it."""
    model = record.trial.model
    published = KNOWN.get((sweep.data.layout, model)) if model is not None else None
    if record.trial.method != "zero_shot" or record.status != "finished" or published is None:
        return []
    if not _is_whole(sweep):
        return []
    lines = []
    for split, expected in published.accuracies.items():
        tolerance = published.tolerance[split.partition("/")[0]]
        if split in record.results and abs(record.results[split].top1 - expected) > tolerance:
            lines.append(
                f"zero-shot has {record.results[split].top1:.2f} % on {split}, and {expected:.2f} % is published "
                f"({published.source}): names, prompts, crop or classes are others"
            )
    return lines


def _is_whole(sweep: Sweep) -> bool:
    """Whether the data is what was published: all classes, the usual prompts, and the ID domain of the figures."""
    today, written = type(sweep.data)(**{"root": "/"}).model_dump(), sweep.data.model_dump()
    return all(written[key] == today[key] for key in ("classes", "wnids", "templates", "id") if key in today)
