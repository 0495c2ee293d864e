"""WebDataset: what WebDataset itself reads, by index, from a disk or object storage, split in the same way always."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
import webdataset
import yaml
from open_clip import IMAGENET_CLASSNAMES
from PIL import Image
from shard_tree import CLASSES, encoded, make_shards, sample, tar, write_shards

from fpray.data.base import Split
from fpray.data.loading import Draws, EpochBatches, Transformed, in_order, loader
from fpray.data.webdataset import ShardImages, UnreachableShardError, WebDataset
from fpray.errors import UserError
from fpray.sweepfile import check_sweep, dump_sweep

CPU = torch.device("cpu")
TRAIN, VAL, TEST = (Split("id", "id", part) for part in ("train", "val", "test"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    return make_shards(tmp_path / "shards")


def opened(section: dict[str, Any]) -> WebDataset:
    return WebDataset(check_sweep({"name": "s", "data": section}, "s").data)  # type: ignore[arg-type]


def keys(images: ShardImages) -> list[str]:
    return [images.name_of(i).rpartition("/")[2] for i in range(len(images))]


def train_images(section: dict[str, Any], *addresses: str) -> ShardImages:
    """All images in such shards, as the training split."""
    val = section["ood"]["clipart"]["val"]
    return opened(section | {"id": section["id"] | {"train": list(addresses), "val": val}, "ood": ood()}).images(TRAIN)


def ood() -> dict[str, Any]:
    return {"other": {"test": ["other.tar"]}}


def test_contents_and_labels_are_what_webdataset_reads(tmp_path: Path, section: dict[str, Any]) -> None:
    shards = write_shards(tmp_path / "all", "a", range(50), 20)
    with webdataset.TarWriter(str(tmp_path / "all" / "b.tar")) as writer:
        for number, suffix in enumerate(["jpg", "jpeg", "webp", "png"], 50):
            one = sample(number, suffix)
            writer.write(one | {"__key__": f"deep/er/{one['__key__']}", "txt": "a caption", "json": {"label": 9}})
    images = train_images(section, *shards, str(tmp_path / "all" / "b.tar"))
    theirs = list(webdataset.WebDataset([*shards, str(tmp_path / "all" / "b.tar")], shardshuffle=False))
    assert len(images) == len(theirs) == 54
    for index, their in enumerate(theirs):
        assert images.read(index) == next(their[s] for s in ("jpg", "jpeg", "webp", "png") if s in their)
        assert images.labels[index] == int(their["cls"])
        assert images.name_of(index).endswith(f".tar/{their['__key__']}")
    decoded = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "cls")
    for index, (image, label) in enumerate(decoded):
        assert np.array_equal(images[index], image)
        assert images.labels[index] == label


def test_the_order_is_that_of_the_patterns(tmp_path: Path, section: dict[str, Any]) -> None:
    write_shards(tmp_path, "a", range(12), 2)
    images = train_images(section, f"{tmp_path}/a-000{{5,{{0..2}}}}.tar", f"{tmp_path}/a-0003.tar")
    assert keys(images) == [f"{n:06d}" for n in (10, 11, 0, 1, 2, 3, 4, 5, 6, 7)]


def test_splits_are_the_shards_or_a_share_of_them(section: dict[str, Any]) -> None:
    dataset = opened(section)
    sizes = {split.name: len(dataset.images(split)) for split in dataset.splits()}
    assert list(sizes) == [
        "id/train",
        "id/val",
        "id/test",
        *(f"ood/{d}/{p}" for d in ("sketch", "clipart") for p in ("val", "test")),
    ]
    assert (sizes["id/test"], sizes["ood/clipart/val"], sizes["ood/clipart/test"]) == (12, 6, 9)
    train, val = (keys(dataset.images(split)) for split in (TRAIN, VAL))
    assert sorted(train + val) == [f"{n:06d}" for n in range(60)]
    assert (train, val) == (sorted(train), sorted(val))
    assert 3 <= len(val) <= 24
    sketch = [keys(dataset.images(Split("ood", "sketch", part))) for part in ("val", "test")]  # type: ignore[arg-type]
    assert sorted(sketch[0] + sketch[1]) == [f"{n:06d}" for n in range(200, 230)]
    assert dataset.images(TRAIN) is dataset.images(TRAIN)


def test_an_image_stays_in_its_split_in_another_place_and_when_others_come(
    tmp_path: Path, section: dict[str, Any]
) -> None:
    dataset = opened(section)
    val = set(keys(dataset.images(VAL)))
    shutil.copytree(tmp_path / "shards", tmp_path / "moved" / "deeper")
    write_shards(tmp_path / "moved" / "deeper", "train", range(75), 25)
    train = [f"{tmp_path}/moved/deeper/train-{{0000..0002}}.tar"]
    again = opened(section | {"id": section["id"] | {"train": train}})
    assert {key for key in keys(again.images(VAL)) if int(key) < 60} == val
    assert len(again.images(TRAIN)) + len(again.images(VAL)) == 75


def test_equal_keys_in_different_shards_are_split_apart(tmp_path: Path, section: dict[str, Any]) -> None:
    for shard in range(40):
        (tmp_path / f"k-{shard}.tar").write_bytes(tar([("0.png", encoded(shard)), ("0.cls", b"1")]))
    dataset = opened(section | {"id": section["id"] | {"train": [f"{tmp_path}/k-{{0..39}}.tar"]}})
    assert 1 <= len(dataset.images(VAL)) <= 20


@pytest.mark.parametrize(("share", "change"), [(1e-6, "raise"), (0.999999, "lower")])
def test_a_share_that_leaves_a_split_empty_is_an_error(share: float, change: str, section: dict[str, Any]) -> None:
    found = 0 if change == "raise" else 60
    said = f"data.id: of 60 images {found} fall in the validation split; {change} data.id_val, or give data.id.val"
    with pytest.raises(UserError, match=f"^{said}$"):
        opened(section | {"id_val": share}).images(TRAIN)


def test_classes_are_a_list_or_imagenets(section: dict[str, Any]) -> None:
    assert opened(section).classes == CLASSES
    assert opened(section | {"classes": "imagenet"}).classes == tuple(IMAGENET_CLASSNAMES)
    assert len(opened(section).templates) == 80


def test_a_label_out_of_range_is_named_with_shard_and_key(tmp_path: Path, section: dict[str, Any]) -> None:
    shard = tmp_path / "a.tar"
    shard.write_bytes(tar([("1.png", encoded(1)), ("1.cls", b"2"), ("2.png", encoded(2)), ("2.cls", b"3")]))
    message = f"^data.id.train: the label of '{shard}/2' is 3, but there are 3 data.classes, numbered from 0$"
    with pytest.raises(UserError, match=message):
        train_images(section, str(shard))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "imagnet"}, "data.classes: 'imagnet' is neither a list of class names nor the word 'imagenet'"),
        ({"classes": []}, "data.classes.*: .*"),
        ({"ood": {}}, "data.ood: dictionary should have at least 1 item.*"),
        ({"ood": {"a/b": {"test": "x.tar"}}}, "data.ood.a/b.*"),
        ({"ood": {"a": {"test": "x.tar", "train": "y.tar"}}}, r"data.ood.a: unknown key 'train'; known are: test, val"),
        ({"id": {"train": "x.tar"}}, "data.id.test: field required"),
        ({"id": {"train": "x-{00..9.tar", "test": "y.tar"}}, "data.id.train: a brace is missing in 'x-{00..9.tar'; .*"),
        ({"id": {"train": [], "test": "y.tar"}}, "data.id.train: is an empty list; leave it out or fill it"),
        (
            {"id": {"train": "s3://b/x-{0..3}.tar", "test": "s3://b/x-2.tar"}},
            "data: 's3://b/x-2.tar' is named twice, in id.train and in id.test; name it once",
        ),
        ({"id_val": 1.0}, "data.id_val: input should be less than 1"),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, Any], message: str, section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^s: {message}$"):
        opened(section | changes)


def test_local_patterns_become_absolute_and_others_stay(
    tmp_path: Path, section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/x")
    written = section | {"id": {"train": ["a/../b-{0..3}.tar", "~/c.tar"], "test": "s3://bucket/d.tar"}}
    sweep = check_sweep({"name": "s", "data": written}, "s")
    assert sweep.data.id.train == (f"{tmp_path}/b-{{0..3}}.tar", "/home/x/c.tar")  # type: ignore[attr-defined]
    assert sweep.data.id.test == ("s3://bucket/d.tar",)  # type: ignore[attr-defined]
    monkeypatch.chdir("/")
    assert check_sweep(yaml.safe_load(dump_sweep(sweep)), "s") == sweep


Place = Callable[[Path], str]
_buckets = count()


class Range(BaseHTTPRequestHandler):
    """Serves byte ranges of the files in a folder; image requests meet at a barrier, if there is one."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, folder: Path, meeting: list[threading.Barrier], *args: Any) -> None:
        self.folder, self.meeting = folder, meeting
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802
        file = self.folder / self.path.lstrip("/")
        content = file.read_bytes() if file.is_file() else b""
        status, span = (200 if file.is_file() else 404), self.headers.get("Range")
        if span is not None and status == 200:
            first, _, last = span.removeprefix("bytes=").partition("-")
            status, whole = 206, content
            content = content[int(first) : int(last) + 1 if last else None]
        if self.command == "GET" and status == 206 and self.meeting:
            try:
                self.meeting[0].wait()
            except threading.BrokenBarrierError:
                status, content = 500, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{len(content) if status != 206 else len(whole)}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(content) - 1}/{len(whole)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


class Server:
    """An object store on this machine: fsspec reads it with many requests at a time."""

    def __init__(self, folder: Path) -> None:
        self.meeting: list[threading.Barrier] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Range, folder, self.meeting))
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    started = Server(tmp_path / "served")
    yield started
    started.stop()


