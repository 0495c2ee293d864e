"""The model card of an exported model: what it is, how good it is, how it was chosen, how to load it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fpray.export.choosing import Chosen
from fpray.model import Model
from fpray.records import ImageResults, SweepFolder
from fpray.report import Outcomes, describe, estimated, measures_of, ood_mean
from fpray.results import Results
from fpray.statistics import Accuracies, Estimate

LOADING = """\
```python
import fpray
from PIL import Image

model = fpray.load_model("FOLDER")
for label in model.label([Image.open("photo.jpg")]):
    print(label.name, label.probability)
```

Or with nothing but open_clip, torch and safetensors:

```python
import json, open_clip, torch
from PIL import Image
from safetensors.torch import load_file
clip, preprocess = open_clip.create_model_from_pretrained("local-dir:FOLDER")
head, classes = load_file("FOLDER/head.safetensors"), json.load(open("FOLDER/classes.json"))
with torch.no_grad():
    features = clip.encode_image(preprocess(Image.open("photo.jpg")).unsqueeze(0), normalize=True)
    print(classes[int((features @ head["weight"].T + head["bias"]).argmax())])
```"""


def card(results: Results, chosen: Chosen, model: Model, classes: int, remark: str | None) -> str:
    """The text of the card, Markdown with the fields that model hubs read on top.

    Args:
        remark: what is to be said of the weights.
    """
    trial, sweep = chosen.record.trial, results.sweep
    base = f"{model.name} ({model.pretrained})" if model.pretrained else model.name
    lines = [
        "---",
        "library_name: open_clip",
        "pipeline_tag: image-classification",
        f"tags: [clip, fpray, {trial.method}]",
        "license: other",
        "license_name: fill-in  # those of the pre-trained model and of the data hold",
        "---",
        "",
        f"# {chosen.name} of {sweep.name}",
        "",
        f"CLIP {base}, fine-tuned by `{trial.method}` on the data '{sweep.data.layout}' ({classes} classes).",
        "The image tower and the head are the trial's; the text tower is the pre-trained model's, unchanged, so that "
        "prompts no longer fit the images as they did.",
        "",
        f"- Hyperparameters: {describe(trial.params) or 'none'}{_averaged(chosen)}",
        f"- Chosen: {chosen.reason}",
        *([f"- Weights: {remark}"] if remark else []),
        "- Head: logits = weight · f + bias, where f is the image tower's L2-normalised feature",
        "",
        "## Accuracy",
        "",
        *_accuracies(results, chosen),
        "",
        "## How to load it",
        "",
        LOADING,
        "",
        "`fpray predict FOLDER IMAGES...` labels images from the command line.",
        "",
        "## Intended use and limits",
        "",
        "It tells these classes apart on images like those of the domains above; on others its accuracy is unknown. It "
        "always names one of the classes. How far its probabilities can be believed, the calibration error says.",
        "",
        "## Training",
        "",
        *_training(results, chosen),
    ]
    return "\n".join(lines) + "\n"


def _averaged(chosen: Chosen) -> str:
    if chosen.alpha is None:
        return ""
    return f"; averaged with the pre-trained weights, of which it has {1 - chosen.alpha:.3g} (WiSE-FT)"


def _accuracies(results: Results, chosen: Chosen) -> Iterator[str]:
    """A table of every split's accuracy with half its 95 % interval, which is that of the images."""
    images = _images(results, chosen)
    if images is None:
        yield "Not evaluated on the test images."
        return
    known = _estimates(images)
    yield "| split | accuracy, % | images |\n|---|---|---|"
    for split, estimate in known.items():
        count = f"{len(images[split].correct):,}" if split in images else "mean over the domains"
        yield f"| {split} | {estimate.value:.1f} ± {estimate.half_width():.1f} | {count} |"
    yield ""
    yield "± is half the 95 % interval over images. Test images chose nothing."
    if "id/test" in images:
        found = measures_of(images)
        yield ""
        yield (
            f"Calibration error (10 bins): ID {found['id/ECE']:.3f}, OOD {found['ood/ECE']:.3f}. Worst OOD domain: "
            f"{found['ood/worst']:.1f} %. Mean accuracy of classes: ID {found['id/macro']:.1f} %, OOD "
            f"{found['ood/macro']:.1f} %."
        )


def _images(results: Results, chosen: Chosen) -> Mapping[str, ImageResults] | None:
    """What the model said of each image, where that is known."""
    folder = SweepFolder(results.folder)
    if chosen.alpha is None or chosen.alpha == 1:
        return folder.records.read_images(chosen.record.trial.id)
    point = next((p for p in results.points if p.trial.id == chosen.name and p.status == "finished"), None)
    return folder.points.records.read_images(point.trial.id) if point else None


def _estimates(images: Mapping[str, ImageResults]) -> dict[str, Estimate]:
    correct = {split: np.asarray(own.correct, dtype=bool)[None, None] for split, own in images.items()}

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
        found = {split: float(own[0]) for split, own in accuracies.items()}
        means = {f"ood/{part}": part for part in ("val", "test") if any(s.endswith(f"/{part}") for s in accuracies)}
        return found | {name: float(ood_mean(accuracies, part)[0]) for name, part in means.items()}

    return estimated({0: Outcomes(("it",), correct)}, numbers)


def _training(results: Results, chosen: Chosen) -> Iterator[str]:
    record, train = chosen.record, results.sweep.train
    trial = record.trial
    if record.history:
        yield f"- {len(record.history)} epochs of {record.history[-1].images:,} images, batches of {train.batch_size}"
    if trial.sources:
        yield f"- Made of {', '.join(trial.sources)}"
    yield f"- Seed {trial.seed}, draw {trial.draw} of the data; the whole sweep file is in sweep.yaml"
    if record.provenance is not None:
        made_with = ", ".join(f"{package} {number}" for package, number in record.provenance.versions.items())
        yield f"- On {record.provenance.device}; {made_with}"
