"""The origin of a measurement: digest and commit of the measured code, its packages, and the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# The code that decides a score.  Commands, daemon and console do not.
MEASURED = ("calibration", "inspector/bundle", "inspector/imaging", "inspector/scoring", "models")
MEASURED_FILES = ("constraints.txt",)
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
CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "BF16"}


def digest(root: Path = ROOT) -> str:
    """Return a short hexadecimal digest of the measured files on disk, committed or not."""
    found = hashlib.sha256()
    for path in _files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return found.hexdigest()[:16]


def _files(root: Path) -> list[Path]:
    found = [path for name in MEASURED for path in (root / name).rglob("*")]
    found += [root / name for name in MEASURED_FILES]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def commit(root: Path = ROOT) -> dict[str, Any]:
    """Return the last commit that changed the measured files.

    Returns
    -------
    dict
        `id`, None outside of a repository, and `dirty`: True if the files have changed since that commit.
    """
    paths = (*MEASURED, *MEASURED_FILES)
    last = _git(root, "log", "-1", "--format=%H", "--", *paths)
    return {"id": last or None, "dirty": bool(_git(root, "status", "--porcelain", "--", *paths))}


def _git(root: Path, *arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    ended = subprocess.run([program, *arguments], cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def packages() -> dict[str, str]:
    """Return the versions of the packages that take part in a score."""
    return {name: version(name) for name in PACKAGES}


def machine() -> dict[str, Any]:
    """Return processor, number of cores, operating system and Python."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """Return the processor's name and those of its instruction sets that decide about speed."""
    if not CPUINFO.exists():
        return platform.processor() or "unknown"
    entries = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    found = {name.strip(): value.strip() for name, _, value in entries}
    flags = found.get("flags", "").split()
    sets = [words for flag, words in INSTRUCTIONS.items() if flag in flags]
    return f"{found.get('model name', 'unknown')} ({', '.join(sets) or 'without AVX2'})"
