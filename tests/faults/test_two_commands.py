"""Two commands on one sweep, on a local folder and over S3: real processes, and a real S3 API that moto serves."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from upath import UPath

from fpray.errors import UserError
from fpray.records import lock
from fpray.records.record import Record
from fpray.records.store import RecordStore
from fpray.storage import StorageError, open_storage, read_whole, write_whole
from fpray.training.checkpoint import Checkpoint, newest_checkpoint
from tests.faults.holder import Holder, ready
from tests.faults.object_storage import new_connections, post


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")


@pytest.fixture
def two(storage: str) -> Iterator[tuple[Holder, Holder]]:
    """Two processes that may hold sweeps in one storage."""
    holders = Holder(storage), Holder(storage)
    with ready(*holders):
        yield holders


def test_a_second_command_is_refused_and_takes_over_from_a_killed_one(two: tuple[Holder, Holder], storage: str) -> None:
    first, second = two
    assert first.answer("hold s") == "yes"
    who = rf"process {first.pid} on {re.escape(socket.gethostname())} \(since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\)"
    refused = re.compile(rf"no: {who} already runs this sweep in '{storage}/s'; wait for it or end it")
    assert refused.fullmatch(second.answer("hold s"))
    assert first.answer("check") == "yes"
    first.kill()
    second.ask("hold s")
    assert second.line() == "yes"  # at once: nothing of waiting is said before
    assert second.answer("check") == "yes"


def test_a_command_that_ended_leaves_the_sweep_free(two: tuple[Holder, Holder]) -> None:
    first, second = two
    assert [first.answer("hold s"), first.answer("end")] == ["yes", "yes"]
    second.ask("hold s")
    assert second.line() == "yes"
    assert first.answer("hold s").startswith(f"no: process {second.pid} on")


def test_of_commands_that_come_at_the_same_moment_one_wins(storage: str) -> None:
    holders = [Holder(storage, settle=lock.SETTLE) for _ in range(2)]
    with ready(*holders):
        for attempt in range(3):
            for holder in holders:
                holder.ask(f"hold s{attempt}")
            answers = [holder.answer() for holder in holders]
            winner = holders[answers.index("yes")]
            (refused,) = [answer for answer in answers if answer != "yes"]
            # In a local folder it may not have written its name yet.
            assert re.match(rf"no: (process {winner.pid} on .*|another process) already runs this sweep", refused)
            assert winner.answer("check") == "yes"
            assert winner.answer("end") == "yes"


@pytest.mark.parametrize("storage", ["local"], indirect=True)
def test_a_frozen_command_keeps_a_local_folder(two: tuple[Holder, Holder]) -> None:
    first, second = two
    assert first.answer("hold s") == "yes"
    os.kill(first.pid, signal.SIGSTOP)
    assert second.answer("hold s").startswith(f"no: process {first.pid} on")
    os.kill(first.pid, signal.SIGCONT)
    assert first.answer("check") == "yes"


def test_a_command_frozen_for_long_loses_object_storage_and_knows_it(bucket: str) -> None:
    first, second = Holder(bucket, stale=4), Holder(bucket, stale=4)
    with ready(first, second):
        assert first.answer("hold s") == "yes"
        os.kill(first.pid, signal.SIGSTOP)
        second.ask("hold s")
        waits = rf"process {first.pid} on .* holds this sweep; waiting up to 4 s for a sign of life"
        assert re.fullmatch(waits, second.line())
        assert second.line() == "yes"
        os.kill(first.pid, signal.SIGCONT)
        assert first.answer("check").startswith("no: ")  # by the time that went by, or by what it reads
        lost = f"no: process {second.pid} on "
        assert first.answer(f"until {lost}").startswith(lost)
        assert first.answer("end") == "yes"
        assert second.answer("until yes") == "yes"  # the first took nothing from it


def test_an_outage_of_object_storage_is_no_hold(bucket: str, s3: str) -> None:
    """A store that is away for longer than a lease lasts: here, one that no longer knows the command's key."""
    holder = Holder(bucket, stale=3)
    with ready(holder):
        assert holder.answer("hold s") == "yes"
        with denied(s3):
            assert "couldn't be renewed for 3 s" in holder.answer("until no: this sweep's")
        assert holder.answer("until yes") == "yes"  # nobody has taken it


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
