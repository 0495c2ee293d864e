"""The speed of training: the whole loop beside a bare PyTorch loop, and each method's step beside full fine-tuning's.

    python -m benchmarks.training                                   drawnet-s on DrawNet, on one CPU thread
    python -m benchmarks.training --model ViT-B-16 --gpu            random weights, JPEGs of ImageNet's size, bf16

The bare loop has the same model, batch, precision and optimiser, and takes one preloaded batch again and again: no
decoding, no augmentation, no checkpoints. fpray's loop crops every image, or reads the crops that are kept. They run in
turn in one process, and the ratios are medians of the rounds'. So do an epoch of KD whose features of the reference are
kept beside full fine-tuning's, and a trial's curve beside bare forward passes. Loading is timed by itself on JPEGs of
ImageNet's size: fpray's crops beside open_clip's own transform, in images/s of one core.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from open_clip.transform import image_transform
from torch.utils.data import default_collate
from upath import UPath

from benchmarks.material import METHODS_TIMED, bare_loop, jpegs, new_method, preloaded, sweep_of, timed
from fpray.config.schema import Sweep
from fpray.data import open_dataset
from fpray.data.encoded import ImageFiles
from fpray.data.loading import Transformed
from fpray.model.reference import Reference, load_reference
from fpray.model.transform import transform_of
from fpray.training.curve import curve_of
from fpray.training.evaluate import Evaluator
from fpray.training.loop import train
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper
from fpray.training.trial import use_tf32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="drawnet-s", help="drawnet-s, or an open_clip architecture")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--batch", type=int, help="images in a step (100 on the CPU, 256 on a GPU)")
    parser.add_argument("--steps", type=int, default=10, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loaders", type=int, nargs="+", help="numbers of loader processes to time the loop with")
    options = parser.parse_args()
    batch = options.batch or (256 if options.gpu else 100)
    loaders = options.loaders or ([8, 15] if options.gpu else [0, 1])
    runtime = Runtime(torch.device("cuda" if options.gpu else "cpu"))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fpray-training-") as scratch:
        os.environ["FPRAY_CACHE"] = f"{scratch}/cache"
        sweep = sweep_of(options.model, options.gpu, batch, options.steps, Path(scratch))
        use_tf32(options.gpu)
        dataset = open_dataset(sweep.data)
        reference = load_reference(sweep.model.each()[0].name, None, dataset, runtime.device)
        device = torch.cuda.get_device_name() if options.gpu else "CPU, 1 thread"
        print(f"{options.model}, {device}, torch {torch.__version__}, {sweep.train.precision}, batch {batch}\n")
        figures = {"loop": loops(reference, sweep, loaders, options, runtime, UPath(scratch))}
        figures["step"] = steps(reference, sweep, options, runtime)
        figures["trial"] = trials(reference, sweep, options, runtime)
        figures["curve"] = alphas(reference, sweep, options.rounds, runtime)
        figures["loading"] = loading(Path(scratch), options.rounds)
    print("\n" + json.dumps({"model": options.model, "device": device, "batch": batch} | figures))


def loops(
    reference: Reference, sweep: Sweep, loaders: list[int], options: argparse.Namespace, runtime: Runtime, folder: UPath
) -> dict[str, dict[str, float]]:
    """fpray's loop for full fine-tuning (decode, augment, step, checkpoint) beside the bare loop, in images/s: with
    crops made anew, and with those that are kept."""
    batch = preloaded(reference, sweep.train.batch_size)
    split, images = reference.dataset.splits()[0], sweep.train.batch_size * options.steps
    result = {}
    for workers in loaders:
        reference.loader_workers = workers
        live, kept, bare = [], [], []
        for number in range(options.rounds + 1):

            def fpray_loop(kept_bytes: int) -> None:
                reference.kept_bytes = kept_bytes
                method = new_method("full", reference, sweep)
                train(method, sweep.train, 0, [split], runtime, None, lambda c: c.write(folder / "checkpoint"))

            classifier = copy.deepcopy(reference.classifier).requires_grad_(True).train()
            seconds = timed(lambda c=classifier: bare_loop(c, batch, sweep, options.steps), runtime.device)
            own = timed(lambda: fpray_loop(0), runtime.device)
            by_kept = timed(lambda: fpray_loop(2**33), runtime.device)
            if number:  # the first round warms up, and keeps the crops
                bare.append(images / seconds)
                live.append(images / own)
                kept.append(images / by_kept)
        result[f"{workers} loaders"] = {
            "live": round(statistics.median(live), 1),
            "kept": round(statistics.median(kept), 1),
            "bare": round(statistics.median(bare), 1),
            "live over bare": ratio_of(live, bare),
            "kept over bare": ratio_of(kept, bare),
            "time, kept over live": ratio_of(live, kept),
        }
        print(f"whole loop, {workers} loader process(es): {result[f'{workers} loaders']} images/s")
    return result


def ratio_of(one: list[float], other: list[float]) -> float:
    """The median of the rounds' ratios."""
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 3)


