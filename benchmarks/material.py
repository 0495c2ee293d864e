"""What the benchmarks of training time: a sweep, images, a model with random weights, a method, and a bare loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import default_collate

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.data.loading import Batch
from fpray.methods import METHODS, TrainedMethod
from fpray.model import SHIPPED
from fpray.model.classifier import Classifier
from fpray.model.reference import Reference

METHODS_TIMED = ("full", "l1", "l2", "kd", "lora")


def sweep_of(
    model: str, gpu: bool, batch: int, steps: int, scratch: Path, methods: str | Sequence[str] = METHODS_TIMED
) -> Sweep:
    """A sweep whose training epochs have as many images as a round of steps takes."""
    train = {"batch_size": batch, "epochs": 1, "warmup_steps": 0, "precision": "bf16" if gpu else "fp32"}
    content = {"name": "speed", "train": train, "methods": methods if isinstance(methods, str) else list(methods)}
    if model in SHIPPED:
        data = {"train_images": batch * steps, "rehearsal": {"source": "pretraining"}}
        drawn = {"data": data, "model": {"name": model}}
        return check_sweep(content | drawn, "benchmark")
    root = str(jpegs(scratch / "images", batch * steps))
    data = {"layout": "domains", "root": root, "id": "a", "rehearsal": {"source": root}}
    return check_sweep(
        content | {"data": data, "model": {"name": random_weights(model, scratch / "model")}}, "benchmark"
    )


def jpegs(root: Path, count: int) -> Path:
    """Enough noisy JPEGs, 500 x 375 as ImageNet's are on average, for `count` training images."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (12, 16, 3), np.uint8) for _ in range(64)]
    encoded = [jpeg(Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC)) for pixels in coarse]
    for domain, images in (("a", int(count / 0.68)), ("b", 200)):
        for i in range(images):
            file = root / domain / f"class {i % 10}" / f"{i}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded[i % 64])
    return root


def jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def random_weights(model: str, folder: Path) -> str:
    """The model with random weights, as open_clip reads it from a folder."""
    folder.mkdir()
    clip, _, _ = open_clip.create_model_and_transforms(model, pretrained=None)
    save_file({k: v.contiguous() for k, v in clip.state_dict().items()}, folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(model), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def new_method(name: str, reference: Reference, sweep: Sweep, place: float = 0.0) -> TrainedMethod:
    """A method with the hyperparameters at a place in [0, 1) of their ranges."""
    params = {key: dimension.at(place) for key, dimension in sweep.methods[name].space().items()}
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
