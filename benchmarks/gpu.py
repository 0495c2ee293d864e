"""The speed of training on a GPU: one table, by one command of nine minutes at most, for whoever has a card for ten.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --rehearse         the same on the CPU with a small model, to see that all of it runs

ViT-B/16 with random weights at 224 pixels, bf16, on JPEGs of ImageNet's size, with batches of 256 and 512: a bare loop
over one preloaded batch; fpray's loop with images decoded each time, by 8 and by 15 loader processes, and with the
crops that are kept; each eager and compiled. Then each method's step beside full fine-tuning's with its peak memory,
and the embedded example on the card. Speeds are those of the last epoch, in images/s. Utilisation is the model's
floating-point work, three forward passes an image, over what the card's largest bf16 products reach here. What the
minutes don't suffice for is left out; every figure is printed as it comes, and all as JSON at the end.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.material import bare_loop, new_method, preloaded, sweep_of, timed
from benchmarks.training import steps
from fpray.config import Sweep
from fpray.data import open_dataset
from fpray.model.reference import Reference, load_reference
from fpray.training.loop import train
from fpray.training.runtime import Runtime
from fpray.training.trial import use_tf32

EPOCHS = 3
"""Of a timed training; the first one compiles and starts the loaders, the last one counts."""
KEPT_BYTES = 2**36


@dataclass
class Figures:
    """What was measured so far, and the time that is left."""

    ends: float
    found: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        self.found[name] = value
        print(f"{name}: {json.dumps(value)}", flush=True)

    def has(self, seconds: float, name: str) -> bool:
        """Whether so many seconds are left for a part."""
        if time.monotonic() + seconds <= self.ends:
            return True
        self.note(name, "left out, for want of time")
        return False


@dataclass(frozen=True)
class Card:
    """A model on a device, with its data; `flops` is the work of one forward pass of one image."""

    reference: Reference
    sweep: Sweep
    runtime: Runtime
    steps: int
    flops: float

    def with_train(self, **changes: Any) -> Card:
        return Card(self.reference, self.sweep.with_train(**changes), self.runtime, self.steps, self.flops)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--minutes", type=float, default=9.0)
    options = parser.parse_args()
    figures = Figures(time.monotonic() + 60 * options.minutes)
    device = torch.device("cpu" if options.rehearse else "cuda")
    model, batches = ("ViT-S-32-alt", (4, 8)) if options.rehearse else ("ViT-B-16", (256, 512))
    number, loaders = (2, (0, 1)) if options.rehearse else (30, (8, 15))
    with tempfile.TemporaryDirectory(prefix="fpray-gpu-") as scratch:
        os.environ["FPRAY_CACHE"] = f"{scratch}/cache"
        use_tf32(True)
        sweep = sweep_of(model, True, batches[-1], number, Path(scratch)).with_train(epochs=EPOCHS)
        if options.rehearse:  # bf16 takes a CPU without its own products for it ten times as long
            sweep = sweep.with_train(precision="fp32")
        reference = load_reference(sweep.model.each()[0].name, None, open_dataset(sweep.data), device)
        card = Card(reference, sweep, Runtime(device), number, flops_of(reference))
        figures.note(
            "device", f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'}, torch {torch.__version__}"
        )
        figures.note("bf16 products, TFLOP/s", round(products(device) / 1e12, 4))
        figures.note("forward pass, GFLOP an image", round(card.flops / 1e9, 2))
        for batch in batches:
            loops(card.with_train(batch_size=batch), loaders, figures)
        methods(card.with_train(batch_size=batches[0]), figures)
        quickstart(figures, options.rehearse)
    print("\n" + json.dumps(figures.found))


def flops_of(reference: Reference) -> float:
    """The floating-point operations of one image's forward pass through the image tower."""
    images = preloaded(reference, 1)["images"]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        reference.classifier.features(images)
    return float(counter.get_total_flops())


def products(device: torch.device) -> float:
    """Operations a second of large products in bf16, the best of some."""
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return max(2 * size**3 * 10 / timed(lambda: [a @ b for _ in range(10)], device) for _ in range(4))


def loops(card: Card, loaders: tuple[int, ...], figures: Figures) -> None:
    """The loops of one batch size: eager and compiled, bare, live and with kept crops."""
    size = int(card.sweep.train.batch_size)
    for compiled in (False, True):
        name = f"batch {size}, {'compiled' if compiled else 'eager'}"
        if not figures.has(90 if compiled else 40, name):
            continue
        own, found = card.with_train(compile=compiled), {"bare": bare(card, compiled)}
        card.reference.loader_workers = loaders[-1]
        for kept in ("crops kept, cold", "crops kept"):
            found[kept] = loop(own, KEPT_BYTES)
        for number in () if compiled else loaders:
            card.reference.loader_workers = number
            found[f"live, {number} loaders"] = loop(own, 0)
        found["utilisation of the bare loop"] = round(utilisation(card, found["bare"], figures), 3)
        figures.note(name, found)


def utilisation(card: Card, images_per_second: float, figures: Figures) -> float:
    work = 3 * card.flops * images_per_second
    return float(work / 1e12 / figures.found["bf16 products, TFLOP/s"])


def bare(card: Card, compiled: bool) -> float:
    """Images/s of a loop as one would write it by hand."""
    batch = preloaded(card.reference, int(card.sweep.train.batch_size))
    classifier = copy.deepcopy(card.reference.classifier).requires_grad_(True).train()
    if compiled:
        classifier.encoder.compile()
    bare_loop(classifier, batch, card.sweep, 2)
    seconds = timed(lambda: bare_loop(classifier, batch, card.sweep, card.steps), card.runtime.device)
    return round(card.steps * len(batch["labels"]) / seconds, 1)


def loop(card: Card, kept_bytes: int) -> float:
    """Images/s of fpray's loop for full fine-tuning."""
    card.reference.kept_bytes = kept_bytes
    method, split = new_method("full", card.reference, card.sweep), card.reference.dataset.splits()[0]
    history = train(method, card.sweep.train, 0, [split], card.runtime, None, lambda checkpoint: None).history
    torch.compiler.reset()
    return round(history[-1].images / history[-1].seconds, 1)


def methods(card: Card, figures: Figures) -> None:
    """Each method's step beside full fine-tuning's, KD's with its teacher run live; with the peak memory on a GPU."""
    if figures.has(90, "steps"):
        options = argparse.Namespace(steps=card.steps, rounds=1)
        figures.note("steps", steps(card.reference, card.sweep, options, card.runtime))


def quickstart(figures: Figures, rehearse: bool) -> None:
    """Seconds of the embedded example, two trials at a time on one card."""
    name = "embedded example, s"
    if importlib.util.find_spec("ray") is None:
        figures.note(name, "left out, Ray is not installed")
        return
    if not figures.has(150, name):
        return
    with tempfile.TemporaryDirectory(prefix="fpray-gpu-quickstart-") as storage:
        keys = [f"storage={storage}", *(["train.epochs=1"] if rehearse else ["resources.gpus=0.5", "resources.cpus=2"])]
        call = [sys.executable, "-m", "fpray.sweep", *keys]
        started = time.monotonic()
        code = subprocess.run(call, stdout=subprocess.DEVNULL, check=False).returncode
        figures.note(name, round(time.monotonic() - started, 1) if code == 0 else f"exit code {code}")


if __name__ == "__main__":
    main()