def loading(scratch: Path, rounds: int) -> dict[str, float]:
    """Batches of training crops of 500 x 375 JPEGs at 224 pixels, by fpray and by open_clip's own transform, in
    images/s of one core."""
    root = scratch / "images" if (scratch / "images").exists() else jpegs(scratch / "images", 128)
    paths = sorted(str(file.relative_to(root)) for file in (root / "a").rglob("*.jpg"))[:128]
    images = ImageFiles(root, paths, [0] * len(paths))
    composed = image_transform(224, is_train=True)
    ours, theirs = Transformed(images, transform_of(composed).crop), lambda i: {"images": composed(images[i])}
    speeds: dict[str, list[float]] = {"fpray": [], "open_clip": []}
    for _ in range(rounds + 1):
        for name, item in (("fpray", ours.__getitem__), ("open_clip", theirs)):
            started = time.process_time()
            default_collate([item(index) for index in range(len(paths))])
            speeds[name].append(len(paths) / (time.process_time() - started))
    result = {name: round(statistics.median(own[1:]), 1) for name, own in speeds.items()}
    result["ratio"] = ratio_of(speeds["fpray"][1:], speeds["open_clip"][1:])
    print(f"loading: {result} images/s of one core")
    return result


def trials(
    reference: Reference, sweep: Sweep, options: argparse.Namespace, runtime: Runtime
) -> dict[str, float | dict[str, float]]:
    """An epoch of KD whose features of the reference an earlier trial has kept, beside one of full fine-tuning; both
    with kept crops and without loader processes."""
    split, images = reference.dataset.splits()[0], int(sweep.train.batch_size) * options.steps
    reference.loader_workers, reference.kept_bytes = 0, 2**33
    speeds: dict[str, list[float]] = {"full": [], "kd": []}
    for number in range(options.rounds + 1):
        for name, own in speeds.items():
            method = new_method(name, reference, sweep)
            seconds = timed(
                lambda m=method: train(m, sweep.train, 0, [split], runtime, None, lambda c: None), runtime.device
            )
            if number:  # the first round keeps the features
                own.append(images / seconds)
    result: dict[str, float | dict[str, float]] = {
        "images/s": {name: round(statistics.median(own), 1) for name, own in speeds.items()},
        "time, kd over full": ratio_of(speeds["full"], speeds["kd"]),
    }
    print(f"an epoch of KD from the second trial on: {result}")
    return result


def alphas(reference: Reference, sweep: Sweep, rounds: int, runtime: Runtime) -> dict[str, float]:
    """A trial's curve beside the bare forward passes of its points between the ends, on preloaded batches."""
    splits = [split for split in reference.dataset.splits() if split.part == "val"]
    classifier = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        for weight in classifier.parameters():
            weight.mul_(1.01)
    every = reference.in_order({split: range(len(reference.dataset.images(split))) for split in splits})
    batches = [reference.on_device(batch)["images"] for batch in every]
    last = Evaluator(reference, splits, runtime, sweep.train.autocast).predict(classifier)
    points, seconds = sweep.train.alphas, dict[str, list[float]](curve=[], bare=[])

    @torch.no_grad()
    def bare() -> None:
        for _ in range(points - 2):
            for images in batches:
                classifier.features(images)

    def curve() -> None:
        curve_of(classifier, points, last, reference, runtime, sweep.train.autocast)

    for number in range(rounds + 1):
        for name, work in (("bare", bare), ("curve", curve)):
            took = timed(work, runtime.device)
            if number:
                seconds[name].append(took)
    result = {name: round(statistics.median(own), 2) for name, own in seconds.items()}
    result["curve over bare"] = ratio_of(seconds["curve"], seconds["bare"])
    print(f"a curve of {points} alphas, s: {result}")
    return result


def steps(
    reference: Reference, sweep: Sweep, options: argparse.Namespace, runtime: Runtime
) -> dict[str, dict[str, float]]:
    """Each method's step on a preloaded batch, in ms, beside full fine-tuning's; on a GPU with its peak memory."""
    batch = preloaded(reference, sweep.train.batch_size)
    times: dict[str, list[float]] = {name: [] for name in METHODS_TIMED}
    peaks: dict[str, float] = {}
    for number in range(options.rounds + 1):
        for name in METHODS_TIMED:
            if runtime.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            stepper = Stepper(new_method(name, reference, sweep), sweep.train, runtime, options.steps + 1)
            stepper.step(batch, 1.0)
            work = [lambda s=stepper: s.step(batch, 1.0)] * options.steps
            seconds = timed(lambda w=work: [step() for step in w], runtime.device)
            if runtime.device.type == "cuda":
                peaks[name] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            if number:
                times[name].append(1000 * seconds / options.steps)
    result = {}
    for name, own in times.items():
        ratio = statistics.median(t / f for t, f in zip(own, times["full"], strict=True))
        result[name] = {"ms": round(statistics.median(own), 2), "of full": round(ratio, 4)}
        result[name] |= {"peak GiB": peaks[name]} if peaks else {}
        print(f"step of {name:<5}: {result[name]}")
    return result


if __name__ == "__main__":
    main()
