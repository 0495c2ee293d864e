"""The check of a dataset before a sweep uses it: the content of each split, and whether its images can be decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import numpy as np
from rich.console import Console
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fpray.console import first_of, print_line, with_progress
from fpray.data.base import Dataset, LabelledImages, Size, Split
from fpray.data.beside import with_those_beside
from fpray.errors import UserError

QUICK = 100
"""Images of each split that are tried before every sweep: every image, if the split has so few that a single broken
one is more than 1 %."""

Outcome = Size | str | UserError
"""The size of an image that was tried; or its path and why it can't be decoded; or a mistake of another kind."""


@dataclass(frozen=True)
class SplitReport:
    """The content of a split. Its labels stand for groups of classes if it has groups, else for classes."""

    split: Split
    labels: tuple[str, ...]
    """The class of each label, or the classes of its group."""
    counts: tuple[int, ...]
    """Images of each label."""
    groups_of: str | None
    """The share of all classes that is in groups, in words; None if there are no groups."""
    tried: int
    """The number of images that were tried."""
    decoded: int
    """The number of images tried that could be decoded."""
    sizes: tuple[Size, Size, Size] | None
    """The smallest, the median and the largest of the decoded images, by area; None if none could be decoded."""
    broken: tuple[str, ...]
    """The path of each image tried that can't be decoded, and why it can't be."""
    error: str | None
    """A sentence on why no sweep can use these images; None if one can."""

    @property
    def images(self) -> int:
        return sum(self.counts)

    @property
    def kind(self) -> str:
        """The word for several things that labels stand for."""
        return "classes" if self.groups_of is None else "groups"


class Tries(TorchDataset[Outcome]):
    """The outcome of trying to decode each of a split's images."""

    def __init__(self, images: LabelledImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int]) -> list[Outcome]:
        self.images.prefetch(indices)
        return [self[index] for index in indices]

    def __getitem__(self, index: int) -> Outcome:
        try:
            return self.images.try_one(index)
        except UserError as error:  # returned, since a loader process would put a traceback into its message
            return error


