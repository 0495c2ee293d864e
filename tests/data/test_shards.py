"""Indexes of shards: where every sample is, kept for the next time."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from fpray.data.shards import ShardIndex, build, indexes, split_name
from fpray.errors import UserError
from tests.data.shard_tree import encoded, index_of, tar, write_shards


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard of twelve samples."""
    return Path(write_shards(tmp_path / "shards", "a", range(12), 12)[0])


def built(*members: tuple[str, bytes], **options: Any) -> ShardIndex:
    return build(io.BytesIO(tar(members, **options)))


def same(one: ShardIndex, other: ShardIndex) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def poison(shard: Path) -> None:
    """Make a shard unreadable in a way that its size and time don't show: only its kept index can be used now."""
    status = shard.stat()
    shard.write_bytes(b"\xff" * status.st_size)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "key", "suffix"),
    [
        ("000123.jpg", "000123", ".jpg"),
        ("train/n01440764_10026.JPEG", "train/n01440764_10026", ".jpeg"),
        ("a.b/c.seg.png", "a.b/c", ".seg.png"),
        ("./c.cls", "./c", ".cls"),
        (".hidden.jpg", "", ""),
        ("a/.hidden", "", ""),
        ("README", "README", ""),
    ],
)
def test_names_are_split_at_the_first_dot(name: str, key: str, suffix: str) -> None:
    assert split_name(name) == (key, suffix)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".JPEG"])
@pytest.mark.parametrize(
    "label", [("cls", b"2"), ("cls", b" 2\n"), ("json", b'{"label": 2, "width": 9}'), ("CLS", b"2")]
)
def test_a_sample_is_an_image_and_its_label(suffix: str, label: tuple[str, bytes]) -> None:
    index = built((f"x/1{suffix}", b"an image"), (f"x/1.{label[0]}", label[1]))
    assert (index.keys.tolist(), index.labels.tolist(), index.sizes.tolist()) == ([b"x/1"], [2], [8])
    assert index.offsets.tolist() == [512]


def test_members_may_come_in_any_order_and_cls_is_before_json() -> None:
    index = built(("b.cls", b"1"), ("a.json", b'{"label": 7}'), ("b.png", b"B"), ("a.cls", b"0"), ("a.png", b"A"))
    assert (index.keys.tolist(), index.labels.tolist()) == ([b"b", b"a"], [1, 0])


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_and_foreign_names_in_every_tar_format(form: int) -> None:
    key = "/".join(["é" * 30] * 2 + ["n" * 60])
    content = tar([("1.png", b"first"), ("1.cls", b"0"), (f"{key}.png", b"second"), (f"{key}.cls", b"1")], format=form)
    index = build(io.BytesIO(content))
    assert [os.fsdecode(name) for name in index.keys] == ["1", key]
    places = zip(index.offsets.tolist(), index.sizes.tolist(), strict=True)
    assert [content[start : start + size] for start, size in places] == [b"first", b"second"]


def test_other_members_are_no_samples_and_links_no_images(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "folder.png", "folder.png")
        archive.add(tmp_path / "link.png", "link.png")
        for name, content in [("README.md", b"read"), ("about.json", b"{}"), ("1.png", b"x"), ("1.cls", b"1")]:
            (tmp_path / name).write_bytes(content)
            archive.add(tmp_path / name, name)
    assert index_of(tmp_path / "a.tar").keys.tolist() == [b"1"]


class Payload:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    payload = pickle.dumps(Payload(tmp_path / "made"))
    members = [(f"1.{suffix}", payload) for suffix in ("pyd", "pkl", "pickle", "pth", "npy")]
    assert built(*members, ("1.png", encoded(1)), ("1.cls", b"1")).labels.tolist() == [1]
    with pytest.raises(Exception, match="the label of the sample '1' is"):
        built(("1.png", encoded(1)), ("1.cls", payload))
    assert not (tmp_path / "made").exists()
    pickle.loads(payload)
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_index_is_kept_beside_its_shard_and_used_again(scheme: str, shard: Path, cache: Path) -> None:
    first = index_of(f"{scheme}{shard}")
    assert len(first) == 12
    assert sorted(path.name for path in shard.parent.iterdir()) == [shard.name, f"{shard.name}.index.npz"]
    poison(shard)
    assert same(index_of(f"{scheme}{shard}"), first)
    assert not cache.exists()


