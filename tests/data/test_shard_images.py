"""Images in shards: the same whoever loads them and wherever they lie; a batch from object storage comes at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import fsspec
import pytest
import torch
from PIL import Image

from fpray.data.layouts.webdataset import UnreachableShardError
from fpray.data.loading import Draws, EpochBatches, Transformed, in_order, loader
from tests.data.object_store import Server
from tests.data.shard_tree import encoded, tar, train_images, write_shards

CPU = torch.device("cpu")
_buckets = count()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float().mean()


@pytest.mark.parametrize("workers", [0, 2])
def test_every_image_is_trained_on_and_an_unreadable_one_skipped_and_noted(
    workers: int, put: Callable[[bytes], str], greys: bytes
) -> None:
    images = train_images(put(greys))
    batches = EpochBatches(200, 50, 0, 0, 1, range(2))
    batched = iter(loader(Draws(Transformed(images, brightness), 0), workers, CPU, batch_sampler=batches))
    for _ in batches.epochs:
        epoch = islice(batched, batches.steps)
        seen = [(int(x), int(y)) for b in epoch for x, y in zip(b["images"], b["labels"], strict=True)]
        assert sorted(seen) == sorted((n, n % 3) for n in [*range(7), 9, 9, 9, *range(10, 200)])
    assert [images.name_of(i)[-9:] for i in images.unreadable.nonzero()] == ["a.tar/007", "a.tar/008"]


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_meets_every_image_in_order(workers: int, put: Callable[[bytes], str], greys: bytes) -> None:
    images = train_images(put(greys))
    batches = list(in_order([(images, range(5, 200))], brightness, workers, CPU, batch_size=16))
    assert torch.cat([batch["images"] for batch in batches]).tolist() == [5, 6, 0, 0, *range(9, 200)]
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == [n % 3 for n in range(5, 200)]


def test_a_batch_is_fetched_at_once(tmp_path: Path, server: Server, greys: bytes, cache: Path) -> None:
    (tmp_path / "served" / "a.tar").write_bytes(greys)
    images = train_images(f"{server.address}/a.tar")
    assert len(list(cache.rglob("*.index.npz"))) == 1
    server.meeting.append(threading.Barrier(8, timeout=10))  # one request after another would break it
    batches = EpochBatches(200, 8, 0, 0, 1, range(1))
    drawn = next(iter(loader(Draws(Transformed(images, brightness), 0), 0, CPU, batch_sampler=batches)))["images"]
    evaluated = next(iter(in_order([(images, range(100, 108))], brightness, 0, CPU, batch_size=8)))["images"]
    assert sorted(drawn.tolist()) == sorted(index for _, index in next(iter(batches)))
    assert evaluated.tolist() == list(range(100, 108))
    server.meeting[0].abort()
    with pytest.raises(UnreachableShardError, match=rf"can't fetch '{server.address}/a.tar/100': .*500"):
        images[100]
    assert not images.unreadable.any()


def test_what_was_fetched_is_used_once(put: Callable[[bytes], str], greys: bytes) -> None:
    address = put(greys)
    images = train_images(address)
    images.prefetch([3, 4, 3])
    assert [images.read(index) for index in (3, 3, 4, 5)] == [grey(3), grey(3), grey(4), grey(5)]


def test_images_that_lie_in_two_kinds_of_storage_make_one_split(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, "b", range(6), 3)
    address = f"memory://bucket-{next(_buckets)}/b.tar"
    fsspec.filesystem("memory").pipe_file(address, Path(shards[1]).read_bytes())
    images = train_images(shards[0], address)
    images.prefetch([5, 0, 4])
    assert [images.read(i) for i in range(6)] == [encoded(n) for n in range(6)]


def test_the_stamp_changes_with_a_shard_and_is_none_where_it_can_not_be_asked(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, "b", range(6), 3)
    before = train_images(*shards).stamp()
    assert before is not None and train_images(*shards).stamp() == before
    assert train_images(shards[0]).stamp() not in (None, before)
    images = train_images(*shards)
    os.utime(shards[1], (1000, 1000))
    assert images.stamp() not in (None, before)
    Path(shards[1]).unlink()
    assert images.stamp() is None
