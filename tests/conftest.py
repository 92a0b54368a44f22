"""What every test gets: a store of its own, and a session that fails when a test did not run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines are slow at times: a deadline would report the machine, not the code.
settings.register_profile("inspector", deadline=None, derandomize=True)
settings.load_profile("inspector")

# A shell makes jobs in the background ignore Ctrl-C, and whatever they start; these tests are about Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOT_RUN = ("skipped", "xfailed", "xpassed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skips``."""
    parser.addoption(
        "--no-skips", action="store_true", help="fail if any test is skipped or expected to fail"
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a session with tests that did not run into a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--no-skips") or reporter is None:
        return
    left_out = [report for outcome in NOT_RUN for report in reporter.stats.get(outcome, ())]
    if left_out and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests did not run, where that is a failure."""
    if not config.getoption("--no-skips"):
        return
    for outcome in NOT_RUN:
        for report in terminalreporter.stats.get(outcome, ()):
            terminalreporter.write_line(f"--no-skips: {report.nodeid} was {outcome}", red=True)


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's models out of every test, and the tests out of the user's models."""
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path_factory.mktemp("store") / "inspector"))


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return Path(__file__).parents[1]
