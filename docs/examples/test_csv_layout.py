"""The CSV layout holds what every layout must, and says what is wrong with a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from csv_layout import CsvLayout, CsvOptions
from PIL import Image

from fpray.errors import UserError
from fpray.testing import LayoutConformance

HEADER = "path,part,domain,class"


def make(folder: Path) -> str:
    """A list of three domains with two classes, and its images; returns where the list is."""
    rng, lines = np.random.default_rng(0), [HEADER]
    for domain in ("photo", "sketch", "art"):
        for part in ("train", "val", "test") if domain == "photo" else ("val", "test"):
            for name in ("dog", "alarm clock"):
                for number in range(3):
                    path = f"{domain}-{part}-{name}-{number}.png"
                    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / path)
                    lines.append(f"{path},{part},{domain},{name}")
    (folder / "images.csv").write_text("\n".join(lines))
    return str(folder / "images.csv")


class TestCsvLayout(LayoutConformance):
    layout = CsvLayout

    @classmethod
    def section(cls, folder: Path) -> dict[str, Any]:
        return {"layout": "csv", "file": make(folder), "id": "photo"}


def test_labels_are_the_classes_in_their_order(tmp_path: Path) -> None:
    dataset = CsvLayout(CsvOptions(file=make(tmp_path), id="photo"))
    assert dataset.classes == ["alarm clock", "dog"]
    images = dataset.images(dataset.splits()[0])
    assert [(images.name_of(i), images.labels[i]) for i in (0, 3)] == [
        ("photo-train-dog-0.png", 1),
        ("photo-train-alarm clock-0.png", 0),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "data.file: can't read .*images.csv"),
        ("path,part\na.png,train", "data.file: line 2 of .* needs a path, a domain, a class"),
        (f"{HEADER}\na.png,training,photo,dog", "data.file: line 2 of .* a part that is train, val or test"),
        (f"{HEADER}\na.png,train,photo,dog", "data.file: .* lists no images of id/val; add some"),
    ],
)
def test_mistakes_in_the_list_are_one_sentence(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "images.csv").write_text(content)
    dataset = CsvLayout(CsvOptions(file=str(tmp_path / "images.csv"), id="photo"))
    with pytest.raises(UserError, match=said) as caught:
        dataset.images(dataset.splits()[0])
    assert "\n" not in str(caught.value)
