"""Races of two commands on object storage: real processes, frozen and held up between their looks and their writes."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from upath import UPath

from fpray.model import Model
from fpray.records import Epoch, Record, RecordStore, SweepFolder, Trial, lock
from fpray.storage import open_storage, read_whole
from fpray.training.checkpoint import Checkpoint, newest_checkpoint
from tests.faults.following import state_of
from tests.faults.holder import Holder, ready
from tests.faults.object_storage import IGNORED, KEPT, UNKNOWN, Proxy
from tests.waiting import wait_for

pytestmark = pytest.mark.long

STALE = 3.0
EPOCH = Epoch(
    epoch=1, step=1, lr=0.1, losses={}, validation={}, images=8, seconds=0.1, validation_seconds=0.1, ended=1.0
)
Start = Callable[..., tuple[Holder, Proxy]]


@pytest.fixture
def start(bucket: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts processes, each with a proxy of its own before the store, so that a test knows whose calls are whose."""
    with ExitStack() as held:

        def start(conditions: str = KEPT, **settings: float) -> tuple[Holder, Proxy]:
            proxy = held.enter_context(Proxy(s3))
            proxy.conditions = conditions
            with monkeypatch.context() as patch:
                patch.setenv("AWS_ENDPOINT_URL", proxy.address)
                holder = Holder(bucket, **settings)
            held.enter_context(ready(holder))
            return holder, proxy

        yield start


@pytest.fixture
def sweep(bucket: str) -> UPath:
    """The folder of the sweep `s`, for a look past all proxies."""
    return open_storage(bucket) / "s"


class Frozen:
    """Freezes a process at the first of some calls: as it comes (`asked`), or before it is answered (`answered`)."""

    def __init__(self, holder: Holder, proxy: Proxy, moment: str, call: str) -> None:
        self._holder, self._call, self._came, self._over = holder, call, False, threading.Event()
        setattr(proxy, moment, self._look)

    def _look(self, call: str) -> None:
        if call == self._call and not self._came:
            self._came = True
            os.kill(self._holder.pid, signal.SIGSTOP)
            self._over.wait()

    def wait(self) -> None:
        assert wait_for(lambda: state_of(self._holder.pid) == "T", self._holder.is_alive)

    def wake(self) -> None:
        """Let the process and its call go on."""
        self._over.set()
        os.kill(self._holder.pid, signal.SIGCONT)


@contextmanager
def frozen(holder: Holder, proxy: Proxy, moment: str, call: str) -> Iterator[Frozen]:
    freeze = Frozen(holder, proxy, moment, call)
    try:
        yield freeze
    finally:
        freeze.wake()


LOOKED, UPLOADS = ("answered", "GET record.json"), ("asked", "PUT record.json")


@pytest.mark.parametrize("moment", [LOOKED, UPLOADS])
def test_an_attempt_frozen_before_its_upload_writes_nothing_when_it_wakes(
    moment: tuple[str, str], start: Start, sweep: UPath
) -> None:
    first, proxy = start()
    second, _ = start()
    assert first.answer("begin s") == "yes"
    with frozen(first, proxy, *moment) as freeze:
        first.ask("write too late")
        freeze.wait()
        assert second.answer("begin s") == "yes"
    assert first.answer() == "no: superseded"
    record = RecordStore(sweep).read("full-000")
    assert (record.attempt, record.error) == (2, None)
    assert second.answer("write in time") == "yes"
    assert RecordStore(sweep).read("full-000").error == "in time"


def test_what_an_attempt_wrote_is_in_the_record_of_the_next(start: Start, sweep: UPath) -> None:
    """A command that begins the next attempt is frozen between look and upload, while the first still writes."""
    first, _ = start()
    second, proxy = start()
    assert first.answer("begin s") == "yes"
    with frozen(second, proxy, *LOOKED) as freeze:
        second.ask("begin s")
        freeze.wait()
        assert first.answer("write in time") == "yes"
    assert second.answer() == "yes"
    record = RecordStore(sweep).read("full-000")
    assert (record.attempt, record.error) == (2, "in time")
    assert first.answer("write too late") == "no: superseded"


def test_a_command_that_has_lost_the_sweep_begins_no_attempt(start: Start, sweep: UPath) -> None:
    first, proxy = start(stale=STALE)
    second, _ = start(stale=STALE)
    assert [first.answer("hold s"), first.answer("begin s")] == ["yes", "yes"]
    with frozen(first, proxy, *LOOKED) as freeze:
        first.ask("begin s")
        freeze.wait()
        assert [second.answer("hold s"), second.answer("begin s")] == ["yes", "yes"]
    assert re.match("no: (this sweep's .* couldn't be renewed|process .* has taken over)", first.answer())
    assert RecordStore(sweep).read("full-000").attempt == 2
    assert second.answer("write in time") == "yes"


@pytest.mark.parametrize("conditions", [KEPT, IGNORED, UNKNOWN])
def test_of_two_that_take_a_sweep_at_the_same_moment_one_has_it(conditions: str, start: Start) -> None:
    both = [start(conditions, settle=lock.SETTLE) for _ in range(2)]
    for number in range(20 if conditions == KEPT else 3):
        meeting = threading.Barrier(2)
        for _, proxy in both:
            proxy.asked = once("PUT holder.json", meeting.wait)  # both have looked, and found no holder
        for holder, _ in both:
            holder.ask(f"hold s{number}")
        answers = [holder.answer() for holder, _ in both]
        winner = both[answers.index("yes")][0]
        (refused,) = [answer for answer in answers if answer != "yes"]
        assert re.match(rf"no: process {winner.pid} on .* already runs this sweep", refused)
        assert winner.answer("check") == "yes"
        assert winner.answer("end") == "yes"


