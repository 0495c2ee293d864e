"""A JSON schema of RayJob out of KubeRay's own definition of it.

    python -m tests.clusters.crd ray.io_rayjobs.yaml VERSION > tests/clusters/rayjob.schema.json

The operator keeps the definition in ray-operator/config/crd/bases of github.com/ray-project/kuberay (Apache-2.0). The
schema is without the status and the rules in CEL, closed to keys that it doesn't name, as kubectl refuses them, and
says once what the definition says many times.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

WORTH_A_NAME = 150
"""Characters."""
SAID = {
    *("type", "properties", "additionalProperties", "required", "items", "minItems"),
    *("enum", "pattern", "minLength", "maxLength", "minimum"),
}
"""What JSON schema and Kubernetes' schemas mean the same by."""


def json_schema(crd: dict[str, Any]) -> dict[str, Any]:
    """The schema of version v1."""
    (version,) = [version for version in crd["spec"]["versions"] if version["name"] == "v1"]
    whole = version["schema"]["openAPIV3Schema"]
    del whole["properties"]["status"]
    closed = _closed(whole)
    often = Counter(_key(part) for part in _parts(closed))
    names = {key: str(number) for number, key in enumerate(key for key, n in often.items() if n > 1)}
    definitions = {name: _named(json.loads(key), names, top=True) for key, name in names.items()}
    return _named(closed, names) | {"definitions": definitions}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema and those inside it, with JSON schema's words only, closed to unknown keys."""
    kept = {word: value for word, value in schema.items() if word in SAID}
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    if "properties" in kept:
        kept["properties"] = {name: _closed(inner) for name, inner in kept["properties"].items()}
        kept["additionalProperties"] = False
    for word in ("items", "additionalProperties"):
        if isinstance(kept.get(word), dict):
            kept[word] = _closed(kept[word])
    return kept


def _inner(schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where the schemas that are directly in a schema stand."""
    yield from ((schema.get("properties", {}), name) for name in schema.get("properties", {}))
    yield from ((schema, word) for word in ("items", "additionalProperties") if isinstance(schema.get(word), dict))


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all those inside it that are worth a name."""
    if len(_key(schema)) >= WORTH_A_NAME:
        yield schema
        for place, name in _inner(schema):
            yield from _parts(place[name])


def _named(schema: dict[str, Any], names: dict[str, str], top: bool = False) -> dict[str, Any]:
    """A schema that refers to those with a name."""
    if not top and (name := names.get(_key(schema))) is not None:
        return {"$ref": f"#/definitions/{name}"}
    copy: dict[str, Any] = json.loads(_key(schema))
    for place, name in _inner(copy):
        place[name] = _named(place[name], names)
    return copy


def _key(schema: dict[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True)


if __name__ == "__main__":
    schema = json_schema(yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8")))
    source = f"From KubeRay {sys.argv[2]}'s ray.io_rayjobs.yaml (Apache-2.0) by tests/clusters/crd.py"
    json.dump({"$comment": source} | schema, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()
