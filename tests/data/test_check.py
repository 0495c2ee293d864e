"""The check of a sweep's data, on trees of folders with whole and broken images."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from fpray.check import app
from fpray.data.base import LabelledImages, Split
from fpray.data.check import check_split, problems, quick_check, show_split, spread, try_images
from fpray.data.folders import position
from fpray.data.layouts.domains import Domains, DomainsOptions
from fpray.errors import UserError

TRAIN = Split("id", "photo", "train")
COUNTS = {"photo/cat": 300, "photo/dog": 200, "sketch/cat": 40, "sketch/dog": 30}
"""Of photo's 500 images, 350 are for training: three broken ones are less than 1 %."""


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def cut_off(file: Path) -> None:
    file.write_bytes(jpeg()[:-200])


def replace_by_text(file: Path) -> None:
    file.write_text("no image")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def options(root: Path) -> DomainsOptions:
    return DomainsOptions(root=str(root), id="photo", templates=("a {}.",))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two domains of two classes, with JPEG images of 8x6 to 40x30 pixels in turn."""
    encoded = []
    for size in (8, 16, 24, 32, 40):
        stream = io.BytesIO()
        Image.new("RGB", (size, size * 3 // 4), (size, 90, 200)).save(stream, "JPEG")
        encoded.append(stream.getvalue())
    root = tmp_path / "tree"
    for folder, count in COUNTS.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / f"{number:03d}.jpg").write_bytes(encoded[number % len(encoded)])
    return root


def training_files(root: Path, indices: Sequence[int]) -> list[str]:
    images = Domains(options(root)).images(TRAIN)
    return [images.name_of(index) for index in indices]


def sweep_file(root: Path, **resources: int) -> Path:
    file = root.parent / "sweep.yaml"
    data = {"layout": "domains"} | options(root).model_dump(include={"root", "id", "templates"}, mode="json")
    file.write_text(yaml.safe_dump({"data": data, "resources": resources}))
    return file


def run(root: Path, *arguments: str, **resources: int) -> Result:
    return CliRunner().invoke(app, [str(sweep_file(root, **resources)), *arguments])


def lines(result: Result) -> dict[str, str]:
    """The line of each split."""
    found = [line.partition(" ") for line in result.stdout.splitlines() if line.startswith(("id/", "ood/"))]
    return {name: " ".join(rest.split()) for name, _, rest in found}


def test_whole_data_is_shown_split_by_split(tree: Path) -> None:
    result = run(tree)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:2] == ["classes (2): cat, dog", "templates (1), the first: a {}."]
    shown = lines(result)
    assert list(shown) == [split.name for split in Domains(options(tree)).splits()]
    labels = [Path(name).parent.name for name in training_files(tree, range(len(Domains(options(tree)).images(TRAIN))))]
    cats, dogs = labels.count("cat"), labels.count("dog")
    assert shown["id/train"] == (
        f"{cats + dogs} images, 2 of 2 classes, {dogs} (dog) to {cats} (cat) each; "
        "100 of 100 tried decoded, 8x6 to 40x30 pixels, median 24x18"
    )


def test_how_many_are_tried_can_be_chosen(tree: Path) -> None:
    few, every = run(tree, "--images", "7"), run(tree, "--all", "--workers", "0")
    assert (few.exit_code, every.exit_code) == (0, 0)
    size = len(Domains(options(tree)).images(TRAIN))
    assert "; 7 of 7 tried decoded, " in lines(few)["id/train"]
    assert f"; {size} of {size} tried decoded, " in lines(every)["id/train"]


def test_a_few_broken_images_are_listed_once_each_with_the_reason(tree: Path) -> None:
    names = training_files(tree, [3, 100, 250])
    for name, spoil in zip(names, (cut_off, replace_by_text, empty), strict=True):
        spoil(tree / name)
    result = run(tree, "--all", "--workers", "2")
    assert (result.exit_code, result.stderr) == (1, "")
    listed = [line for line in result.stdout.splitlines() if "can't be decoded" in line]
    assert len(listed) == 3
    for line, name, reason in zip(
        listed, names, ("image file is truncated", "not an image", "not an image"), strict=True
    ):
        assert line.startswith(f"  id/train has an image that can't be decoded: {name}: {reason}")


def test_too_many_broken_images_are_all_listed_and_an_error(tree: Path) -> None:
    names = training_files(tree, [5, 6, 7, 8, 200, 201])
    for name in names:
        replace_by_text(tree / name)
    result = run(tree, "--all", "--workers", "0")
    size = len(Domains(options(tree)).images(TRAIN))
    assert result.exit_code == 2
    assert [line for line in result.stdout.splitlines() if "can't be decoded" in line] == [
        f"  id/train has an image that can't be decoded: {name}: not an image" for name in names
    ]
    assert f"{size - 6} of {size} tried decoded" in lines(result)["id/train"]
    assert result.stderr == (
        f"fpray: data: at least 6 of {size} images can't be decoded, more than 1 %: "
        f"{', '.join(names[:5])}, ... ({names[0]}: not an image); mend or remove them\n"
    )
    assert len(lines(result)) == 5  # the other splits were still looked at


def test_loader_processes_find_the_same(tree: Path) -> None:
    for name in training_files(tree, range(40, 50)):
        replace_by_text(tree / name)
    alone, shared = (check_split(Domains(options(tree)), TRAIN, 300, workers=workers) for workers in (0, 2))
    assert alone == shared
    assert len(alone.broken) == len({f for f in alone.broken if f.endswith(": not an image")}) > 3
    assert alone.error is not None and alone.error.startswith(f"data: at least {len(alone.broken)} of ")


def test_a_split_of_which_nothing_can_be_decoded_is_an_error_however_few_were_tried(tree: Path) -> None:
    size = len(Domains(options(tree)).images(TRAIN))
    names = training_files(tree, spread(size, 3))
    for name in names:
        replace_by_text(tree / name)
    report = check_split(Domains(options(tree)), TRAIN, 3)
    assert report.sizes is None
    assert problems([report], 1) == [
        f"data: none of the 3 images of id/train that were tried can be decoded ({names[0]}: not an image); "
        "put whole images in their places"
    ]
    assert problems([check_split(Domains(options(tree)), TRAIN, 4)], 1) == []
    assert run(tree, "--images", "3").exit_code == 2


def test_missing_things_are_one_sentence(tree: Path) -> None:
    result = run(tree.parent / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"fpray: data.root: there is no such folder; looked in '{tree.parent / 'nowhere'}'\n"


def test_a_link_that_leads_to_itself_is_an_error(tree: Path) -> None:
    (tree / "photo/cat/loop.jpg").symlink_to("loop.jpg")
    result = run(tree)
    assert result.exit_code == 2
    assert result.stderr == (
        f"fpray: data.root: can't read '{tree / 'photo/cat/loop.jpg'}': too many levels of symbolic links; "
        "mend or remove it\n"
    )


def test_a_wrong_sweep_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("data: {layout: domain}")
    result = CliRunner().invoke(app, [str(tmp_path / "wrong.yaml")])
    assert result.exit_code == 2
    assert "did you mean 'domains'?" in result.stderr and result.stderr.count("\n") == 1


def test_more_workers_than_images_of_a_split_are_an_error(tree: Path) -> None:
    dataset = Domains(options(tree))
    size, name = min((len(dataset.images(split)), split.name) for split in dataset.splits())
    sentence = f"resources.workers: a trial's {size + 1} workers can't share {size} images of {name}; lower it"
    assert quick_check(Domains(options(tree)), size) == []
    with pytest.raises(UserError) as caught:
        quick_check(Domains(options(tree)), size + 1)
    assert str(caught.value) == sentence
    result = CliRunner().invoke(app, [str(sweep_file(tree, workers=512))])
    assert result.exit_code == 2
    assert result.stderr.startswith("fpray: resources.workers: a trial's 512 workers can't share ")
    assert all("lower it" in line for line in result.stderr.splitlines())


def test_classes_without_images_are_named(tree: Path) -> None:
    test_only = next(f"photo/owl/{n}.jpg" for n in range(1000) if position(f"photo/owl/{n}.jpg", 0) < 0.2)
    (tree / "photo/owl").mkdir()
    (tree / test_only).write_bytes(jpeg())
    result = run(tree)
    assert result.exit_code == 0
    without = [line.strip() for line in result.stdout.splitlines() if "has no images of" in line]
    names = [split.name for split in Domains(options(tree)).splits() if split != Split("id", "photo", "test")]
    assert without == [f"{name} has no images of 1 of 3 classes: owl" for name in names]
    assert "1 (owl) to " in lines(result)["id/test"]
    assert quick_check(Domains(options(tree)), 1) == ["id/train has no images of 1 of 3 classes: owl"]


class Grouped(Domains):
    """The same tree, with a remark and with groups in the OOD domain."""

    def remarks(self) -> list[str]:
        return ["ood/sketch/test: 60 images, published are 61"]

    def groups(self, split: Split) -> Sequence[Sequence[int]] | None:
        return ((1, 0), (0,)) if split.role == "ood" else None


def test_before_a_sweep_broken_images_and_remarks_are_told(tree: Path) -> None:
    size = len(Domains(options(tree)).images(TRAIN))
    name = training_files(tree, spread(size, 8))[6]
    cut_off(tree / name)
    remark, broken = quick_check(Grouped(options(tree)), 1)
    assert remark == "ood/sketch/test: 60 images, published are 61"
    assert broken.startswith(f"id/train has an image that can't be decoded: {name}: image file is truncated")


def test_before_a_sweep_too_many_broken_images_are_an_error(tree: Path) -> None:
    for file in (tree / "sketch").rglob("*.jpg"):
        replace_by_text(file)
    with pytest.raises(UserError, match=r"^data: at least (\d+) of \1 images can't be decoded, more than 1 %: sketch/"):
        quick_check(Domains(options(tree)), 1)


def test_groups_are_counted_by_the_classes_in_them(tree: Path) -> None:
    grouped = check_split(Grouped(options(tree)), Split("ood", "sketch", "test"), 1)
    assert grouped.labels == ("dog or cat", "cat")
    assert grouped.groups_of == "2 of 2 classes"
    assert sum(grouped.counts) == len(Domains(options(tree)).images(Split("ood", "sketch", "test")))
    assert check_split(Grouped(options(tree)), TRAIN, 1).groups_of is None
    console = Console(file=io.StringIO())
    show_split(grouped, 20, console)
    images = sum(grouped.counts)
    assert console.file.getvalue().startswith(  # type: ignore[attr-defined]
        f"ood/sketch/test       {images:>9} images, 2 of 2 groups (2 of 2 classes), "
    )


class Gone(LabelledImages):
    """Images that can't be reached."""

    labels = [0, 1]

    def __getitem__(self, index: int) -> Image.Image:
        raise UserError("data: the storage is away")


