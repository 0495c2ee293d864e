"""Writing a file on the condition that it is as it was read: of two processes that change it at a time, one is refused.

Object stores look and write in one step. There no process can write over what it hasn't seen, however long it was
frozen between its look and its upload. Elsewhere a look right before the write must do, see `write_after_look`.

Tried with s3fs 2026.9 on moto's server. What is here for Google Cloud Storage and Azure sends the right conditions by
gcsfs 2026.10 and adlfs 2026.8, and has not met the services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from upath import UPath

from fpray.storage import read_if_there, read_whole, reading, write_whole, writing


class ChangedError(Exception):
    """The file is not as it was: another process has written or removed it."""


class UnknownConditionError(Exception):
    """The store says that it knows no such condition."""


@dataclass(frozen=True)
class Version:
    """A file as it was read or written."""

    content: bytes | None
    """None if there was no such file."""
    tag: str | None = None
    """The name that a store with conditional writes gives this version."""


def read_versioned(path: UPath) -> Version:
    """Read a file as it is at one moment.

    Raises:
        UnreadableError: if it can't be read.
    """
    store = _STORES.get(path.protocol)
    try:
        with reading(path):
            # The tag first: if the file is replaced in between, a write with the older one is refused.
            tag = None if store is None else path.fs.info(path.path)[store.tag]
            return Version(read_whole(path), tag)
    except FileNotFoundError:
        return Version(None)


def write_if(path: UPath, content: bytes, version: Version) -> Version:
    """Write a file whole, if it is still of a version; returns the new one.

    Raises:
        ChangedError: if the file is of another version, and stays so. A write whose answer was lost is sent again by
            the store's client, and is then refused though it has come to stand.
        StorageError: if it can't be written.
    """
    store = _STORES.get(path.protocol)
    has_no_tag = version.content is not None and version.tag is None  # as of a store that knew no condition before
    if store is None or has_no_tag:
        return write_after_look(path, content, version)
    try:
        with writing(path, but=(ChangedError, UnknownConditionError)):
            return store.write(path, content, version.tag)
    except UnknownConditionError:
        return write_after_look(path, content, version)


def write_after_look(path: UPath, content: bytes, version: Version) -> Version:
    """Write a file whole if it is of a version right before, as where the store keeps no condition.

    Another process that writes between the look and the write is overwritten: of several, the last writer wins. In a
    local folder the time between is that of a renaming.

    Raises:
        ChangedError: if the file is of another version, or if another process has removed what lay beside it.
        StorageError: if it can't be written.
    """

    def look() -> None:
        if read_if_there(path) != version.content:
            raise ChangedError

    try:
        write_whole(path, content, look)
    except FileNotFoundError:
        raise ChangedError from None
    return Version(content)


def keeps_conditions(path: UPath, content: bytes) -> bool:
    """Whether a file's store refuses what it must: to create a file that is there, to replace a version that never was.

    Services that speak another's language don't all know its conditions, and some pass over one in silence. Such a
    store has `content` written in the trial, so it must be what the file already holds.
    """
    store = _STORES.get(path.protocol)
    if store is None:
        return False
    with writing(path):
        return all(_is_refused(store, path, content, tag) for tag in (None, store.never))


def _is_refused(store: _Store, path: UPath, content: bytes, tag: str | None) -> bool:
    try:
        store.write(path, content, tag)
    except ChangedError:
        return True
    except UnknownConditionError:
        return False
    return False


class _Store(Protocol):
    """A kind of store with conditional writes, as its file system has them."""

    tag: str
    """The key under which the file system tells a file's tag."""
    never: str
    """A tag that no version has."""

    def write(self, path: UPath, content: bytes, tag: str | None) -> Version:
        """Write a file that has a tag, or that is not there.

        Raises:
            ChangedError: if it hasn't, or is.
            UnknownConditionError: if the store can't say.
        """
        ...


class _S3:
    """`If-None-Match: *` and `If-Match` (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).

    s3fs sends the second for what it uploads in one piece, up to 100 MB.
    """

    tag = "ETag"
    never = '"00000000000000000000000000000000"'

    def write(self, path: UPath, content: bytes, tag: str | None) -> Version:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            answer = path.fs.pipe_file(path.path, content, **condition)
        except OSError as error:
            code = _code_of(error)
            # A conflict is with another conditional write at the same time, or with a removal.
            if code in ("PreconditionFailed", "412", "ConditionalRequestConflict", "NoSuchKey"):
                raise ChangedError from None
            if code in ("NotImplemented", "501"):
                raise UnknownConditionError from None
            raise
        return Version(content, answer["ETag"])


def _code_of(error: OSError) -> str | None:
    """The error's code in S3's answer, which botocore's error has that s3fs has turned into this one."""
    response: dict[str, Any] = getattr(error.__cause__, "response", None) or {}
    code: str | None = response.get("Error", {}).get("Code")
    return code


class _GoogleCloudStorage:
    """`ifGenerationMatch`, where 0 stands for no object (cloud.google.com/storage/docs/request-preconditions)."""

    tag = "generation"
    never = "1"

    def write(self, path: UPath, content: bytes, tag: str | None) -> Version:
        bucket, key, _ = path.fs.split_path(path.path)
        address = path.fs.base.replace("/storage/", "/upload/storage/", 1) + "b/{}/o"
        try:
            # `pipe_file` can ask for no object, and for no generation.
            answer = path.fs.call(
                "POST",
                address,
                bucket,
                uploadType="media",
                name=key,
                ifGenerationMatch=tag or "0",
                headers={"Content-Type": "application/octet-stream"},
                data=content,
                json_out=True,
            )
        except FileExistsError:  # what gcsfs makes of 412
            raise ChangedError from None
        return Version(content, answer["generation"])


class _Azure:
    """`If-None-Match: *` and `If-Match` (learn.microsoft.com/rest/api/storageservices, conditional headers)."""

    tag = "etag"
    never = '"0x0"'

    def write(self, path: UPath, content: bytes, tag: str | None) -> Version:
        from azure.core import MatchConditions  # adlfs brings it

        is_as_read = {"etag": tag, "match_condition": MatchConditions.IfNotModified}
        try:
            answer = path.fs.pipe_file(path.path, content, **({"mode": "create"} if tag is None else is_as_read))
        except Exception as error:  # its client's own
            if isinstance(error, FileExistsError) or getattr(error, "status_code", None) in (404, 409, 412):
                raise ChangedError from None
            raise
        return Version(content, answer["etag"])


_STORES: dict[str, _Store] = {
    "s3": _S3(),
    "s3a": _S3(),
    "gs": _GoogleCloudStorage(),
    "gcs": _GoogleCloudStorage(),
    "az": _Azure(),
    "abfs": _Azure(),
    "abfss": _Azure(),
}
