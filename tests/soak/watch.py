"""Kill a watch while pictures come, change and go: each picture that arrives gets one whole line."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from inspector.watch.arrival import Arrival, Modification
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.soak.load import together
from tests.soak.program import PROGRAM, demand, environment, finish, say

SETTLE_SECONDS = 0.3
WRITERS = 4
CELLS = 7
LATE_SECONDS = 120.0

Content = tuple[bytes, str]  # the bytes of a picture, and its verdict


def key_of(path: str | Path, mtime_ns: int, size_bytes: int, digest: str | None) -> str:
    """Return a key for a picture; the time of change is left out, because a rename changes it."""
    return Arrival(str(path), Modification(mtime_ns, size_bytes, None, digest)).key


def digest(content: bytes) -> str:
    """Return the digest of a picture as in its line."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Results:
    """The growing results file; its last line may be incomplete while no watcher runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: Counter[str] = Counter()  # by `key_of`
        self.verdicts: dict[str, str] = {}
        self._read_bytes = 0

    def read(self) -> int:
        """Read the new lines, which must be JSON, and return the number of all lines."""
        if self.path.exists():
            with self.path.open("rb") as stream:
                stream.seek(self._read_bytes)
                self._take(stream.read())
        return self.lines.total()

    def _take(self, content: bytes) -> None:
        whole = content[: content.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            row = json.loads(line)
            state = Modification(**row["modified"])
            key = key_of(row["path"], state.mtime_ns, state.size_bytes, state.digest)
            self.verdicts[key] = row["verdict"]
            self.lines[key] += 1


class Line:
    """Four stations that put pictures into a folder, and remember each state that they made.

    Attributes
    ----------
    stayed : dict
        Verdict of each state that stayed until it had its line, or stays to the end.
    times : Counter
        How often each of these states arrived.
    passing : set
        Every state that ever was, those of files that were still being written included.
    """

    def __init__(self, folder: Path, results: Results, seed: int, *, moved: bool) -> None:
        self.folder, self.results, self.moved = folder, results, moved
        self.stayed: dict[str, str] = {}
        self.times: Counter[str] = Counter()
        self.passing: set[str] = set()
        self.kinds: Counter[str] = Counter()
        self._rng = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._lock = threading.Lock()
        self._contents = contents()

    def run(self, files: int) -> None:
        """Put `files` pictures into the folder, from several threads."""
        left = iter(range(files))

        def station() -> None:
            while True:
                with self._lock:
                    number = next(left, None)
                    kind = self._rng.choice(
                        ("slow", "renamed", "renamed", "modified", "removed", "twin", "again")
                    )
                    first, second = self._rng.sample(self._contents, 2)
                if number is None:
                    return
                self.kinds[kind] += 1
                getattr(self, f"_{kind}")(
                    self.folder / f"cell-{number % CELLS}" / f"{number}.png", first, second
                )
                time.sleep(0.02)

        for number in range(CELLS):
            (self.folder / f"cell-{number}").mkdir()
        together([station] * WRITERS)

    def _slow(self, path: Path, content: Content, _other: Content) -> None:
        """Write a picture in place, piece by piece."""
        self._stays(self._write(path, content), content)

    def _renamed(self, path: Path, content: Content, _other: Content) -> None:
        """Write a picture elsewhere, and rename it into place."""
        self._stays(self._rename(path, content), content)

    def _modified(self, path: Path, content: Content, other: Content) -> None:
        """Replace or overwrite pictures, half before they settle, the others after they have a line."""
        key = self._rename(path, content)
        with self._lock:
            early, change = self._rng.random() < 0.5, self._rng.choice((self._rename, self._write))
        if early:
            time.sleep(SETTLE_SECONDS / 3)
        else:
            self._stays(key, content)
            self._wait_for(path, key)
        self._stays(change(path, other), other)

    def _twin(self, path: Path, content: Content, other: Content) -> None:
        """Replace a judged picture by another one of its size and time, in one of several ways."""
        size = max(len(content[0]), len(other[0]))
        first, second = ((bytes_.ljust(size, b"\0"), verdict) for bytes_, verdict in (content, other))
        key = self._rename(path, first)
        self._stays(key, first)
        self._wait_for(path, key)
        mtime_ns = time.time_ns() if self.moved else path.stat().st_mtime_ns
        with self._lock:
            change = self._rng.choice((self._rename, self._overwrite, self._recreate))
        self._stays(change(path, second, mtime_ns), second)

    def _again(self, path: Path, content: Content, other: Content) -> None:
        """Bring the very same picture once more after the first one was moved away."""
        mtime_ns = time.time_ns()
        key = self._rename(path, content, mtime_ns)
        self._stays(key, content)
        self._wait_for(path, key)
        if self.moved:
            self._stays(self._rename(path, content, mtime_ns), content)

    def _removed(self, path: Path, content: Content, _other: Content) -> None:
        """Remove a picture at about the moment when it settles."""
        self._rename(path, content)
        with self._lock:
            seconds = self._rng.uniform(0, 2 * SETTLE_SECONDS)
        time.sleep(seconds)
        path.unlink(missing_ok=True)

    def _write(self, path: Path, content: Content) -> str:
        with path.open("wb", buffering=0) as stream:
            key = self._passes(path, os.fstat(stream.fileno()), b"")
            for start in range(0, len(content[0]), 2500):
                time.sleep(SETTLE_SECONDS / 6)
                stream.write(content[0][start : start + 2500])
                key = self._passes(path, os.fstat(stream.fileno()), content[0][: start + 2500])
        return key

    def _rename(self, path: Path, content: Content, mtime_ns: int | None = None) -> str:
        staged = path.with_name(f".{path.name}")
        staged.write_bytes(content[0])
        if mtime_ns is not None:
            os.utime(staged, ns=(mtime_ns, mtime_ns))
        key = self._passes(path, staged.stat(), content[0])
        staged.rename(path)
        return key

    def _overwrite(self, path: Path, content: Content, mtime_ns: int) -> str:
        if self.moved:
            return self._rename(path, content, mtime_ns)
        with path.open("r+b", buffering=0) as stream:
            stream.write(content[0])
            self._passes(path, os.fstat(stream.fileno()), content[0])
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return self._passes(path, path.stat(), content[0])

    def _recreate(self, path: Path, content: Content, mtime_ns: int) -> str:
        path.unlink(missing_ok=True)
        return self._rename(path, content, mtime_ns)

    def _passes(self, path: Path, status: os.stat_result, content: bytes) -> str:
        key = key_of(path, status.st_mtime_ns, status.st_size, digest(content))
        with self._lock:
            self.passing.add(key)
        return key

    def _stays(self, key: str, content: Content) -> None:
        with self._lock:
            self.stayed[key] = content[1]
            self.times[key] += 1

    def _wait_for(self, path: Path, key: str) -> None:
        """Wait until the picture has its line, and is moved away if it is to be."""
        _until(lambda: self.results.lines[key] and not (self.moved and path.exists()), "a line")


def contents() -> list[Content]:
    """Return pictures that pass, that fail and that are truncated."""
    good = [(encode_png(good_picture(seed)), "pass") for seed in range(12)]
    bad = [(encode_png(bad_picture(seed)), "fail") for seed in range(12)]
    return [*good, *bad, *((content[: -100 - seed], "invalid") for seed, (content, _) in enumerate(good[:6]))]


def verify(files: int, kills: int, seed: int) -> None:
    """Run once without and once with `--move`, each time with all files and all kills."""
    for moved in (False, True):
        _prove(files, kills, seed, moved=moved)


def _prove(files: int, kills: int, seed: int, *, moved: bool) -> None:
    rng = random.Random(seed + 1)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as place:
        folder, sorted_ = Path(place) / "incoming", Path(place) / "sorted"
        folder.mkdir()
        Store(Path(place) / "store").publish("tiny", tiny_fill())
        command = [*PROGRAM, "watch", str(folder), "--settle", str(SETTLE_SECONDS), "--interval", "0.1"]
        command += ["--move", str(sorted_)] if moved else []
        results = Results(folder / "inspections.jsonl")
        line = Line(folder, results, seed, moved=moved)
        feeding = threading.Thread(target=line.run, args=(files,), daemon=True)
        began = time.monotonic()
        feeding.start()
        _kill_again_and_again(command, Path(place), line, kills, rng, feeding)
        with _start(command, Path(place)) as last:
            while feeding.is_alive():
                results.read()
                time.sleep(0.03)
            _until(lambda: results.read() and not _missing(line), "the last lines")
            _until(lambda: not moved or not left_over(folder), "the last moves")
            time.sleep(4 * SETTLE_SECONDS)
            last.send_signal(signal.SIGTERM)
            said = last.communicate(timeout=30)[1]
        demand((last.returncode, said) == (0, ""), f"it ended with {last.returncode}: {said}")
        seconds = time.monotonic() - began
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(line.kinds.items()))
        say(f"{files} files in {seconds:.0f} s: {kinds}; {kills} kills")
        _judge(line, sorted_ if moved else None)


def _kill_again_and_again(
    command: list[str], place: Path, line: Line, kills: int, rng: random.Random, feeding: threading.Thread
) -> None:
    """Start and kill watchers while pictures come; after every second one, half a line is left."""
    results = line.results
    for number in range(1, kills + 1):
        with _start(command, place) as process:
            before, end = results.read(), time.monotonic() + rng.uniform(0.5, 8)
            while time.monotonic() < end or results.read() == before:
                demand(process.poll() is None, "a watcher ended by itself")
                demand(feeding.is_alive(), f"all files were there before kill {number}; give more files")
                results.read()
                time.sleep(0.03)
            process.kill()
            said = process.communicate()[1]
        demand(not said, f"a watcher said: {said}")
        whole = results.read()
        if number % 2:
            content = results.path.read_bytes()
            last = content[content.rfind(b"\n", 0, -1) + 1 :]
            with results.path.open("ab") as stream:
                stream.write(last[: rng.randrange(1, len(last))])
        say(f"{number:3d}: killed with {whole} lines{' and half a line' if number % 2 else ''}")


@contextmanager
def _start(command: list[str], place: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a watcher, and end it with the block."""
    with subprocess.Popen(
        command,
        env=environment(place / "store", threads=1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _missing(line: Line) -> set[str]:
    return {key for key, times in line.times.items() if line.results.lines[key] < times}


def left_over(folder: Path) -> list[str]:
    """Return pictures that are still in the watched folder, or on the way to their verdict's folder."""
    return [path.name for path in folder.rglob("*.png") if not path.name.startswith(".")]


def _judge(line: Line, sorted_: Path | None) -> None:
    """Compare the results file with the states that the stations made."""
    demand(line.results.path.read_bytes().endswith(b"\n"), "the last line is not whole")
    results = Results(line.results.path)
    results.read()
    lines, verdicts = results.lines, results.verdicts
    demand(not _missing(line), f"{len(_missing(line))} states that stayed have no line")
    twice = [key for key, count in lines.items() if count > max(line.times[key], 1)]
    demand(not twice, f"{len(twice)} states have more lines than arrivals")
    strange = lines.keys() - line.passing
    demand(not strange, f"{len(strange)} lines are of states that never were")
    wrong = [key for key, verdict in line.stayed.items() if verdicts[key] != verdict]
    demand(not wrong, f"{len(wrong)} states have the verdict of another")
    say(
        f"{lines.total()} lines, each whole and once: {line.times.total()} of pictures that stayed, "
        f"{lines.total() - line.times.total()} of pictures that passed; {dict(Counter(verdicts.values()))}"
    )
    if sorted_ is not None:
        _judge_sorted(line, sorted_)


def _judge_sorted(line: Line, sorted_: Path) -> None:
    """Check that each state that stayed is once in its verdict's folder; other files there have a line."""
    known, found = dict(contents()), Counter[str]()
    for path in sorted_.rglob("*"):
        if path.is_file():
            demand(path.suffix == ".png" and not path.name.startswith("."), f"left behind: {path}")
            number = int(path.stem.partition("_")[0])
            origin = line.folder / f"cell-{number % CELLS}" / f"{number}.png"
            status, content = path.stat(), path.read_bytes()
            key = key_of(origin, status.st_mtime_ns, status.st_size, digest(content))
            found[key] += 1
            demand(line.results.verdicts.get(key) == path.parent.name, f"{path} is not what its line says")
            demand(known.get(content.rstrip(b"\0"), "invalid") == path.parent.name, f"{path}: wrong folder")
    demand(line.stayed.keys() <= found.keys(), f"{len(line.stayed.keys() - found.keys())} are not moved")
    twice = [key for key, count in found.items() if count > max(line.times[key], 1)]
    demand(not twice, f"{len(twice)} pictures are there more often than they arrived")
    say(f"{len(found)} pictures in their folders, each once, and none left behind")


def _until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LATE_SECONDS
    while not holds():
        demand(time.monotonic() < end, f"waited {LATE_SECONDS:.0f} s for {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.files, options.kills, options.seed)))
