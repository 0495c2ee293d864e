"""Plug-ins: files with methods and layouts of the user's own, named in the sweep file and shipped to its trials.

A plug-in is code, so only a sweep file that is given on the command line loads one. A sweep's folder has its name and
hash, and whatever reads a folder loads nothing (SECURITY.md).
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import InspectLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from fpray.data import DATASETS
from fpray.discovery import Registry
from fpray.errors import UserError, message_of
from fpray.methods import METHODS
from fpray.storage import from_home

PLUGIN = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "description": "The file's path."},
        "sha256": {"type": "string", "description": "The hash that the file must have, in hexadecimal digits."},
    },
    "required": ["file"],
    "additionalProperties": False,
}
PLUGINS = {
    "anyOf": [
        {"type": ["string", "null"]},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, PLUGIN]}},
    ]
}
"""The JSON schema of what `load_plugins` takes."""
REGISTRIES: tuple[Registry[Any], ...] = (METHODS, DATASETS)


@dataclass(frozen=True)
class Plugin:
    """A file of Python code with methods or layouts, as it was when the command read it."""

    file: str
    """Its absolute path on the machine of the command."""
    source: str

    @property
    def sha256(self) -> str:
        """The hash of the code, in hexadecimal digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def name(self) -> str:
        """The file's name, by which records call it."""
        return Path(self.file).name

    @property
    def module(self) -> str:
        """The name of the module that its code runs as."""
        return f"fpray_plugin_{Path(self.file).stem}"

    def concerns(self, method: str, layout: str) -> bool:
        """Whether trials of this method on data of this layout run code of the plug-in, once it is installed."""
        kinds = (METHODS.get(method), DATASETS.get(layout))
        return any(kind is not None and kind.__module__ == self.module for kind in kinds)

    def as_yaml(self) -> dict[str, str]:
        """The plug-in as a resolved sweep file names it."""
        return {"file": self.file, "sha256": self.sha256}


def load_plugins(written: Any, folder: Path) -> tuple[Plugin, ...]:
    """Read the plug-ins that a sweep file names, and add their methods and layouts to fpray's.

    Args:
        written: the sweep file's `plugins`: a list of paths, or of what a resolved sweep file has of each.
        folder: the sweep file's; the paths are relative to it.

    Raises:
        UserError: if one can't be read or run, has no method and no layout, or isn't what the hash beside it says.
    """
    listed = [written] if isinstance(written, str) else [] if written is None else written
    if not isinstance(listed, Sequence):
        raise UserError("plugins: must be a list of files, like [my_method.py]")
    plugins = tuple(_read(one, folder) for one in listed)
    names = [plugin.name for plugin in plugins]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"plugins: two files are called '{name}'; rename one")
    for plugin in plugins:
        install(plugin)
    return plugins


def _read(written: Any, folder: Path) -> Plugin:
    named = {"file": written} if isinstance(written, str) else written
    if not isinstance(named, dict) or not isinstance(named.get("file"), str) or named.keys() - {"file", "sha256"}:
        raise UserError(f"plugins: must be a list of files, like [my_method.py], and has {written!r}")
    try:
        path = (folder / from_home(named["file"])).absolute()
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"plugins: there is no '{named['file']}'; looked in '{folder}'") from None
    except (OSError, ValueError) as error:
        raise UserError(f"plugins: can't read '{named['file']}': {message_of(error)}") from None
    if not re.fullmatch(r"[A-Za-z_]\w*\.py", path.name):
        raise UserError(f"plugins: '{path.name}' can't be a module's name; call the file something like my_method.py")
    plugin = Plugin(str(path), source)
    if named.get("sha256", plugin.sha256) != plugin.sha256:
        raise UserError(
            f"plugins: '{path}' has changed since its sha256 was written into the sweep file; put it back, or take the "
            "sha256 out"
        )
    return plugin


def install(plugin: Plugin) -> None:
    """Run a plug-in's code as a module, and add its methods and layouts; nothing where that was done before.

    Raises:
        UserError: if it fails, or has no method and no layout.
    """
    known = sys.modules.get(plugin.module)
    if known is not None and getattr(known.__loader__, "plugin", None) == plugin:
        return
    module = _run(plugin)
    try:
        _add(module, plugin)
    except UserError:
        del sys.modules[plugin.module]  # else it would count as installed the next time
        raise


def _add(module: ModuleType, plugin: Plugin) -> None:
    having = [registry for registry in REGISTRIES if registry.found_in(module)]
    if not having:
        raise UserError(
            f"plugins: '{plugin.file}' has no method and no layout; define a subclass of Method or of Dataset, with a "
            "name, in it"
        )
    for registry in having:
        registry.add(module)


def _run(plugin: Plugin) -> ModuleType:
    loader = _PluginLoader(plugin)
    spec = importlib.util.spec_from_loader(plugin.module, loader, origin=plugin.file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = plugin.file
    sys.modules[plugin.module] = module  # while it runs: pydantic looks its annotations up there
    try:
        loader.exec_module(module)
    except Exception as error:  # of any kind: it is the user's code
        del sys.modules[plugin.module]
        where = f"{type(error).__name__} at {_line_of(error, plugin)}"
        raise UserError(f"plugins: '{plugin.file}' can't be run: {message_of(error)} ({where})") from error
    return module


class _PluginLoader(InspectLoader):
    """Loads a module from a plug-in's code, which need not be on this machine as a file."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin

    def get_source(self, fullname: str) -> str:
        return self.plugin.source

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.plugin.source, self.plugin.file)


def _line_of(error: Exception, plugin: Plugin) -> str:
    """The line of the plug-in where an error came up."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == plugin.file]
    return f"line {lines[-1]}" if lines else "its import"
