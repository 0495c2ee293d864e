"""What every method must hold, whichever it is: a new module in `fpray/methods/` is tested here by itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor

from fpray.config import Sweep, Train
from fpray.methods import METHODS, Method, TrainedMethod
from fpray.model import Classifier, load_weights, weights_of
from fpray.records import Epoch
from fpray.reference import Reference
from fpray.runtime import Runtime
from fpray.settings import MethodSettings
from fpray.space import Params
from fpray.train import train

TRAINED = [name for name, kind in METHODS.items() if issubclass(kind, TrainedMethod)]
SETTINGS = Train(epochs=4, batch_size=16, warmup_steps=0)


def params_of(name: str, **overrides: float) -> Params:
    """Hyperparameters from the method's default search dimensions: of each the last, so usually the largest, value."""
    settings: MethodSettings = Sweep(name="any", methods=dict.fromkeys(METHODS)).methods.chosen()[name]
    return {key: dimension.extremes()[-1] for key, dimension in settings.space().items()} | overrides


def quick(name: str) -> float:
    """A learning rate at which the few steps of a test go far."""
    return max(3e-3, float(params_of(name)["lr"]))


def fine_tuned(reference: Reference) -> Classifier:
    """A classifier away from the reference in every weight."""
    classifier, generator = copy.deepcopy(reference.classifier), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
    return classifier


def build(name: str, reference: Reference, **overrides: float) -> Method:
    kind = METHODS[name]
    params = params_of(name, **overrides) | ({"source": "full-000"} if kind.builds_on is not None else {})
    torch.manual_seed(0)
    method = kind(kind.Params.model_validate(params), reference)
    if kind.builds_on is not None:
        method.take_source(weights_of(fine_tuned(reference)))
    return method


def trained(name: str, reference: Reference, runtime: Runtime, **overrides: float) -> tuple[Method, tuple[Epoch, ...]]:
    """The method as it is at the end of a trial."""
    method = build(name, reference, **overrides)
    if not isinstance(method, TrainedMethod):
        return method, ()
    kept: list[object] = []
    return method, train(method, SETTINGS, 0, reference.dataset.splits(), runtime, None, kept.append)


def first_batch(method: TrainedMethod) -> tuple[Tensor, Tensor]:
    data = method.training_data(next(s for s in method.reference.dataset.splits() if s.part == "train"))
    torch.manual_seed(0)
    inputs, labels = zip(*(data[i] for i in range(12)), strict=True)
    return torch.stack(inputs), torch.as_tensor(labels)


@pytest.fixture(autouse=True)
def _the_reference_stays_as_it_is(reference: Reference) -> Iterator[None]:
    """Around every test here: trials in the same process share the reference, so nothing may change it."""
    modules = (reference.classifier, reference.loaded.clip)
    before = [{key: value.clone() for key, value in m.state_dict().items()} for m in modules]
    yield
    for module, weights in zip(modules, before, strict=True):
        after = module.state_dict()
        assert after.keys() == weights.keys()
        assert all(torch.equal(after[key], weights[key]) for key in weights)
        assert not any(p.requires_grad or p.grad is not None for p in module.parameters())
        assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("name", METHODS)
def test_default_dimensions_give_allowed_hyperparameters(name: str) -> None:
    kind = METHODS[name]
    params = kind.Params.model_validate(params_of(name) | ({"source": "x"} if kind.builds_on is not None else {}))
    assert {key: getattr(params, key) for key in params_of(name)} == params_of(name)


@pytest.mark.parametrize("name", TRAINED)
def test_losses_are_finite_scalars_and_reach_every_trained_weight(name: str, reference: Reference) -> None:
    method = build(name, reference)
    method.train()
    losses = method(*first_batch(method))
    assert losses
    assert all(loss.shape == () and torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    method.add_penalty()
    declared = {key: p for key, p in method.named_parameters() if p.requires_grad}
    assert declared
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in declared.values())
    assert all(p.grad is None for key, p in method.named_parameters() if key not in declared)


@pytest.mark.parametrize("name", TRAINED)
def test_training_changes_what_is_declared_and_nothing_else(name: str, reference: Reference, alone: Runtime) -> None:
    before = {key: p.detach().clone() for key, p in build(name, reference).named_parameters()}
    method, _ = trained(name, reference, alone)
    for key, parameter in method.named_parameters():
        assert torch.equal(parameter, before[key]) is not parameter.requires_grad, key


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_falls(name: str, reference: Reference, alone: Runtime) -> None:
    _, history = trained(name, reference, alone, lr=quick(name))
    first, last = (sum(history[i].losses.values()) for i in (0, -1))
    assert last < 0.9 * first


@pytest.mark.parametrize("name", METHODS)
def test_saved_weights_give_identical_logits(name: str, reference: Reference, alone: Runtime, pixels: Tensor) -> None:
    method, _ = trained(name, reference, alone)
    left = method.plain().eval()
    loaded = copy.deepcopy(reference.classifier)
    load_weights(loaded, weights_of(left))
    with torch.no_grad():
        assert torch.equal(loaded(pixels), left(pixels))


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_left_behind_is_the_trained_classifier(
    name: str, reference: Reference, alone: Runtime, pixels: Tensor
) -> None:
    method, _ = trained(name, reference, alone, lr=quick(name))
    left = method.plain().eval()
    live = method.eval().classifier
    with torch.no_grad():
        torch.testing.assert_close(left(pixels), live(pixels), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(left(pixels), reference.classifier(pixels), atol=1e-2)


@pytest.mark.parametrize("name", METHODS)
def test_weights_load_into_plain_open_clip(
    name: str, reference: Reference, alone: Runtime, tiny_clip: str, pixels: Tensor
) -> None:
    method, _ = trained(name, reference, alone)
    left = method.plain().eval()
    weights = weights_of(left)
    visual = {key: value for key, value in weights.items() if key.startswith("visual.")}
    assert weights.keys() - visual.keys() == {"head.weight", "head.bias"}
    config = json.loads((Path(tiny_clip.removeprefix("local-dir:")) / "open_clip_config.json").read_text())
    fresh = open_clip.model.CLIP(**config["model_cfg"]).eval()
    missing, unexpected = fresh.load_state_dict(visual, strict=False)
    assert not unexpected
    assert not [key for key in missing if key.startswith("visual.")]
    with torch.no_grad():
        torch.testing.assert_close(fresh.encode_image(pixels), left.encoder(pixels))
