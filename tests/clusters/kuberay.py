"""clusters/rayjob.yaml, and what KubeRay and Ray make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "clusters" / "rayjob.yaml"


def rayjob(max_replicas: int = 4) -> dict[str, Any]:
    """The file with what a user writes for EDIT."""
    text = FILE.read_text().replace("EDIT/fpray", "registry.example.org/fpray")
    written: dict[str, Any] = yaml.safe_load(text.replace("maxReplicas: EDIT", f"maxReplicas: {max_replicas}"))
    return written


def raycluster(written: dict[str, Any]) -> dict[str, Any]:
    """The RayCluster that the operator makes of a RayJob, as far as Ray's autoscaler reads it."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": f"{written['metadata']['name']}-x2k9p", "namespace": "default"},
        "spec": written["spec"]["rayClusterSpec"],
    }
