"""Promote two hundred times under load: no request fails, and each answer fits the version that it names.

In between, another name becomes current: no answer may be its.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import inspector
from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import verify_bundle
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.serving import Daemon, until
from tests.soak.load import together
from tests.soak.program import demand, finish, say

NAME, OTHER = "tiny", "other"
VERSIONS = 6
SEEN_SECONDS = 2.0
CLIENTS = 4


def bodies() -> list[bytes]:
    """Return pictures that pass and pictures that fail."""
    return [encode_png(make(seed)) for seed in range(8) for make in (good_picture, bad_picture)]


def send(port: int, seconds: float) -> list[tuple[int, int, dict[str, Any]]]:
    """Send pictures until the time is over; return picture, status and answer of each request."""
    end, sent, found = time.monotonic() + seconds, bodies(), []

    def run(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        turn = first
        while time.monotonic() < end:
            turn = (turn + 1) % len(sent)
            connection.request("POST", "/v1/score", sent[turn])
            reply = connection.getresponse()
            found.append((turn, reply.status, json.loads(reply.read())))
        connection.close()

    together([lambda first=first: run(first) for first in range(CLIENTS)])  # type: ignore[misc]
    return found


def verify(promotions: int, seed: int) -> None:
    """Promote versions at random while clients send, and compare every answer with the library's."""
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place))
        for number in range(VERSIONS):
            store.publish(NAME, tiny_fill(threshold=20.0 + number, spread=1.0 + number / 10))
        offline = [
            [inspector.open_model(store.path(NAME, version)).score(body).record() for body in bodies()]
            for version in range(1, VERSIONS + 1)
        ]
        with (
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other,
            Daemon(INSPECTOR_STORE=place) as daemon,
        ):
            sent = other.submit(send, daemon.port, promotions * (SEEN_SECONDS / 4 + 0.1))
            done, slowest = 0, 0.0
            while done < promotions:
                version = rng.choice([v for v in range(1, VERSIONS + 1) if v != store.promoted(NAME)])
                store.promote(NAME, version, verify=verify_bundle)
                began = time.monotonic()
                until(lambda wanted=version: _served(daemon) == wanted)  # type: ignore[misc]
                slowest = max(slowest, time.monotonic() - began)
                store.publish(OTHER, tiny_fill(threshold=1.0))
                done += 1
            early = not sent.done()
            answers = sent.result()
    demand(early, "the load ended before the promotions did")
    statuses = Counter(status for _, status, _ in answers)
    made = Counter(answer["model"]["version"] for _, status, answer in answers if status == 200)
    say(f"{promotions} promotions, each served after at most {slowest:.2f} s, allowed {SEEN_SECONDS}")
    say(f"{len(answers)} answers: {dict(statuses)}; by version {dict(sorted(made.items()))}")
    demand(set(statuses) == {200}, f"statuses {dict(statuses)}")
    names = {answer["model"]["name"] for _, _, answer in answers}
    demand(names == {NAME}, f"answers of {sorted(names)}, although {NAME} was current at the start")
    demand(len(made) == VERSIONS, "not every version answered")
    demand(slowest <= SEEN_SECONDS, f"a promotion was served only after {slowest:.2f} s")
    for turn, _, answer in answers:
        expected = offline[answer["model"]["version"] - 1][turn].model_dump(mode="json")
        for row in (expected, answer):
            row.pop("milliseconds", None)
        demand(answer == expected, f"{answer} is not {expected}")
    say("every answer is that of the version it names")


def _served(daemon: Daemon) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    connection.request("GET", "/v1/models")
    (row,) = json.loads(connection.getresponse().read())
    connection.close()
    return int(row["model"]["version"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.promotions, options.seed)))
