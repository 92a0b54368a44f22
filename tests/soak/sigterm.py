"""Send SIGTERM under load, fifty times: accepted requests are answered, and it ends in ten seconds."""

from __future__ import annotations

import argparse
import http.client
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import Daemon
from tests.soak.load import together
from tests.soak.program import demand, finish, say

END_SECONDS = 10.0
CLIENTS = 12


def verify(times: int, seed: int) -> None:
    """End daemons at random moments, and compare their log with the answers that clients received."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    answered, cut, slowest = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as place:
        Store(Path(place)).publish("tiny", tiny_fill())
        os.environ["INSPECTOR_STORE"] = place
        for number in range(times):
            received, refused, seconds = _round(rng.uniform(0.2, 1.5), number)
            answered, cut, slowest = answered + received, cut + refused, max(slowest, seconds)
    say(
        f"{times} ends: {answered} requests answered, {cut} cut off before they were accepted, "
        f"at most {slowest:.2f} s, allowed {END_SECONDS:.0f}"
    )
    demand(slowest <= END_SECONDS, f"an end took {slowest:.2f} s")


def _round(moment: float, number: int) -> tuple[int, int, float]:
    """End one daemon; return its answers, the requests without one, and the seconds until its end."""
    body = encode_png(good_picture(height=900, width=900))
    received: dict[str, int] = {}
    lost: set[str] = set()
    stop = threading.Event()
    with Daemon("--workers", "2") as daemon:

        def run(client: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
            for turn in range(10**6):
                if stop.is_set():
                    break
                request_id = f"{number}-{client}-{turn}"
                try:
                    connection.request("POST", "/v1/score", body, {"X-Request-Id": request_id})
                    reply = connection.getresponse()
                    reply.read()
                except (OSError, http.client.HTTPException):
                    lost.add(request_id)
                    break
                received[request_id] = reply.status
            connection.close()

        load = threading.Thread(
            target=together,
            args=([lambda client=client: run(client) for client in range(CLIENTS)],),
        )
        load.start()
        time.sleep(moment)
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        code = daemon.process.wait(30)
        seconds = time.monotonic() - began
        stop.set()
        load.join()
    demand(code == 0, f"it ended with {code}")
    requests = (line for line in daemon.events("request") if line["route"] == "/v1/score")
    logged = {line["request_id"]: line["status"] for line in requests}
    unanswered = {request_id for request_id in logged if request_id not in received}
    demand(not unanswered, f"accepted and not answered: {sorted(unanswered)}")
    demand(logged == received, "an answer has no line in the log, or another status")
    demand(set(received.values()) == {200}, f"statuses {set(received.values())}")
    return len(received), len(lost), seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.times, options.seed)))
