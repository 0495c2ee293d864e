"""Two commands on one sweep, on a local folder and over S3: real processes, and a real S3 API that moto serves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from upath import UPath

from fpray.checkpoint import Checkpoint, newest_checkpoint
from fpray.errors import UserError
from fpray.records import Record
from fpray.storage import StorageError, open_storage, read_whole, write_whole
from fpray.store import RecordStore

DRIVER = """
import contextlib, sys, time
from fpray import lock
from fpray.errors import UserError
from fpray.storage import open_storage

lock.BEAT, lock.STALE, lock.SETTLE = 0.2, 3.0, 0.5
storage, holds = open_storage(sys.argv[1]), contextlib.ExitStack()
print("ready", flush=True)
for line in sys.stdin:
    asked, _, what = line.strip().partition(" ")
    answer, patience = None, time.monotonic() + 30
    while answer is None or (asked == "until" and not answer.startswith(what) and time.monotonic() < patience):
        try:
            if asked == "hold":
                hold = holds.enter_context(lock.held(storage / what, lambda line: print(line, flush=True)))
            elif asked == "end":
                holds.close()
            else:
                hold.check()
            answer = "yes"
        except (UserError, lock.LostHoldError) as error:
            answer = f"no: {error}"
        time.sleep(0.02 if asked == "until" else 0)
    print(answer, flush=True)
"""
"""Holds sweeps as a command does, and says what came of it."""


class Driver:
    """A process that holds sweeps when it is told to."""

    def __init__(self, storage: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, storage], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def answer(self, line: str) -> str:
        """What it says in the end; that it waits, said before, is left out."""
        self.say(line)
        while (heard := self.hear()).endswith("for a sign of life"):
            pass
        return heard

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 API, with one bucket."""
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        said = iter(server.stdout.readline, "")
        found = next(match for line in said if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # a full pipe would stop it
        post(f"{found[0]}/bucket", method="PUT")
        yield found[0]
    finally:
        server.kill()
        server.wait()


def post(address: str, content: bytes = b"", method: str = "POST") -> None:
    headers = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(address, content, headers, method=method)).close()


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


@contextmanager
def new_connections() -> Iterator[None]:
    """Without what fsspec keeps of other tests, which had another environment."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")


@pytest.fixture
def drivers(storage: str) -> Iterator[tuple[Driver, Driver]]:
    both = Driver(storage), Driver(storage)
    try:
        assert [driver.hear() for driver in both] == ["ready", "ready"]
        yield both
    finally:
        for driver in both:
            driver.kill()


def test_a_second_driver_is_refused_and_takes_over_from_a_killed_one(
    drivers: tuple[Driver, Driver], storage: str
) -> None:
    first, second = drivers
    assert first.answer("hold s") == "yes"
    who = rf"process {first.pid} on {re.escape(socket.gethostname())} \(since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\)"
    refused = re.compile(rf"no: {who} already runs this sweep in '{storage}/s'; wait for it or end it")
    assert refused.fullmatch(second.answer("hold s"))
    assert first.answer("check") == "yes"
    first.kill()
    second.say("hold s")
    assert second.hear() == "yes"  # at once: nothing of waiting is said before
    assert second.answer("check") == "yes"


def test_a_driver_that_ended_leaves_the_sweep_free(drivers: tuple[Driver, Driver], storage: str) -> None:
    first, second = drivers
    assert [first.answer("hold s"), first.answer("end")] == ["yes", "yes"]
    second.say("hold s")
    assert second.hear() == "yes"
    assert first.answer("hold s").startswith(f"no: process {second.pid} on")


def test_of_drivers_that_come_at_the_same_moment_one_wins(drivers: tuple[Driver, Driver]) -> None:
    for attempt in range(5):
        for driver in drivers:
            driver.say(f"hold s{attempt}")
        heard = []
        for driver in drivers:
            while (line := driver.hear()).endswith("for a sign of life"):
                pass
            heard.append(line)
        winner = drivers[heard.index("yes")]
        (refused,) = [line for line in heard if line != "yes"]
        # In a local folder it may not have written its name yet.
        assert re.match(rf"no: (process {winner.pid} on .*|another process) already runs this sweep", refused)
        assert winner.answer("check") == "yes"
        assert winner.answer("end") == "yes"


@pytest.mark.parametrize("storage", ["local"], indirect=True)
def test_a_stopped_driver_keeps_a_local_folder(drivers: tuple[Driver, Driver]) -> None:
    first, second = drivers
    assert first.answer("hold s") == "yes"
    os.kill(first.pid, signal.SIGSTOP)
    assert second.answer("hold s").startswith(f"no: process {first.pid} on")
    os.kill(first.pid, signal.SIGCONT)
    assert first.answer("check") == "yes"


@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_a_driver_stopped_for_long_loses_object_storage_and_knows_it(
    drivers: tuple[Driver, Driver], storage: str
) -> None:
    first, second = drivers
    assert first.answer("hold s") == "yes"
    os.kill(first.pid, signal.SIGSTOP)
    second.say("hold s")
    assert re.fullmatch(
        rf"process {first.pid} on .* holds this sweep; waiting up to 3 s for a sign of life", second.hear()
    )
    assert second.hear() == "yes"
    os.kill(first.pid, signal.SIGCONT)
    assert first.answer("check").startswith("no: ")  # by the time that went by, or by what it reads
    lost = f"no: process {second.pid} on "
    assert first.answer(f"until {lost}").startswith(lost)
    assert first.answer("end") == "yes"
    assert second.answer("check") == "yes"  # the first took nothing from it


def test_an_outage_of_object_storage_is_no_hold(bucket: str, s3: str) -> None:
    """A store that is away for longer than a lease lasts: here, one that no longer knows the driver's key."""
    driver = Driver(bucket)
    try:
        assert driver.hear() == "ready"
        assert driver.answer("hold s") == "yes"
        with denied(s3):
            assert "couldn't be renewed for 3 s" in driver.answer("until no: this sweep's")
        assert driver.answer("until yes") == "yes"  # nobody has taken it
    finally:
        driver.kill()


