"""The data: labelled images of one ID domain and several OOD domains, in whatever layout they lie.

A `Dataset` has classes, prompt templates and splits (a domain, its role, a part), and gives `LabelledImages` for each
split. `DATASETS` has every layout by the name that the sweep file's `data.layout` says: one module each in `layouts`.
Beside it may lie sets of other classes (`retained`) and images to replay (`rehearsed`).
`loading` makes batches of the images, in an order that seed and epoch decide; an image that can't be decoded raises
`UnreadableImageError` and is noted. `quick_check` tries a few images of each split before a sweep, `show_check` shows
all that is found; `fingerprints` tell this data from others. `recognise` tells the layout of the images in a folder.
"""

from fpray.data.base import DataOptions, Dataset, LabelledImages, RehearsalOptions, Split, UnreadableImageError
from fpray.data.beside import with_those_beside
from fpray.data.check import problems, quick_check, show_check
from fpray.data.crops import PIXELS, Crop
from fpray.data.encoded import SUFFIXES, ImageFiles, decode
from fpray.data.fingerprint import Fingerprint, differences, fingerprints, fingerprints_of_draws, split_and_seed
from fpray.data.folders import Templates
from fpray.data.layouts import DATASETS, open_dataset
from fpray.data.loading import (
    REPLAYED,
    Batch,
    Draws,
    EpochBatches,
    Items,
    Rounds,
    Transformed,
    in_order,
    loader,
    to_device,
)
from fpray.data.paths import Root
from fpray.data.recognition import Recognised, recognise
from fpray.data.rehearsal import Rehearsed, Replayed, ReplayedPairs, rehearsed
from fpray.data.retention import retained

__all__ = [
    "SUFFIXES",
    "decode",
    "DATASETS",
    "PIXELS",
    "REPLAYED",
    "Batch",
    "Crop",
    "DataOptions",
    "Dataset",
    "Draws",
    "EpochBatches",
    "Fingerprint",
    "ImageFiles",
    "Items",
    "LabelledImages",
    "Recognised",
    "RehearsalOptions",
    "Rehearsed",
    "Replayed",
    "ReplayedPairs",
    "Root",
    "Rounds",
    "Split",
    "Templates",
    "Transformed",
    "UnreadableImageError",
    "differences",
    "fingerprints",
    "fingerprints_of_draws",
    "split_and_seed",
    "in_order",
    "loader",
    "open_dataset",
    "problems",
    "quick_check",
    "rehearsed",
    "retained",
    "recognise",
    "show_check",
    "to_device",
    "with_those_beside",
]
