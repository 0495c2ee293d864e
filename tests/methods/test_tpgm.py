"""TPGM: the projection is its formula, and the radii are chosen by the images of the bench."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F

from fpray.methods.tpgm import TPGM, projected, within
from fpray.model import Reference, weights_of
from fpray.training import Runtime, ValidationBench
from tests.methods.test_soups import Weights, moved

PARAMS = {"radius_lr": 0.01, "steps": 20, "batch_size": 4}


def finished(reference: Reference, source: Weights, **params: float) -> tuple[TPGM, ValidationBench]:
    method, bench = (
        TPGM.make(PARAMS | params, reference),
        ValidationBench(reference, Runtime(torch.device("cpu")), None, 128),
    )
    method.take_sources([source])
    method.finish(bench)
    return method, bench


def test_the_projection_is_to_the_radius() -> None:
    start, change = {"a": torch.ones(2), "b": torch.zeros(1)}, {"a": torch.tensor([3.0, 4]), "b": torch.tensor([2.0])}
    norms = torch.tensor([5.0, 2.0])
    found = projected(start, change, torch.tensor([2.5, 7.0]), norms)
    torch.testing.assert_close(found["a"], torch.tensor([2.5, 3.0]))  # half of the change
    torch.testing.assert_close(found["b"], torch.tensor([2.0]))  # all of it
    assert within(torch.tensor([-1.0, 7.0]), norms).tolist() == [torch.tensor(1e-8).item(), 2.0]


def test_what_is_left_lies_on_the_way_to_the_source(reference: Reference) -> None:
    source = moved(reference, 0)
    method, _ = finished(reference, source)
    start, left = weights_of(reference.classifier), weights_of(method.plain())
    assert (method.radii >= 0).all() and (method.radii <= method.norms).all()
    assert not torch.allclose(method.radii, method.norms / 2, atol=1e-3)
    for (key, _), share in zip(reference.classifier.named_parameters(), method.radii / method.norms, strict=True):
        name = key.replace("encoder.", "visual.")
        torch.testing.assert_close(left[name], start[name] + share * (source[name] - start[name]))


def test_the_steps_are_adams_on_the_bench(reference: Reference) -> None:
    """The first two, by finite differences of the loss in each radius: Adam's first step has its size and its sign."""
    source = moved(reference, 0)
    method, bench = finished(reference, source, steps=1)
    start = dict(reference.classifier.named_parameters())
    own = {key.replace("visual.", "encoder."): value for key, value in source.items()}
    (batch,) = bench.batches(1, 4)
    for place, key in enumerate(start):
        norm = (own[key] - start[key]).norm()
        losses = []
        for nudge in (-0.02, 0.02):
            shares = {k: 0.5 + (nudge if k == key else 0.0) for k in start}
            classifier = copy.deepcopy(reference.classifier).double()
            classifier.load_state_dict(
                {k: start[k].double() + shares[k] * (own[k] - start[k]).double() for k in start}, strict=False
            )
            with torch.no_grad():
                losses.append(F.cross_entropy(classifier(batch["images"].double()), batch["labels"]))
        slope = float(losses[1] - losses[0])
        if abs(slope) > 1e-4:
            step = min(0.01, float(norm) / 2)  # a radius stays within [0, norm]
            moved_by = float(method.radii[place] - norm / 2)
            torch.testing.assert_close(moved_by, -step if slope > 0 else step, rtol=1e-3, atol=1e-5)


def test_the_loss_on_the_bench_falls(reference: Reference) -> None:
    method, bench = finished(reference, moved(reference, 3, 0.2), steps=60, radius_lr=0.05)
    half = copy.deepcopy(reference.classifier)
    own = {key.replace("visual.", "encoder."): value for key, value in method.sources[0].items()}
    half.load_state_dict({k: (v + own[k]) / 2 for k, v in reference.classifier.state_dict().items()})
    with torch.no_grad():
        losses = [
            sum(float(F.cross_entropy(own(b["images"]), b["labels"])) for b in bench.batches(8, 4))
            for own in (half.eval(), method.plain())
        ]
    assert losses[1] < losses[0]


def test_parts_of_a_batch_add_up_to_it(reference: Reference) -> None:
    source, runtime = moved(reference, 0), Runtime(torch.device("cpu"))
    radii = []
    for room in (16, 3):
        method = TPGM.make(PARAMS | {"batch_size": 16, "steps": 3}, reference)
        method.take_sources([source])
        method.finish(ValidationBench(reference, runtime, None, room))
        radii.append(method.radii)
    torch.testing.assert_close(*radii, rtol=1e-5, atol=1e-6)
