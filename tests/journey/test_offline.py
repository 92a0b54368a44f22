"""inspector stays offline: no command looks up a name, sends a packet, or writes to the home folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.journey.program import FIT, PROGRAM, Fitted

ROOT = Path(__file__).parents[2]
SWITCH = "ORT_DISABLE_TELEMETRY"
OBSERVER = ("unshare", "--net", "--mount", sys.executable, "-m", "tests.journey.network_observer")

LIBRARY = "import inspector, onnxruntime; inspector.open_model().score({picture!r})"
DAEMON = """
import os, httpx
from tests.serving import Daemon
del os.environ["ORT_DISABLE_TELEMETRY"]  # the tests' own process has set it
with Daemon() as daemon:
    assert httpx.post(daemon.url + "/v1/score", content=open({picture!r}, "rb").read()).status_code == 200
"""
OUTGOING = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.getaddrinfo("example.com", 443)
with contextlib.suppress(OSError):
    socket.create_connection(("198.51.100.7", 443), 0.2)
"""


def bare_environment(home: Path, store: Path) -> dict[str, str]:
    """Return an environment without anything that would keep a library quiet, such as CI."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}}
    places = {"HOME": home, "TMPDIR": home, "INSPECTOR_STORE": store, "PYTHONPATH": ROOT}
    return kept | {name: str(path) for name, path in places.items()}


def commands(fitted: Fitted, folder: Path) -> dict[str, list[str]]:
    """Return command lines that score pictures in every way."""
    incoming = folder / "incoming"
    incoming.mkdir()
    picture = shutil.copy(fitted.good_part, incoming / "part.png")
    return {
        "score": [*PROGRAM, "score", str(picture)],
        "watch": [*PROGRAM, "watch", str(incoming), "--once", "--settle", "0"],
        "serve": [sys.executable, "-c", DAEMON.format(picture=str(picture))],
        "import": [sys.executable, "-c", LIBRARY.format(picture=str(picture))],
    }


def run(command: Sequence[str], home: Path, store: Path) -> str:
    """Run a command with an empty home folder, which must stay empty, and return its output."""
    ended = subprocess.run(
        command, env=bare_environment(home, store), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert list(home.rglob("*")) == []
    return ended.stdout


@pytest.mark.parametrize("name", ["score", "watch", "serve", "import"])
def test_nothing_is_written_to_the_home_folder(name: str, fitted: Fitted, tmp_path: Path) -> None:
    """Commands, daemon and library leave the home folder and the folder of temporary files empty."""
    run(commands(fitted, tmp_path)[name], tmp_path / "home", fitted.store)


@pytest.mark.system
def test_the_observer_sees_who_reaches_out(tmp_path: Path) -> None:
    """A program that looks up a name and opens a connection is caught at both."""
    said = run([*OBSERVER, sys.executable, "-c", OUTGOING], tmp_path / "home", tmp_path / "store")
    assert json.loads(said)["found"] == ["198.51.100.7 port 443", "look-up of example.com"]


@pytest.mark.system
@pytest.mark.parametrize("name", ["score", "watch", "serve", "import", "fit"])
def test_nothing_leaves_the_computer(name: str, fitted: Fitted, tmp_path: Path) -> None:
    """In a network of its own, no command sends a packet, and none writes to the home folder."""
    store = tmp_path / "store" if name == "fit" else fitted.store
    fit = [*PROGRAM, "fit", str(fitted.normal), "--name", "flange", *FIT]
    command = (commands(fitted, tmp_path) | {"fit": fit})[name]
    said = run([*OBSERVER, *command], tmp_path / "home", store)
    assert json.loads(said) == {"code": 0, "found": []}


@pytest.mark.parametrize("module", ["inspector.scoring.runtime", "models.export.quantise", "tests"])
def test_telemetry_is_off_before_the_runtime_is_imported(module: str, tmp_path: Path) -> None:
    """Whichever module of ours is imported first, ONNX Runtime finds its telemetry switched off."""
    script = f"""
import os, sys
class Gate:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get({SWITCH!r}))
sys.meta_path.insert(0, Gate())
import {module}, onnxruntime
"""
    assert run([sys.executable, "-c", script], tmp_path / "home", tmp_path / "store") == "1\n"
