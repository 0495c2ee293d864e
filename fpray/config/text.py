"""The text of a sweep file: YAML in and out, overrides and older formats. It imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from fpray.errors import UserError
from fpray.formats import FORMAT, format_of

MOST_VALUES = 100_000
"""In a sweep file, with every alias written out: a few lines of aliases of aliases can stand for billions, and a
sweep file may come from elsewhere (SECURITY.md)."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `1e-4` is a number, as in YAML 1.2, and a key given twice is an error."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is None:
            return None
        left, values = [node], 0
        while left:
            part, values = left.pop(), values + 1
            if values > MOST_VALUES:
                raise yaml.composer.ComposerError(None, None, "its aliases stand for too much", node.start_mark)
            if isinstance(part, yaml.MappingNode):
                left += [inner for pair in part.value for inner in pair]
            elif isinstance(part, yaml.SequenceNode):
                left += part.value
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
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


def read_content(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a sweep file in today's format, overridden, with a name; its sections are not checked yet.

    Args:
        path: the YAML file; the sweep is named after it where the file gives no `name`.
        overrides: `key=value` with dotted keys and YAML values, e.g. `methods.l2.strength={log: [1e-3, 1]}`.

    Raises:
        UserError: for a file that can't be read, isn't YAML or is of a newer fpray; for a mistake in an override.
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
    return upgraded(content, str(path))


def upgraded(content: dict[str, Any], where: str) -> dict[str, Any]:
    """The content of a sweep file of any format as today's format has it, without the number.

    Raises:
        UserError: if a newer fpray wrote it.
    """
    try:
        number = format_of(content, where)
    except ValueError as error:
        raise UserError(f"{where}: format: {error}; leave it out") from None
    content = {key: value for key, value in content.items() if key != "format"}
    train = content.get("train")
    if number == 1 and isinstance(train, dict) and train.get("optimizer") == "adamw":
        content["train"] = {key: value for key, value in train.items() if key != "optimizer"}
    return content


def parse(text: str, origin: str) -> Any:
    """The content of a text in safe YAML.

    Args:
        origin: names the text in a message.

    Raises:
        UserError: if the text is not valid YAML.
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


def dump(content: Mapping[str, Any]) -> str:
    """Plain data as YAML, with the number of today's format."""
    written = {"format": FORMAT} | dict(content)
    return yaml.dump(written, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110)


def inline(value: Any) -> str:
    """A value as YAML on one line."""
    written = yaml.dump([value], Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=float("inf"))
    return str(written).strip()[1:-1]


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise UserError(f"{override}: write an override as key=value, for example train.epochs=4")
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        inner = section.get(parent)
        if isinstance(inner, list) and all(isinstance(name, str) for name in inner):  # methods: [full, l2]
            inner = dict.fromkeys(inner)
        section[parent] = inner if isinstance(inner, dict) else {}
        section = section[parent]
    section[last] = parse(value, f"override of {key}")