def once(which: str, act: Callable[[], object]) -> Callable[[str], None]:
    """What acts at the first of some calls."""
    left = [which]

    def look(call: str) -> None:
        if call in left:
            left.remove(call)
            act()

    return look


def test_a_command_whose_first_word_is_late_does_not_have_the_sweep(start: Start, sweep: UPath) -> None:
    first, proxy = start()
    second, _ = start()
    with frozen(first, proxy, "asked", "PUT holder.json") as freeze:
        first.ask("hold s")
        freeze.wait()
        assert second.answer("hold s") == "yes"
        held = read_whole(sweep / "holder.json")
    assert first.answer().startswith(f"no: process {second.pid} on ")
    assert read_whole(sweep / "holder.json").partition(b"beat")[0] == held.partition(b"beat")[0]
    assert second.answer("until yes") == "yes"


def test_a_holder_frozen_in_its_sign_of_life_loses_and_writes_nothing(start: Start, sweep: UPath) -> None:
    first, proxy = start(stale=STALE)
    second, seen = start(stale=STALE)
    assert first.answer("hold s") == "yes"
    with frozen(first, proxy, "asked", "PUT holder.json") as freeze:
        freeze.wait()
        assert second.answer("hold s") == "yes"
    lost = f"no: process {second.pid} on "
    assert first.answer(f"until {lost}").startswith(lost)
    assert first.answer("end") == "yes"
    assert f'"pid": {second.pid}'.encode() in read_whole(sweep / "holder.json")
    beats = seen.calls.count("PUT holder.json")
    assert wait_for(lambda: seen.calls.count("PUT holder.json") > beats + 2)  # it goes on to renew it
    assert second.answer("check") == "yes"


@pytest.mark.parametrize("conditions", [IGNORED, UNKNOWN])
def test_a_store_without_conditions_is_used_with_looks(conditions: str, start: Start, sweep: UPath) -> None:
    """There a process is found out that was frozen at any time but between a look and its upload."""
    first, proxy = start(conditions, stale=STALE)
    second, _ = start(conditions, stale=STALE)
    assert [first.answer("hold s"), first.answer("begin s")] == ["yes", "yes"]
    assert second.answer("hold s").startswith(f"no: process {first.pid} on ")
    assert first.answer("write in time") == "yes"
    with frozen(first, proxy, "answered", "PUT holder.json") as freeze:
        freeze.wait()
        assert [second.answer("hold s"), second.answer("begin s")] == ["yes", "yes"]
    lost = f"no: process {second.pid} on "
    assert first.answer(f"until {lost}").startswith(lost)
    assert first.answer("write too late") == "no: superseded"
    record = RecordStore(sweep).read("full-000")
    assert (record.attempt, record.error) == (2, "in time")


def test_a_write_whose_answer_is_lost_has_been_written(start: Start, sweep: UPath) -> None:
    holder, proxy = start()

    def break_off() -> None:
        raise ConnectionError

    proxy.answered = once("PUT holder.json", break_off)
    assert holder.answer("hold s") == "yes"
    proxy.answered = once("PUT holder.json", break_off)
    beats = proxy.calls.count("PUT holder.json")
    assert wait_for(lambda: proxy.calls.count("PUT holder.json") > beats + 4)
    assert holder.answer("check") == "yes"
    assert holder.answer("begin s") == "yes"
    proxy.answered = once("PUT record.json", break_off)
    assert holder.answer("write this") == "yes"
    assert RecordStore(sweep).read("full-000").error == "this"


def test_each_file_is_one_request(bucket: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(s3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        folder = SweepFolder(open_storage(bucket) / "s")
        trial = Trial(id="full-000", method="full", number=0, seed=0, params={}, model=Model(name="any"))

        def calls_of(act: Callable[[], object]) -> list[str]:
            proxy.calls.clear()
            act()
            return list(proxy.calls)

        def claim() -> Record:
            return folder.records.claim(Record(trial=trial, started=0.0))

        claim()
        look_and_write = ["HEAD record.json", "GET record.json", "PUT record.json"]
        assert calls_of(claim) == [*look_and_write, "GET record.json"]
        begun = folder.records.read("full-000")
        attempt, checkpoints = folder.attempt(begun), folder.records.checkpoint_folder("full-000")
        assert calls_of(lambda: attempt.write(begun)) == look_and_write
        for epochs in (1, 2, 3):
            checkpoint = Checkpoint({"w": torch.zeros(1)}, (EPOCH,) * epochs)
            last = f"epoch-000{epochs}.safetensors"
            written = calls_of(lambda: checkpoint.write(checkpoints, attempt.put))  # noqa: B023 - used at once
            removed = ["DELETE epoch-0001.safetensors"] if epochs == 3 else []
            assert written == ["GET record.json", f"PUT {last}", "LIST", *removed]
        assert calls_of(lambda: newest_checkpoint(checkpoints)) == ["LIST", f"GET {last}"]
        assert calls_of(folder.stop.is_made) == ["GET stop"]
        assert calls_of(lambda: folder.records.read("full-000")) == ["GET record.json"]
        assert calls_of(folder.records.read_all) == ["LIST", "GET record.json"]
        assert calls_of(folder.records.with_checkpoints) == ["LIST"]
        removed = calls_of(lambda: folder.records.remove_checkpoints("full-000"))
        assert removed == ["LIST", "DELETE epoch-0002.safetensors", "DELETE epoch-0003.safetensors"]
        assert calls_of(lambda: folder.records.remove_checkpoints("full-000")) == ["LIST"]
        monkeypatch.setattr(lock, "BEAT", 0.1)
        with lock.held(folder.path):
            signs = calls_of(lambda: wait_for(lambda: len(proxy.calls) > 2))
        assert set(signs) == {"PUT holder.json"}
