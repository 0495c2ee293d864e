"""What each trained method costs over full fine-tuning: the time of a step, and the memory that it takes.

    python -m benchmarks.costs --keep benchmarks/costs.json                 drawnet-s on DrawNet, on one CPU thread
    python -m benchmarks.costs --model ViT-B-16 --batch 8 --pairs 2         random weights, 224 pixels
    python -m benchmarks.costs --model ViT-B-16 --batch 256 --device cuda   bf16

A method's step and full fine-tuning's are taken in pairs, now one first, now the other, on the same preloaded images,
by hyperparameters in the middle of their default ranges; in each round every method has its pairs. So the machine's
drift meets both of a pair alike. The ratio is the median of the pairs, with the middle half of them beside it; full
fine-tuning's own, over itself, says how much is noise.

A method that keeps what is `fixed` of each image has two figures: of the first trial on the same draws, which computes
it, and of those that follow, which find it; reading it from the node's disk is not in the second. A method that builds
on other trials has the cost of its own step alone. Memory is the most that torch held at one time for the method, from
its making through its second step, the shared reference left out, over full fine-tuning's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import default_collate

from benchmarks.material import new_method, sweep_of, timed
from fpray.config.schema import Sweep
from fpray.data import Batch, open_dataset
from fpray.methods import METHODS, TrainedMethod
from fpray.model.reference import Reference, load_reference
from fpray.training.replay import replayed_sample
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper
from fpray.training.trial import use_tf32

FULL = "full"
"""What all are compared with."""


class Ratio(BaseModel):
    """Of a method's steps over full fine-tuning's: the median of the pairs, and between what their middle half lies."""

    model_config = ConfigDict(frozen=True)

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, own: list[float], full: list[float]) -> Ratio:
        low, median, high = np.quantile(np.divide(own, full), (0.25, 0.5, 0.75)).round(3).tolist()
        return cls(median=median, low=low, high=high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


class Cost(BaseModel):
    """A method's, each over full fine-tuning's."""

    model_config = ConfigDict(frozen=True)

    step: Ratio
    known: Ratio | None = None
    """Of a step that finds what is fixed of its images; None where nothing is."""
    memory: float


class Costs(BaseModel):
    """What a run has measured, and on what."""

    model_config = ConfigDict(frozen=True)

    model: str
    device: str
    precision: str
    batch: int
    pairs: int
    """Of steps, for each method."""
    torch: str
    day: date
    full_ms: float
    """The median of full fine-tuning's steps."""
    full_mib: float
    """The memory of full fine-tuning."""
    methods: dict[str, Cost]


@dataclass(frozen=True)
class Bench:
    """A model, one batch of images, and the settings that all methods share."""

    reference: Reference
    sweep: Sweep
    runtime: Runtime

    @cached_property
    def full(self) -> tuple[Stepper, Batch]:
        return self.ready(FULL)

    def ready(self, name: str) -> tuple[Stepper, Batch]:
        """A method that has taken a step, in which Adam's moments are made, and its batch."""
        stepper = self.stepper(name)
        batch = self.batch_of(stepper.method)
        stepper.step(batch, 1.0)
        return stepper, batch

    def stepper(self, name: str) -> Stepper:
        method = new_method(name, self.reference, self.sweep, place=0.5)
        return Stepper(method, self.sweep.train, self.runtime, steps=1000)

    def batch_of(self, method: TrainedMethod[Any]) -> Batch:
        """The same images for every method, as it takes them, and what it replays beside them."""
        torch.manual_seed(0)
        items = method.training_data(self.reference.dataset.splits()[0])
        size = int(self.sweep.train.batch_size)
        batch = default_collate([items[index] for index in range(size)])
        return self.reference.on_device({**batch, **replayed_sample(method, size)})

    def seconds(self, name: str, pairs: int) -> Iterator[Mapping[str, float]]:
        """What a step takes: `full` fine-tuning's, the method's own `step`, and that with what is fixed `known`."""
        stepper, batch = self.ready(name)
        work = {"full": self.full, "step": (stepper, batch)}
        with torch.no_grad():
            fixed = stepper.method.fixed(batch)
        if fixed is not None:
            work["known"] = (stepper, {**batch, "fixed": fixed.float()})
            stepper.step(work["known"][1], 1.0)
        for number in range(pairs):
            order = work if number % 2 else reversed(work)
            yield {key: self._timed_step(*work[key]) for key in order}

    def _timed_step(self, stepper: Stepper, batch: Batch) -> float:
        return timed(lambda: stepper.step(batch, 1.0), self.runtime.device)

    def peak_bytes(self, name: str) -> int:
        """The most that a method held at one time, from its making through its second step."""
        batch = self.batch_of(self.stepper(name).method)  # a linear probe's features are the reference's
        gc.collect()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            stepper = self.stepper(name)
            for _ in range(2):
                stepper.step(batch, 1.0)
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            profiler.export_chrome_trace(file.name)
            events = json.loads(Path(file.name).read_bytes())["traceEvents"]
        kind = 1 if self.runtime.device.type == "cuda" else 0  # as torch numbers kinds of devices
        own = [e for e in events if e["name"] == "[memory]" and e["args"]["Device Type"] == kind]
        return max(accumulate(int(e["args"]["Bytes"]) for e in sorted(own, key=lambda e: e["ts"])))


