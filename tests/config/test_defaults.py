"""A folder keeps the defaults that it was started with; what the file says itself counts."""

from __future__ import annotations

from typing import Any

import pytest

from fpray.config.defaults import todays_defaults, with_kept_defaults
from fpray.config.file import check_sweep, resolved

NOW = todays_defaults()
OLD = resolved(check_sweep({"name": "s", "methods": {"full": {}, "l2": {}}}, "s"))


def after(changed: dict[str, Any], content: dict[str, Any], old: dict[str, Any] = OLD) -> tuple[dict[str, Any], int]:
    """The resolved sweep of a file whose folder was started when some defaults were others; and how many were kept."""
    then = NOW | changed
    for key, value in changed.items():
        *sections, name = key.split(".")
        section = old
        for part in sections:
            section = section[part]
        section[name] = value
    made, lines = with_kept_defaults({"name": "s"} | content, old, then, NOW)
    return resolved(check_sweep(made, "s")), len(lines)


@pytest.fixture
def old() -> dict[str, Any]:
    return resolved(check_sweep({"name": "s", "methods": {"full": {}, "l2": {}}}, "s"))


METHODS: dict[str, Any] = {"methods": ["full", "l2"]}


def test_every_key_of_a_sweep_has_its_default_here() -> None:
    for section in ("train", "search", "resources"):
        assert {key.partition(".")[2] for key in NOW if key.startswith(f"{section}.")} == OLD[section].keys()
    for name, settings in OLD["methods"].items():
        for key, value in settings.items():
            assert NOW[f"methods.{name}.{key}"] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.warmup_steps", 77),
        ("train.seeds", [3]),
        ("search.sampler", "random"),
        ("methods.l2.trials", 5),
        ("methods.full.lr", {"log": [1e-6, 1e-5]}),
        ("methods.l2.strength", {"log": [1e-3, 1.0]}),
    ],
)
def test_a_default_of_then_is_kept(key: str, value: Any, old: dict[str, Any]) -> None:
    now, lines = after({key: value}, METHODS, old)
    *sections, name = key.split(".")
    for section in sections:
        now = now[section]
    assert (now[name], lines) == (value, 1)


@pytest.mark.parametrize(
    ("key", "value", "content"),
    [
        ("train.warmup_steps", 77, {"train": {"warmup_steps": 9}}),
        ("methods.l2.trials", 5, {"methods": {"full": None, "l2": {"trials": 3}}}),
        ("methods.full.lr", {"log": [1e-6, 1e-5]}, METHODS | {"train": {"lr": {"log": [1e-3, 1e-2]}}}),
        ("methods.l2.trials", 5, {"methods": ["full"]}),
    ],
)
def test_what_the_file_says_counts(key: str, value: Any, content: dict[str, Any], old: dict[str, Any]) -> None:
    assert after({key: value}, content, old)[1] == 0


def test_a_key_that_was_set_then_and_is_left_out_now_has_todays_default(old: dict[str, Any]) -> None:
    old["train"]["warmup_steps"] = 5  # the file said so, and the default was 500
    made, lines = with_kept_defaults({"name": "s"} | METHODS, old, dict(NOW), NOW)
    assert lines == [] and "train" not in made


def test_the_difference_is_told(old: dict[str, Any]) -> None:
    old["train"]["warmup_steps"] = 77
    _, lines = with_kept_defaults({"name": "s"} | METHODS, old, NOW | {"train.warmup_steps": 77}, NOW)
    assert lines == ["train.warmup_steps stays 77, the default when this folder was started; today's is 500"]


def test_another_layout_s_defaults_don_t_count(old: dict[str, Any]) -> None:
    then = NOW | {"data.domains.id_val": 0.3, "data.drawnet.train_images": 7}
    old["data"] |= {"train_images": 7, "id_val": 0.3}
    made, lines = with_kept_defaults({"name": "s"} | METHODS, old, then, NOW)
    assert made["data"] == {"train_images": 7} and len(lines) == 1
