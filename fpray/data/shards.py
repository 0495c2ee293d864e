"""Tar shards of labelled images, as WebDataset writes them: an index of each gives the positions of its samples.

A sample is the members whose names are the same up to the first dot after the last slash: an image, and a `.cls`
(its label in ASCII digits) or a `.json` with the label under the key `label`. Other members are never read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import IO

import fsspec
import numpy as np
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem
from numpy.typing import NDArray
from upath import UPath

from fpray.data.encoded import SUFFIXES, readable
from fpray.errors import UserError, did_you_mean, message_of
from fpray.storage import cache_folder, write_whole

INDEX_SUFFIX = ".index.npz"
_VERSION = 1
_THREADS = 16
_LARGEST_LABEL = 1 << 20
"""The largest number of bytes of a `.cls` or `.json` that is read."""
_CHANGES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")
"""The names, in different file systems, of a value that changes with the file; the most reliable first."""


@dataclass(frozen=True)
class ShardIndex:
    """The samples of one shard or more, in order: arrays of one length."""

    keys: NDArray[np.bytes_]
    """The start of the names of a sample's members, up to the dot."""
    offsets: NDArray[np.int64]
    """The position of each image in its shard, in bytes."""
    sizes: NDArray[np.int64]
    """The size of each image, in bytes."""
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class SampleError(Exception):
    """A sample of a shard is wrong; the message says how, in one sentence."""


def find(address: str, key: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and the path in it. fsspec keeps it for this process; a fork gets a new one.

    Args:
        address: a path or an fsspec address.
        key: the sweep file's key that messages start with.

    Raises:
        UserError: if the scheme is unknown, its package is missing, or the storage can't be reached.
    """
    try:
        files, path = url_to_fs(address)
    except ImportError as error:
        raise UserError(f"{key}: '{address}' needs a package that is not there: {message_of(error)}") from None
    except Exception as error:  # each kind of file system raises its own
        scheme, known = address.partition("://")[0], fsspec.available_protocols()
        if scheme in known:
            why = message_of(error)
            raise UserError(f"{key}: can't reach '{address}': {why}; mend that and start again") from None
        hint = did_you_mean(scheme, known)
        raise UserError(f"{key}: '{address}' begins with the unknown scheme '{scheme}'; {hint}") from None
    return files, path


def indexes(addresses: Sequence[str], key: str) -> list[ShardIndex]:
    """The index of each shard: a stored one if the shard is still the same, else a new one, which is stored.

    An index is stored beside its shard as `<shard>.index.npz` or, if that can't be written, in the cache folder.

    Args:
        addresses: the shards, each a path or an fsspec address.
        key: the sweep file's key that messages start with.

    Raises:
        UserError: if a shard is missing or unreadable, isn't a whole tar file, or has a sample without an image or
            a label; or if an index can't be stored anywhere.
    """
    places = [find(address, key) for address in addresses]
    with ThreadPoolExecutor(_THREADS) as pool:  # they wait for the network or the disk
        return list(pool.map(lambda address, place: _index(address, place, key), addresses, places))


def stamps(addresses: Sequence[str], key: str) -> list[str]:
    """A text for each shard that changes with it.

    Raises:
        Exception: of many kinds, if the storage doesn't answer.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda address: _stamp(*find(address, key)), addresses))


def _index(address: str, place: tuple[AbstractFileSystem, str], key: str) -> ShardIndex:
    files, path = place
    try:
        stamp = _stamp(files, path)
        homes = (UPath(address + INDEX_SUFFIX), _in_cache(address))
        for home in homes:
            if (stored := _read(home, stamp)) is not None:
                return stored
        with files.open(path, "rb") as shard:
            built = build(shard)
    except (tarfile.TarError, EOFError) as error:
        why = f"{key}: '{address}' is not an uncompressed, whole tar file ({error}); make it again"
        raise UserError(why) from None
    except SampleError as error:
        raise UserError(f"{key}: '{address}': {error}") from None
    except FileNotFoundError:
        raise UserError(f"{key}: a shard is missing; looked for '{address}'") from None
    except IsADirectoryError:
        raise UserError(f"{key}: '{address}' is a folder; name the shards, like train-{{0000..0002}}.tar") from None
    except Exception as error:  # each kind of file system raises its own
        raise UserError(f"{key}: can't read '{address}': {message_of(error)}; mend that and start again") from None
    _store(built, stamp, homes, key)
    return built


def build(shard: IO[bytes]) -> ShardIndex:
    """Make the index of a shard in one pass, seeking over its images.

    Raises:
        tarfile.TarError: if it is not a whole tar file.
        SampleError: if it has no samples, or one that has no image or no label, or two of them.
    """
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, dict[str, bytes]] = {".cls": {}, ".json": {}}
    with tarfile.open(fileobj=shard, mode="r:") as tar:
        for member in tar:
            key, suffix = split_name(member.name)
            if not member.isreg() or suffix not in (*SUFFIXES, *labels):
                continue
            if (shown := readable(key)) != key:
                raise SampleError(f"the key '{shown}' is not UTF-8; rename it")
            if key in labels.get(suffix, images):
                what = "images" if suffix in SUFFIXES else f"{suffix} members"
                raise SampleError(f"the key '{key}' is there twice, with two {what}; rename or remove one")
            if suffix in SUFFIXES:
                images[key] = member
            else:
                labels[suffix][key] = _content(tar, member)
        _require_end(tar, shard)
    return _paired(images, labels[".cls"], labels[".json"])


