"""Reading a sweep file: every mistake as one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fpray.config.plugins import load_plugins
from fpray.config.schema import Sweep
from fpray.config.text import dump, read_content, upgraded
from fpray.errors import UserError
from fpray.redaction import hidden, is_hidden


def read_sweep(path: Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read, override and check a sweep file that was given on the command line, and load its plug-ins.

    Args:
        path: the YAML file; the sweep is named after it where the file gives no `name`. Plug-ins lie beside it.
        overrides: `key=value` with dotted keys and YAML values, e.g. `methods.l2.strength={log: [1e-3, 1]}`.

    Raises:
        UserError: for the first mistake found, with the key or line that is wrong and what to change.
    """
    return sweep_of(read_content(path, overrides), path)


def sweep_of(content: dict[str, Any], path: Path) -> Sweep:
    """Check the content of a sweep file that was given on the command line, and load its plug-ins.

    Args:
        content: as `read_content` gives it.
        path: the file, beside which plug-ins lie.

    Raises:
        UserError: for the first mistake found, with the key that is wrong and what to change.
    """
    try:
        plugins = load_plugins(content.get("plugins"), path.absolute().parent)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return _check(content | {"plugins": plugins}, str(path))


def check_sweep(content: dict[str, Any], origin: str) -> Sweep:
    """Check the content of a sweep file, of any format.

    Args:
        origin: names the file in a message.

    Raises:
        UserError: for the first mistake found, or if a newer fpray wrote it.
    """
    return _check(upgraded(content, origin), origin)


def _check(content: dict[str, Any], origin: str) -> Sweep:
    """Check the content of a sweep file of today's format, whose plug-ins are loaded."""
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


def resolved(sweep: Sweep) -> dict[str, Any]:
    """The sweep as plain data that reads back to the same sweep, but for secrets in addresses, which are hidden."""
    return {key: _hide(value) for key, value in sweep.model_dump(mode="json").items()}


def dump_sweep(sweep: Sweep) -> str:
    """The resolved sweep as YAML, with the number of its format."""
    return dump(resolved(sweep))


def _hide(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _hide(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_hide(value) for value in content]
    return hidden(content) if isinstance(content, str) else content


def _texts(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text in the content, with its dotted key."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value, key)
    elif isinstance(content, str):
        yield key, content


def _sentence(error: ValidationError) -> str:
    """The first mistake that pydantic found, as a sentence that starts with the key."""
    first = error.errors()[0]
    place = [*first["loc"]]
    while isinstance(cause := first.get("ctx", {}).get("error"), ValidationError):  # of a validation in a validator
        first = cause.errors()[0]
        place += first["loc"]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_type" and isinstance(first["input"], int | float | date):
        message = "must be text; put it in quotes"
    elif first["type"].endswith("_parsing"):
        message = f"{message.partition(',')[0]}, not {first['input']!r}"
    elif first["type"] == "too_short":
        message = f"give at least {first['ctx']['min_length']}"
    where = ".".join(str(part) for part in place)
    return f"{where}: {message[:1].lower() + message[1:]}" if where else message