@contextmanager
def denied(s3: str) -> Iterator[None]:
    """Every request is refused, as from a key that the store doesn't know."""
    post(f"{s3}/moto-api/reset-auth", b"0")
    try:
        yield
    finally:
        post(f"{s3}/moto-api/reset-auth", b"inf")


def seen(folder: UPath) -> tuple[list[Record], Checkpoint | None, dict[str, torch.Tensor]]:
    """What a process finds of a sweep with one trial."""
    store = RecordStore(folder)
    records = store.read_all()
    weights = store.read_weights("full-000") if records else {}
    return records, newest_checkpoint(store.checkpoint_folder("full-000")), weights


def test_records_and_checkpoints_on_s3_are_seen_by_another_process_at_once(
    bucket: str, record_of: Callable[..., Record]
) -> None:
    folder = open_storage(bucket) / "s"
    store, tensors = RecordStore(folder), {"w": torch.arange(6.0)}
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        assert other.submit(seen, folder).result() == ([], None, {})  # now it has listed what isn't there
        for status in ("running", "finished"):
            store.write(record_of("full-000", status=status))
            store.write_weights("full-000", tensors)
            Checkpoint(tensors, ()).write(store.checkpoint_folder("full-000"))
            records, checkpoint, weights = other.submit(seen, folder).result()
            assert records == [record_of("full-000", status=status)] == store.read_all()
            assert checkpoint is not None
            assert torch.equal(checkpoint.tensors["w"], tensors["w"])
            assert torch.equal(weights["w"], tensors["w"])
        store.remove_checkpoints("full-000")
        assert other.submit(seen, folder).result()[1] is None


def test_an_object_replaced_while_it_is_read_is_read_whole(bucket: str) -> None:
    file = open_storage(bucket) / "file"
    write_whole(file, b"old")
    with file.open("rb") as opened:
        write_whole(file, b"replaced")
        with pytest.raises(OSError, match="no longer exists"):
            opened.read()  # as it is with an object that is opened first
    assert read_whole(file) == b"replaced"
    with pytest.raises(FileNotFoundError):
        read_whole(file.parent / "none")


def test_object_storage_that_can_not_be_used_is_said(bucket: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(address: str) -> str:
        with new_connections(), pytest.raises(UserError) as caught:
            open_storage(address)
        said = str(caught.value)
        assert "\n" not in said
        assert "secret" not in said
        return said.removeprefix("storage: can't write to ").removesuffix("; choose another folder")

    assert problem("s3://no-such-bucket/x") == "'s3://no-such-bucket/x': the specified bucket does not exist"
    assert problem("s3://key:secret@bucket/x").startswith("'s3://***@bucket/x': an address holds no keys")
    with denied(s3):
        assert "AWS Access Key Id you provided does not exist" in problem("s3://bucket/x")
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        assert problem("s3://bucket/x") == "'s3://bucket/x': unable to locate credentials"
    with socket.socket() as nobody:  # bound, so that no other program listens there
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert problem("s3://bucket/x").startswith("'s3://bucket/x': could not connect to the endpoint URL")


def test_a_write_that_object_storage_refuses_is_an_error_of_storage(bucket: str, s3: str) -> None:
    file = open_storage(bucket) / "file"
    write_whole(file, b"old")
    with denied(s3), pytest.raises(StorageError, match=f"^can't write to '{file}': ") as caught:
        write_whole(file, b"new")
    assert not isinstance(caught.value, FileNotFoundError)
    assert read_whole(file) == b"old"