class OutOfReach(Domains):
    def images(self, split: Split) -> Gone:  # type: ignore[override]
        return Gone()


@pytest.mark.parametrize("workers", [0, 1])
def test_other_mistakes_come_through_loader_processes_as_they_are(tree: Path, workers: int) -> None:
    with pytest.raises(UserError) as caught:
        check_split(OutOfReach(options(tree)), TRAIN, None, workers=workers)
    assert str(caught.value) == "data: the storage is away"


class Fetched(LabelledImages):
    """Images that are fetched many at once."""

    labels = [0] * 40

    def __init__(self) -> None:
        self.fetched: list[list[int]] = []

    def prefetch(self, indices: Sequence[int]) -> None:
        self.fetched.append(list(indices))

    def __getitem__(self, index: int) -> Image.Image:
        return Image.new("RGB", (index + 1, 1))


def test_images_that_come_from_afar_are_fetched_a_batch_at_once() -> None:
    images = Fetched()
    assert list(try_images(images, range(40), 0)) == [(index + 1, 1) for index in range(40)]
    assert images.fetched == [list(range(32)), list(range(32, 40))]


def test_indices_are_spread_evenly() -> None:
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(10, 3) == [0, 3, 6]
    assert spread(3, 100) == spread(3, None) == [0, 1, 2]


def test_the_command_as_a_user_runs_it(tree: Path) -> None:
    (name,) = training_files(tree, [0])
    replace_by_text(tree / name)
    call = [sys.executable, "-m", "fpray.check", str(sweep_file(tree)), "--images", "10"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"  id/train has an image that can't be decoded: {name}: not an image\n" in done.stdout
    assert "\x1b" not in done.stdout
