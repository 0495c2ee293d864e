"""Make a small CLIP of the two that fpray ships: `python -m fpray.drawnet.pretrain --size s`.

An open_clip model, trained contrastively on DrawNet's pictures of four of the six styles, with captions as vague as
the web's: many name only the family ("a photo of a vehicle"), some a wrong sibling. So its zero-shot classifier is
useful but blurred, which leaves fine-tuning something to learn and something to lose, as with the real CLIP. Paintings
and infographs it has never seen: OOD accuracy there is another question than in the styles that it may forget.

The image towers are small enough that a sweep of dozens of trials runs on a laptop.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import open_clip
import torch
import torch.nn.functional as F
import typer
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor

from fpray.drawnet.pairs import PairsRecipe, draw_pairs
from fpray.drawnet.pose import IMAGE

Size = Literal["s", "m"]
TOWERS: dict[Size, dict[str, int]] = {"s": {"layers": 4, "width": 128}, "m": {"layers": 6, "width": 192}}
"""The image towers."""
CONTEXT_LENGTH = 16
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Recipe(PairsRecipe):
    """The settings of the pairs and of the training."""

    size: Size = "s"
    epochs: int = 44
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.1
    warmup: float = 0.1
    shift: int = 2


def shifted(pixels: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Normalised images, [batch, 3, side, side], each moved by up to `most` pixels either way."""
    side = pixels.shape[-1]
    images = (pixels.float() / 255 - MEAN[0]) / STD[0]
    if most == 0:
        return images
    padded = F.pad(images, (most,) * 4, mode="replicate")
    corner = torch.randint(0, 2 * most + 1, (2, len(images), 1), generator=generator)
    rows, columns = corner + torch.arange(side)
    each = torch.arange(len(images))[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def contrastive_loss(images: Tensor, texts: Tensor, text_of: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric loss with soft targets: an image's own caption may stand several times in the batch.

    DrawNet has a few hundred different captions, so most batches hold many equal ones. open_clip's `ClipLoss`
    would call all but one of them wrong; here the target is shared out evenly among equal captions. Each
    caption is encoded once: its multiplicity enters as a weight, which gives the same value.

    Args:
        images: normalised image features, [batch, dim].
        texts: normalised features of the different captions, [captions, dim].
        text_of: the index in `texts` of each image's caption, [batch].
        scale: exp(logit_scale).

    Returns:
        The loss, a scalar.
    """
    logits = scale * images @ texts.T
    times = torch.bincount(text_of, minlength=len(texts)).float()
    image_to_text = (logits + times.log()).log_softmax(dim=1) - times.log()
    text_to_image = logits.log_softmax(dim=0)
    each = torch.arange(len(images))
    return -(image_to_text[each, text_of] + text_to_image[each, text_of]).mean() / 2


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    rise = max(1, round(recipe.warmup * steps))
    if step < rise:
        return recipe.lr * (step + 1) / rise
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def model_cfg(size: Size) -> dict[str, Any]:
    """A model's configuration, as open_clip writes it."""
    return {
        "embed_dim": 128,
        "vision_cfg": {"image_size": IMAGE, "head_width": 32, "patch_size": 8} | TOWERS[size],
        "text_cfg": {"context_length": CONTEXT_LENGTH, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }


def train(recipe: Recipe) -> tuple[CLIP, list[dict[str, float]]]:
    """Train a model.

    Returns:
        The model, and the mean loss, seconds and images a second of each epoch.
    """
    torch.manual_seed(recipe.seed)
    model = CLIP(**model_cfg(recipe.size)).train()
    tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH)
    pairs = draw_pairs(recipe)
    pixels = torch.from_numpy(pairs.pixels).permute(0, 3, 1, 2).contiguous()
    caption_of = torch.from_numpy(pairs.caption_of)
    tokens = tokenizer(pairs.captions)
    # As in open_clip's training: no weight decay on gains, biases and the logit scale.
    plain = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    groups = [
        {"params": plain, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": recipe.weight_decay},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), eps=1e-6)
    generator = torch.Generator().manual_seed(recipe.seed)
    batches = len(pixels) // recipe.batch_size
    log = []
    for epoch in range(recipe.epochs):
        start, total = time.perf_counter(), 0.0
        order = torch.randperm(len(pixels), generator=generator)
        for batch, chosen in enumerate(order[: batches * recipe.batch_size].view(batches, -1)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, epoch * batches + batch, recipe.epochs * batches)
            present, text_of = torch.unique(caption_of[chosen], return_inverse=True)
            images = model.encode_image(shifted(pixels[chosen], recipe.shift, generator), normalize=True)
            texts = model.encode_text(tokens[present], normalize=True)
            loss = contrastive_loss(images, texts, text_of, model.logit_scale.exp())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            total += loss.item()
        seconds = time.perf_counter() - start
        row = {
            "loss": total / batches,
            "seconds": seconds,
            "images_per_second": batches * recipe.batch_size / seconds,
        }
        log.append({key: round(value, 4) for key, value in row.items()})
        speed = f"{row['images_per_second']:.0f} images/s"
        typer.echo(f"epoch {epoch + 1}/{recipe.epochs}: loss {row['loss']:.4f}, {speed}")
    return model.eval(), log


def save(model: CLIP, out: Path, recipe: Recipe, log: list[dict[str, float]]) -> None:
    """Write a folder that open_clip loads as `local-dir:`, weights in fp16, and how it was made."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    config = {"model_cfg": model_cfg(recipe.size), "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    made = {"recipe": asdict(recipe), "epochs": log}
    (out / "pretraining.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def main(
    *,
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")] = Path("drawnet"),
    size: Annotated[Size, typer.Option(help="Size of the image tower.")] = Recipe.size,
    seed: Annotated[int, typer.Option(help="Seed of images, captions and training.")] = Recipe.seed,
    epochs: Annotated[int, typer.Option(help="Passes over the images.")] = Recipe.epochs,
    real_images: Annotated[int, typer.Option(help="Pictures of the style `real`.")] = Recipe.real_images,
    images: Annotated[int, typer.Option(help="Pictures of each other style.")] = Recipe.images,
    family_share: Annotated[float, typer.Option(help="Captions that name the family alone.")] = Recipe.family_share,
) -> None:
    """Train a small CLIP from nothing and write it as an open_clip folder."""
    recipe = Recipe(seed, real_images, images, family_share, size=size, epochs=epochs)
    model, log = train(recipe)
    save(model, out, recipe, log)


if __name__ == "__main__":
    typer.run(main)
