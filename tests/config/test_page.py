"""The page of the sweep file's keys has every key, with its default and its sentence."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from fpray.config.page import sweep_page
from fpray.config.schema import Resources, Search, Sweep, Tracking
from fpray.config.train import Train
from fpray.data import DATASETS
from fpray.methods import METHODS, TrainedMethod, TrainedParams
from fpray.section import Section
from fpray.space import Constant
from fpray.testing import registered


@pytest.fixture(scope="module")
def page() -> str:
    return sweep_page()


def part_of(page: str, heading: str) -> str:
    """The page below a heading, up to the next."""
    return page.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def test_the_keys_of_the_whole_file_are_there(page: str) -> None:
    rows = part_of(page, "## The whole file")
    for key in (*Sweep.model_fields, "format"):
        assert f"\n| `{key}` |" in rows
    assert "| `storage` | `fpray-results` | text |" in rows
    assert "| [keys](#train) or `null` |" in rows


@pytest.mark.parametrize("section", [Train, Search, Resources, Tracking])
def test_each_section_has_its_keys_with_their_sentences(page: str, section: type[Section]) -> None:
    rows = part_of(page, f"## {section.__name__.lower()}")
    for key, field in section.model_fields.items():
        assert f"\n| `{key}` |" in rows
        assert f"| {' '.join(str(field.description).split())} |" in rows


@pytest.mark.parametrize("name", list(DATASETS))
def test_each_layout_has_its_keys(page: str, name: str) -> None:
    rows = part_of(page, f"### {name}")
    for key in DATASETS[name].Options.model_fields.keys() - {"layout"}:
        assert f"\n| `{key}` |" in rows


@pytest.mark.parametrize("name", list(METHODS))
def test_each_method_has_its_hyperparameters(page: str, name: str) -> None:
    rows = part_of(page, f"### {name}")
    assert f"By default {METHODS[name].default_trials} trial" in rows
    for key in METHODS[name].Params.model_fields:
        assert f"\n| `{key}` |" in rows


def test_defaults_stand_as_a_file_has_them(page: str) -> None:
    assert "| `rank` | `{choice: [4, 8, 16, 32, 64]}` | whole number ≥ 1 or" in part_of(page, "### lora")
    assert "| `root` | required | text |" in part_of(page, "### domains")
    assert "| `folders.val` | `imagenet/val` |" in part_of(page, "### imagenet")
    assert "| `ood.NAME.test` | required |" in part_of(page, "### webdataset")
    assert "| `augment.scale` | `[0.9, 1.0]` | [number > 0" in part_of(page, "## train")
    assert "| `augment.randaugment.ops` | `2` | whole number ≥ 1 |" in part_of(page, "## train")


def test_what_an_installed_package_offers_is_there_even_without_sentences() -> None:
    class BareParams(TrainedParams):
        depth: Annotated[int, Field(ge=1), Constant(2)]

    class Bare(TrainedMethod[BareParams]):
        name = "bare"
        Params = BareParams

    with registered(Bare):
        page = sweep_page()
    assert "| `depth` | `2` | whole number ≥ 1 or [dimension](#search-dimensions) |  |" in part_of(page, "### bare")
