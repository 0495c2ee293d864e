"""Checking a dataset before a sweep uses it: what each split holds, and whether its images can be decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import Dataset, LabelledImages, Split
from fpray.data.encoded import UnreadableImageError, reason
from fpray.data.loading import prefetch
from fpray.errors import UserError

QUICK = 100
"""Images of each split that are tried before every sweep: all of one so small that a broken image is more than 1 %."""
TOLD_EVERY = 10_000
"""Images between two lines of progress, off a terminal."""

Size = tuple[int, int]
"""Width and height of an image, in pixels."""
Outcome = Size | str | UserError
"""What came of trying an image: its size, path and reason if it can't be decoded, or a mistake of another kind."""
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class SplitReport:
    """What was found of a split. Its labels stand for groups where it has some, else for classes."""

    split: Split
    labels: tuple[str, ...]
    """The class of each label, or the classes of its group."""
    counts: tuple[int, ...]
    """Images of each label."""
    groups_of: str | None
    """How many of all classes are in the groups; None where there are no groups."""
    tried: int
    """How many images were tried."""
    decoded: int
    """How many of those could be decoded."""
    sizes: tuple[Size, Size, Size] | None
    """The smallest, the median and the largest of the decoded images, by area; None if none could be decoded."""
    broken: tuple[str, ...]
    """Path and reason of each image tried that can't be decoded."""
    error: str | None
    """Why no sweep can use these images."""

    @property
    def images(self) -> int:
        return sum(self.counts)

    @property
    def kind(self) -> str:
        """What a label stands for, several of them."""
        return "classes" if self.groups_of is None else "groups"


class Tries(TorchDataset[Outcome]):
    """What comes of trying to decode each of a split's images."""

    def __init__(self, images: LabelledImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int]) -> list[Outcome]:
        prefetch(self.images, indices)
        return [self[index] for index in indices]

    def __getitem__(self, index: int) -> Outcome:
        try:
            return self.images[index].size
        except UnreadableImageError as error:
            return str(error)
        except UserError as error:  # handed on: a loader process would put a traceback into its sentence
            if self.images.unreadable is None or not self.images.unreadable[index] or error.__context__ is None:
                return error
            # Too many are broken: the sentence is about them all, what is wrong with this one is its context.
            return f"{self.images.name_of(index)}: {reason(error.__context__)}"


