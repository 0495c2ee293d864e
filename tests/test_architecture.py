"""Data goes one way: modules import from their own or lower layers only, and each big library has one owner."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpray
from fpray.methods import METHODS

ROOT = Path(fpray.__file__).parent

PACKAGES = [
    "statistics",
    "drawnet",
    "data",
    "model",
    "methods",
    "config",
    "records",
    "search",
    "training",
    "execution",
    "report",
    "tracking",
    "sweep",
    "results",
    "export",
    "testing",
]
"""Bottom to top. Each imports only from those before it, and from the words at the root."""
ROOT_WORDS = {
    "errors",
    "redaction",
    "section",
    "space",
    "storage",
    "conditional",
    "console",
    "lazily",
    "formats",
    "discovery",
    "seeds",
    "command",
    "arguments",
    "kept",
}
COMMANDS = {"__main__", "cache", "check", "init", "schema"}
"""They stand above all packages."""
WITHOUT_METHODS_NAMES = ("search.", "training.", "execution.")
"""What runs every method without knowing any."""


def modules() -> dict[str, ast.Module]:
    """Every module of fpray, parsed, by its name without `fpray.`; the package itself is ''."""
    parsed = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        parsed[".".join(part for part in parts if part != "__init__")] = ast.parse(file.read_text(encoding="utf-8"))
    return parsed


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of what a module imports anywhere in it, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.Module) -> set[str]:
    """The modules of fpray that a module imports, without `fpray.`."""
    found = set()
    for name in imports(tree):
        if name.split(".")[0] == "fpray":
            inside = name.removeprefix("fpray").removeprefix(".")
            found.add(inside if inside in MODULES else inside.rpartition(".")[0])
    return found - {""}


def top(module: str) -> str:
    return module.split(".")[0]


def users_of(library: str) -> set[str]:
    """The modules that import a library, or a part of it."""
    return {
        module
        for module, tree in MODULES.items()
        if any(name == library or name.startswith(f"{library}.") for name in imports(tree))
    }


def test_the_walk_finds_imports_at_the_top_and_inside_functions() -> None:
    assert {"config", "methods", "data", "training.evaluate"} <= own_imports(MODULES["training.loop"])
    assert "sweep.run" in own_imports(MODULES["sweep.__main__"])  # imported late, inside the command
    assert own_imports(ast.parse("from fpray import errors\nfrom fpray import __version__")) == {"errors"}
    assert set(imports(ast.parse("from ray import tune\nimport ray.train"))) == {"ray.tune", "ray.train"}


def test_every_module_has_its_place() -> None:
    assert {top(module) for module in MODULES} - {""} == {*PACKAGES, *ROOT_WORDS, *COMMANDS}


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_packages_import_from_those_below_them_by_their_pages(module: str) -> None:
    own = top(module)
    if own in COMMANDS:
        return
    below = PACKAGES[: PACKAGES.index(own)] if own in PACKAGES else []
    others = {name for name in own_imports(MODULES[module]) if top(name) not in {own, *ROOT_WORDS}}
    assert others <= set(below)  # a module inside another package isn't in this list


def test_no_imports_go_in_a_circle() -> None:
    below = {module: own_imports(tree) for module, tree in MODULES.items()}
    for package in ("data.layouts", "methods"):  # these import every module in them by discovery
        below[package] |= {module for module in MODULES if module.startswith(f"{package}.")}
    left = dict(below)
    # `methods.full` may say `from fpray.methods import base`: the package is being imported then, and has found it.
    for module, names in left.items():
        left[module] = {n for n in names if not module.startswith(f"{n}.")}
    while free := [module for module, names in left.items() if not names & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_the_package_itself_imports_next_to_nothing() -> None:
    late = {
        "fpray.export.load_model",
        *(f"fpray.results.{name}" for name in ("Results", "load", "run")),
    }  # below TYPE_CHECKING, see `attach`
    assert set(imports(MODULES[""])) == {"typing.TYPE_CHECKING", "fpray.lazily.attach", *late}


def test_each_big_library_has_its_owner() -> None:
    assert users_of("optuna") == {"search.searcher"}
    assert {top(module) for module in users_of("mlflow")} == {"tracking"}
    assert users_of("peft") == {"methods.adapters", "methods.lora", "methods.oft"}
    assert users_of("ray.tune") == {"execution.executor", "execution.tune_internals"}
    assert users_of("ray.train") == {"execution.actor"}
    assert users_of("ray._private") | users_of("ray._raylet") == {"execution.ray_internals", "execution.tune_internals"}
    assert {top(module) for module in users_of("ray")} == {"execution"}
    assert users_of("yaml") == {"config.text"}


def test_what_runs_methods_knows_none_by_name() -> None:
    for module, tree in MODULES.items():
        if module.startswith(WITHOUT_METHODS_NAMES):
            words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            assert words & METHODS.keys() == set(), module


def test_methods_know_no_other_method_but_their_bases() -> None:
    bases = ("base", "published", "penalty", "adapters", "averaging", "contrastive", "depth", "soups")
    families = {f"methods.{name}" for name in bases}
    for module, tree in MODULES.items():
        if module.startswith("methods."):
            assert {name for name in own_imports(tree) if top(name) == "methods"} <= families, module


def test_no_pickle_is_read_or_written() -> None:
    for library in ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torch.load", "torch.save"):
        assert users_of(library) == set(), library
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
                assert node.attr not in ("load", "save"), module
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, module


def ruff(file: str, source: str) -> str:
    """Ruff's complaints about a source text as if it stood in a file of the project."""
    call = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        f"--stdin-filename={file}",
        "-",
    ]
    return subprocess.run(call, input=source, capture_output=True, text=True, cwd=ROOT.parent).stdout


BANNED = [
    "mlflow",
    "optuna",
    "peft",
    "ray",
    "ray.tune",
    "yaml",
    "pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
]


@pytest.mark.parametrize("library", BANNED)
def test_ruff_refuses_a_library_outside_its_owner(library: str) -> None:
    assert "TID251" in ruff("fpray/report/new.py", f"import {library}\n\nprint({library})\n")


@pytest.mark.parametrize("name", ["load", "save"])
def test_ruff_refuses_torchs_pickles(name: str) -> None:
    assert "TID251" in ruff("fpray/report/new.py", f"import torch\n\ntorch.{name}\n")


def test_ruff_lets_owners_and_all_other_libraries_be() -> None:
    assert ruff("fpray/execution/new.py", "import ray\n\nprint(ray)\n") == "All checks passed!\n"
    assert ruff("fpray/report/new.py", "import numpy\n\nprint(numpy)\n") == "All checks passed!\n"
