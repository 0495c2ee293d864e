"""Trials to which something happens: real ones, with a fault at a chosen step or write of a chosen attempt."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from upath import UPath

from fpray import conditional
from fpray.config import TrialSettings
from fpray.records import Record, SweepFolder, store
from fpray.storage import StorageError, Writer
from fpray.training.runtime import Runtime
from fpray.training.trial import run_trial


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault and its moment: at the `count`th step or evaluated batch (`beat`), during the `count`th write of a file
    (`write`: it lies beside and is not renamed yet) or right after it (`written`), in the worker of a rank."""

    kind: str
    moment: str
    count: int
    rank: int = 0

    def happen(self, log: Path) -> None:
        note(log, f"fault {self.kind} {os.getpid()}")
        KINDS[self.kind]()


def note(log: Path, line: str) -> None:
    """Add a line to a file that several processes write."""
    with contextlib.suppress(OSError), log.open("a") as file:  # on a full disk the log is not what matters
        file.write(line + "\n")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> NoReturn:
    raise ValueError("this attempt can't")


def run_out_of_memory() -> NoReturn:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def use_up_memory() -> NoReturn:
    """Take the machine's memory, until Ray kills this process."""
    taken = []
    while True:
        taken.append(bytearray(b"1") * 100_000_000)
        time.sleep(0.1)


def hang() -> None:
    threading.Event().wait()


def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def fill_the_disk() -> NoReturn:
    raise StorageError(errno.ENOSPC, "no space left on device", "a file of the trial")


def lose_a_loader() -> None:
    """Kill one of the processes that load this process's images."""
    loaders = torch.multiprocessing.active_children()
    os.kill(loaders[0].pid, signal.SIGKILL)


KINDS: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (kill, crash, run_out_of_memory, use_up_memory, hang, freeze, fill_the_disk, lose_a_loader)
}


def plan(folder: Path, faults: dict[str, Fault]) -> None:
    """Let faults happen in a sweep's trials, each by trial and attempt: `full-000#1`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_text(json.dumps({key: dataclasses.astuple(f) for key, f in faults.items()}))


def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
    """Run a trial, with what is planned for it; the sweep's `faults.log` tells what happened."""
    log, planned = Path(folder.path.path) / "faults.log", Path(folder.path.path) / "faults.json"
    key = f"{record.trial.id}#{record.attempt}"
    faults: dict[str, Any] = json.loads(planned.read_text()) if planned.exists() else {}
    fault = Fault(*faults[key]) if key in faults else None
    if runtime.is_main:
        note(log, f"attempt {key}")

    def stop_asked() -> bool:  # asked before every epoch
        stop = runtime.stop_asked()
        if runtime.is_main and not stop:
            note(log, f"epoch {key}")
        return stop

    counted: Counter[str] = Counter()

    def came(moment: str) -> None:
        counted[moment] += 1
        if fault and (fault.moment, fault.count, fault.rank) == (moment, counted[moment], runtime.rank):
            fault.happen(log)

    def beat() -> None:
        runtime.beat()
        came("beat")

    with telling_of_writes(came):
        run_trial(record, settings, folder, dataclasses.replace(runtime, beat=beat, stop_asked=stop_asked))
    if runtime.is_main:
        note(log, f"end {key}")


@contextlib.contextmanager
def telling_of_writes(came: Callable[[str], None]) -> Iterator[None]:
    """Call `came` during and after every write of one of a trial's files in this process."""
    modules, real = (store, conditional), store.write_whole

    def write_whole(path: UPath, content: bytes | Writer, still_allowed: Callable[[], None] = lambda: None) -> None:
        def last_moment() -> None:
            still_allowed()
            came("write")

        real(path, content, last_moment)
        came("written")

    for module in modules:
        module.write_whole = write_whole
    try:
        yield
    finally:
        for module in modules:
            module.write_whole = real


def log_of(folder: Path) -> list[list[str]]:
    """The words of each line of a sweep's `faults.log`."""
    path = folder / "faults.log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def epochs_begun(folder: Path) -> Counter[str]:
    """The number of epochs that each trial has begun, in all its attempts."""
    return Counter(words[1].partition("#")[0] for words in log_of(folder) if words[0] == "epoch")
