"""A trial in this process: its record says what it started from, what it gave, and which images it couldn't read."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import Module
from torch.nn.functional import normalize
from torch.nn.modules.module import register_module_forward_pre_hook
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.data.layouts.domains import Domains
from fpray.kept import kept_files
from fpray.methods import Batch
from fpray.model import Classifier
from fpray.model.clip import load_clip
from fpray.model.names import Model
from fpray.records import UNREADABLE, Record, RecordStore, SweepFolder, Trial
from fpray.testing import registered, scripted
from fpray.training.loop import TrainingError
from fpray.training.runtime import Runtime
from fpray.training.trial import run_trial
from tests.faults.faulty import Fault, epochs_begun, plan, work
from tests.faults.small import outcomes


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains with two classes; one training image and one OOD test image are broken."""
    root, rng = tmp_path_factory.mktemp("tree"), np.random.default_rng(0)
    for domain, count in (("photo", 110), ("sketch", 70)):
        for name in ("cat", "dog"):
            (root / domain / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(root / domain / name / f"{number:03d}.png")
    images = Domains(sweep_of(root, "any").data)
    for split in images.splits():
        if split.name in ("id/train", "ood/sketch/test"):
            (root / images.images(split).name_of(5)).write_text("not an image")
    return root


def sweep_of(root: Path, model: str, **sections: Any) -> Sweep:
    data = {"layout": "domains", "root": str(root), "id": "photo", "templates": ["a {}."]}
    train = {"epochs": 2, "batch_size": 32, "lr": {"log": [1e-4, 1e-3]}}
    return check_sweep({"name": "s", "data": data, "model": {"name": model}, "train": train} | sections, "s")


def run(trial: Trial, sweep: Sweep, folder: Path, alone: Runtime) -> Record:
    place = SweepFolder(UPath(folder))
    run_trial(
        Record(trial=trial, started=1.0).of_model(trial.model or sweep.model.each()[0]),
        sweep.trial_settings("full"),
        place,
        alone,
    )
    return place.records.read(trial.id)


def full(**fields: Any) -> Trial:
    return Trial(**{"id": "full-000", "method": "full", "number": 0, "seed": 0, "params": {"lr": 1e-3}} | fields)


def test_a_trial_that_crashes_before_it_had_a_checkpoint_begins_again_and_ends_the_same(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    sweep = sweep_of(tree, tiny_clip, train={"epochs": 3, "batch_size": 32, "lr": 1e-3})
    beats, at_begin = itertools.count(1), list[int]()  # the number of signs of life before each epoch
    counting = Runtime(alone.device, beat=lambda: next(beats), stop_asked=lambda: bool(at_begin.append(next(beats))))
    whole = run(full(), sweep, tmp_path / "whole", counting)
    place, settings = SweepFolder(UPath(tmp_path) / "crashed"), sweep.trial_settings("full")
    plan(tmp_path / "crashed", {"full-000#1": Fault("crash", "beat", at_begin[2] - 1)})  # the third epoch's second
    first = place.records.claim(Record(trial=full(), started=1.0).of_model(sweep.model.each()[0]))
    with pytest.raises(ValueError, match="this attempt can't"):
        work(first, settings, place, alone)
    left = place.records.read("full-000")
    assert (len(left.history), left.checkpoint) == (2, 0), [e.epoch for e in left.history]
    second = place.records.claim(left)
    work(second, settings, place, alone)
    ended = place.records.read("full-000")
    assert (ended.attempt, ended.furthest) == (2, 2)
    assert epochs_begun(tmp_path / "crashed") == {"full-000": 6}
    assert outcomes([ended]) == outcomes([whole])


def test_deterministic_algorithms_are_one_trials_own_choice(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    for wanted in (True, False):
        train = {"epochs": 1, "batch_size": 32, "lr": 1e-3, "deterministic": wanted}
        found: list[bool] = []
        noting = Runtime(alone.device, beat=lambda own=found: own.append(torch.are_deterministic_algorithms_enabled()))
        run(full(), sweep_of(tree, tiny_clip, train=train), tmp_path / str(wanted), noting)
        assert set(found) == {wanted}


def test_a_replayed_image_that_cant_be_read_is_recorded_by_methods_that_replay(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    (tmp_path / "any").mkdir()
    for n in range(120):
        Image.new("RGB", (8, 8), (n, 0, 0)).save(tmp_path / "any" / f"{n:03d}.png")
    (tmp_path / "any" / "007.png").write_text("not an image")
    data = {"layout": "domains", "root": str(tree), "id": "photo", "templates": ["a {}."]}
    data |= {"rehearsal": {"source": str(tmp_path / "any"), "batch_size": 24}}
    sweep = sweep_of(tree, tiny_clip, data=data, train={"epochs": 3, "batch_size": 32})
    params = {"lr": 1e-3, "strength": 1.0, "form": "unlabelled"}
    replaying = run(full(id="rehearsal-000", method="rehearsal", params=params), sweep, tmp_path, alone)
    assert replaying.unreadable["rehearsal/any/train"] == ("007.png",)
    assert {loss for epoch in replaying.history for loss in epoch.losses} == {"cross_entropy", "rehearsal"}
    assert "rehearsal/any/train" not in run(full(), sweep, tmp_path, alone).unreadable


def test_retention_is_the_tuned_tower_with_the_other_classes_head(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    rng, others = np.random.default_rng(1), tmp_path / "others"
    for name in ("hot_dog", "pie", "rose"):
        (others / name).mkdir(parents=True)
        for n in range(9):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(others / name / f"{n}.png")
    data = {"layout": "domains", "root": str(tree), "id": "photo", "templates": ["a {}."], "retention": str(others)}
    train = {"epochs": 3, "batch_size": 32, "lr": 1e-2}
    sweep, split = sweep_of(tree, tiny_clip, data=data, train=train), "retention/others/test"
    run(full(id="zero_shot-000", method="zero_shot", params={}), sweep, tmp_path, alone)
    params = {"lr": 1.0, "weight_decay": 0.0}
    run(full(id="linear_probe-000", method="linear_probe", params=params), sweep, tmp_path, alone)
    tuned = run(full(params={"lr": 1e-2}), sweep, tmp_path, alone)
    store = RecordStore(UPath(tmp_path))
    zero_shot, probe, found = (store.read_images(f"{m}-000")[split] for m in ("zero_shot", "linear_probe", "full"))
    assert tuned.results[split].total == 27 and tuned.metrics()[f"{split}/top1"] == tuned.results[split].top1
    assert np.array_equal(zero_shot.losses, probe.losses)  # a probe leaves the tower as it was
    assert not np.array_equal(zero_shot.losses, found.losses)

    loaded = load_clip(tiny_clip, None, alone.device)
    tower = {k.removeprefix("visual."): v for k, v in store.read_weights("full-000").items() if k.startswith("visual.")}
    loaded.clip.visual.load_state_dict(tower)
    paths = sorted(others.glob("*/*.png"))
    pixels = torch.stack([loaded.preprocess(Image.open(path).convert("RGB")) for path in paths])
    prompts = loaded.encode_text([f"a {name}." for name in ("hot dog", "pie", "rose")])
    with torch.no_grad():
        logits = loaded.logit_scale.exp() * normalize(loaded.clip.encode_image(pixels)) @ normalize(prompts).T
    assert np.array_equal(logits.argmax(dim=1).numpy(), found.classes)


SCRIPTED = full(id="scripted-000", method="scripted")


def test_images_and_labels_are_augmented_as_the_sweep_says(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    """Also in a process that has trained by another sweep's augmentation before."""
    seen: list[list[Batch]] = []
    for number, augment in enumerate([{}, {"flip": 1.0, "label_smoothing": 0.5}, {}]):
        batches: list[Batch] = []
        train = {"epochs": 2, "batch_size": 32, "lr": 1e-3, "augment": augment}
        with registered(scripted(before_losses=batches.append)):
            run(SCRIPTED, sweep_of(tree, tiny_clip, train=train), tmp_path / str(number), alone)
        seen.append(batches)
    assert len({len(batches) for batches in seen}) == 1 and seen[0]
    for before, augmented, after in zip(*seen, strict=True):
        assert torch.equal(augmented["images"], before["images"].flip(-1))
        assert torch.equal(augmented["labels"], 0.25 + 0.5 * torch.eye(2)[before["labels"]])
        assert torch.equal(after["images"], before["images"]) and torch.equal(after["labels"], before["labels"])


@pytest.mark.parametrize("loader_workers", [0, 1])
def test_unreadable_images_are_skipped_counted_as_wrong_and_recorded(
    loader_workers: int, tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    sweep = sweep_of(tree, tiny_clip, resources={"loader_workers": loader_workers})
    record = run(full(), sweep, tmp_path, alone)
    assert record.status == "finished"
    images = Domains(sweep.data)
    broken = {s.name: (images.images(s).name_of(5),) for s in images.splits() if s.name in record.unreadable}
    assert record.unreadable == broken and broken.keys() == {"id/train", "ood/sketch/test"}
    (test,) = [s for s in images.splits() if s.name == "ood/sketch/test"]
    assert record.results["ood/sketch/test"].total == len(images.images(test))
    seen = RecordStore(UPath(tmp_path)).read_images("full-000")["ood/sketch/test"]
    assert (seen.classes == UNREADABLE).nonzero()[0].tolist() == [5] and not seen.correct[5]
    assert np.isnan(seen.losses).nonzero()[0].tolist() == np.isnan(seen.confidences).nonzero()[0].tolist() == [5]


def test_the_size_of_the_model_is_recorded(tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime) -> None:
    record = run(full(), sweep_of(tree, tiny_clip), tmp_path, alone)
    left = RecordStore(UPath(tmp_path)).read_weights("full-000")
    assert record.weights == sum(value.numel() for key, value in left.items() if key.startswith("visual."))
    assert Record.model_validate(record.model_dump(exclude={"weights"})).weights is None  # as older records are


@pytest.mark.parametrize(("method", "again"), [("full", 0), ("lora", 1)])
def test_the_last_validation_counts_for_the_end_where_the_weights_are_the_same(
    method: str, again: int, tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    train = {"epochs": 2, "batch_size": 32, "lr": 1e-3, "alphas": 0}
    sweep, evaluated = sweep_of(tree, tiny_clip, train=train), list[int]()

    def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, torch.nn.Conv2d) and not module.training:
            evaluated.append(len(args[0]))

    params = {"lr": 1e-3, "rank": 4, "alpha": 4, "dropout": 0.0, "layers": "attention"} if again else {"lr": 1e-3}
    run(full(), sweep, tmp_path, alone)  # has the reference's features computed
    with register_module_forward_pre_hook(count):
        record = run(full(id="it-000", method=method, params=params), sweep, tmp_path, alone)
    sizes = {part: sum(c.total for s, c in record.results.items() if s.endswith(part)) for part in ("val", "test")}
    assert sum(evaluated) == (2 + again) * sizes["val"] + sizes["test"]
    assert {s: c for s, c in record.results.items() if s.endswith("val")} == record.history[-1].validation


@pytest.mark.parametrize("method", ["full", "kd", "linear_probe"])
def test_a_trial_is_the_same_to_the_bit_with_and_without_what_is_kept(
    method: str, tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    params = {"lr": 1e-3} | ({"strength": 1.0, "form": "kl", "temperature": 1.0} if method == "kd" else {})
    trial, left = full(id="it-000", method=method, params=params), []
    for name, gib in (("without", 0), ("first", 1), ("second", 1)):
        sweep = sweep_of(tree, tiny_clip, resources={"keep_gib": gib})
        record = run(trial, sweep, tmp_path / name, alone)
        weights = (tmp_path / name / "trials" / "it-000" / "weights.safetensors").read_bytes()
        history = [(epoch.losses, epoch.validation) for epoch in record.history]
        left.append((weights, history, record.results, record.movement, record.unreadable))
        assert bool(kept_files()) == (name != "without")
    assert left[0] == left[1] == left[2]


def test_a_trial_starts_from_its_own_model(tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime) -> None:
    other = Path(tiny_clip.removeprefix("local-dir:")).parent / "other"
    other.mkdir(exist_ok=True)
    for file in Path(tiny_clip.removeprefix("local-dir:")).iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    sweep = sweep_of(tree, tiny_clip)
    names = [tiny_clip, f"local-dir:{other}"]
    models = sweep.model_copy(update={"model": type(sweep.model)(name=names)})
    params = {"lr": 1e-3, "model": "other"}  # as a searched model stands among the hyperparameters
    (other / "open_clip_model.safetensors").unlink()
    with pytest.raises(Exception, match="weights"):
        run(full(params=params, model=Model(name=names[1])), models, tmp_path, alone)
    assert run(full(model=Model(name=names[0])), models, tmp_path, alone).status == "finished"
    assert run(full(id="full-001", number=1), models, tmp_path, alone).status == "finished"  # the first, if not said


def test_out_of_memory_names_the_model_and_the_batch(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    def fail(batch: Batch) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    said = rf"out of memory on cpu with model {tiny_clip} and batch size 32"
    with registered(scripted(before_losses=fail)), pytest.raises(TrainingError, match=said):
        run(SCRIPTED, sweep_of(tree, tiny_clip), tmp_path, alone)


def test_a_trial_goes_on_from_its_checkpoint_with_the_same_unreadable_images(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    sweep = sweep_of(tree, tiny_clip)
    steps = iter(range(6))  # more than the four of an epoch
    with registered(scripted(before_losses=lambda batch: next(steps))), pytest.raises(StopIteration):
        run(SCRIPTED, sweep, tmp_path / "cut", alone)
    with registered(scripted()):
        whole = run(SCRIPTED, sweep, tmp_path / "whole", alone)
        resumed = run(SCRIPTED, sweep, tmp_path / "cut", alone)
    assert len(whole.history) == 2
    assert [e.losses for e in resumed.history] == [e.losses for e in whole.history]
    assert (resumed.results, resumed.unreadable) == (whole.results, whole.unreadable)


def test_a_trial_with_epochs_of_its_own_trains_as_many(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    sweep = sweep_of(tree, tiny_clip, methods={"full": {"epochs": {"int": [1, 4]}}})
    short, usual = (
        run(full(id=f"full-{n:03d}", params=own), sweep, tmp_path, alone)
        for n, own in enumerate(({"lr": 1e-3, "epochs": 1}, {"lr": 1e-3}))
    )
    assert [len(record.history) for record in (short, usual)] == [1, 2]
    assert short.history[-1].validation
    assert short.history[-1].lr < usual.history[0].lr  # its own cosine has come to its end


def test_after_training_a_gradient_is_of_no_more_images_than_in_training(
    tree: Path, tiny_clip: str, tmp_path: Path, alone: Runtime
) -> None:
    learning = {"radius_lr": 0.01, "steps": 2, "batch_size": 20}
    train = {"epochs": 1, "batch_size": 32, "accumulate": 4, "lr": 1e-3}
    sweep = sweep_of(tree, tiny_clip, train=train, methods={"full": None, "tpgm": learning})
    run(full(), sweep, tmp_path, alone)
    seen: list[int] = []

    def note(module: Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, Classifier) and torch.is_grad_enabled():
            seen.append(len(inputs[0]))

    hook = register_module_forward_pre_hook(note)
    try:
        trial = Trial(id="tpgm-000", method="tpgm", number=0, seed=0, params=learning, sources=("full-000",))
        assert run(trial, sweep, tmp_path, alone).status == "finished"
    finally:
        hook.remove()
    assert seen == [8, 8, 4] * 2
