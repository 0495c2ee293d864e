"""The data sets that a sweep needs beside the one that it trains and evaluates on."""

from __future__ import annotations

from fpray.data.base import Dataset
from fpray.data.rehearsal import rehearsed
from fpray.data.retention import retained


def with_those_beside(dataset: Dataset) -> list[Dataset]:
    """The dataset, its sets of other classes, and the images that are replayed, if its options name any."""
    replayed = rehearsed(dataset)
    return [dataset, *retained(dataset), *([] if replayed is None else [replayed])]