def test_an_index_is_built_again_when_the_shard_is_another(shard: Path) -> None:
    index_of(shard)
    status = shard.stat()
    write_shards(shard.parent, "a", range(12, 24), 12)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert shard.stat().st_size == status.st_size
    assert index_of(shard).keys.tolist() == [b"%06d" % n for n in range(12, 24)]
    shard.write_bytes(tar([("1.png", b"x"), ("1.cls", b"1")]))
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(index_of(shard)) == 1


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def changed(kept: bytes, **arrays: Any) -> bytes:
    return npz(**dict(np.load(io.BytesIO(kept))) | arrays)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: b"not an archive",
        lambda kept: kept[: len(kept) // 2],
        lambda kept: kept.replace(b"000003", b"000009", 1),
        lambda kept: npz(stamp=np.load(io.BytesIO(kept))["stamp"]),
        lambda kept: changed(kept, labels=np.zeros(11, np.int64)),
        lambda kept: changed(kept, labels=np.zeros(12, np.float64)),
        lambda kept: changed(kept, keys=np.array([Payload(Path("made"))] * 12, object)),
    ],
    ids=["empty", "garbage", "cut", "flipped", "incomplete", "shorter", "floats", "pickled"],
)
def test_a_damaged_index_is_built_again(
    damage: Callable[[bytes], bytes], shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, kept = index_of(shard), Path(f"{shard}.index.npz")
    whole = kept.read_bytes()
    assert damage(whole) != whole
    kept.write_bytes(damage(whole))
    assert same(index_of(shard), first)
    assert dict(np.load(kept)).keys() == dict(np.load(io.BytesIO(whole))).keys()
    poison(shard)
    assert same(index_of(shard), first)
    assert not (tmp_path / "made").exists()


def test_where_nothing_can_be_written_beside_the_cache_is_used(shard: Path, cache: Path) -> None:
    Path(f"{shard}.index.npz").mkdir()
    first = index_of(shard)
    assert len(list(cache.rglob("*.index.npz"))) == 1
    poison(shard)
    assert same(index_of(shard), first)
    assert len(list(shard.parent.iterdir())) == 2


def test_where_nothing_can_be_written_at_all_is_said(shard: Path, cache: Path) -> None:
    Path(f"{shard}.index.npz").mkdir()
    cache.write_text("a file")
    with pytest.raises(UserError, match=r"data.id.train: can't keep an index in '.*': .*; set FPRAY_CACHE to another"):
        index_of(shard)


def test_many_shards_keep_their_order(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, "many", range(60), 2)
    assert len(shards) == 30
    for _ in range(2):
        found = indexes(shards, "data.id.train")
        assert [key for index in found for key in index.keys.tolist()] == [b"%06d" % n for n in range(60)]


_memory_names = count()


def test_object_storage_keeps_its_indexes_too(shard: Path) -> None:
    address = f"memory://bucket{next(_memory_names)}/a.tar"
    files = fsspec.filesystem("memory")
    files.pipe_file(address, shard.read_bytes())
    first = index_of(address)
    assert same(first, index_of(shard))
    assert files.exists(f"{address}.index.npz")
    written = files.modified(f"{address}.index.npz")
    assert same(index_of(address), first)
    assert files.modified(f"{address}.index.npz") == written
    files.pipe_file(address, Path(write_shards(shard.parent, "a", range(12, 24), 12)[0]).read_bytes())
    assert files.size(address) == shard.stat().st_size
    assert index_of(address).keys.tolist() == [b"%06d" % n for n in range(12, 24)]
    files.pipe_file(address, tar([("1.png", b"x"), ("1.cls", b"1")]))
    assert len(index_of(address)) == 1


def test_the_label_is_what_webdataset_writes(shard: Path) -> None:
    with tarfile.open(shard) as archive:
        written = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    index = index_of(shard)
    assert [int(written[f"{os.fsdecode(key)}.cls"]) for key in index.keys] == index.labels.tolist()
    assert json.loads(written["000000.cls"]) == 0
