"""The systemd unit and the compose file, checked with systemd and docker-compose."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
LARGEST_EXPOSURE = 2.0  # of 10; systemd rates this OK


def _run(*words: str | Path, **environment: str) -> str:
    ended = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.system
def test_the_unit_is_right_and_hardened(tmp_path: Path) -> None:
    """systemd-analyze reports no problem and rates the unit's exposure OK."""
    program = tmp_path / "inspector"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (DEPLOY / "systemd/inspector.service").read_text()
    assert "ExecStart=/opt/inspector/bin/inspector serve\n" in text
    unit = tmp_path / "inspector.service"
    unit.write_text(text.replace("/opt/inspector/bin/inspector", str(program)))
    assert _run("systemd-analyze", "verify", "--man=no", unit) == ""
    said = _run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for inspector.service: ([\d.]+) (\w+)", said)
    assert found, said
    assert float(found[1]) <= LARGEST_EXPOSURE
    assert found[2] == "OK"


@pytest.mark.system
def test_compose_is_right() -> None:
    """docker-compose accepts the file, and every mounted path exists."""
    _run("docker-compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet")
    text = (DEPLOY / "compose.yaml").read_text()
    for place in re.findall(r'"\./([^:"]+):', text):
        assert (DEPLOY / place).exists(), place


def test_install_says_what_is_missing(tmp_path: Path) -> None:
    """A wrong argument gives one error line and leaves nothing behind."""
    for words, said in (
        ([tmp_path / "no.whl", tmp_path], "no.whl does not exist"),
        ([tmp_path, tmp_path, tmp_path], "exists; remove it"),
    ):
        ended = subprocess.run([DEPLOY / "install.sh", *words], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert said in ended.stderr
