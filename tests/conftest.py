"""What every test gets: a store of its own, and a session that fails when a test did not run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Mount = Callable[[str], Path]
MakeOnce = Callable[[str, Callable[[Path], object]], Path]

# Shared machines are slow at times: a deadline would report the machine, not the code.
settings.register_profile("inspector", deadline=None, derandomize=True)
settings.load_profile("inspector")

# A shell makes jobs in the background ignore Ctrl-C, and whatever they start; these tests are about Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Fixtures that need root or a program beside Python; their tests are marked `system`.
SYSTEM_FIXTURES = {"browser", "mount"}

BROWSER_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

NOT_RUN = ("skipped", "xfailed", "xpassed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skips``."""
    parser.addoption(
        "--no-skips", action="store_true", help="fail if any test is skipped or expected to fail"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests `system` whose fixtures need root or a program beside Python."""
    for item in items:
        if SYSTEM_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("system")


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


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Make a small disk in memory, or mount that disk again with other options; needs root."""
    disk = tmp_path / "disk"

    def make(options: str) -> Path:
        if disk.exists():
            options = f"remount,{options}"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
        return disk

    yield make
    if disk.exists():
        subprocess.run(["umount", disk], check=True)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Fill a folder once for all tests of the session, in whichever process they run; tests only read it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, complete = root / name, root / f"{name}.complete"
        with FileLock(root / f"{name}.lock"):
            if not complete.exists():
                folder.mkdir()
                fill(folder)
                complete.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless.  Playwright allows one in a process, so all tests share it."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program, "chromium is missing; install it: make system"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=[*BROWSER_FLAGS])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return Path(__file__).parents[1]
