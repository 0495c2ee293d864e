"""The hint for a mistyped word."""

from __future__ import annotations

from fpray.errors import did_you_mean


def test_the_nearest_known_word_is_named_or_else_all() -> None:
    known = ["full", "lora", "linear_probe"]
    assert did_you_mean("linear-prob", known) == "did you mean 'linear_probe'?"
    assert did_you_mean("lorra", known) == "did you mean 'lora'?"
    assert did_you_mean("zzz", known) == "known are: full, linear_probe, lora"
    assert did_you_mean("anything", iter(["b", "a"])) == "known are: a, b"
