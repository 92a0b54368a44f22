"""Which code is measured: a digest of what a fit and an evaluation run, its commit, and its packages."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# What decides a score: not the commands, the daemon, or the pages.
PATHS = ("models", "calibration", ":(glob)inspector/*.py", "constraints.txt")
PACKAGES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "scikit-learn",
    "scipy",
    "torch",
)


def digest(root: Path = ROOT) -> str:
    """Return one short hexadecimal word for the measured files as they lie there, committed or not."""
    found = hashlib.sha256()
    for path in _files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return found.hexdigest()[:16]


def _files(root: Path) -> list[Path]:
    packages = (path for name in ("models", "calibration") for path in (root / name).rglob("*"))
    found = [*packages, *(root / "inspector").glob("*.py"), root / "constraints.txt"]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def commit(root: Path = ROOT) -> dict[str, Any]:
    """Return the last commit that changed the measured files, and whether they were changed since.

    Returns
    -------
    dict
        `id`, None outside of a repository, and `dirty`.
    """
    last = _git(root, "log", "-1", "--format=%H", "--", *PATHS)
    return {"id": last or None, "dirty": bool(_git(root, "status", "--porcelain", "--", *PATHS))}


def _git(root: Path, *arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    ended = subprocess.run([program, *arguments], cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def packages() -> dict[str, str]:
    """Return the versions of the packages that take part in a score."""
    return {name: version(name) for name in PACKAGES}