def spread(size: int, most: int | None) -> Sequence[int]:
    """At most `most` indices in [0, size), evenly spaced; all of them for None."""
    chosen = size if most is None else min(most, size)
    return [number * size // chosen for number in range(chosen)]


def check_split(
    dataset: Dataset, split: Split, most: int | None, *, workers: int = 0, console: Console | None = None
) -> SplitReport:
    """Look at a split and try some of its images.

    Args:
        dataset, split: the split of the dataset.
        most: the largest number of images to try, evenly spaced; None for all.
        workers: processes that decode them; with 0 this process does.
        console: shows the progress, if given.

    Raises:
        UserError: if something of the dataset is missing or wrong, other than images that can't be decoded.
    """
    images, groups, classes = dataset.images(split), dataset.groups(split), dataset.classes
    labels = classes if groups is None else [" or ".join(classes[index] for index in group) for group in groups]
    indices = spread(len(images), most)
    broken: dict[int, str] = {}
    sizes: Counter[Size] = Counter()
    tries = try_images(images, indices, workers)
    with closing(with_progress(tries, split.name, len(indices), console)) as outcomes:
        for index, outcome in zip(indices, outcomes, strict=True):
            if isinstance(outcome, UserError):
                raise outcome
            if isinstance(outcome, str):
                broken[index] = outcome
            else:
                sizes[outcome] += 1
    by_area = sorted(sizes.elements(), key=lambda size: size[0] * size[1])
    return SplitReport(
        split=split,
        labels=tuple(labels),
        counts=tuple(np.bincount(np.asarray(images.labels, dtype=np.int64), minlength=len(labels)).tolist()),
        groups_of=None if groups is None else f"{len({*chain(*groups)}):,} of {len(classes):,} classes",
        tried=len(indices),
        decoded=len(by_area),
        sizes=(by_area[0], by_area[len(by_area) // 2], by_area[-1]) if by_area else None,
        broken=tuple(dict.fromkeys(broken.values())),
        error=_error(images, split, broken, len(indices)),
    )


def try_images(images: LabelledImages, indices: Sequence[int], workers: int) -> Iterator[Outcome]:
    """The outcomes of the images at `indices`, in that order. Loader processes end with the iterator."""
    # Not `loading.loader`, whose processes stay for another epoch.
    for batch in DataLoader(Tries(images), batch_size=32, sampler=indices, num_workers=workers, collate_fn=list):
        yield from batch


def _error(images: LabelledImages, split: Split, broken: dict[int, str], tried: int) -> str | None:
    """A sentence if too many images are broken: more than 1 % of the split, or all that were tried."""
    if not broken:
        return None
    example = next(iter(broken.values()))
    if (sentence := images.too_many_unreadable(example)) is not None or len(broken) < tried:
        return sentence
    return (
        f"data: none of the {tried} images of {split.name} that were tried can be decoded "
        f"({example}); put whole images in their places"
    )


def problems(reports: Sequence[SplitReport], trial_workers: int) -> list[str]:
    """The reasons, a sentence each, why a sweep can't run on this data.

    Args:
        reports: a report of each split.
        trial_workers: the number of workers that a trial of the sweep has.
    """
    too_few = [
        f"resources.workers: a trial's {trial_workers} workers can't share {report.images} images of "
        f"{report.split.name}; lower it"
        for report in reports
        if report.images < trial_workers
    ]
    return [*(report.error for report in reports if report.error is not None), *too_few]


def quick_check(dataset: Dataset, trial_workers: int) -> list[str]:
    """Look at every split and try a few of its images, before a sweep starts.

    Returns:
        Lines for the user: the dataset's remarks, classes without training images, broken images.

    Raises:
        UserError: if the sweep can't run: a file is missing or wrong, more than 1 % of a split or all images tried
            are broken, or a trial has more workers than a split has images.
    """
    every = with_those_beside(dataset)
    reports = [check_split(own, split, QUICK) for own in every for split in own.splits()]
    for problem in problems(reports, trial_workers):
        raise UserError(problem)
    lines = [line for own in every for line in own.remarks()]
    for report in reports:
        if report.split.part == "train":
            lines += missing_lines(report)
        lines += broken_lines(report)
    return lines


def show_check(dataset: Dataset, most: int | None, workers: int, console: Console) -> list[SplitReport]:
    """Look at every split, try its images, and show each split as soon as it has been tried.

    Args:
        dataset: the dataset.
        most, workers, console: as for `check_split`.

    Raises:
        UserError: as for `check_split`.
    """
    every = with_those_beside(dataset)
    splits = [(own, split) for own in every for split in own.splits()]
    print_line(f"classes ({len(dataset.classes):,}): {first_of(dataset.classes, 8)}", console)
    print_line(f"templates ({len(dataset.templates):,}), the first: {dataset.templates[0]}", console)
    width = max(len(split.name) for _, split in splits)
    reports = []
    for own, split in splits:
        reports.append(check_split(own, split, most, workers=workers, console=console))
        show_split(reports[-1], width, console)
    for own in every:
        for remark in own.remarks():
            print_line(remark, console, "yellow")
    return reports


def show_split(report: SplitReport, width: int, console: Console) -> None:
    """Print a line about a split, and a line below for each thing that is wrong with it.

    Args:
        report: the split.
        width: the width of the column of split names, in characters.
        console: prints the lines.
    """
    present = [(count, label) for label, count in zip(report.labels, report.counts, strict=True) if count]
    (fewest, smallest), (most, largest) = min(present), max(present)
    labels = f", {len(present):,} of {len(report.labels):,} {report.kind}"
    labels += f" ({report.groups_of})" if report.groups_of is not None else ""
    each = f", {fewest:,} ({smallest}) to {most:,} ({largest}) each"
    if len(report.labels) == 1:  # as of images that are replayed
        labels = each = ""
    decoded = f"{report.decoded:,} of {report.tried:,} tried decoded"
    if report.sizes is not None:
        low, middle, high = (f"{wide}x{tall}" for wide, tall in report.sizes)
        decoded += f", {low} to {high} pixels, median {middle}"
    print_line(f"{report.split.name:<{width}}  {report.images:>9,} images{labels}{each}; {decoded}", console)
    for line in [*missing_lines(report), *broken_lines(report)]:
        print_line(f"  {line}", console, "yellow")


def missing_lines(report: SplitReport) -> list[str]:
    """A line about the classes of which a split has no images; no line if it has images of all."""
    missing = [label for label, count in zip(report.labels, report.counts, strict=True) if not count]
    number = f"{len(missing):,} of {len(report.labels):,} {report.kind}"
    return [f"{report.split.name} has no images of {number}: {first_of(missing, 5)}"] if missing else []


def broken_lines(report: SplitReport) -> list[str]:
    """A line about each broken image, with why it is broken."""
    return [f"{report.split.name} has an image that can't be decoded: {line}" for line in report.broken]
