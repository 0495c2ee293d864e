"""Indexes of shards: where every sample is, kept for the next time, and what is wrong with a shard."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec import AbstractFileSystem
from fsspec.registry import known_implementations
from shard_tree import encoded, tar, write_shards

from fpray.data.shards import ShardIndex, build, indexes, split_name
from fpray.errors import UserError


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


def index_of(shard: Path | str) -> ShardIndex:
    return indexes([str(shard)], "data.id.train")[0]


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


PNG = ("1.png", b"x")
WRONG: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "none": ([], r"there is no sample in it, that is an image \(\.jpg, \.jpeg, \.png, \.webp\) and its label"),
    "no label": ([PNG], r"the sample '1' has no label; give it a \.cls, or a \.json with the key 'label'"),
    "json without": ([PNG, ("1.json", b'{"caption": "x"}')], r"the sample '1' has no label; .*"),
    "a list": ([PNG, ("1.json", b"[1]")], r"the sample '1' has no label; .*"),
    "no image": ([PNG, ("1.cls", b"1"), ("2.tif", b"x"), ("2.cls", b"1")], "the sample '2' has a label but no image.*"),
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


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    content = bytearray(tar([("1.png", b"x"), ("1.cls", b"1")], format=tarfile.GNU_FORMAT))
    content[156:157] = tarfile.GNUTYPE_SPARSE
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + sum(content[156:512]) + 8 * 32)
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"is not an uncompressed, whole tar file \(the member '1.png' is sparse\)"):
        index_of(tmp_path / "a.tar")


@pytest.mark.parametrize("place", ["{}/missing.tar", "memory://nowhere/missing.tar"])
def test_a_missing_shard_is_named(place: str, tmp_path: Path) -> None:
    address = place.format(tmp_path)
    with pytest.raises(UserError, match=f"^data.id.train: a shard is missing; looked for '{address}'$"):
        index_of(address)


def test_a_folder_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^data.id.train: can't read '{tmp_path}': is a directory; mend that and"):
        index_of(tmp_path)


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


def test_the_label_is_what_webdataset_writes(shard: Path) -> None:
    with tarfile.open(shard) as archive:
        written = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    index = index_of(shard)
    assert [int(written[f"{os.fsdecode(key)}.cls"]) for key in index.keys] == index.labels.tolist()
    assert json.loads(written["000000.cls"]) == 0
