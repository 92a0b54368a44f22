"""The output of a watch on terminals and in pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inspector.commands.test_score import on_terminal
from tests.inspector.watch.watching import BAD, GOOD, QUICK, write


@pytest.mark.parametrize("pictures", [1, 3])
def test_a_reader_that_goes_away_ends_it(folder: Path, pictures: int) -> None:
    """When the reader of the pipe ends, the watch ends, too, even if no further picture comes."""
    script = f"{sys.executable} -m inspector watch {folder} --output - {' '.join(QUICK)} | head -n 1"
    for number in range(pictures):
        write(folder / f"{number}.png", GOOD)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (141, "")
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_a_terminal_sees_how_it_goes(folder: Path) -> None:
    """On a terminal one status line counts the verdicts, and problems stay readable above it."""
    write(folder / "a [1].png", GOOD)
    write(folder / "b.png", BAD)
    results = folder / "inspections.jsonl"
    results.write_text("a note\n")
    seen = on_terminal("watch", folder, "--once", *QUICK, TERM="xterm", COLUMNS="200")
    assert "incoming: 2 images: 1 pass, 1 fail, 2 in the last minute; last b.png fail" in seen
    assert "1 line not written by inspector watch" in seen
    assert seen.rstrip().endswith("2 images: 1 pass, 1 fail")


def test_printed_lines_are_not_mixed_with_the_status(folder: Path) -> None:
    """If the results go to the terminal, there is no status line."""
    write(folder / "a.png", GOOD)
    words = ("watch", folder, "--once", "--output", "-", *QUICK)
    assert json.loads(on_terminal(*words, "--format", "jsonl", TERM="xterm"))["verdict"] == "pass"
    header, model, row = on_terminal(*words, TERM="dumb").splitlines()
    assert model == "model tiny@1"
    assert (header.split()[0], row.split()[0]) == ("verdict", "pass")
