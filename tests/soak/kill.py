"""`kill -9` at random moments of a fit: the store never shows half a model, and `--resume` finishes."""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import render
from tests.inspector.tiny_bundle import write_picture
from tests.soak.program import PROGRAM, call, demand, environment, finish, say

NAME = "flange"


def verify(kills: int, steps: int, seed: int) -> None:
    """Fit once, then kill `kills` fits of the next version, and finish the last with `--resume`."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as place:
        folder, store = Path(place), Path(place) / "store"
        write_dataset(folder / "d", train=40, good=0, per_kind=0, size=128)
        part = write_picture(folder / "part.png", render(999, size=128).picture)
        command = ["fit", str(folder / "d/train/good"), "--name", NAME, "--image-size", "64"]
        command += ["--steps", str(steps), "--format", "json"]
        began = time.monotonic()
        first = call(*command, store=store)
        seconds = time.monotonic() - began
        demand(first.returncode == 0, f"the first fit ended with {first.returncode}: {first.stderr}")
        whole = _score(part, store)
        say(f"a whole fit takes {seconds:.1f} s; version 1 scores {whole['score']:.4f}")
        for number in range(1, kills + 1):
            moment = rng.uniform(0, seconds)
            stage = _kill([*command, *(["--resume"] if rng.random() < 0.5 else [])], store, moment)
            current = _look(store, part, whole)
            say(f"{number:3d}: killed after {moment:5.1f} s ({stage}); {current} still scores the same")
        ended = call(*command, "--resume", store=store)
        demand(ended.returncode == 0, f"--resume ended with {ended.returncode}: {ended.stderr}")
        last = json.loads(ended.stdout)
        _look(store, part, whole)
        demand(last["steps"] == steps, f"--resume made {last['steps']} steps instead of {steps}")
        left = [path for path in store.rglob("*") if ".tmp-" in path.name or path.name == "work"]
        demand(not left, f"left behind: {left}")
        say(f"--resume finished version {last['model']['version']}; nothing is left behind")


def _kill(command: list[str], store: Path, after_seconds: float) -> str:
    """Start a fit, kill it after `moment` seconds, and return the last stage that it named."""
    with subprocess.Popen(
        [*PROGRAM, *command],
        env=environment(store),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(after_seconds)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    lines = said.splitlines()
    ended = "it had ended" if process.returncode == 0 else ""
    return ended or (lines[-1] if lines else "starting")


def _look(root: Path, part: Path, whole: dict[str, object]) -> str:
    """Open every version and check its digests, then score with the current version."""
    store = Store(root)
    demand(store.names() == [NAME], f"the store shows {store.names()}")
    for version in store.versions(NAME):
        Bundle.open(store.path(NAME, version))
    listed = call("models", "list", "--format", "json", store=root)
    demand(listed.returncode == 0, f"list says {listed.stderr}")
    damaged = [row for row in json.loads(listed.stdout) if row["error"]]
    demand(not damaged, f"list shows {damaged}")
    now = _score(part, root)
    demand(now["score"] == whole["score"], f"the current model scores {now['score']}, not {whole['score']}")
    return f"{NAME}@{store.promoted(NAME)}"


def _score(part: Path, store: Path) -> dict[str, object]:
    ended = call("score", part, "--exit-zero", store=store)
    demand(ended.returncode == 0, f"score ended with {ended.returncode}: {ended.stderr}")
    row: dict[str, object] = json.loads(ended.stdout)
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.kills, options.steps, options.seed)))
