"""`--no-skips` turns a test that did not run into a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

QUICKLY = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:pytest_cov")  # what starts slowly
CASES = {
    "skip": "import pytest\ndef test_it(): pytest.skip('not here')",
    "mark": "import pytest\n@pytest.mark.skip(reason='not now')\ndef test_it(): pass",
    "module": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass",
    "xfail": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False",
}


@pytest.fixture
def inner(pytester: pytest.Pytester, project: Path) -> pytest.Pytester:
    """A small project with this project's own conftest and one test that passes."""
    pytester.makeconftest((project / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(test_passes="def test_it(): pass")
    return pytester


def test_a_test_that_did_not_run_fails_the_session(inner: pytest.Pytester) -> None:
    """With `--no-skips` skipped and expectedly failing tests fail the session, and each is named."""
    inner.makepyfile(**{f"test_{name}": source for name, source in CASES.items()})
    assert inner.runpytest_subprocess(*QUICKLY).ret == pytest.ExitCode.OK
    result = inner.runpytest_subprocess(*QUICKLY, "--no-skips", "-n", "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for name in CASES:
        result.stdout.fnmatch_lines([f"--no-skips: test_{name}.py* was *"])


def test_a_session_where_everything_ran_passes(inner: pytest.Pytester) -> None:
    """With `--no-skips` and nothing left out the session passes."""
    assert inner.runpytest_subprocess(*QUICKLY, "--no-skips", "-n", "1").ret == pytest.ExitCode.OK
