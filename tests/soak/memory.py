"""A fit on 10,000 pictures of 512 px takes at most 1.5 GB more anonymous memory than one on 500."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

from inspector.demo.photograph import render
from inspector.imaging.encode import encode_jpeg
from tests.soak.program import PROGRAM, demand, environment, finish, say

LIMIT_GB = 1.5
SIDE = 512
SAMPLE_SECONDS = 0.2


def verify(many: int, few: int, steps: int) -> None:
    """Render, fit on both numbers of pictures, and compare the peaks."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _render(folder / "many", range(many))
        (folder / "few").mkdir()
        for path in sorted((folder / "many").iterdir())[:few]:
            os.link(path, folder / "few" / path.name)
        peaks = {name: _peak(folder, name, steps) for name in ("few", "many")}
    more = peaks["many"] - peaks["few"]
    say(f"{few} pictures: {peaks['few']:.2f} GB, {many} pictures: {peaks['many']:.2f} GB, {more:+.2f} GB")
    demand(more <= LIMIT_GB, f"{more:.2f} GB more, allowed are {LIMIT_GB}")


def _render(folder: Path, seeds: range) -> None:
    folder.mkdir()
    began = time.monotonic()
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(_write, ((folder, seed) for seed in seeds), chunksize=20):
            pass
    say(f"rendered {len(seeds)} pictures of {SIDE} px in {time.monotonic() - began:.0f} s")


def _write(job: tuple[Path, int]) -> None:
    folder, seed = job
    (folder / f"{seed:05d}.jpg").write_bytes(encode_jpeg(render(seed, size=SIDE).picture))


def _peak(folder: Path, name: str, steps: int) -> float:
    """Fit, and return the largest sum of anonymous memory of the process and its children, in GB."""
    command = [*PROGRAM, "fit", str(folder / name), "--steps", str(steps), "--format", "json"]
    began, peak = time.monotonic(), 0
    with (
        (folder / f"{name}.log").open("w+b") as log,
        subprocess.Popen(
            command, env=environment(folder / "store"), stdout=subprocess.DEVNULL, stderr=log
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, sum(map(anonymous_bytes, _family(process.pid))))
            time.sleep(SAMPLE_SECONDS)
        log.seek(0)
        demand(process.returncode == 0, f"fit on {name}: {log.read().decode()}")
    say(f"fit on {name} took {time.monotonic() - began:.0f} s, at most {peak / 1e9:.2f} GB")
    return peak / 1e9


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:  # it has just ended
            continue
    return [pid, *chain.from_iterable(map(_family, found))]


def anonymous_bytes(pid: int) -> int:
    """Return `RssAnon` of a process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.many, options.few, options.steps)))