def measured(bench: Bench, names: list[str], pairs: int, rounds: int, model: str) -> Costs:
    """The costs of methods, of so many pairs of steps in each round."""
    seconds: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, own in seconds.items():
            own += bench.seconds(name, pairs)
    peaks = {name: bench.peak_bytes(name) for name in dict.fromkeys([FULL, *names])}
    costs = {}
    for name, own in seconds.items():
        columns = {key: [pair[key] for pair in own] for key in own[0]}
        ratios = {key: Ratio.of(taken, columns["full"]) for key, taken in columns.items() if key != "full"}
        costs[name] = Cost(step=ratios["step"], known=ratios.get("known"), memory=round(peaks[name] / peaks[FULL], 2))
    full = [pair["full"] for own in seconds.values() for pair in own]
    device = bench.runtime.device
    return Costs(
        model=model,
        device=torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread",
        precision=bench.sweep.train.precision,
        batch=int(bench.sweep.train.batch_size),
        pairs=pairs * rounds,
        torch=torch.__version__,
        day=date.today(),
        full_ms=round(1000 * float(np.median(full)), 2),
        full_mib=round(peaks[FULL] / 2**20, 1),
        methods=costs,
    )


def table(costs: Costs) -> Iterator[str]:
    yield "| method | step | from the second trial on | memory |\n|---|---|---|---|"
    for name, cost in costs.methods.items():
        yield f"| {name} | {cost.step} | {cost.known or ''} | {cost.memory:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="drawnet-s", help="an embedded model, or an open_clip architecture")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=100, help="images in a step")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of steps of each method in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="the file to write the figures to")
    options = parser.parse_args()
    runtime = Runtime(torch.device(options.device))
    torch.set_num_threads(1)
    use_tf32(options.device == "cuda")
    with tempfile.TemporaryDirectory(prefix="fpray-costs-") as scratch:
        os.environ |= {"FPRAY_CACHE": f"{scratch}/cache", "KINETO_LOG_LEVEL": "99"}  # the profiler is not to log
        sweep = sweep_of(options.model, options.device == "cuda", options.batch, 4, Path(scratch), methods="all")
        names = [name for name in sweep.methods if issubclass(METHODS[name], TrainedMethod)]
        model = sweep.model.each()[0]
        reference = load_reference(model.name, model.pretrained, open_dataset(sweep.data), runtime.device)
        costs = measured(Bench(reference, sweep, runtime), names, options.pairs, options.rounds, options.model)
    print("\n".join(table(costs)))
    print("\n" + costs.model_dump_json())
    if options.keep is not None:
        options.keep.write_text(costs.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
