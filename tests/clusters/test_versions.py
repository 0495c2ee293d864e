"""Every cluster's file has the Ray and the Python of pyproject.toml, since Ray demands the same on all nodes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.clusters.kuberay import rayjob

ROOT = Path(__file__).parents[2]
DOCKER = yaml.safe_load((ROOT / "cluster.yaml").read_text())["docker"]


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ray_of(project: dict[str, Any]) -> SpecifierSet:
    (ray,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    return ray.specifier


def images() -> dict[str, str]:
    (base,) = re.findall(r"^FROM (\S+)$", (ROOT / "clusters/Dockerfile").read_text(), re.MULTILINE)
    return {"Dockerfile": base} | {key: DOCKER[key] for key in DOCKER if key.endswith("image")}


def test_there_are_images_with_and_without_cuda() -> None:
    assert {name: image.rpartition("-")[2] for name, image in images().items()} == {
        "Dockerfile": "gpu",
        "image": "gpu",
        "head_image": "cpu",
    }


@pytest.mark.parametrize("image", images().values(), ids=images())
def test_images_have_the_ray_and_the_python_of_the_project(image: str, project: dict[str, Any]) -> None:
    tag = re.fullmatch(r"rayproject/ray:([\d.]+)-py3(\d+)-[cg]pu", image)
    assert tag is not None
    version, python_minor = tag.groups()
    assert version in ray_of(project)
    assert f"3.{python_minor}" in SpecifierSet(project["requires-python"])


def test_the_rayjob_has_the_ray_of_the_project(project: dict[str, Any]) -> None:
    assert rayjob()["spec"]["rayClusterSpec"]["rayVersion"] in ray_of(project)


def test_one_version_of_ray_is_written_everywhere() -> None:
    files = [ROOT / "cluster.yaml", *(ROOT / "clusters").iterdir()]
    found = [v for file in files for v in re.findall(r"\b2\.\d+\.\d+\b", file.read_text())]
    assert len(found) >= 5
    assert len(set(found)) == 1
