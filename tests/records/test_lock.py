"""The lock on a sweep's folder. What needs several machines' processes at a time is in tests/faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from fpray.errors import UserError
from fpray.records import lock
from fpray.records.lock import LostHoldError, held

HOLD = """
import sys
from upath import UPath
from fpray.records.lock import held
with held(UPath(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[UPath]:
    """A folder that isn't local, in which a lease is fast."""
    for name, seconds in (("BEAT", 0.02), ("STALE", 0.3), ("SETTLE", 0.0)):
        monkeypatch.setattr(lock, name, seconds)
    folder = UPath("memory://test-lock/s")
    yield folder
    if folder.exists():
        folder.fs.rm(folder.path, recursive=True)


def test_a_second_holder_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with (
        pytest.raises(UserError, match=f"process {first.pid} on .* already runs this sweep"),
        held(UPath(tmp_path / "s")),
    ):
        pass
    assert first.poll() is None
    first.kill()
    first.wait()
    with held(UPath(tmp_path / "s")) as hold:
        assert json.loads((tmp_path / "s" / "holder.json").read_text())["pid"] == os.getpid()
        hold.check()
    assert not (tmp_path / "s" / "holder.json").exists()


def test_a_file_in_the_way_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"), held(UPath(tmp_path / "file")):
        pass


def test_a_lease_ends_with_its_command(store: UPath) -> None:
    said: list[str] = []
    for _ in range(2):
        with held(store, said.append) as hold:
            hold.check()
            assert json.loads((store / "holder.json").read_text())["pid"] == os.getpid()
        assert json.loads((store / "holder.json").read_text()) == {"free": True}
    assert said == []


def test_a_lease_that_lives_is_refused_to_another(store: UPath) -> None:
    said: list[str] = []
    with held(store) as hold:
        with pytest.raises(UserError, match=rf"process {os.getpid()} on .* \(since .*\) already runs"):
            held(store, said.append).__enter__()
        hold.check()
    assert said == [line for line in said if line.endswith("waiting up to 0.3 s for a sign of life")]
    assert len(said) == 1


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"pid": 1, "host": "elsewhere", "since": 0}', b'{"pid": "x"}'])
def test_a_lease_without_a_sign_of_life_is_taken_over(store: UPath, left: bytes) -> None:
    said: list[str] = []
    store.mkdir(parents=True)
    (store / "holder.json").write_bytes(left)
    with held(store, said.append) as hold:
        hold.check()
    (line,) = said
    assert line.startswith("process 1 on elsewhere (since " if b"elsewhere" in left else "another process holds")


@pytest.mark.parametrize("content", [b'{"token": "of another", "pid": 7, "host": "there", "since": 0}', None])
def test_a_lease_that_another_took_is_lost(store: UPath, content: bytes | None) -> None:
    with held(store) as hold:
        assert isinstance(hold, lock.Lease)
        if content is None:  # taken over and given back since
            (store / "holder.json").unlink()
        else:
            (store / "holder.json").write_bytes(content)
        hold._thread.join(10)
        who = "another process" if content is None else r"process 7 on there \(since .*\)"
        with pytest.raises(LostHoldError, match=f"^{who} has taken over this sweep in 'memory://test-lock/s'$"):
            hold.check()
    assert (store / "holder.json").exists() == (content is not None)  # another's is left alone