@pytest.fixture(params=["local", "memory", "http"])
def put(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Callable[[bytes], str]:
    """Puts a shard into storage of some kind; returns its address."""

    def store(content: bytes) -> str:
        if request.param == "memory":
            address = f"memory://bucket-{next(_buckets)}/a.tar"
            fsspec.filesystem("memory").pipe_file(address, content)
            return address
        (tmp_path / "served" / "a.tar").write_bytes(content)
        return f"{server.address}/a.tar" if request.param == "http" else str(tmp_path / "served" / "a.tar")

    return store


def grey(number: int) -> bytes:
    stream = fsspec.filesystem("memory").open("memory://grey", "wb")
    Image.new("RGB", (8, 8), (number,) * 3).save(stream, "PNG")
    content: bytes = stream.getvalue()
    return content


@pytest.fixture
def greys() -> bytes:
    """A shard of 200 grey images whose brightness is their number; 7 and 8 are no images."""
    members = []
    for number in range(200):
        content = b"not an image" if number in (7, 8) else grey(number)
        members += [(f"{number:03d}.png", content), (f"{number:03d}.cls", b"%d" % (number % 3))]
    return tar(members)


def brightness(image: Image.Image) -> torch.Tensor:
    return torch.tensor(float(np.asarray(image).mean()))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_image_is_trained_on_and_an_unreadable_one_skipped_and_noted(
    workers: int, put: Callable[[bytes], str], greys: bytes, section: dict[str, Any]
) -> None:
    images = train_images(section, put(greys))
    batches = EpochBatches(200, 50, 0, 0, 1)
    batched = loader(Draws(Transformed(images, brightness), 0), workers, CPU, batch_sampler=batches)
    for batches.epoch in range(2):
        seen = [(int(x), int(y)) for xs, ys in batched for x, y in zip(xs, ys, strict=True)]
        assert sorted(seen) == sorted((n, n % 3) for n in [*range(7), 9, 9, 9, *range(10, 200)])
    assert [images.name_of(i)[-9:] for i in images.unreadable.nonzero()] == ["a.tar/007", "a.tar/008"]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_meets_every_image_in_order(
    workers: int, put: Callable[[bytes], str], greys: bytes, section: dict[str, Any]
) -> None:
    images = train_images(section, put(greys))
    batches = list(in_order(images, brightness, range(5, 200), workers, CPU, batch_size=16))
    assert torch.cat([x for x, _ in batches]).tolist() == [5, 6, 0, 0, *range(9, 200)]
    assert torch.cat([y for _, y in batches]).tolist() == [n % 3 for n in range(5, 200)]


def test_a_batch_is_fetched_at_once(
    tmp_path: Path, server: Server, greys: bytes, section: dict[str, Any], cache: Path
) -> None:
    (tmp_path / "served" / "a.tar").write_bytes(greys)
    images = train_images(section, f"{server.address}/a.tar")
    assert len(list(cache.rglob("*.index.npz"))) == 1
    server.meeting.append(threading.Barrier(8, timeout=10))  # one request after another would break it
    batches = EpochBatches(200, 8, 0, 0, 1)
    drawn = next(iter(loader(Draws(Transformed(images, brightness), 0), 0, CPU, batch_sampler=batches)))[0]
    evaluated = next(iter(in_order(images, brightness, range(100, 108), 0, CPU, batch_size=8)))[0]
    assert sorted(drawn.tolist()) == sorted(index for _, index in next(iter(batches)))
    assert evaluated.tolist() == list(range(100, 108))
    server.meeting[0].abort()
    with pytest.raises(UnreachableShardError, match=rf"^{server.address}/a.tar/100: .*500"):
        images[100]
    assert not images.unreadable.any()


def test_what_was_fetched_is_used_once(put: Callable[[bytes], str], greys: bytes, section: dict[str, Any]) -> None:
    address = put(greys)
    images = train_images(section, address)
    images.prefetch([3, 4, 3])
    assert [images.read(index) for index in (3, 3, 4, 5)] == [grey(3), grey(3), grey(4), grey(5)]


def test_images_that_lie_in_two_kinds_of_storage_make_one_split(tmp_path: Path, section: dict[str, Any]) -> None:
    shards = write_shards(tmp_path, "b", range(6), 3)
    address = f"memory://bucket-{next(_buckets)}/b.tar"
    fsspec.filesystem("memory").pipe_file(address, Path(shards[1]).read_bytes())
    images = train_images(section, shards[0], address)
    images.prefetch([5, 0, 4])
    assert [images.read(i) for i in range(6)] == [encoded(n) for n in range(6)]
