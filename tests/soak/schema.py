"""Generate thousands of requests from the OpenAPI description: no 500, and every answer is as described.

The generated bodies of the type `binary` are noise, pictures, and pictures with noise in them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import Daemon
from tests.soak.program import demand, finish, say

KEY = "0123456789abcdef-score"
NAME = "tiles"  # as in the description's examples
OPERATIONS = 6
# All checks, but two.  A body that is binary by its schema need not be a picture: its refusal is no fault.
# In a batch, a part that is no picture has the verdict `invalid`: a part of a wrong type is no error.
CONFIG = """
[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-name = "POST /v1/score/batch"
checks.negative_data_rejection.enabled = false
"""


def verify(cases: int, seed: int) -> None:
    """Start a daemon with keys, send it requests by schemathesis, and read its log."""
    with tempfile.TemporaryDirectory() as place:
        Store(Path(place) / "store").publish(NAME, tiny_fill())
        with Daemon(INSPECTOR_STORE=f"{place}/store", INSPECTOR_API_KEYS=f"score:{KEY}") as daemon:
            httpx.post(
                f"{daemon.url}/v1/score",
                content=encode_png(good_picture()),
                headers={"Authorization": f"Bearer {KEY}"},
            ).raise_for_status()  # so that there is an inspection to ask for
            waited = len(daemon.events("request"))  # until it was ready
            while len(daemon.events("request")) < cases:  # it repeats none within one run
                _run(daemon.url, Path(place), cases, seed)
                seed += 1
            alive = daemon.is_ready()
    lines = daemon.events("request")[waited:]
    seen = Counter((line["route"], line["status"]) for line in lines)
    for (route, status), count in sorted(seen.items()):
        say(f"{route:20} {status} {count:6}")
    say(f"{len(lines)} requests")
    demand(alive, "it is not ready afterwards")
    demand(("/v1/score", 200) in seen and ("/v1/score/batch", 200) in seen, "no picture was scored")
    demand(max(status for _, status in seen) < 500, "a status of 500 or more")
    demand(not daemon.events("unexpected"), json.dumps(daemon.events("unexpected")[:3]))


def _run(url: str, place: Path, cases: int, seed: int) -> None:
    (place / "schemathesis.toml").write_text(CONFIG)
    program = str(Path(sys.executable).with_name("schemathesis"))
    words = ["run", f"{url}/openapi.json"]
    words += ["--header", f"Authorization: Bearer {KEY}", "--seed", str(seed), "--no-color"]
    words += ["--max-examples", str(-(-cases // OPERATIONS)), "--phases", "examples,coverage,fuzzing"]
    words += ["--suppress-health-check", "all", "--continue-on-failure"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.soak.bodies", "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(
        [program, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    demand(ended.returncode == 0, f"schemathesis says\n{ended.stdout[-6000:]}{ended.stderr[-2000:]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.cases, options.seed)))
