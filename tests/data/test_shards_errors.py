"""A shard that is wrong or can't be read: one sentence, which names it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fsspec import AbstractFileSystem
from fsspec.registry import known_implementations

from fpray.errors import UserError
from tests.data.shard_tree import index_of, tar
from tests.nobody import as_nobody

PNG = ("1.png", b"x")
WRONG: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "none": ([], r"there is no sample in it, that is an image \(\.jpg, .*\) and its label"),
    "no label": ([PNG], r"the sample '1' has no label; give it a \.cls, or a \.json with the key 'label'"),
    "json without": ([PNG, ("1.json", b'{"caption": "x"}')], r"the sample '1' has no label; .*"),
    "a list": ([PNG, ("1.json", b"[1]")], r"the sample '1' has no label; .*"),
    "no image": ([PNG, ("1.cls", b"1"), ("2.gif", b"x"), ("2.cls", b"1")], "the sample '2' has a label but no image.*"),
    "word": ([PNG, ("1.cls", b"cat")], "the label of the sample '1' is b'cat', not a whole number from 0 on"),
    "negative": ([PNG, ("1.cls", b"-1")], "the label of the sample '1' is b'-1', not .*"),
    "huge": ([PNG, ("1.cls", b"9" * 30)], "the label of the sample '1' is b'99999999999999999999', not .*"),
    "empty": ([PNG, ("1.cls", b"")], "the label of the sample '1' is b'', not .*"),
    "fraction": ([PNG, ("1.json", b'{"label": 1.5}')], "the label of the sample '1' is 1.5, not .*"),
    "true": ([PNG, ("1.json", b'{"label": true}')], "the label of the sample '1' is True, not .*"),
    "minus": ([PNG, ("1.json", b'{"label": -3}')], "the label of the sample '1' is -3, not .*"),
    "no json": ([PNG, ("1.json", b"{label: 1}")], "the .json of the sample '1' is damaged or no JSON; write it again"),
    "deep json": ([PNG, ("1.json", b"[" * 200_000)], "the .json of the sample '1' is damaged or no JSON; .*"),
    "twice": ([PNG, ("1.cls", b"1"), PNG], "the key '1' is there twice, with two images; rename or remove one"),
    "two kinds": ([PNG, ("1.cls", b"1"), ("1.jpg", b"x")], "the key '1' is there twice, with two images; .*"),
    "name": ([("\udcff.png", b"x"), ("\udcff.cls", b"1")], r"the key '\\xff' is not UTF-8; rename it"),
    "two labels": ([PNG, ("1.cls", b"1"), ("1.cls", b"1")], "the key '1' is there twice, with two .cls members; .*"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_sample_is_said_with_shard_and_key(wrong: str, tmp_path: Path) -> None:
    members, message = WRONG[wrong]
    (tmp_path / "a.tar").write_bytes(tar(members))
    with pytest.raises(UserError, match=f"^data.id.train: '{tmp_path}/a.tar': {message}$"):
        index_of(tmp_path / "a.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"no tar file at all",
        lambda whole: np.random.default_rng(0).bytes(20_000),
        gzip.compress,
        lambda whole: whole[:1700],
        lambda whole: whole[:512],
        lambda whole: whole[:2560],
        lambda whole: whole[:2561],
        lambda whole: flipped(whole, 2560),
    ],
    ids=["empty", "text", "noise", "gzip", "in an image", "in a label", "between", "in a header", "damaged header"],
)
def test_what_is_no_whole_tar_file_is_said(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = tar([("1.cls", b"1"), ("1.png", b"x" * 600), ("2.cls", b"2"), ("2.png", b"y")])
    shard = tmp_path / "a.tar"
    shard.write_bytes(damage(whole))
    with pytest.raises(
        UserError, match=rf"^data.id.train: '{shard}' is not an uncompressed, whole tar file \(.+\); .*$"
    ):
        index_of(shard)


@pytest.mark.parametrize("place", ["{}/missing.tar", "memory://nowhere/missing.tar"])
def test_a_missing_shard_is_named(place: str, tmp_path: Path) -> None:
    address = place.format(tmp_path)
    with pytest.raises(UserError, match=f"^data.id.train: a shard is missing; looked for '{address}'$"):
        index_of(address)


def test_a_folder_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^data.id.train: '{tmp_path}' is a folder; name the shards, like train-"):
        index_of(tmp_path)


def test_an_unreadable_shard_is_said_even_where_its_index_was_kept(open_folder: Path) -> None:
    shard = open_folder / "a.tar"
    shard.write_bytes(tar([PNG, ("1.cls", b"1")]))
    index_of(shard)
    shard.chmod(0)
    with as_nobody(), pytest.raises(UserError, match=f"^data.id.train: can't read '{shard}': permission denied; mend"):
        index_of(shard)


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(UserError, match=r"^data.id.train: 's33://b/a.tar' begins with the unknown scheme 's33'; did"):
        index_of("s33://b/a.tar")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"class": "no_such_module.Files", "err": "Install nowherefs to access nowhere"}
    monkeypatch.setitem(known_implementations, "nowhere", missing)
    message = r"'nowhere://b/a.tar' needs a package that is not there: install nowherefs to access nowhere$"
    with pytest.raises(UserError, match=f"^data.id.train: {message}"):
        index_of("nowhere://b/a.tar")


class Closed(AbstractFileSystem):
    """Storage that refuses: when it is connected to, or when it is asked."""

    protocol = "closed"
    cachable = False
    from_the_start: ClassVar = False

    def __init__(self) -> None:
        super().__init__()
        if self.from_the_start:
            raise ConnectionRefusedError("Connection refused")

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        raise PermissionError("Access denied")


@pytest.mark.parametrize(
    ("from_the_start", "message"),
    [(True, "can't reach '{}': connection refused"), (False, "can't read '{}': access denied")],
)
def test_storage_that_does_not_answer_is_named(
    from_the_start: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Closed, "from_the_start", from_the_start)
    monkeypatch.setitem(known_implementations, "closed", {"class": f"{__name__}.Closed"})
    with pytest.raises(UserError, match=f"^data.id.train: {message.format('closed://a.tar')}; mend that and start"):
        index_of("closed://a.tar")
