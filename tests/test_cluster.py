"""cluster.yaml, checked with Ray's own reader of such files; no cloud is asked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent


@pytest.fixture
def written() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def check(config: dict[str, Any]) -> dict[str, Any]:
    """The config as `ray up` would use it, with Ray's defaults filled in."""
    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def test_ray_accepts_the_file(written: dict[str, Any]) -> None:
    assert check(written)["provider"]["type"] == "aws"


@pytest.mark.parametrize("place", [(), ("docker",), ("auth",), ("available_node_types", "gpu_worker")])
def test_ray_refuses_a_key_that_it_does_not_know(written: dict[str, Any], place: tuple[str, ...]) -> None:
    section = written
    for key in place:
        section = section[key]
    section["max_wrokers"] = 4
    with pytest.raises(ValidationError, match="max_wrokers"):
        check(written)


@pytest.mark.parametrize("image", ["head_image", "worker_image"])
def test_images_have_the_ray_and_the_python_of_the_project(
    written: dict[str, Any], project: dict[str, Any], image: str
) -> None:
    tag = re.fullmatch(r"rayproject/ray:([\d.]+)-py3(\d+)-[cg]pu", written["docker"][image])
    assert tag is not None
    ray_version, python_minor = tag.groups()
    (ray,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    assert ray_version in ray.specifier
    assert f"3.{python_minor}" in SpecifierSet(project["requires-python"])


def test_gpu_nodes_scale_from_zero_to_the_most(written: dict[str, Any]) -> None:
    prepared = check(written)
    types = prepared["available_node_types"]
    head, workers = types.pop(prepared["head_node_type"]), types
    assert head["resources"]["CPU"] == 0
    for worker in workers.values():
        assert worker["min_workers"] == 0
        assert worker["max_workers"] == prepared["max_workers"] > 0


@pytest.mark.parametrize("commands", ["head_setup_commands", "worker_setup_commands"])
def test_every_node_installs_fpray_from_what_is_copied_to_it(written: dict[str, Any], commands: str) -> None:
    prepared = check(written)
    installs = " ".join(command for command in prepared[commands] if "pip install" in command)
    (wheel,) = re.findall(r"(\S+)/fpray-\*\.whl", installs)
    assert wheel in prepared["file_mounts"]


def test_every_node_has_the_token_and_the_dashboard_is_not_open(written: dict[str, Any]) -> None:
    prepared = check(written)
    assert "/home/ray/.ray/auth_token" in prepared["file_mounts"]
    assert "-e RAY_AUTH_MODE=token" in prepared["docker"]["run_options"]
    (start,) = [command for command in prepared["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start
