"""docs/methods.md is what the methods' files and the kept costs give, and takes a new method in by itself."""

from __future__ import annotations

import re
from datetime import date
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from benchmarks.costs import Cost, Costs, Ratio
from docs.methods import MEASURED, page
from fpray.methods import METHODS, TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy
from fpray.space import Log
from fpray.testing import registered

KEPT = Path(__file__).parents[1] / "docs" / "methods.md"
RUN = Costs(
    model="some-clip",
    device="some device",
    precision="fp32",
    batch=8,
    pairs=4,
    torch="2.14",
    day=date(2026, 1, 2),
    full_ms=12.5,
    full_mib=100,
    methods={
        "full": Cost(step=Ratio(median=1, low=0.99, high=1.01), memory=1),
        "kd": Cost(
            step=Ratio(median=1.333, low=1.25, high=1.5), known=Ratio(median=1.03, low=1, high=1.1), memory=1.25
        ),
    },
)


class NewParams(TrainedParams):
    """Of a method of the test's own."""

    strength: Annotated[float, Field(ge=0), Log(0.5, 2.0)]


class New(TrainedMethod[NewParams]):
    """A method that nobody knows yet (arXiv 1234.56789).

        loss = CE + strength * |something|

    It is not there.
    """

    __module__ = "fpray.methods.full"  # as if it were fpray's own
    name = "new"
    Params = NewParams
    builds_on = ("full", "kd")
    needs = "a | b"
    published = (PublishedAccuracy(80.0, 60.5, 4, "SOMEBODY, arXiv 1234.56789, Table 1: twice as long"),)


def section_of(text: str, name: str) -> str:
    return text.split(f"\n## {name}\n")[1].split("\n## ")[0]


def row_of(text: str, name: str) -> list[str]:
    (row,) = re.findall(rf"^\| \[{name}\].*$", text, re.MULTILINE)
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_the_page_is_what_is_printed() -> None:
    runs = [Costs.model_validate_json(file.read_text(encoding="utf-8")) for file in MEASURED]
    assert runs
    assert page(runs) + "\n" == KEPT.read_text(encoding="utf-8"), (
        "write it anew: python -m docs.methods > docs/methods.md"
    )


@pytest.mark.parametrize("name", [name for name in METHODS if name != "given"])
def test_every_method_says_its_formula(name: str) -> None:
    """In a block of its class's docstring, which Markdown shows as one."""
    assert re.search(r"\n\n    \S", cleandoc(METHODS[name].__doc__ or "")), f"{name}: see CONTRIBUTING.md"


def test_a_method_that_trains_has_its_measured_costs() -> None:
    text = page([RUN])
    assert row_of(text, "kd")[3] == "1.33, then 1.03"
    assert "1.33 (1.25 to 1.50) of full fine-tuning's step, then 1.03 (1.00 to 1.10); 1.25 of its" in section_of(
        text, "kd"
    )
    assert row_of(text, "full")[3] == "1.00"
    assert "- some-clip: batches of 8, fp32, some device, torch 2.14, 2026-01-02; 4 pairs" in text


def test_what_was_not_measured_and_what_takes_no_steps_is_said() -> None:
    text = page([RUN])
    assert (row_of(text, "l1")[3], row_of(text, "wise_ft")[3], row_of(text, "zero_shot")[3]) == (
        "not measured",
        "no steps",
        "no steps",
    )


def test_sources_and_what_is_asked_are_needs() -> None:
    text = page([])
    needs = {
        name: row_of(text, name)[2] for name in ("wise_ft", "lp_ft", "model_stock", "greedy_soup", "given", "full")
    }
    assert needs == {
        "wise_ft": "a trial of `full`",
        "lp_ft": "the best trial of `linear_probe`",
        "model_stock": "two seeds of a trial of `full`",
        "greedy_soup": "all trials of `full`; half of the ID validation images",
        "given": "the key `checkpoint`",
        "full": "",
    }


def test_default_ranges_are_those_of_a_sweep_file() -> None:
    kd = section_of(page([]), "kd")
    assert "`{kd: {trials: 8, lr: {log: [3.0e-06, 3.0e-05]}, strength: {log: [0.01, 10.0]}, form: kl," in kd


def test_a_new_method_is_taken_in_without_a_change() -> None:
    with registered(New):
        text = page([RUN])
    assert row_of(text, "new")[2:] == [
        r"a trial of `full` or `kd`; a \| b",
        "not measured",
        "80.0 / 60.5, SOMEBODY",
        "",
    ]
    section = section_of(text, "new")
    assert "A method that nobody knows yet (arXiv [1234.56789](https://arxiv.org/abs/1234.56789))." in section
    assert "\n\n    loss = CE + strength * |something|\n\n" in section
    assert "strength: {log: [0.5, 2.0]}" in section
    assert "- Published: 80.0 / 60.5, the mean of 4 shifts (SOMEBODY, arXiv [1234.56789]" in section


def test_methods_of_other_packages_are_left_out() -> None:
    class Plugged(New):
        __module__ = "elsewhere"
        name = "plugged"

    with registered(Plugged):
        assert "plugged" not in page([])
