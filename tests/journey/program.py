"""Run `inspector` as a user does, on a store of its own, and read its answer."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from inspector.commands.main import main

PROGRAM = (sys.executable, "-m", "inspector")
SIDE = 128
FIT = ("--steps", "30", "--image-size", "64")
LIMIT_SECONDS = 240

Run = subprocess.CompletedProcess[str]


def undocumented(command: str, fields: Iterable[str]) -> set[str]:
    """Return the fields of a command's JSON that its row in the reference does not name."""
    reference = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
    (row,) = [
        line
        for line in reference.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{command}` |")
    ]
    return {field for field in fields if f"`{field}`" not in row}


def environment(store: Path) -> dict[str, str]:
    """Return the environment of a run: one thread, so that the same request gives the same model."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INSPECTOR_")}
    return kept | {"INSPECTOR_STORE": str(store), "INSPECTOR_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(
    *arguments: str | Path,
    store: Path,
    code: int | None = 0,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    program: Sequence[str] | None = None,
    before: Callable[[], None] | None = None,
) -> Run:
    """Run `inspector` to its end, which must come with `code` unless that is None.

    The command line runs in this process, which has loaded torch already.  With `program`, or with a function
    that is called `before`, it runs in a process of its own.
    """
    words = [str(argument) for argument in arguments]
    if program is None and before is None:
        ended = _run_here(words, environment(store), stdin or b"", cwd or Path.cwd())
    else:
        ended = _run_apart([*(program or PROGRAM), *words], environment(store), stdin or b"", cwd, before)
    assert code is None or ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
    return ended


def _run_here(words: list[str], variables: dict[str, str], stdin: bytes, cwd: Path) -> Run:
    """Run the command line in this process, with streams that are pipes to it."""
    streams = [io.TextIOWrapper(io.BytesIO(content), encoding="utf-8") for content in (stdin, b"", b"")]
    with (
        patch.multiple(
            sys, argv=["inspector", *words], stdin=streams[0], stdout=streams[1], stderr=streams[2]
        ),
        patch.dict(os.environ, variables, clear=True),
        chdir(cwd),
        warnings.catch_warnings(),
    ):
        warnings.resetwarnings()  # as in a process of its own, warnings are no errors
        code = main()
    said = []
    for stream in streams[1:]:
        stream.flush()
        said.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(words, code, *said)


def _run_apart(
    command: list[str],
    variables: dict[str, str],
    stdin: bytes,
    cwd: Path | None,
    before: Callable[[], None] | None,
) -> Run:
    """Run a program in a process of its own."""
    done = subprocess.run(
        command,
        env=variables,
        input=stdin,
        capture_output=True,
        cwd=cwd,
        check=False,
        timeout=LIMIT_SECONDS,
        preexec_fn=before,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def not_installed(*packages: str) -> Iterator[None]:
    """Make the import of `packages` fail inside the block; our modules that use them are imported anew."""
    forgotten = {"models", "calibration", *packages}
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] not in forgotten}
    with patch.dict(sys.modules, kept | dict.fromkeys(packages), clear=True):
        yield


def complaint(ended: Run) -> tuple[str, str]:
    """Return the one error and the one hint on stderr; check that there is neither stdout nor a traceback."""
    assert "Traceback" not in ended.stderr, ended.stderr
    assert not ended.stdout, ended.stdout
    lines = ended.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    hints = [line for line in lines if line.startswith("hint: ")]
    assert (len(errors), len(hints)) == (1, 1), ended.stderr
    assert lines[-2:] == [errors[0], hints[0]], ended.stderr
    return errors[0].removeprefix("error: "), hints[0].removeprefix("hint: ")


def listing(folder: Path) -> set[str]:
    """Return the paths of all files and folders below a folder; locks, which are empty, are left out."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in found if not name.startswith(".locks")}


def rows(ended: Run) -> list[dict[str, Any]]:
    """Read the output of `--format jsonl`."""
    return [json.loads(line) for line in ended.stdout.splitlines()]


@dataclass(frozen=True)
class Fitted:
    """A store with one model `flange`, fitted through the command line; nobody may change it."""

    store: Path
    data: Path
    outcome: dict[str, Any]
    said: str

    @property
    def normal(self) -> Path:
        """Folder with the good pictures of the fit, and a few bad files."""
        return self.data / "train" / "good"

    @property
    def test(self) -> Path:
        """Labelled pictures in the layout of MVTec."""
        return self.data / "test"

    @property
    def bundle(self) -> Path:
        """Folder of the model."""
        return self.store / "flange" / "versions" / "1"

    @property
    def good_part(self) -> Path:
        """A good part that the model has not seen."""
        return self.test / "good" / "000.png"

    @property
    def broken_part(self) -> Path:
        """A part so damaged that even a model of a few steps finds it."""
        return self.test / "broken" / "000.png"
