"""A running `inspector watch`, and how tests read the files that it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import pytest

import inspector
from inspector.imaging.encode import encode_png
from inspector.types import Verdict
from inspector.watch.arrival import Arrival, Modification
from inspector.watch.journal import WatchedImage
from tests.inspector.tiny_bundle import bad_picture, good_picture

SETTLE = 0.3
QUICK = ("--settle", str(SETTLE), "--interval", "0.05")

GOOD = encode_png(good_picture(101))
BAD = encode_png(bad_picture(102))


def write(path: Path, content: bytes) -> Path:
    """Write a file and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def rows(results: Path) -> list[dict[str, Any]]:
    """All lines of a results file; each must be whole."""
    text = results.read_text() if results.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def rows_so_far(results: Path) -> list[str]:
    """The lines that are whole at this moment."""
    return results.read_text().split("\n")[:-1] if results.exists() else []


def told(results: Path) -> list[tuple[str, str]]:
    """Name and verdict of each line, in order."""
    return [(Path(row["path"]).name, row["verdict"]) for row in rows(results)]


def contents(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder, hidden ones included, by relative path."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


def names(folder: Path) -> set[str]:
    """Relative paths of all files below a folder, while files are being renamed."""
    found = (Path(place, name) for place, _, files in os.walk(folder) for name in files)
    return {path.relative_to(folder).as_posix() for path in found if path.is_file()}


def pictures(folder: Path) -> set[str]:
    """Names of the pictures in a folder."""
    return {name for name in names(folder) if name.endswith(".png")}


def fill(filler: Path) -> None:
    """Fill a disk."""
    with suppress(OSError), filler.open("wb", buffering=0) as stream:
        while stream.write(b"0" * 1024):
            pass


@contextmanager
def other_disk(place: Path) -> Iterator[Path]:
    """A small disk in memory at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


class Watcher:
    """A running `inspector watch`; the `with` block ends it by SIGTERM, and it must exit with 0."""

    def __init__(
        self, *arguments: str | Path, program: tuple[str, ...] = ("-m", "inspector"), **options: Any
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, "watch", *map(str, arguments), *QUICK],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.said: list[str] = []
        self.printed: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self.process.stderr, self.said), (self.process.stdout, self.printed))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0, self.said
        self._join()

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._join()

    def ended(self) -> int:
        """Wait until the process has ended by itself."""
        code = self.process.wait(30)
        self._join()
        return code

    def _join(self) -> None:
        for reader in self._readers:
            reader.join()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            lines.extend(line.rstrip("\n") for line in iter(stream.readline, ""))


def line_of(path: Path | str, verdict: Verdict = "pass", mtime_ns: int = 1) -> WatchedImage:
    """A line of the results."""
    example = {
        "threshold": 3.0,
        "regions": (),
        "model": {"name": "tiny", "version": 1, "digest": "sha256:0"},
        "milliseconds": {"decode": 1, "infer": 1, "decide": 1},
    }
    empty = dict.fromkeys(("score", "p_value", "components", "image", "reason", "heatmap"))
    state = Modification(mtime_ns, 5, mtime_ns + 1, f"sha256:{mtime_ns:064x}")
    return WatchedImage(**example, **empty, path=str(path), verdict=verdict, modified=state)


def arrived(path: Path) -> Arrival:
    """The arrival of a file in its present state."""
    return Arrival(str(path), Modification.of(path.stat(), path.lstat()))


def refusal(work: Callable[[], object]) -> str:
    """The message of an `InspectorError`."""
    with pytest.raises(inspector.InspectorError) as caught:
        work()
    return caught.value.message
