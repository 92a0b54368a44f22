"""The machine that a measurement ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "BF16"}


def describe() -> dict[str, Any]:
    """Return processor, number of cores, operating system and Python."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """Name the processor, and which of the instructions that decide about speed it has."""
    if not CPUINFO.exists():
        return platform.processor() or "unknown"
    entries = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    found = {name.strip(): value.strip() for name, _, value in entries}
    flags = found.get("flags", "").split()
    able = [words for flag, words in INSTRUCTIONS.items() if flag in flags]
    return f"{found.get('model name', 'unknown')} ({', '.join(able) or 'without AVX2'})"
