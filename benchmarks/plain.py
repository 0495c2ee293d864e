"""A trial of the embedded example as one writes it by hand: open_clip, peft and PyTorch, one process, one thread.

    python -m benchmarks.plain kd '{"lr": 1e-3, "strength": 1.0}' --epochs 6

Of fpray it has the pictures and the weights of the small CLIP alone. Like fpray it validates after each epoch and
evaluates every split at the end; KD's teacher runs live.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fpray.data.layouts.drawnet import DRAWNET_TEMPLATES, DrawNet, DrawNetOptions

BATCH, EVALUATION_BATCH = 100, 128
Report = Callable[[dict[str, float]], None]


class Pictures(Dataset[tuple[Tensor, int]]):
    """A split of DrawNet, transformed."""

    def __init__(self, drawnet: DrawNet, split: Any, transform: Callable[[Any], Tensor]) -> None:
        self.images, self.transform = drawnet.images(split), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), int(self.images.labels[index])


class Classifier(nn.Module):
    """The image tower and the zero-shot head."""

    def __init__(self, clip: Any, tokenizer: Callable[[list[str]], Tensor], classes: list[str]) -> None:
        super().__init__()
        self.tower = clip.visual
        with torch.no_grad():
            prompts = [[template.format(name) for template in DRAWNET_TEMPLATES] for name in classes]
            rows = torch.stack([clip.encode_text(tokenizer(own), normalize=True).mean(dim=0) for own in prompts])
            self.head = nn.Linear(rows.shape[1], len(classes))
            self.head.weight.copy_(F.normalize(rows, dim=-1) * clip.logit_scale.exp())
            self.head.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.normalize(self.tower(images), dim=-1))


def run(method: str, params: Mapping[str, float], epochs: int, report: Report) -> dict[str, float]:
    """Run a trial; returns the accuracies on every split, in per cent.

    Args:
        report: called after each epoch with the accuracies on the validation splits.
    """
    torch.manual_seed(0)
    weights = f"local-dir:{files('fpray') / 'drawnet' / 'weights'}"
    clip, augment, preprocess = open_clip.create_model_and_transforms(weights)
    drawnet = DrawNet(DrawNetOptions())
    start = Classifier(clip, open_clip.get_tokenizer(weights), list(drawnet.classes)).eval().requires_grad_(False)
    model = copy.deepcopy(start)
    evaluated = {
        split.name: Pictures(drawnet, split, preprocess) for split in drawnet.splits() if split.part != "train"
    }
    validation = {name: images for name, images in evaluated.items() if name.endswith("/val")}
    train = next(split for split in drawnet.splits() if split.part == "train")
    if method == "wise_ft":  # between two models; which they are changes nothing of what it takes
        end = copy.deepcopy(start).state_dict()
        mixed = {k: (1 - params["alpha"]) * v + params["alpha"] * end[k] for k, v in start.state_dict().items()}
        model.load_state_dict(mixed)
    elif method != "zero_shot":
        batches = DataLoader(Pictures(drawnet, train, augment), BATCH, shuffle=True, drop_last=True)
        fit(model, start, batches, method, params, epochs, lambda: report(accuracies(model, validation)))
    return accuracies(model, evaluated)


def fit(
    model: Classifier,
    start: Classifier,
    batches: DataLoader[tuple[Tensor, int]],
    method: str,
    params: Mapping[str, float],
    epochs: int,
    after_epoch: Callable[[], None],
) -> None:
    """Train a model in place."""
    model.head.requires_grad_(True)
    if method == "lora":
        model.tower = get_peft_model(model.tower, LoraConfig(r=int(params["rank"]), target_modules=["c_fc", "c_proj"]))
    elif method != "linear_probe":
        model.tower.requires_grad_(True)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    initial = [weight.detach().clone() for weight in trained]
    optimizer = torch.optim.AdamW(trained, params["lr"], weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
    strength = params.get("strength", 0.0)
    for _ in range(epochs):
        model.train()
        for images, labels in batches:
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            if method == "kd":
                with torch.no_grad():
                    teacher = F.log_softmax(start(images), dim=-1)
                student = F.log_softmax(logits, dim=-1)
                loss = loss + strength * F.kl_div(student, teacher, reduction="batchmean", log_target=True)
            elif method in ("l1", "l2"):
                moved = [w - w0 for w, w0 in zip(trained, initial, strict=True)]
                loss = loss + strength * sum(d.abs().sum() if method == "l1" else d.square().sum() for d in moved)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
        after_epoch()


@torch.no_grad()
def accuracies(model: Classifier, splits: Mapping[str, Pictures]) -> dict[str, float]:
    """Accuracy on each split, in per cent."""
    model.eval()
    found = {}
    for name, images in splits.items():
        right = sum(
            int((model(batch).argmax(dim=-1) == labels).sum()) for batch, labels in DataLoader(images, EVALUATION_BATCH)
        )
        found[name] = 100 * right / len(images)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("params", type=json.loads)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = run(options.method, options.params, options.epochs, lambda seen: print(json.dumps(seen), flush=True))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
