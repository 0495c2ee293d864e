"""The page of the sweep file's keys, docs/sweep-file.md, made from their JSON schema."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from fpray.config.dimensions import dimension_schema
from fpray.config.json_schema import sweep_schema
from fpray.config.text import inline
from fpray.config.words import words_for

HEAD = """
    # The sweep file

    Every key, as `fpray schema --markdown` prints them from the docstrings. What a file leaves out has its default,
    and a section may be empty; `fpray sweep FILE --dry-run` prints a file with every key filled in. `fpray init FOLDER`
    writes a file for the images in a folder.

    Editors with YAML's language server complete and check a file whose first line names the schema that `fpray schema`
    prints, as the files in `sweeps/` do.

    ```yaml
    name: my-sweep
    data: {layout: domains, root: /data/pacs, id: photo}
    model: {name: ViT-B-16, pretrained: openai}
    train: {batch_size: 128, lr: {log: [1.0e-6, 3.0e-5]}, precision: bf16}
    methods:
      zero_shot: {}
      full: {trials: 8}
      kd: {trials: 8, strength: {log: [1.0e-2, 10]}, form: {choice: [kl, mse_logits]}}
      wise_ft: {trials: 8, of: [full]}
    resources: {gpus: 1, cpus: 8}
    ```
"""
DATA = """
    Each layout has keys of its own; without `layout` it is `drawnet`. A file with `plugins` may name a layout of its
    own, whose keys stand in its code.
"""
METHODS = """
    A list of names, `[full, l2]`, a word for one (`paper`, the default, `fast` or `all`), or a key for each method,
    with its settings below. A file with `plugins` may name methods of its own, whose keys stand in their code.
    [methods.md](methods.md) has each one's formula, source, cost and published figures. Each method has, beside its
    hyperparameters:
"""
DIMENSIONS = """
    A hyperparameter is a constant, `lr: 1.0e-5`, or a dimension, of which it has one in each trial:
    `lr: {log: [3.0e-6, 3.0e-5]}`. Ranges are for numbers; for a whole number the only one is `int`.
"""
COMMON = ("trials", "resources")
"""The keys of every method."""


def sweep_page() -> str:
    """The page, in Markdown."""
    whole = sweep_schema()
    keys = _inlined(whole, whole["$defs"])["properties"]
    parts = [cleandoc(HEAD), "## The whole file", _table(_rows(keys, within=False))]
    for name, schema in keys.items():
        if name == "data":
            parts += ["## data", cleandoc(DATA), *_layouts(schema["oneOf"])]
        elif name == "methods":
            parts += ["## methods", *_methods(schema["anyOf"][0]["properties"])]
        elif section := _section_in(schema):
            parts += [f"## {name}", section["$comment"], _table(_rows(section["properties"]))]
    parts += ["## Search dimensions", cleandoc(DIMENSIONS), _dimensions()]
    return "\n\n".join(parts)


def _inlined(schema: Any, definitions: JsonSchemaValue) -> Any:
    """The schema with the definitions in the places that refer to them, and their sentences as comments there."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: _inlined(part, definitions) for key, part in schema.items() if key not in ("$ref", "$defs")}
    if "$ref" not in schema:
        return own
    definition = _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return definition | {"$comment": definition.get("description", "")} | own


def _layouts(schemas: list[JsonSchemaValue]) -> Iterator[str]:
    """A heading, a sentence and a table for each layout that is known by name."""
    for schema in schemas:
        keys = schema["properties"]
        if "const" in keys["layout"]:
            yield f"### {keys['layout']['const']}"
            yield schema.get("description", "")
            others = {key: keys[key] for key in keys if key != "layout"}
            yield _table(_rows(others, schema.get("required", ())))


def _methods(methods: dict[str, JsonSchemaValue]) -> Iterator[str]:
    """What all methods have, then a heading, a sentence and a table for each."""
    first = next(iter(methods.values()))["properties"]
    trials = {key: part for key, part in first["trials"].items() if key != "default"}
    yield cleandoc(METHODS)
    yield _table(_rows({"trials": trials, "resources": first["resources"]}, within=False))
    for name, schema in methods.items():
        own = {key: part for key, part in schema["properties"].items() if key not in COMMON}
        number = schema["properties"]["trials"]["default"]
        yield f"### {name}"
        yield f"{schema.get('description', '')} By default {number} trial{'' if number == 1 else 's'}."
        if own:
            yield _table(_rows(own, schema.get("required", ())))


def _dimensions() -> str:
    kinds = dimension_schema({"type": "number"})["anyOf"][1]["properties"]
    rows = [f"| `{{{key}: [...]}}` | {schema['description']} |" for key, schema in kinds.items()]
    return "\n".join(["| dimension | meaning |", "|---|---|", *rows])


def _table(rows: Iterator[str]) -> str:
    return "\n".join(["| key | default | may be | meaning |", "|---|---|---|---|", *rows])


def _rows(
    keys: dict[str, JsonSchemaValue], required: Any = (), prefix: str = "", *, within: bool = True
) -> Iterator[str]:
    """A row of a table for each key.

    Args:
        keys: the schema of each key.
        required: the keys that a file can't leave out.
        prefix: what the keys stand below.
        within: whether the keys of a section follow it, else they are linked to.
    """
    for key, schema in keys.items():
        section = _section_in(schema)
        default = "required" if key in required else f"`{inline(schema['default'])}`" if "default" in schema else ""
        kind = words_for(schema) if within else words_for(schema).replace("keys", f"[keys](#{key})")
        yield f"| `{prefix}{key}` | {default} | {kind} | {schema.get('description', '')} |"
        if within and section:
            below = f"{key}.NAME" if isinstance(schema.get("additionalProperties"), dict) else key
            yield from _rows(section["properties"], section.get("required", ()), f"{prefix}{below}.")


def _section_in(schema: JsonSchemaValue) -> JsonSchemaValue | None:
    """The section that a key is, or that each of the names below it is; None for other keys."""
    parts = (schema, *schema.get("anyOf", ()), schema.get("additionalProperties"))
    return next((part for part in parts if isinstance(part, dict) and "$comment" in part), None)
