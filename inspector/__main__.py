"""The process `inspector`, or `python -m inspector`: the command line in an interpreter of its own."""

from __future__ import annotations

import gc
import sys

# Importing allocates a few hundred thousand objects that stay, and Python would search them for garbage
# hundreds of times.
GARBAGE_THRESHOLD = 10_000


def main() -> int:
    """Run the command line, and return its exit code.

    Scoring one picture takes a quarter of a second, so what the interpreter itself does counts: at its
    end it would walk through everything that was imported, which `gc.freeze` spares it.
    """
    gc.set_threshold(GARBAGE_THRESHOLD)
    from inspector.commands.main import main as run

    exit_code = run()
    gc.freeze()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
