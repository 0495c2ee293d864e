"""The pages for readers: every file, module and command that they name is there, and their excerpts are true."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

import fpray
from fpray.__main__ import app
from fpray.config.file import check_sweep
from tests.test_architecture import COMMANDS, PACKAGES, ROOT_WORDS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "tests/**/*.md", ".github/**/*.md")
    for page in ROOT.glob(pattern)
)
YAML_FILES = [ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml", *sorted((ROOT / ".github").rglob("*.yml"))]
FOLDERS = ("fpray/", "clusters/", "sweeps/", "docs/", "tests/", "benchmarks/", ".ci/", ".github/")
"""What a path in the repository begins with."""
ENTRY_POINT_GROUPS = {"fpray.methods", "fpray.layouts"}

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    """The page without comments."""
    return COMMENT.sub("", page.read_text(encoding="utf-8"))


def prose_of(page: Path) -> str:
    """The page without comments and fenced code."""
    return FENCED.sub("", text_of(page))


def spans_of(page: Path) -> list[str]:
    """What a page has in backticks."""
    return SPAN.findall(prose_of(page))


def blocks_of(page: Path, language: str) -> list[str]:
    """A page's fenced code in one language."""
    return [code for written, code in FENCED.findall(text_of(page)) if written == language]


def section_of(page: Path, title: str) -> str:
    """A page's text below one of its headings, up to the next of the same level."""
    return re.split(r"^## ", text_of(page).split(f"\n## {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def anchors_of(page: Path) -> set[str]:
    """What links to a page's headings end with."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def options_of(command: Any) -> set[str]:
    """A command's options, with those of its subcommands."""
    own = {option for parameter in command.params for option in parameter.opts}
    return own.union(*(options_of(sub) for sub in getattr(command, "commands", {}).values()))


def has_module(name: str) -> bool:
    if name.split(".")[0] in ("fpray", "benchmarks", "tests"):
        path = ROOT / name.replace(".", "/")
        return path.is_dir() or path.with_suffix(".py").is_file()
    return find_spec(name.split(".")[0]) is not None


def has_name(dotted: str) -> bool:
    """Whether `fpray.x.y` is a module, or a name in one."""
    if has_module(dotted):
        return True
    module, _, name = dotted.rpartition(".")
    return has_module(module) and hasattr(import_module(module), name)


def missing(page: Path) -> Iterator[str]:
    """Paths, modules, commands and options that a page names and that are not there."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    markers = {m.split(":")[0] for m in settings()["tool"]["pytest"]["ini_options"].get("markers", [])}
    for module in re.findall(r"python -m ([\w.]*\w)", text_of(page)):
        if not has_module(module):
            yield module
    for span in spans_of(page):
        if span.startswith(FOLDERS) and not (ROOT / span.split("::")[0]).exists():
            yield span
        if re.fullmatch(r"[\w/-]+\.md", span) and not ((ROOT / span).exists() or (page.parent / span).exists()):
            yield span
        if re.fullmatch(r"fpray(\.\w+)+", span) and span not in ENTRY_POINT_GROUPS and not has_name(span):
            yield span
        if (used := re.match(r"fpray ([a-z]+)", span)) and used[1] not in command.commands:
            yield span
        if (used := re.match(r"(?:fpray )?(--[a-z-]+)", span)) and used[1] not in options_of(command):
            yield span
        if (used := re.fullmatch(r"pytest -m (\w+)", span)) and used[1] not in markers:
            yield span


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(prose_of(page)):
        if not link.startswith(("https://", "http://")):
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "benchmarks"], ids=name_of)
def test_what_pages_name_is_there(page: Path) -> None:
    assert list(missing(page)) == []


def test_benchmarks_that_are_named_are_there() -> None:
    named = re.findall(r"python -m ([\w.]*\w)", text_of(ROOT / "benchmarks/README.md"))
    assert named
    assert all(has_module(module) for module in named)


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`fpray/nothing.py`, `fpray.nothing`, `fpray.errors.Nothing`, `fpray nothing`, `--nothing`, `nothing.md`,\n"
        "`fpray/errors.py`, `fpray.errors.UserError`, `fpray sweep FILE`, `--dry-run`, `README.md`,\n"
        "<!-- `fpray.of_a_comment` -->\n\n    python -m fpray.nowhere\n    python -m fpray.sweep\n"
    )
    assert set(missing(page)) == {
        *("fpray/nothing.py", "fpray.nothing", "fpray.errors.Nothing", "fpray nothing", "--nothing", "nothing.md"),
        "fpray.nowhere",
    }


def test_architecture_lists_the_packages_in_their_order() -> None:
    section = section_of(ROOT / "ARCHITECTURE.md", "The packages")
    assert re.findall(r"^\d+\. `fpray\.(\w+)`", section, re.MULTILINE) == PACKAGES
    assert set(re.findall(r"`fpray/(\w+)\.py`", section)) == ROOT_WORDS | COMMANDS


def test_the_tree_in_the_readme_is_the_repository() -> None:
    tree = re.findall(r"^    (\S+) +\S", section_of(ROOT / "README.md", "The repository"), re.MULTILINE)
    assert len(tree) > 10
    assert [path for path in tree if not (ROOT / path).exists()] == []


def test_every_fault_has_its_tests() -> None:
    sources = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    rows = re.findall(r"^\|.+\|.+\| (test_.+) \|$", text_of(ROOT / "tests/faults/README.md"), re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        module = ""
        for named in row.split(", "):
            found = re.fullmatch(r"(?:(test_\w+)(?:: )?)?(\w*)", named)
            assert found, named
            module = found[1] or module
            assert re.search(rf"^def test_\w*{found[2]}", sources[module], re.MULTILINE), named


@pytest.mark.parametrize("file", YAML_FILES, ids=name_of)
def test_yaml_files_are_mappings(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fpray.__version__
    assert citation["repository-code"] == settings()["project"]["urls"]["Repository"]


def test_the_sweep_file_in_the_readme_is_one() -> None:
    (written,) = blocks_of(ROOT / "README.md", "yaml")
    assert check_sweep(yaml.safe_load(written), "README.md").name == "my-sweep"


@pytest.mark.parametrize("excerpt", blocks_of(ROOT / "CONTRIBUTING.md", "python"), ids=lambda code: code.split("\n")[0])
def test_excerpts_are_of_the_files_that_they_name(excerpt: str) -> None:
    first, *lines = excerpt.splitlines()
    name = first.removeprefix("# ")
    file = {line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()}
    assert [line for line in lines if line.strip() not in {*file, "..."}] == []
