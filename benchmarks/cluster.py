"""What a cluster loses to fpray: how busy its GPUs are with trials, and what a thousand trials cost the command.

Three nodes with GPUs that only Ray believes in, beside a head without CPUs, on one machine; trials that sleep.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import ray
from ray.cluster_utils import Cluster as Nodes
from upath import UPath

from fpray.config import TrialSettings
from fpray.config.file import check_sweep
from fpray.execution import Cluster, execute
from fpray.records import Count, Record, SweepFolder
from fpray.search import Schedule
from fpray.training import Runtime

GPUS = (4, 2, 2)
"""Of each node."""
CPUS = 8
"""Of each node; none of them has so many."""


@dataclass(frozen=True)
class Busy:
    """How busy the GPUs were. Shares are in [0, 1]."""

    trials: int
    seconds: float
    """From the start of the schedule to the last trial's end."""
    to_first: float
    between: float
    """The share of busy GPU seconds from each GPU's first trial to its last."""
    from_start: float
    """The share from the start of the schedule to the last trial's end."""


@dataclass(frozen=True)
class Cost:
    """What trials that do nothing cost the command's process, after so many of them."""

    trials: int
    seconds_each: float
    cpu_seconds: float
    memory_mb: float


def sleep(folder: Path, seconds: float, record: Record, s: TrialSettings, place: SweepFolder, r: Runtime) -> None:
    """A trial that sleeps, and writes down when and on which GPU."""
    began = time.time()
    time.sleep(seconds)
    context = ray.get_runtime_context()
    slot = f"{context.get_node_id()}-{context.get_accelerator_ids()['GPU'][0]}"
    results = {"id/val": Count(correct=1, total=2), "ood/any/val": Count(correct=1, total=2)}
    place.records.write(record.finished(results=results))
    (folder / record.trial.id).write_text(json.dumps([slot, began, time.time()]))


def run(trials: int, seconds: float, folder: Path, on_change: Callable[[Record], None]) -> None:
    """Run trials that sleep for so long, as many at a time as there are GPUs."""
    content = {"methods": {"full": {"trials": trials}}, "resources": {"gpus": 1}, "name": "cluster"}
    sweep = check_sweep(content, "cluster")
    with Cluster(sweep, own=False) as cluster:
        work, place = partial(sleep, folder, seconds), SweepFolder(UPath(folder / "sweep"))
        execute(Schedule(sweep, []), place, room=cluster.room, on_change=on_change, work=work)


def busy(trials: int, seconds: float) -> Busy:
    with tempfile.TemporaryDirectory(prefix="fpray-cluster-") as name:
        folder, start = Path(name), time.time()
        run(trials, seconds, folder, lambda record: None)
        slots = defaultdict(list)
        for path in folder.glob("full-*"):
            slot, began, ended = json.loads(path.read_text())
            slots[slot].append((began, ended))
    spans = [(min(b for b, _ in times), max(e for _, e in times)) for times in slots.values()]
    last = max(ended for _, ended in spans)
    worked = trials * seconds
    return Busy(
        trials,
        last - start,
        min(began for began, _ in spans) - start,
        worked / sum(ended - began for began, ended in spans),
        worked / sum(GPUS) / (last - start),
    )


def cost(trials: int, marks: tuple[int, ...]) -> list[Cost]:
    """The cost after each of the marks; the time from the first trial's end on."""
    start, ends, costs = used(), [], list[Cost]()

    def on_change(record: Record) -> None:
        ends.append(time.time())
        if len(ends) in marks:
            each = (ends[-1] - ends[0]) / (len(ends) - 1)
            costs.append(Cost(len(ends), each, used() - start, resident_mb()))

    with tempfile.TemporaryDirectory(prefix="fpray-cluster-") as name:
        run(trials, 0, Path(name), on_change)
    return costs


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for gpus in GPUS:
        nodes.add_node(num_cpus=CPUS, num_gpus=gpus)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
    slept, costs = busy(256, 5), cost(1000, (100, 1000))
    ray.shutdown()
    nodes.shutdown()
    print(f"{slept.trials} trials of 5 s on {sum(GPUS)} GPUs of {len(GPUS)} nodes: {slept.seconds:.0f} s, the first")
    print(f"after {slept.to_first:.0f} s; GPUs busy {slept.between:.1%} between their first trial and their last,")
    print(f"{slept.from_start:.1%} from the start")
    for c in costs:
        print(
            f"{c.trials} trials of 0 s: {c.seconds_each:.2f} s each; the command {c.cpu_seconds:.0f} s of CPU, ", end=""
        )
        print(f"{c.memory_mb:.0f} MB")
    figures = {
        "busy": asdict(slept),
        "costs": [asdict(c) for c in costs],
        "cpus_of_machine": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("ray", "torch", "optuna")},
    }
    print(json.dumps(json.loads(json.dumps(figures), parse_float=lambda number: round(float(number), 3))))


if __name__ == "__main__":
    main()
