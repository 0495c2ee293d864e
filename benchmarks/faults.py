"""A campaign of faults: small sweeps to which things happen at random moments, held against one that ran through.

Every fault is real: processes are killed, told to end, crash, hang; files are cut short; MLflow's server is killed and
started again; what is kept of images on disk is damaged, or the disk is full (as root alone, who may mount a small
one). `python -m benchmarks.faults` needs the test requirements, takes an hour on 2 cores, and prints a table of what
each kind has cost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient

from fpray.kept import kept_files
from fpray.testing import make_tiny_clip
from tests.faults.command import output, start
from tests.faults.faulty import Fault, epochs_begun, log_of, plan
from tests.faults.following import records
from tests.faults.mlflow_server import Server
from tests.faults.small import EVALUATED, SMALL, STEPS, outcomes

TRIALS, EPOCHS = 6, 3
CUT, SERVER = "newest checkpoint cut short", "MLflow's server killed"
IN_TRIALS = {"kill": 20, "kill during a write": 20, "kill after a write": 20, "crash": 20, "hang": 20}
TO_THE_COMMAND = {
    "SIGKILL": 25,  # and newest checkpoints are cut short in between
    "SIGKILL during a write": 10,
    "SIGKILL at an MLflow batch": 10,
    "Ctrl-C": 10,
    "SIGTERM": 10,
}
TO_THE_KEPT = {
    "kept file cut short": 26,
    "garbage in a kept file": 26,
    "pages of a kept file lost": 26,  # as by a power failure
    "two sweeps that keep at once": 4,
    "no room to keep": 2,
}
COUNTS = IN_TRIALS | TO_THE_COMMAND | {SERVER: 20} | TO_THE_KEPT
"""How many faults of each kind."""


@dataclass
class Tally:
    """The cost of a kind of fault, over all sweeps that it happened to."""

    faults: int = 0
    sweeps: int = 0
    completed: int = 0
    lost: int = 0
    twice: int = 0
    epochs: int = 0
    duplicates: int = 0


@dataclass
class Campaign:
    """Repeated sweeps of one file, and what came of them."""

    folder: Path
    chance: random.Random
    tallies: dict[str, Tally] = field(default_factory=dict)
    expected: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = self.folder / "cache"
        os.environ["FPRAY_CACHE"] = str(self.cache)
        clip = self.folder / "clip"
        clip.mkdir()
        self.model = make_tiny_clip(clip)
        self.expected = outcomes(records(self.run_through(self.new_sweep("undisturbed"))).values())

    def new_sweep(self, name: str, **sections: Any) -> Path:
        """A sweep file in a storage folder of its own."""
        file = self.folder / f"{name}-{len(list(self.folder.iterdir()))}" / "sweep.yaml"
        file.parent.mkdir()
        content = SMALL | {"model": {"name": self.model}, "storage": str(file.parent)}
        content |= {"methods": {"full": {"trials": TRIALS}}, "resources": {"stall_seconds": 8, "max_failures": 3}}
        file.write_text(yaml.safe_dump(content | sections))
        return file

    def run_through(self, file: Path) -> Path:
        process = start(file)
        process.join()
        if process.exitcode != 0:
            raise SystemExit(f"a sweep ended with {process.exitcode}:\n{output(file).read_text()}")
        return file

    def judge(self, kinds: Counter[str], file: Path, uri: str) -> None:
        """Count what a sweep has cost; where several kinds of fault came together, among them all."""
        found, log = records(file), log_of(file.parent / "small")
        ends = Counter(words[1].partition("#")[0] for words in log if words[0] == "end")
        now = outcomes(found.values())
        sweep = Tally(
            faults=sum(kinds.values()),
            sweeps=1,
            completed=int(now == self.expected),
            lost=sum(now.get(id) != outcome for id, outcome in self.expected.items()),
            twice=sum(count - 1 for count in ends.values()),
            epochs=sum(epochs_begun(file.parent / "small").values()) - EPOCHS * TRIALS,
            duplicates=duplicates(uri),
        )
        kind = " + ".join(sorted(kinds))
        tally = self.tallies.setdefault(kind, Tally())
        for name, count in vars(sweep).items():
            setattr(tally, name, getattr(tally, name) + count)
        print(f"{time.strftime('%H:%M:%S')} {dict(kinds)}: {sweep}", flush=True)

    def faults_in_trials(self, kind: str, count: int) -> None:
        """Faults at random steps and writes of the first two attempts of a sweep's trials, some trials twice."""
        while count > 0:
            trials = [f"full-{number:03d}" for number in range(TRIALS)]
            attempts = [f"{trial}#1" for trial in trials] + [f"{trial}#2" for trial in self.chance.sample(trials, 4)]
            faults = {attempt: self.fault(kind) for attempt in attempts[:count]}
            file = self.new_sweep("trials")
            plan(file.parent / "small", faults)
            self.run_through(file)
            happened = sum(words[0] == "fault" for words in log_of(file.parent / "small"))
            self.judge(Counter({kind: happened}), file, f"sqlite:///{file.parent}/mlflow.db")
            count -= happened

    def fault(self, kind: str) -> Fault:
        if kind.startswith("kill "):
            return Fault("kill", "write" if "during" in kind else "written", self.chance.randint(1, 10))
        return Fault(kind, "beat", self.chance.randint(1, EPOCHS * (STEPS + EVALUATED)))

    def faults_of_the_command(self, kind: str, count: int, cuts: bool) -> None:
        """The command is ended again and again at random moments; in between, the newest checkpoints are cut short."""
        while count > 0:
            file, kinds = self.new_sweep("command"), Counter()
            while count > 0 and self.end_once(kind, file):
                count -= 1
                kinds[kind] += 1
                if cuts:
                    kinds[CUT] += self.cut_checkpoints(file)
            self.run_through(file)
            self.judge(+kinds, file, f"sqlite:///{file.parent}/mlflow.db")

    def end_once(self, kind: str, file: Path) -> bool:
        """Whether the command was ended before it came to its end."""
        before = len(log_of(file.parent / "small"))
        moments = {"SIGKILL during a write": "write", "SIGKILL at an MLflow batch": "batch"}
        process = start(file, None, moments.get(kind, ""), self.chance.randint(1, 5))
        if kind not in moments:
            while len(log_of(file.parent / "small")) == before and process.is_alive():
                process.join(0.02)
            process.join(self.chance.uniform(0, 4))
            sent = {"SIGKILL": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}[kind]
            if process.is_alive():
                os.kill(process.pid, sent)
        process.join()
        return process.exitcode != 0

    def cut_checkpoints(self, file: Path) -> int:
        """Cut the newest checkpoint of each interrupted trial that has two; one may cost an epoch."""
        cut = 0
        for record in records(file).values():
            kept = sorted((file.parent / "small/trials" / record.trial.id / "checkpoint").glob("epoch-*"))
            if record.status == "running" and len(kept) == 2:
                kept[-1].write_bytes(kept[-1].read_bytes()[: self.chance.randrange(kept[-1].stat().st_size)])
                cut += 1
        return cut

    def faults_of_the_server(self, count: int) -> None:
        """MLflow's server is killed at random moments of a sweep, and started again."""
        while count > 0:
            file = self.new_sweep("server")
            server = Server(file.parent)
            file = self.new_sweep("tracked", tracking={"uri": server.uri})
            server.start()
            server.wait()  # killed while it makes its own database, MLflow can't open that any more
            process, kills = start(file), 0
            while process.is_alive():
                process.join(self.chance.uniform(2, 8))
                if process.is_alive() and count > kills:
                    server.kill()
                    kills += 1
                    process.join(self.chance.uniform(0, 4))
                    server.start()
            server.wait()
            self.run_through(file)  # what was still behind
            self.judge(Counter({SERVER: kills}), file, server.uri)
            server.kill()
            count -= kills

    def faults_of_the_kept(self, kind: str, count: int) -> None:
        """What is kept of images and features is damaged between two sweeps, or can't be kept, or is kept by two."""
        while count > 0:
            file, other = self.new_sweep("kept"), None
            files = [path for path, _ in kept_files()]
            happened = 1
            if kind == "two sweeps that keep at once":
                for path in files:
                    path.unlink()
                other = self.new_sweep("other")
                beside = start(other)
            elif kind == "no room to keep":
                for path in files:
                    path.unlink()
                fill(self.cache)
            else:
                happened = len(files)
                for path in files:
                    damage(kind, path, self.chance)
            self.run_through(file)
            if other is not None:
                beside.join()
                self.judge(Counter({kind: 1}), other, f"sqlite:///{other.parent}/mlflow.db")
            (self.cache / "ballast").unlink(missing_ok=True)
            self.judge(Counter({kind: happened}), file, f"sqlite:///{file.parent}/mlflow.db")
            count -= happened


