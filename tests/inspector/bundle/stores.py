"""Tools for the tests of the store: publish tiny models, write from another process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

from inspector.bundle import atomic
from inspector.bundle.store import Store
from tests.inspector.tiny_bundle import tiny_fill

ROOT = Path(__file__).parents[3]


def publish(store: Store, name: str = "tiles", versions: int = 1) -> None:
    """Publish versions 1, 2, … that differ in their thresholds."""
    for version in range(1, versions + 1):
        store.publish(name, tiny_fill(threshold=10.0 * version))


def process(code: str, store: Store) -> subprocess.Popen[str]:
    """Start another Python that has `store` and `tiny_fill` at hand."""
    head = f"""
        import sys, time
        from pathlib import Path
        from inspector.bundle.store import Store
        from tests.inspector.tiny_bundle import tiny_fill
        store = Store(Path({str(store.root)!r}))
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def fill_up(disk: Path) -> None:
    """Fill a disk up."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def temporaries(store: Store) -> list[Path]:
    """List the temporary files of writers."""
    return list(store.root.rglob(f"{atomic.TEMPORARY}*"))
