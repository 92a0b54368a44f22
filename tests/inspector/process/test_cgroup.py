"""The CPU quota of control groups: read from their files, and obeyed wherever the number of cores counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from inspector.process.cgroup import cpu_quota
from inspector.process.concurrency import cores

MOUNT = Path("/sys/fs/cgroup")
COUNTS = """
import json, os, sys
import cv2, onnxruntime, psutil, torch
from inspector.bundle.folder import GRAPH
from inspector.process.concurrency import cores
from inspector.daemon.workers import Workers
from inspector.imaging import resize
from inspector.scoring.runtime import DetectorSession
from models.training import pace
before = psutil.Process().num_threads()
DetectorSession(sys.argv[1] + "/" + GRAPH, 0)
extra = psutil.Process().num_threads() - before
print(json.dumps([cores(), Workers(0, 1).threads, cv2.getNumThreads(), torch.get_num_threads(), 1 + extra]))
"""


def quota_of(folder: Path, membership: str, files: Mapping[str, str]) -> float | None:
    """Return the quota that a process with these files would find."""
    (folder / "membership").write_text(membership)
    for name, content in files.items():
        file = folder / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    return cpu_quota(folder / "membership", folder / "groups")


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {}, None),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "200000 100000", "a/b/cpu.max": "max 1000"}, 2.0),
        ("0::/a/b", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/outside/of/the/container", {"cpu.max": "100000 100000"}, 1.0),
        ("0::/../neighbour", {"cpu.max": "300000 100000", "neighbour/cpu.max": "100000 100000"}, 1.0),
        ("0::/", {"cpu.max": "strange"}, None),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"}, 2.5),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        (
            "5:memory:/m\n4:cpu,cpuacct:/docker/1\n0::/",
            {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            2.0,
        ),
        ("3:cpuset:/a", {"cpuset/a/cpu.max": "100000 100000"}, None),
    ],
)
def test_the_smallest_quota_counts(
    tmp_path: Path, membership: str, files: Mapping[str, str], quota: float | None
) -> None:
    """Both versions of control groups are read, with all groups above; an unreadable file is no limit."""
    assert quota_of(tmp_path, membership, files) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    """Without such files, nothing is limited."""
    assert cpu_quota(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 3), (0.2, 1), (1.5, 2), (2.0, 2), (64.0, 3)])
def test_cores_are_the_affinity_within_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    """A quota is rounded up, and never raises the number of cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {1, 4, 7})
    monkeypatch.setattr("inspector.process.concurrency.cpu_quota", lambda: quota)
    assert cores() == expected


def counts(bundle: Path, before: Callable[[], None]) -> list[int]:
    """Return the number of threads of each library in a process that `before` limits."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    ended = subprocess.run(
        [sys.executable, "-c", COUNTS, str(bundle)],
        preexec_fn=before,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[int] = json.loads(ended.stdout)
    return found


def test_every_library_keeps_to_the_affinity(own: Path) -> None:
    """On one core, workers, OpenCV, torch and ONNX Runtime take one thread each."""
    core = min(os.sched_getaffinity(0))
    assert counts(own, lambda: os.sched_setaffinity(0, {core})) == [1, 1, 1, 1, 1]


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a control group that is limited to one processor."""
    if (MOUNT / "cgroup.controllers").exists():
        (MOUNT / "cgroup.subtree_control").write_text("+cpu")
        made, limit = MOUNT / f"inspector-test-{os.getpid()}", ("cpu.max", "100000 100000")
    else:
        made, limit = MOUNT / "cpu" / f"inspector-test-{os.getpid()}", ("cpu.cfs_quota_us", "100000")
    made.mkdir()
    (made / limit[0]).write_text(limit[1])
    yield made
    made.rmdir()


@pytest.mark.system
def test_every_library_keeps_to_the_quota(own: Path, group: Path) -> None:
    """In a control group of one processor, all of them take one thread each."""

    def join() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    assert counts(own, join) == [1, 1, 1, 1, 1]
