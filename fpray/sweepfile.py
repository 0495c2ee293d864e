"""Reading a sweep file: YAML, overrides, and every mistake as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fpray.config import Sweep
from fpray.errors import UserError
from fpray.redaction import hidden, is_hidden

MOST_VALUES = 100_000
"""In a sweep file, with every alias written out: a few lines of aliases of aliases can stand for billions."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `1e-4` is a number, as in YAML 1.2, and a key given twice is an error."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        left, values = [] if node is None else [node], 0
        while left:
            part, values = left.pop(), values + 1
            if values > MOST_VALUES:
                raise yaml.composer.ComposerError(None, None, "its aliases stand for too much", node.start_mark)
            if isinstance(part, yaml.MappingNode):
                left += [inner for pair in part.value for inner in pair]
            elif isinstance(part, yaml.SequenceNode):
                left += part.value
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise yaml.composer.ComposerError(None, None, f"the key '{key.value}' is there twice", key.start_mark)
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back: it quotes the word `1e-4`."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )


def default_file() -> Path:
    """The embedded example, `sweeps/quickstart.yaml`: in the package, or beside it in a checkout."""
    packaged = Path(str(files("fpray"))) / "sweeps" / "quickstart.yaml"
    return packaged if packaged.is_file() else Path(str(files("fpray"))).parent / "sweeps" / "quickstart.yaml"


def read_sweep(path: Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read, override and check a sweep file.

    Args:
        path: the YAML file; the sweep is named after it where the file gives no `name`.
        overrides: `key=value` with dotted keys and YAML values, e.g. `methods.l2.strength={log: [1e-3, 1]}`.

    Raises:
        UserError: for the first mistake found, with the key or line that is wrong and what to change.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"can't read the sweep file '{path}': {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise UserError(f"can't read the sweep file '{path}': it is not text in UTF-8") from None
    content = parse(text, str(path))
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: a sweep file is a list of 'key: value' lines")
    content.setdefault("name", path.stem)
    for override in overrides:
        _override(content, override)
    return check_sweep(content, str(path))


def check_sweep(content: dict[str, Any], origin: str) -> Sweep:
    """Check the content of a sweep file that came from `origin`."""
    for key, text in _texts(content):
        if is_hidden(text):
            raise UserError(
                f"{origin}: {key}: the secret in '{text}' was hidden when the file was written; take the *** out and "
                "give the secret by the environment, as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
    try:
        return Sweep.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{origin}: {_sentence(error)}") from None


def dump_sweep(sweep: Sweep) -> str:
    """The resolved sweep as YAML that reads back to the same sweep, but for secrets in addresses, which are hidden."""
    content = _hide(sweep.model_dump(mode="json"))
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110)


def _hide(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _hide(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_hide(value) for value in content]
    return hidden(content) if isinstance(content, str) else content


def _texts(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the content, with its dotted key."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value, key)
    elif isinstance(content, str):
        yield key, content


def parse(text: str, origin: str) -> Any:
    """Safe YAML that came from `origin`.

    Raises:
        UserError: if it is none.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{origin}{line}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: not valid YAML: {error}".splitlines()[0]) from None
    except RecursionError:
        raise UserError(f"{origin}: not valid YAML: it is nested too deeply") from None
    except (ValueError, KeyError, AttributeError, OverflowError):  # PyYAML's, for a value that its tag doesn't fit
        raise UserError(f"{origin}: not valid YAML: it has a number, date or tag that can't be read") from None


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set {override}: write it as key=value, for example train.epochs=4")
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        inner = section.get(parent)
        if isinstance(inner, list) and all(isinstance(name, str) for name in inner):  # methods: [full, l2]
            inner = dict.fromkeys(inner)
        section[parent] = inner if isinstance(inner, dict) else {}
        section = section[parent]
    section[last] = parse(value, f"--set {key}")


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints, as a sentence that starts with the key."""
    first = error.errors()[0]
    place = [*first["loc"]]
    while isinstance(cause := first.get("ctx", {}).get("error"), ValidationError):  # of a validation in a validator
        first = cause.errors()[0]
        place += first["loc"]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_type" and isinstance(first["input"], int | float | date):
        message = "must be text; put it in quotes"
    elif first["type"] == "too_short":
        message = f"give at least {first['ctx']['min_length']}"
    where = ".".join(str(part) for part in place)
    return f"{where}: {message[:1].lower() + message[1:]}" if where else message
