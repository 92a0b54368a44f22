"""Builds the documentation as a site that a browser can read from a folder: python docs/build_site.py OUTPUT.

MkDocs wants all pages below one folder. The pages of this project lie in three places and link to each other
as files of the repository. So this script copies them, at the same places, into a temporary folder and builds
the site from there. A broken link, a missing heading or a page that the menu leaves out fails the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def sources() -> Iterator[Path]:
    """Every page, and every file that a page shows or links to."""
    yield from ROOT.glob("*.md")
    yield ROOT / "LICENSE"
    yield from DOCS.rglob("*.md")
    yield from (DOCS / "images").iterdir()
    yield from (DOCS / "theme").iterdir()
    yield ROOT / "deploy" / "README.md"
    yield from (ROOT / "deploy" / "prometheus").glob("*.yml")
    yield from (ROOT / "deploy" / "grafana").rglob("*.*")


def build(output: Path) -> int:
    """Build the site into `output`, which is emptied first; returns the exit code of MkDocs."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sources():
            target = Path(folder, "pages", source.relative_to(ROOT))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        config = shutil.copy(DOCS / "mkdocs.yml", folder)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        # The theme advertises its successor on every build; constraints.txt pins the theme.
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        return subprocess.run(  # noqa: S603  # our own Python, no input from elsewhere
            [*command, "--config-file", config, "--site-dir", output.resolve()], env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
