"""The number of a file's format: none is 1, a newer one is refused in a sentence."""

from __future__ import annotations

import pytest

from fpray.errors import UserError
from fpray.formats import FORMAT, format_of


def test_a_file_without_a_number_is_of_the_first_format() -> None:
    assert format_of({}, "a.yaml") == 1
    assert format_of({"format": FORMAT}, "a.yaml") == FORMAT


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        UserError, match=rf"'a.yaml' was written by a newer fpray, in format {FORMAT + 1}.*update fpray"
    ):
        format_of({"format": FORMAT + 1}, "a.yaml")


@pytest.mark.parametrize("written", [0, -1, "2", 1.0, True, None])
def test_what_no_version_wrote_is_no_number(written: object) -> None:
    with pytest.raises(ValueError, match="is not the number of a format"):
        format_of({"format": written}, "a.yaml")
