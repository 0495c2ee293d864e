"""cluster.yaml, checked with Ray's own reader of such files; no cloud is asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written() -> dict[str, Any]:
    """The file, with a number of nodes."""
    return yaml.safe_load((ROOT / "cluster.yaml").read_text()) | {"max_workers": 4}


def check(config: dict[str, Any]) -> dict[str, Any]:
    """The config as `ray up` would use it, with Ray's defaults filled in."""
    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def test_ray_accepts_the_file(written: dict[str, Any]) -> None:
    assert check(written)["provider"]["type"] == "aws"


def test_ray_refuses_the_file_without_a_number_of_nodes() -> None:
    with pytest.raises(ValidationError, match="'EDIT' is not of type 'integer'"):
        check(yaml.safe_load((ROOT / "cluster.yaml").read_text()))


@pytest.mark.parametrize("place", [(), ("docker",), ("auth",), ("available_node_types", "gpu_worker")])
def test_ray_refuses_a_key_that_it_does_not_know(written: dict[str, Any], place: tuple[str, ...]) -> None:
    section = written
    for key in place:
        section = section[key]
    section["max_wrokers"] = 4
    with pytest.raises(ValidationError, match="max_wrokers"):
        check(written)


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
    (install,) = [command for command in prepared[commands] if "pip install" in command]
    assert "/home/ray/wheel/fpray-*.whl" in install
    assert prepared["file_mounts"]["/home/ray/wheel"] == "dist"


def test_every_node_has_the_token_and_the_dashboard_is_not_open(written: dict[str, Any]) -> None:
    prepared = check(written)
    assert "/home/ray/.ray/auth_token" in prepared["file_mounts"]
    assert "-e RAY_AUTH_MODE=token" in prepared["docker"]["run_options"]
    (start,) = [command for command in prepared["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start


def test_a_job_may_stop_in_order() -> None:
    """Ray's own patience is three seconds: a trial's epoch takes longer."""
    options = yaml.safe_load((ROOT / "cluster.yaml").read_text())["docker"]["run_options"]
    assert "-e RAY_JOB_STOP_WAIT_TIME_S=300" in options


def commands_in(file: Path) -> list[list[str]]:
    """The words of each command of Ray's in a file's comments, those that a node runs among them."""
    lines = re.findall(r"^#   (ray [^&>\n]+)", file.read_text(), re.MULTILINE)
    outer = [shlex.split(line) for line in lines]
    inner = [shlex.split(word) for words in outer for word in words if word.startswith("ray ")]
    return outer + inner


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("words", commands_in(ROOT / "cluster.yaml"), ids=" ".join)
def test_ray_has_the_commands_that_the_file_names(words: list[str]) -> None:
    from ray.scripts.scripts import cli  # late: it brings all of Ray Serve

    command: click.Command = cli
    while isinstance(command, click.Group):
        words = words[1:]
        command = command.commands[words[0]]
    with command.make_context(words[0], words[1:]):  # it raises what Ray would say to a wrong option
        pass