def split_name(name: str) -> tuple[str, str]:
    """A member's key and its suffix in lower case, as WebDataset splits them: `a/b.seg.PNG` is `a/b` and `.seg.png`."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.partition(".")
    return (folder + slash + key, dot + suffix.lower()) if key else ("", "")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read(_LARGEST_LABEL) if stream else b""


def _require_end(tar: tarfile.TarFile, shard: IO[bytes]) -> None:
    """Require the block of zeros that ends a tar file: tarfile also stops at a damaged header, or where a file is cut.

    Raises:
        tarfile.ReadError: if there is none.
    """
    shard.seek(tar.offset)
    if shard.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"damaged or cut off at byte {tar.offset}")


def _paired(
    images: Mapping[str, tarfile.TarInfo], in_cls: Mapping[str, bytes], in_json: Mapping[str, bytes]
) -> ShardIndex:
    labels = {key: _from_json(key, content) for key, content in in_json.items() if key not in in_cls}
    labels |= {key: _from_cls(key, content) for key, content in in_cls.items()}
    for key in images:
        if labels.get(key) is None:
            raise SampleError(f"the sample '{key}' has no label; give it a .cls, or a .json with the key 'label'")
    for key, label in labels.items():
        if label is not None and key not in images:
            raise SampleError(f"the sample '{key}' has a label but no image ({', '.join(SUFFIXES)}); add or remove it")
    if not images:
        raise SampleError(f"there is no sample in it, that is an image ({', '.join(SUFFIXES)}) and its label")
    return ShardIndex(
        np.array([os.fsencode(key) for key in images], np.bytes_),
        np.array([member.offset_data for member in images.values()], np.int64),
        np.array([member.size for member in images.values()], np.int64),
        np.array([labels[key] for key in images], np.int64),
    )


def _from_cls(key: str, content: bytes) -> int:
    if not re.fullmatch(rb"\s*\d{1,9}\s*", content):
        raise SampleError(f"the label of the sample '{key}' is {content[:20]!r}, not a whole number from 0 on")
    return int(content)


def _from_json(key: str, content: bytes) -> int | None:
    """The value of the key `label`; None if the key is not there."""
    try:
        written = json.loads(content)
    except (ValueError, RecursionError):
        raise SampleError(f"the .json of the sample '{key}' is damaged or no JSON; write it again") from None
    if not isinstance(written, dict) or "label" not in written:
        return None
    label = written["label"]
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < 10**9:
        raise SampleError(f"the label of the sample '{key}' is {label!r}, not a whole number from 0 on")
    return label


def _stamp(files: AbstractFileSystem, path: str) -> str:
    """A text that changes with the shard: its size, and its time of writing or the hash that the storage has of it."""
    if isinstance(files, LocalFileSystem):
        with Path(path).open("rb") as shard:  # a stored index must not hide that the shard can't be read
            status = os.fstat(shard.fileno())
        return f"{_VERSION} {status.st_size} {status.st_mtime_ns}"
    about = files.info(path)
    return f"{_VERSION} {about['size']} {next((about[name] for name in _CHANGES if name in about), None)}"


def _in_cache(address: str) -> UPath:
    return UPath(cache_folder() / "shards" / f"{hashlib.sha256(os.fsencode(address)).hexdigest()[:32]}{INDEX_SUFFIX}")


def _store(index: ShardIndex, stamp: str, homes: tuple[UPath, UPath], key: str) -> None:
    """Store an index beside the shard or, if that can't be written, in the cache folder."""
    stream = BytesIO()
    np.savez(stream, stamp=np.array(stamp), **vars(index))
    beside, in_cache = homes
    try:
        write_whole(beside, stream.getvalue())
    except Exception:  # each kind of file system raises its own
        try:
            write_whole(in_cache, stream.getvalue())
        except OSError as error:
            why = message_of(error)
            raise UserError(
                f"{key}: can't keep an index in '{in_cache}': {why}; set FPRAY_CACHE to another folder"
            ) from None


def _read(home: UPath, stamp: str) -> ShardIndex | None:
    """A stored index, or None if there is none, if it is of another state of the shard, or if it is damaged."""
    try:
        with np.load(BytesIO(home.read_bytes()), allow_pickle=False) as kept:
            if str(kept["stamp"]) != stamp:
                return None
            index = ShardIndex(*(kept[field.name] for field in fields(ShardIndex)))
    except Exception:  # any: it is built again
        return None
    numbers = (index.offsets, index.sizes, index.labels)
    whole = index.keys.dtype.kind == "S" and all(array.dtype == np.int64 for array in numbers)
    return index if whole and len({array.shape for array in (index.keys, *numbers)}) == 1 else None
