"""Under `--no-skips` a skip is a failure, wherever it is; an expected failure is none."""

from __future__ import annotations

import pytest

SKIPS = {
    "in a test": "def test_one(): pytest.skip('no tool')",
    "in a fixture": "@pytest.fixture\ndef tool(): pytest.skip('no tool')\ndef test_one(tool): pass",
    "by a mark": "@pytest.mark.skip('no tool')\ndef test_one(): pass",
    "of a module": "pytest.skip('no tool', allow_module_level=True)",
}


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(f"import pytest\n{source}")
    return pytester.runpytest("-p", "tests.no_skips", *options)


@pytest.mark.parametrize("where", SKIPS)
def test_a_skip_fails_only_with_the_option(pytester: pytest.Pytester, where: str) -> None:
    assert run(pytester, SKIPS[where]).parseoutcomes() == {"skipped": 1}
    told = run(pytester, SKIPS[where], "--no-skips")
    assert told.ret != 0
    assert told.parseoutcomes().keys() <= {"failed", "error", "errors"}
    told.stdout.fnmatch_lines("*--no-skips: *no tool*")


def test_what_passes_and_what_fails_as_expected_is_let_be(pytester: pytest.Pytester) -> None:
    source = "def test_one(): pass\n@pytest.mark.xfail\ndef test_two(): assert False"
    assert run(pytester, source, "--no-skips").parseoutcomes() == {"passed": 1, "xfailed": 1}
