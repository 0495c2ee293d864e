"""Images to replay: a folder of anything, a table with captions, or what the model was pre-trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from fpray.config.file import check_sweep
from fpray.data import differences, fingerprints, open_dataset, quick_check, rehearsed, show_check
from fpray.data.base import Dataset, LabelledImages, Split
from fpray.data.captions import Texts
from fpray.errors import UserError


def images_in(root: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(root / path)
    return root


def dataset_of(source: Path | str, **options: Any) -> Dataset:
    data = {"rehearsal": {"source": str(source)}} | (options or {"train_images": 8})
    return open_dataset(check_sweep({"name": "s", "data": data}, "s").data)


def images_of(source: Path | str) -> LabelledImages:
    found = rehearsed(dataset_of(source))
    assert found is not None
    return found.images(found.splits()[0])


def paths_of(images: LabelledImages) -> list[str]:
    return [images.name_of(index) for index in range(len(images))]


def test_a_folder_is_looked_through_and_said_nothing_of(tmp_path: Path) -> None:
    root = images_in(tmp_path / "any.thing", "b.png", "a/x/2.jpg", "a/1.png", ".hidden/3.png")
    (root / "a" / "notes.txt").write_text("no image")
    (root / "a" / "back").symlink_to(root, target_is_directory=True)  # not gone round for ever
    images = images_of(root)
    assert [path for path in paths_of(images) if "back" not in path] == ["a/1.png", "a/x/2.jpg", "b.png"]
    assert images.captions is None and set(images.labels) == {0}


def test_there_is_nothing_to_replay_where_nothing_is_named() -> None:
    assert rehearsed(open_dataset(check_sweep({"name": "s"}, "s").data)) is None


@pytest.mark.parametrize(("name", "separator"), [("pairs.tsv", "\t"), ("pairs.csv", ","), ("pairs.csv", "\t")])
def test_a_table_is_read_as_open_clip_does(tmp_path: Path, name: str, separator: str) -> None:
    images_in(tmp_path, "far/1.png", "2.png")
    captions = ['a "red, round" thing', "zwei Zeilen\nmit ü"]
    rows = {"title": captions, "filepath": [str(tmp_path / "far" / "1.png"), "2.png"], "more": [1, 2]}
    pd.DataFrame(rows).to_csv(tmp_path / name, sep=separator, index=False)  # open_clip's CsvDataset reads by pandas
    images = images_of(tmp_path / name)
    assert list(images.captions or ()) == captions == list(pd.read_csv(tmp_path / name, sep=separator)["title"])
    assert [images[index].getpixel((0, 0)) for index in range(2)] == [(0, 0, 0), (20, 0, 0)]


def test_texts_are_the_texts() -> None:
    texts = ["", "ü", "two words"]
    assert list(Texts(texts)) == texts and Texts(texts)[1:] == texts[1:] and len(Texts([])) == 0
    with pytest.raises(IndexError):
        Texts(texts)[3]


def test_pretraining_is_drawnets(tmp_path: Path) -> None:
    images = images_of("pretraining")
    assert len(images) == 7500 and images.captions is not None
    assert "a photo of a mug." in images.captions
    images_in(tmp_path, "photo/cat/1.png", "photo/dog/2.png", "sketch/cat/1.png", "sketch/dog/2.png")
    other = dataset_of("pretraining", layout="domains", root=str(tmp_path), id="photo")
    found = rehearsed(other)
    assert found is not None
    with pytest.raises(UserError, match="data.rehearsal.source: .* at hand for drawnet alone, not for 'domains'"):
        found.images(found.splits()[0])


def test_fingerprints_know_other_images_and_other_captions(tmp_path: Path) -> None:
    images_in(tmp_path, "1.png", "2.png")
    table = tmp_path / "pairs.tsv"

    def found(*captions: str) -> dict[str, Any]:
        table.write_text("filepath\ttitle\n" + "".join(f"{n + 1}.png\t{text}\n" for n, text in enumerate(captions)))
        return dict(fingerprints(dataset_of(table)))

    before, name = found("one", "two"), "rehearsal/pairs.tsv/train"
    assert before[name].images == 2
    assert differences(before, found("one", "two")) == []
    assert differences(before, found("one", "three")) == [f"{name} has other captions"]
    assert differences(before, found("one")) == [f"{name} had 2 images, has 1"]


def test_the_check_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_check(dataset_of(images_in(tmp_path / "any", "1.png", "2.png")), 10, 0, Console(width=200))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rehearsal/any/train")]
    assert " ".join(line.split()) == (
        "rehearsal/any/train 2 images; 2 of 2 tried decoded, 8x8 to 8x8 pixels, median 8x8"
    )
    assert Split("rehearsal", "any", "train").name == "rehearsal/any/train"


def written(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "pairs.csv").write_bytes(text.encode("latin-1"))
        return folder / "pairs.csv"

    return write


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "gone", "there is no such folder"),
        (lambda folder: folder / "gone.csv", "there is no such file"),
        (lambda folder: images_in(folder / "none"), "there is no such folder"),
        (lambda folder: folder, "has no images"),
        (written(""), "has no column 'filepath'"),
        (written("filepath,caption\n1.png,one\n"), "has no column 'title' in its first line; name the columns"),
        (written("filepath,title\n"), "has no rows"),
        (written("filepath,title\n1.png,one\n2.png\n"), "has no title in line 3; write one, or leave the line out"),
        (written("filepath,title\n,one\n"), "has no filepath in line 2"),
        (written("filepath,title\n1.png,\xfc\n"), "can't read .*utf-8"),
    ],
)
def test_a_wrong_source_is_told_before_a_sweep(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(UserError, match=f"data.rehearsal.source: .*{said}"):
        quick_check(dataset_of(make(tmp_path)), 1)


def test_images_that_a_table_names_and_are_not_there_are_told_before_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the 1 images|1 of 1 images can't be decoded.*gone.png"):
        quick_check(dataset_of(written("filepath,title\ngone.png,one\n")(tmp_path)), 1)
