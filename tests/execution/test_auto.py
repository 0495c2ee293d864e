"""What is tried where trials run: by Ray, with what a trial has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from fpray.config import Needs
from fpray.execution.auto import compiling_pays
from tests.sweeps import sweep_of


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.mark.long
@pytest.mark.usefixtures("_ray")
def test_compiling_pays_where_trials_are_long(tiny_clip: str) -> None:
    small = {"data": {"train_images": 80}, "model": {"name": tiny_clip}, "methods": {"zero_shot": {}, "full": {}}}
    waits: list[Needs] = []
    assert not compiling_pays(sweep_of(**small, train={"batch_size": 40, "epochs": 1}), waits.append)
    assert {(needs.cpus, needs.workers) for needs in waits} == {(1, 1)}  # torch's import alone takes two seconds
    assert compiling_pays(sweep_of(**small, train={"batch_size": 40, "epochs": 10**7}), waits.append)
    assert not compiling_pays(sweep_of(**small | {"methods": {"zero_shot": {}}}), waits.append)