def spread(size: int, most: int | None) -> Sequence[int]:
    """So many indices in [0, size), evenly spaced; all of them for None."""
    chosen = size if most is None else min(most, size)
    return [number * size // chosen for number in range(chosen)]


def check_split(
    dataset: Dataset, split: Split, most: int | None, workers: int = 0, console: Console | None = None
) -> SplitReport:
    """Look at a split and try some of its images.

    Args:
        most: how many images are tried, evenly spaced; None for all.
        workers: processes that decode them; 0: this one.
        console: where progress is shown, if anywhere.

    Raises:
        UserError: if something of the dataset is missing or wrong, other than images that can't be decoded.
    """
    images, groups, classes = dataset.images(split), dataset.groups(split), dataset.classes
    labels = classes if groups is None else [" or ".join(classes[index] for index in group) for group in groups]
    indices = spread(len(images), most)
    broken: dict[int, str] = {}
    sizes: Counter[Size] = Counter()
    tries = try_images(images, indices, workers)
    with closing(told(tries, split.name, len(indices), console)) as outcomes:
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
    """What comes of the images at `indices`, in that order. Its loader processes end with it."""
    # Not `loading.loader`, whose processes stay for another epoch.
    for batch in DataLoader(Tries(images), batch_size=32, sampler=indices, num_workers=workers, collate_fn=list):
        yield from batch


def told(items: Iterable[_Item], name: str, total: int, console: Console | None) -> Generator[_Item, None, None]:
    """The same items, while telling how far it is: a bar on a terminal, else a line now and then."""
    if console is None:
        yield from items
        return
    if console.is_terminal:
        yield from track(items, description=name, total=total, console=console, transient=True)
        return
    for number, item in enumerate(items, 1):
        yield item
        if number % TOLD_EVERY == 0 and number < total:
            tell(f"{name}: {number:,} of {total:,} images tried", console)


def _error(images: LabelledImages, split: Split, broken: dict[int, str], tried: int) -> str | None:
    """Whether broken images are too many, known only now that all that were tried have been noted."""
    if not broken:
        return None
    first = next(iter(broken))
    try:
        images[first]
    except UnreadableImageError:
        pass
    except UserError as error:
        return str(error)
    if len(broken) < tried:
        return None
    return (
        f"data: none of the {tried} images of {split.name} that were tried can be decoded "
        f"({broken[first]}); put whole images in their places"
    )


def problems(reports: Sequence[SplitReport], trial_workers: int) -> list[str]:
    """Why a sweep whose trials have so many workers can't run on this data."""
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
        What is worth knowing, a line each: the dataset's remarks, classes without training images, broken images.

    Raises:
        UserError: if the sweep can't run: something is missing or wrong, more than 1 % of a split is known to be
            broken or all that was tried of it, or a trial has more workers than a split images.
    """
    reports = [check_split(dataset, split, QUICK) for split in dataset.splits()]
    for problem in problems(reports, trial_workers):
        raise UserError(problem)
    lines = dataset.remarks()
    for report in reports:
        if report.split.part == "train":
            lines += missing_lines(report)
        lines += broken_lines(report)
    return lines


def show_check(dataset: Dataset, most: int | None, workers: int, console: Console) -> list[SplitReport]:
    """Look at every split, try its images, and show what is found as it is found.

    Args:
        most, workers: as for `check_split`.

    Raises:
        UserError: as for `check_split`.
    """
    splits = dataset.splits()
    tell(f"classes ({len(dataset.classes):,}): {first_of(dataset.classes, 8)}", console)
    tell(f"templates ({len(dataset.templates):,}), the first: {dataset.templates[0]}", console)
    width = max(len(split.name) for split in splits)
    reports = []
    for split in splits:
        reports.append(check_split(dataset, split, most, workers, console))
        show_split(reports[-1], width, console)
    for remark in dataset.remarks():
        tell(remark, console, "yellow")
    return reports


def show_split(report: SplitReport, width: int, console: Console) -> None:
    """Show a split as a line that starts with its name, `width` characters wide, and what is wrong with it below."""
    present = [(count, label) for label, count in zip(report.labels, report.counts, strict=True) if count]
    (fewest, smallest), (most, largest) = min(present), max(present)
    of = f"{len(present):,} of {len(report.labels):,} {report.kind}"
    of += f" ({report.groups_of})" if report.groups_of is not None else ""
    decoded = f"{report.decoded:,} of {report.tried:,} tried decoded"
    if report.sizes is not None:
        low, middle, high = (f"{wide}x{tall}" for wide, tall in report.sizes)
        decoded += f", {low} to {high} pixels, median {middle}"
    each = f"{fewest:,} ({smallest}) to {most:,} ({largest}) each"
    tell(f"{report.split.name:<{width}}  {report.images:>9,} images, {of}, {each}; {decoded}", console)
    for line in [*missing_lines(report), *broken_lines(report)]:
        tell(f"  {line}", console, "yellow")


def missing_lines(report: SplitReport) -> list[str]:
    """Which classes a split has no images of; nothing if it has all."""
    missing = [label for label, count in zip(report.labels, report.counts, strict=True) if not count]
    of = f"{len(missing):,} of {len(report.labels):,} {report.kind}"
    return [f"{report.split.name} has no images of {of}: {first_of(missing, 5)}"] if missing else []


def broken_lines(report: SplitReport) -> list[str]:
    """Every broken image with its reason."""
    return [f"{report.split.name} has an image that can't be decoded: {line}" for line in report.broken]


def first_of(words: Sequence[str], most: int) -> str:
    """The first words, and how many more there are."""
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def tell(line: str, console: Console, style: str | None = None) -> None:
    """Print a line as it is, however long."""
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
