"""Each node is looked at once, by a task that runs there; what is wrong with it is a sentence with its name."""

from __future__ import annotations

import dataclasses
import importlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from PIL import Image
from upath import UPath

from fpray.config import Sweep
from fpray.errors import UserError
from fpray.execution import nodecheck
from fpray.execution.cluster import Cluster
from fpray.execution.nodecheck import Expected, check_node, versions_here
from fpray.execution.nodes import NodeChecks
from fpray.records import SweepFolder
from fpray.space import Constant
from tests.sweeps import sweep_of

HERE = socket.gethostname()


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    """A node with a GPU that only Ray believes in."""
    ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def expected(tmp_path: Path, tiny_clip: str) -> Expected:
    sweep = sweep_of(model={"name": tiny_clip}, data={"train_images": 80})
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "command").touch()
    spaces = {name: settings.space() for name, settings in sweep.methods.items()}
    return Expected(
        versions_here(), sweep.trial_settings("full").packed(), sweep.model.each(), spaces, UPath(tmp_path / "nodes")
    )


def with_resources(expected: Expected, sweep: Sweep) -> Expected:
    return dataclasses.replace(expected, settings=sweep.trial_settings("full").packed())


def test_nothing_is_wrong_with_this_machine(expected: Expected) -> None:
    assert check_node(expected, "me") == []
    assert (expected.storage / "me").exists()


def test_a_checkpoint_that_is_not_there_is_told(expected: Expected, tmp_path: Path) -> None:
    gone = dataclasses.replace(expected, spaces={"given": {"checkpoint": Constant(str(tmp_path / "gone.pt"))}})
    (said,) = check_node(gone, "me")
    assert said.startswith("methods.given.checkpoint: no such file or folder")


def test_another_version_is_all_that_is_told(expected: Expected) -> None:
    other = dataclasses.replace(expected, versions=versions_here() | {"Ray": "2.59.0"})
    (said,) = check_node(other, "me")
    assert said == f"has Ray {ray.__version__} and the command 2.59.0; install the same on all nodes"


def test_a_folder_that_is_not_the_commands_is_told(expected: Expected, tmp_path: Path) -> None:
    other = dataclasses.replace(expected, storage=UPath(tmp_path / "another" / "nodes"))
    (said,) = check_node(other, "me")
    assert said.startswith(f"doesn't see the storage folder '{tmp_path}/another' that the command sees")


def test_missing_data_and_missing_models_are_told(expected: Expected, tmp_path: Path) -> None:
    data = {"layout": "domains", "root": str(tmp_path / "nowhere"), "id": "photo", "ood": ["sketch"]}
    (said,) = check_node(with_resources(expected, sweep_of(data=data)), "me")
    assert f"{tmp_path}/nowhere" in said
    gone = sweep_of(model={"name": f"local-dir:{tmp_path}/gone"}).model.each()
    (said,) = check_node(dataclasses.replace(expected, models=gone), "me")
    assert said.startswith("model.name: ") and "gone" in said


def test_too_little_room_is_told(expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodecheck, "DISK", 1e30)
    (said,) = check_node(expected, "me")
    assert "GB free in" in said and "make room there" in said


def test_too_little_shared_memory_is_told(expected: Expected) -> None:
    sweep = sweep_of(train={"batch_size": 2**30}, resources={"loader_workers": 3}, data={"train_images": 80})
    (said,) = check_node(with_resources(expected, sweep), "me")
    # Two batches of each of three processes, of 32 x 32 pixels in three colours and fp32.
    assert f"3 loader processes need {2 * 3 * 2**30 * 3 * 32 * 32 * 4 / 1e9:.1f}" in said


def test_what_is_replayed_must_be_there_and_takes_shared_memory(expected: Expected, tmp_path: Path) -> None:
    data = {"train_images": 80, "rehearsal": {"source": str(tmp_path / "gone"), "batch_size": 2**29}}
    sections = {"train": {"batch_size": 2**30}, "resources": {"loader_workers": 3}}
    (said,) = check_node(with_resources(expected, sweep_of(data=data, **sections)), "me")
    assert said.startswith("data.rehearsal.source: there is no such folder")
    (tmp_path / "gone").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "gone" / "1.png")
    sweep = sweep_of(data=data, methods=["full", "rehearsal"], **sections)
    spaces = {"rehearsal": sweep.methods["rehearsal"].space()}
    (said,) = check_node(dataclasses.replace(with_resources(expected, sweep), spaces=spaces), "me")
    assert f"3 loader processes need {2 * 3 * (2**30 + 2**29) * 3 * 32 * 32 * 4 / 1e9:.1f}" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch can use a GPU here")
def test_a_gpu_that_cant_be_used_is_told(expected: Expected) -> None:
    (said,) = check_node(with_resources(expected, sweep_of(resources={"gpus": 1}, data={"train_images": 80})), "me")
    assert said.startswith("can't use its GPU: ") and said.endswith("install a PyTorch that fits it")


@pytest.mark.long
@pytest.mark.usefixtures("node")
def test_every_node_is_asked_once_and_named(tmp_path: Path, tiny_clip: str) -> None:
    sweep, folder = sweep_of(model={"name": tiny_clip}, data={"train_images": 80}), SweepFolder(UPath(tmp_path))
    with NodeChecks(sweep, folder) as checks:
        Cluster(sweep, own=False, checks=checks)
        checks.require(wait=True)
        assert len(list((tmp_path / "nodes").iterdir())) == 2  # the command's file and the node's
        Cluster(sweep, own=False, checks=checks)
        assert not checks._asked
    assert not (tmp_path / "nodes").exists()
    data = {"layout": "domains", "root": str(tmp_path / "nowhere"), "id": "photo", "ood": ["sketch"]}
    lost = sweep_of(model={"name": tiny_clip}, data=data)
    with NodeChecks(lost, folder) as checks, pytest.raises(UserError, match=rf"^node {HERE}: .*{tmp_path}/nowhere"):
        Cluster(lost, own=False, checks=checks)
        checks.require(wait=True)


@pytest.mark.long
@pytest.mark.usefixtures("node")
def test_a_node_without_the_code_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that only the command can import, as fpray's is where fpray isn't installed."""
    (tmp_path / "only_here.py").write_text("def check(expected, node):\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)  # Ray's processes have their path already
    sweep = sweep_of()
    with NodeChecks(sweep, SweepFolder(UPath(tmp_path / "s"))) as checks:
        checks._task = ray.remote(num_cpus=0, max_calls=1)(importlib.import_module("only_here").check)
        Cluster(sweep, own=False, checks=checks)
        with pytest.raises(
            UserError, match=rf"^node {HERE} has no only_here; install there what the command's machine"
        ):
            checks.require(wait=True)
