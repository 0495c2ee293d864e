"""Object storage on this machine, for the tests of faults."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.faults.object_storage import moto, new_connections


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 API, with one bucket."""
    with moto() as address:
        yield address


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new folder in the bucket, with all that is needed to read and write it in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with new_connections():
        yield f"s3://bucket/{uuid.uuid4().hex}"
