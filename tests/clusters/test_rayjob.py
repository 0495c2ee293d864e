"""clusters/rayjob.yaml, held against the operator's own schema and read by Ray's own code; no Kubernetes is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from fpray.config.file import check_sweep
from tests.clusters.kuberay import FILE, raycluster, rayjob

SCHEMA = Draft7Validator(json.loads(Path(__file__).with_name("rayjob.schema.json").read_text()))
SWEEPS = sorted((FILE.parents[1] / "sweeps").glob("*.yaml"))


def test_the_operators_schema_accepts_the_file() -> None:
    SCHEMA.check_schema(SCHEMA.schema)
    SCHEMA.validate(rayjob())


Place = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    "place",
    [
        lambda job: job,
        lambda job: job["spec"],
        lambda job: job["spec"]["rayClusterSpec"]["autoscalerOptions"],
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0],
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0],
    ],
)
def test_a_key_that_the_operator_does_not_know_is_refused(place: Place) -> None:
    job = rayjob()
    place(job)["maxWrokers"] = 4
    with pytest.raises(ValidationError, match="maxWrokers"):
        SCHEMA.validate(job)


def test_the_file_is_refused_while_the_placeholder_stands() -> None:
    with pytest.raises(ValidationError, match="'EDIT' is not of type 'integer'"):
        SCHEMA.validate(yaml.safe_load(FILE.read_text()))


def test_nothing_is_left_running_and_everyone_needs_the_token() -> None:
    spec = rayjob()["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    (head,) = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": "300"} in head["env"]


def test_rays_autoscaler_reads_what_the_cluster_can_grow_to() -> None:
    config = _derive_autoscaling_config_from_ray_cr(raycluster(rayjob(max_replicas=3)))
    types = config["available_node_types"]
    assert config["max_workers"] == 3
    assert config["idle_timeout_minutes"] == 10
    assert types[config["head_node_type"]]["resources"]["CPU"] == 0
    assert (types["gpu"]["min_workers"], types["gpu"]["max_workers"]) == (0, 3)
    assert types["gpu"]["resources"] == {"CPU": 12, "GPU": 1, "memory": 48 << 30}


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_shipped_sweep_fits_on_a_gpu_node(file: Path) -> None:
    node = _derive_autoscaling_config_from_ray_cr(raycluster(rayjob()))["available_node_types"]["gpu"]["resources"]
    needed = check_sweep(yaml.safe_load(file.read_text()), file.name).resources
    assert needed.cpus <= node["CPU"]
    assert needed.gpus <= node["GPU"]