def damage(kind: str, file: Path, chance: random.Random) -> None:
    """Do something to a file of rows."""
    size = file.stat().st_size
    if kind == "kept file cut short":
        os.truncate(file, chance.randrange(size))
        return
    with file.open("r+b") as opened:
        for _ in range(20):
            opened.seek(chance.randrange(size // 4096 + 1) * 4096 if "pages" in kind else chance.randrange(size))
            room = min(4096, size - opened.tell())
            opened.write(bytes(room) if "pages" in kind else chance.randbytes(min(room, 100)))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A folder that is a disk of its own, if this is root."""
    folder.mkdir()
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def duplicates(uri: str) -> int:
    """Runs of one name, and points of one step, that MLflow has more than once; and those it lacks."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    found = len(runs) - len({run.info.run_name for run in runs})
    for run in runs:
        for key in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            found += len(steps) - len(set(steps))
            found += EPOCHS - len(set(steps)) if key == "epoch" else 0
    return found


def table(tallies: dict[str, Tally]) -> str:
    head = ["faults", "sweeps", "completed", "trials lost", "trials done twice", "epochs redone", "MLflow duplicates"]
    counts = {kind: list(vars(tally).values()) for kind, tally in tallies.items()}
    counts["**all**"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [[kind, *map(str, row)] for kind, row in counts.items()]
    lines = [["what happened", *head], ["---"] * (len(head) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=COUNTS, default=list(COUNTS), help="kinds of faults")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fpray-faults-") as folder, small_disk(Path(folder, "cache")):
        campaign = Campaign(Path(folder), random.Random(options.seed))
        for kind in options.only:
            if kind in IN_TRIALS:
                campaign.faults_in_trials(kind, COUNTS[kind])
            elif kind in TO_THE_KEPT:
                if kind != "no room to keep" or os.geteuid() == 0:
                    campaign.faults_of_the_kept(kind, COUNTS[kind])
            elif kind == SERVER:
                campaign.faults_of_the_server(COUNTS[kind])
            else:
                campaign.faults_of_the_command(kind, COUNTS[kind], cuts=kind == "SIGKILL")
    print(json.dumps({"seed": options.seed, "minutes": round((time.monotonic() - began) / 60)}))
    print(table(campaign.tallies))


if __name__ == "__main__":
    main()
