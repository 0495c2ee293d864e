"""Mistakes that a user can mend: hints for mistyped words, and messages without secrets."""

from __future__ import annotations

import pytest

from fpray.errors import UserError, did_you_mean, message_of


def test_case_does_not_matter() -> None:
    assert did_you_mean("Embedded", ["embedded", "ViT-B-32"]) == "did you mean 'embedded'?"
    assert did_you_mean("VIT-B-32", ["embedded", "ViT-B-32"]) == "did you mean 'ViT-B-32'?"


def test_what_is_but_half_alike_is_not_meant() -> None:
    assert did_you_mean("imagefolder", ["imagenet", "domains"]) == "known are: domains, imagenet"
    assert did_you_mean("l3", ["kd", "l2"]) == "did you mean 'l2'?"


def test_no_more_than_ten_are_listed() -> None:
    ten = list("abcdefghij")
    assert did_you_mean("zzz", ten) == "known are: a, b, c, d, e, f, g, h, i, j"
    assert did_you_mean("zzz", [*ten, "k", "l"]) == "known are: a, b, c, d, e, f, g, h, i, j, ... and 2 more"


def test_the_nearest_known_word_is_named_or_else_all() -> None:
    known = ["full", "lora", "linear_probe"]
    assert did_you_mean("linear-prob", known) == "did you mean 'linear_probe'?"
    assert did_you_mean("lorra", known) == "did you mean 'lora'?"
    assert did_you_mean("zzz", known) == "known are: full, linear_probe, lora"
    assert did_you_mean("anything", iter(["b", "a"])) == "known are: a, b"


def test_what_is_said_of_a_mistake_shows_no_secret() -> None:
    assert str(UserError("can't reach http://user:pw@host")) == "can't reach http://***@host"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x/Y"), "no such file or directory"),
        (ValueError("Can't read 'A.png'.\n  Try again."), "can't read 'A.png'. Try again"),
        (KeyError("name"), "'name'"),
        (TimeoutError(), "timeoutError"),
    ],
)
def test_the_message_of_an_error_is_a_part_of_a_sentence(error: Exception, message: str) -> None:
    assert message_of(error) == message
