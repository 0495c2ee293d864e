"""The speed of training: the whole loop beside a bare PyTorch loop, and each method's step beside full fine-tuning's.

    python -m benchmarks.training                                   the embedded model on DrawNet, on one CPU thread
    python -m benchmarks.training --model ViT-B-16 --gpu            random weights, JPEGs of ImageNet's size, bf16

The bare loop has the same model, batch, precision and optimiser, and takes one preloaded batch again and again: no
decoding, no augmentation, no checkpoints. fpray's loop crops every image, or reads the crops that are kept. They run in
turn in one process, and the ratios are medians of the rounds'. Loading is timed by itself on JPEGs of ImageNet's size:
fpray's crops beside open_clip's own transform, in images/s of one core.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.transform import image_transform
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import default_collate
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.data import open_dataset
from fpray.data.encoded import ImageFiles
from fpray.data.loading import Batch, Transformed
from fpray.methods import METHODS, TrainedMethod
from fpray.model.classifier import Classifier
from fpray.model.reference import Reference, load_reference
from fpray.model.transform import transform_of
from fpray.training.loop import train
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper
from fpray.training.trial import use_tf32

METHODS_TIMED = ("full", "l1", "l2", "kd", "lora")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="embedded, or an open_clip architecture")
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
        figures["loading"] = loading(Path(scratch), options.rounds)
    print("\n" + json.dumps({"model": options.model, "device": device, "batch": batch} | figures))


def sweep_of(model: str, gpu: bool, batch: int, steps: int, scratch: Path) -> Sweep:
    """A sweep whose training epochs have as many images as a round of steps takes."""
    train = {"batch_size": batch, "epochs": 1, "warmup_steps": 0, "precision": "bf16" if gpu else "fp32"}
    content = {"name": "speed", "train": train, "methods": list(METHODS_TIMED)}
    if model == "embedded":
        return check_sweep(content | {"data": {"train_images": batch * steps}}, "benchmark")
    data = {"layout": "domains", "root": str(jpegs(scratch / "images", batch * steps)), "id": "a"}
    return check_sweep(
        content | {"data": data, "model": {"name": random_weights(model, scratch / "model")}}, "benchmark"
    )


def jpegs(root: Path, count: int) -> Path:
    """Enough noisy JPEGs, 500 x 375 as ImageNet's are on average, for `count` training images."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (12, 16, 3), np.uint8) for _ in range(64)]
    pictures = [Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC) for pixels in coarse]
    for domain, images in (("a", int(count / 0.68)), ("b", 200)):
        for i in range(images):
            file = root / domain / f"class {i % 10}" / f"{i}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            pictures[i % 64].save(file, quality=90)
    return root


def random_weights(model: str, folder: Path) -> str:
    """The model with random weights, as open_clip reads it from a folder."""
    folder.mkdir()
    clip, _, _ = open_clip.create_model_and_transforms(model, pretrained=None)
    save_file({k: v.contiguous() for k, v in clip.state_dict().items()}, folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(model), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def new_method(name: str, reference: Reference, sweep: Sweep) -> TrainedMethod:
    space = sweep.methods[name].space()
    params = {key: dimension.extremes()[0] for key, dimension in space.items()}
    method = METHODS[name].make(params, reference)
    assert isinstance(method, TrainedMethod)
    return method.train()


def preloaded(reference: Reference, size: int) -> Batch:
    items = reference.augmented(reference.dataset.splits()[0])
    return reference.on_device(default_collate([items[i] for i in range(size)]))


def timed(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def bare_loop(classifier: Classifier, batch: Batch, sweep: Sweep, steps: int) -> None:
    """A loop as one would write it by hand."""
    x, y = batch["images"], batch["labels"]
    optimizer = torch.optim.AdamW(classifier.parameters(), 1e-5, weight_decay=0.1, fused=True)
    autocast = sweep.train.autocast
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, autocast, enabled=autocast is not None):
            loss = torch.nn.functional.cross_entropy(classifier(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimizer.step()


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
            stepper = Stepper(new_method(name, reference, sweep), sweep.train, runtime)
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
