"""The share of the processors that Linux control groups, and so containers and units, leave to this process.

References
----------
- Linux kernel documentation, "Control Group v2", interface file `cpu.max`.
- Linux kernel documentation, "CFS Bandwidth Control", the files of version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


def cpu_quota(membership: Path = MEMBERSHIP, root: Path = ROOT) -> float | None:
    """Return the processors that this process may use on average, such as 1.5; None without a limit.

    A limit of a group holds for all groups below it, so the smallest one counts.

    Parameters
    ----------
    membership : Path
        The groups of this process, one on each line: `number:controllers:path`.
    root : Path
        The folder at which the control groups are mounted.
    """
    limits = [quota for folder in _folders(membership, root) if (quota := _quota(folder)) is not None]
    return min(limits, default=None)


def _folders(membership: Path, root: Path) -> Iterator[Path]:
    """Yield the folders of all groups that may limit the processors; some may not exist.

    A container sees its own group as the root, but may be told its path outside: so all shorter paths are
    yielded, too.
    """
    for line in (_read(membership) or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [root / controllers, root / "cpu"] if controllers else [root, root / "unified"]
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        for mount in mounts:
            yield from (mount.joinpath(*parts[:length]) for length in range(len(parts) + 1))


def _quota(folder: Path) -> float | None:
    """Return the limit of one group: time for each period, divided by the period; None without a limit."""
    words = (_read(folder / "cpu.max") or "").split()  # version 2: "150000 100000" or "max 100000"
    if not words:  # version 1: two files, and -1 for no limit
        words = [_read(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    try:
        time, period = map(int, words)
    except ValueError:
        return None
    return time / period if time > 0 and period > 0 else None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
