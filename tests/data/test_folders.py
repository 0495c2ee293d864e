"""Datasets in folders: sorted listings, one sentence for each bad folder, and shares by hash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from open_clip import OPENAI_IMAGENET_TEMPLATES
from pydantic import TypeAdapter, ValidationError

from fpray.data.base import Split
from fpray.data.encoded import SUFFIXES
from fpray.data.folders import (
    IMAGENET_TEMPLATES,
    Classes,
    Share,
    Templates,
    UniqueNames,
    image_files,
    image_splits,
    left_out_remarks,
    position,
    prompt_name,
    subfolders,
)
from fpray.data.paths import Root
from fpray.errors import UserError
from tests.nobody import as_nobody


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_positions_are_fixed_for_all_time() -> None:
    assert position("photo/dog/1.jpg", 0) == pytest.approx(0.3641410622757396, abs=1e-15)
    assert position("a", 0) != position("b", 0)
    assert position("zoö/日本/1.jpg", 0) == position("zoö/日本/1.jpg", 0)
    assert 0 <= position(os.fsdecode(b"not utf-8: \xff"), 0) < 1


def test_a_draw_of_another_seed_has_other_positions() -> None:
    paths = [f"photo/dog/{number}.jpg" for number in range(1000)]
    one, other = ([position(path, seed) < 0.2 for path in paths] for seed in (1, 2**32 - 1))
    assert one == [position(path, 1) < 0.2 for path in paths]
    both = sum(a and b for a, b in zip(one, other, strict=True))
    assert 20 < both < 60  # 40 of 1000 if the draws are independent


def test_positions_are_spread_evenly() -> None:
    positions = sorted(position(f"photo/dog/{number}.jpg", 0) for number in range(5000))
    assert 0 <= positions[0] < positions[-1] < 1
    assert max(abs(place - rank / 5000) for rank, place in enumerate(positions)) < 0.025


def test_the_templates_are_openais_eighty() -> None:
    assert len(set(IMAGENET_TEMPLATES)) == 80
    for text, function in zip(IMAGENET_TEMPLATES, OPENAI_IMAGENET_TEMPLATES, strict=True):
        assert text.count("{}") == 1
        assert text.replace("{}", "hot dog") == function("hot dog")


def test_subfolders_are_sorted_and_follow_links(tmp_path: Path) -> None:
    touch(tmp_path, "b/x.jpg", "a/x.jpg", "C/x.jpg", ".hidden/x.jpg", "list.txt", "else/where/x.jpg")
    (tmp_path / "a link").symlink_to(tmp_path / "else" / "where")
    (tmp_path / "link.txt").symlink_to(tmp_path / "list.txt")
    assert subfolders(tmp_path, "data.root") == ["C", "a", "a link", "b", "else"]
    assert subfolders(tmp_path / "b", "data.root") == []


def test_images_are_sorted_and_known_by_their_suffixes(tmp_path: Path) -> None:
    names = ["10.jpg", "9.JPG", "a.Jpeg", "b.png", "c.WebP", "d e.jpg", "g.bmp", "h.TIF", "i.tiff", "j.jfif", "k.ppm"]
    touch(tmp_path, *(f"x/dog/{name}" for name in [*names, "notes.txt", "jpg", "._9.JPG", "e.gif", "f.jpg.part"]))
    (tmp_path / "x/dog/folder.jpg").mkdir()
    (tmp_path / "x/dog/link.png").symlink_to(tmp_path / "x/dog/10.jpg")
    os.mkfifo(tmp_path / "x/dog/pipe.jpg")
    images, left_out = image_files(tmp_path, "x/dog", "data.root", "fill it")
    assert images == sorted(f"x/dog/{name}" for name in [*names, "link.png"])
    others = ["e.gif", "f.jpg.part", "folder.jpg/", "jpg", "notes.txt", "pipe.jpg"]
    assert left_out == [f"x/dog/{name}" for name in others]
    assert left_out_remarks([]) == []
    assert left_out_remarks(left_out) == [
        "5 files and 1 folder in class folders are left out, being no files that end in "
        f"{', '.join(SUFFIXES)}: {', '.join(left_out[:5])}, ..."
    ]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"dog/x\xff.jpg"))
    with pytest.raises(UserError) as caught:
        image_files(tmp_path, "dog", "data.root", "fill it")
    assert str(caught.value) == f"data.root: the name of '{tmp_path}/dog/x\\xff.jpg' is not UTF-8; rename it"
    touch(tmp_path, os.fsdecode(b"photo/\xfe/1.jpg"))
    with pytest.raises(UserError, match=r"^data.id: the name of '.*/photo/\\xfe' is not UTF-8; rename it$"):
        subfolders(tmp_path / "photo", "data.id")


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "dog/notes.txt")
    with pytest.raises(UserError) as caught:
        image_files(tmp_path, "dog", "data.folders.v2", "fill it")
    assert str(caught.value) == (f"data.folders.v2: '{tmp_path}/dog' has no images ({', '.join(SUFFIXES)}); fill it")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        subfolders(tmp_path / "photo", "data.id")
    assert str(caught.value) == f"data.id: there is no such folder; looked in '{tmp_path}/photo'"
    with pytest.raises(UserError, match=r"^data.root: there is no such folder; looked in '.*/photo/dog'$"):
        image_files(tmp_path, "photo/dog", "data.root", "fill it")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "photo")
    with pytest.raises(UserError, match=r"^data.id: '.*/photo' is a file; give a folder$"):
        subfolders(tmp_path / "photo", "data.id")
    with pytest.raises(UserError, match=r"^data.root: '.*/photo' is a file; give a folder$"):
        image_files(tmp_path, "photo", "data.root", "fill it")


def test_an_unreadable_folder_is_named(open_folder: Path) -> None:
    touch(open_folder, "dog/1.jpg")
    (open_folder / "dog").chmod(0)
    with as_nobody(), pytest.raises(UserError) as caught:
        image_files(open_folder, "dog", "data.root", "fill it")
    assert str(caught.value) == f"data.root: can't read '{open_folder}/dog': permission denied; mend or remove it"
    with as_nobody(), pytest.raises(UserError, match=r"^data.id: can't read '.*/dog': permission denied"):
        subfolders(open_folder / "dog", "data.id")


def test_a_link_into_an_unreadable_folder_is_named(open_folder: Path) -> None:
    touch(open_folder, "closed/dog/1.jpg", "photo/cat/1.jpg")
    (open_folder / "photo/dog").symlink_to(open_folder / "closed/dog")
    (open_folder / "closed").chmod(0)
    with as_nobody(), pytest.raises(UserError, match=r"^data.id: can't read '.*/photo/dog': permission denied"):
        subfolders(open_folder / "photo", "data.id")


@pytest.mark.parametrize("target", ["nowhere", "file.txt/inside"])
def test_a_link_to_nowhere_is_named(target: str, tmp_path: Path) -> None:
    touch(tmp_path, "photo/file.txt", "photo/dog/1.jpg")
    (tmp_path / "photo/cat").symlink_to(target)
    with pytest.raises(UserError) as caught:
        subfolders(tmp_path / "photo", "data.id")
    assert str(caught.value) == f"data.id: the link '{tmp_path}/photo/cat' leads nowhere; mend or remove it"


def test_an_image_that_links_to_nowhere_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "dog/1.jpg")
    (tmp_path / "dog/2.jpg").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"^data.root: the link '.*/dog/2.jpg' leads nowhere; mend or remove it$"):
        image_files(tmp_path, "dog", "data.root", "fill it")


def test_a_link_in_a_circle_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "photo/dog/1.jpg")
    (tmp_path / "photo/cat").symlink_to("cow")
    (tmp_path / "photo/cow").symlink_to("cat")
    message = r"^data.id: can't read '.*/photo/c[ao][tw]': too many levels of symbolic links; mend or remove it$"
    with pytest.raises(UserError, match=message):
        subfolders(tmp_path / "photo", "data.id")


def test_prompts_say_spaces() -> None:
    assert prompt_name("hot_air_balloon") == "hot air balloon"
    assert prompt_name("t-shirt") == "t-shirt"


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "10%", None])
def test_shares_are_between_0_and_1(share: object) -> None:
    with pytest.raises(ValidationError, match=f"must be a share between 0 and 1, not {share!r}"):
        TypeAdapter(Share).validate_python(share)
    assert TypeAdapter(Share).validate_python(0.25) == 0.25


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "a {name}", ""])
def test_a_template_has_one_place_for_the_class(template: str) -> None:
    with pytest.raises(ValidationError, match="needs exactly one {}"):
        TypeAdapter(Templates).validate_python(["a {}.", template])


def test_lists_may_be_one_word_but_not_empty() -> None:
    assert TypeAdapter(Templates).validate_python("a {}.") == ("a {}.",)
    assert TypeAdapter(UniqueNames).validate_python(["b", "a"]) == ("b", "a")
    for kind in (Templates, UniqueNames):
        with pytest.raises(ValidationError, match="is an empty list"):
            TypeAdapter(kind).validate_python([])
        with pytest.raises(ValidationError, match="must be a list, not 3"):
            TypeAdapter(kind).validate_python(3)
    with pytest.raises(ValidationError, match="an empty name says nothing; write one"):
        TypeAdapter(UniqueNames).validate_python(["a", " "])
    with pytest.raises(ValidationError, match="one class leaves nothing to tell apart; name two or more"):
        TypeAdapter(Classes).validate_python(["a"])
    with pytest.raises(ValidationError, match="'a' is there twice; name each once"):
        TypeAdapter(UniqueNames).validate_python(["a", "b", "a"])


def test_the_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    roots = {written: TypeAdapter(Root).validate_python(written) for written in ("PACS", "~/PACS", "/data/PACS")}
    assert list(roots.values()) == [str(tmp_path / "PACS"), "/home/someone/PACS", "/data/PACS"]
    for written, said in {
        "": "at least 1 character",
        "a\0b": "has a NUL character in it; remove that",
        "~nobodyhere/x": "nobody has the home folder '~nobodyhere'",
    }.items():
        with pytest.raises(ValidationError, match=said):
            TypeAdapter(Root).validate_python(written)


def test_a_split_without_images_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    train, val = Split("id", "photo", "train"), Split("id", "photo", "val")
    remedies = {("id", "train"): "lower it", ("id", "val"): "raise data.id_val"}
    splits = image_splits(tmp_path, {train: [("b.jpg", 1), ("a.jpg", 0)], val: [("c.jpg", 1)]}, remedies)
    assert list(splits) == [train, val]
    assert [splits[train].name_of(i) for i in (0, 1)] == ["b.jpg", "a.jpg"]
    assert splits[train].labels.tolist() == [1, 0]
    with pytest.raises(UserError, match=r"^data: no images of 'photo' are left for id/val; raise data.id_val$"):
        image_splits(tmp_path, {train: [("a.jpg", 0)], val: []}, remedies)
