"""Data goes one way: modules import from their own or lower layers only, and each big library has one owner."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpray
from fpray.methods import METHODS

ROOT = Path(fpray.__file__).parent

# Bottom to top. A package stands for everything in it. A new module must be given its place here.
LAYERS = [
    ["errors", "redaction"],
    ["section", "space", "storage", "lock", "drawing"],
    ["data"],
    ["attention", "model"],
    ["reference", "pretrained"],
    ["methods"],
    ["settings"],
    ["config"],
    ["sweepfile", "records"],
    ["store"],
    ["lanes"],
    ["plan", "preflight", "checkpoint", "runtime", "movement", "interrupt", "watchdog"],
    ["check"],
    ["evaluate", "optimizer"],
    ["step"],
    ["train"],
    ["memory"],
    ["trial"],
    ["batchsize"],
    ["cluster", "search"],
    ["schedule"],
    ["executor"],
    ["pareto"],
    ["report"],
    ["tracked"],
    ["figures", "runs", "tracking", "progress", "sweepfolder"],
    ["sweep"],
]
ALONE = {"pretrain": {"data", "drawing", "model"}, "data.__main__": {"check", "data", "errors", "sweepfile"}}
"""Commands of their own, that no module imports, and what they may use. One may lie in a package below them."""
LOOP = [
    "train",
    "step",
    "memory",
    "batchsize",
    "evaluate",
    "checkpoint",
    "runtime",
    "movement",
    "optimizer",
    "search",
    "schedule",
    "interrupt",
    "watchdog",
    "cluster",
    "executor",
]
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


def place(module: str) -> str:
    """The name under which a module stands in `LAYERS` or `ALONE`."""
    return module if module in ALONE else top(module)


def users_of(library: str) -> set[str]:
    """The modules that import a library, or a part of it."""
    return {
        module
        for module, tree in MODULES.items()
        if any(name == library or name.startswith(f"{library}.") for name in imports(tree))
    }


HEIGHT = {module: height for height, layer in enumerate(LAYERS) for module in layer}


def test_the_walk_finds_imports_at_the_top_and_inside_functions() -> None:
    assert {"evaluate", "methods", "data.base"} <= own_imports(MODULES["train"])
    assert "search" in own_imports(MODULES["schedule"])
    assert "executor" in own_imports(MODULES["sweep"])  # imported late, inside the command
    assert own_imports(ast.parse("from fpray import figures\nfrom fpray import __version__")) == {"figures"}
    assert set(imports(ast.parse("from ray import tune\nimport ray.train"))) == {"ray.tune", "ray.train"}


def test_every_module_has_its_place() -> None:
    places = {place(module) for module in MODULES} - {""}
    assert places == HEIGHT.keys() | ALONE.keys()
    assert len(HEIGHT) == sum(len(layer) for layer in LAYERS)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_imports_come_from_the_same_or_a_lower_layer(module: str) -> None:
    used = {place(name) for name in own_imports(MODULES[module])} - {place(module)}
    if module in ALONE:
        assert used <= ALONE[module]
    else:
        assert [name for name in sorted(used) if HEIGHT.get(name, len(LAYERS)) > HEIGHT[top(module)]] == []


def test_no_imports_go_in_a_circle() -> None:
    below = {module: own_imports(tree) for module, tree in MODULES.items()}
    for package in ("data", "methods"):  # these import every module in them by discovery
        below[package] |= {module for module in MODULES if module.startswith(f"{package}.") and module not in ALONE}
    left = dict(below)
    # `data.drawnet` may say `from fpray.data import base`: the package is being imported then, and has found it.
    for module, names in left.items():
        left[module] = {n for n in names if not module.startswith(f"{n}.")}
    while free := [module for module, names in left.items() if not names & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_the_package_itself_imports_nothing() -> None:
    assert set(imports(MODULES[""])) <= {"__future__.annotations"}


def test_each_big_library_has_its_owner() -> None:
    assert users_of("optuna") == {"search"}
    assert users_of("mlflow") == {"runs"}
    assert users_of("peft") == {"methods.lora"}
    assert users_of("ray.tune") & users_of("ray.train") == {"executor"}
    assert users_of("ray") == {"cluster", "executor", "runtime"}
    assert users_of("yaml") == {"sweepfile"}


def test_the_loop_knows_no_method_by_name() -> None:
    for module in LOOP:
        words = {n.value for n in ast.walk(MODULES[module]) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert words & METHODS.keys() == set(), module
        methods = {name for name in own_imports(MODULES[module]) if top(name) == "methods"}
        assert methods <= {"methods", "methods.base"}, module


def test_methods_know_no_other_method_but_their_base() -> None:
    families = {"methods.base", "methods.penalty"}
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
