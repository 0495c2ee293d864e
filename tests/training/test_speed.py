"""The measured speed: each part is timed, loading by processes hides behind the step."""

from __future__ import annotations

import pytest

from fpray.config.train import Train
from fpray.methods import METHODS
from fpray.model import Reference
from fpray.training import speed as module
from fpray.training.speed import Speed, measured_speed, trial_seconds
from tests.sweeps import sweep_of
from tests.training.test_loop import TRAINED, build


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_method_has_a_speed(name: str, reference: Reference) -> None:
    found = measured_speed(build(name, reference), Train(batch_size=8), loaders=0)
    assert 0 < found.training < 10 and 0 < found.evaluation < 10


@pytest.mark.parametrize(("loaders", "training"), [(0, 5.0), (1, 4.0), (8, 1.0)])
def test_loading_by_processes_hides_behind_the_step(
    reference: Reference, monkeypatch: pytest.MonkeyPatch, loaders: int, training: float
) -> None:
    """Loading takes four seconds an image, a step one."""
    now = [0.0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    method = METHODS["full"].make({"lr": 1e-4}, reference)
    size = 8

    class Slow(module.Draws):
        def __getitem__(self, draw: tuple[int, int]) -> object:
            passes(4.0)
            return super().__getitem__(draw)

    monkeypatch.setattr(module, "Draws", Slow)
    monkeypatch.setattr(module.Stepper, "step", lambda *arguments, **named: passes(1.0 * size))
    assert measured_speed(method, Train(batch_size=size), loaders).training == pytest.approx(training)


def test_a_trial_lasts_as_long_as_the_slowest_methods_epochs(monkeypatch: pytest.MonkeyPatch, tiny_clip: str) -> None:
    methods = {"full": {}, "l2": {}, "zero_shot": {}}
    sweep = sweep_of(methods=methods, train={"epochs": 5}, data={"train_images": 80}, model={"name": tiny_clip})
    speeds = {"full": 0.25, "l2": 0.5}
    monkeypatch.setattr(module, "measured_speed", lambda method, *_: Speed(speeds[method.name], evaluation=9.0))
    spaces = {name: settings.space() for name, settings in sweep.methods.items()}
    packed = sweep.trial_settings("full").packed()
    assert trial_seconds(packed, sweep.model.each(), spaces) == 5 * 80 * 0.5
    assert trial_seconds(packed, sweep.model.each(), {"zero_shot": {}}) == 0


def test_the_weights_stay_as_they_are(reference: Reference) -> None:
    before = {name: value.clone() for name, value in reference.classifier.state_dict().items()}
    measured_speed(METHODS["full"].make({"lr": 1e-4}, reference), Train(batch_size=8), loaders=0)
    assert all(bool((reference.classifier.state_dict()[name] == value).all()) for name, value in before.items())
