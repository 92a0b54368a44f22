"""SIGHUP reads keys and settings again."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from inspector.bundle.store import Store
from tests.inspector.daemon.conftest import ADMIN, KEY, Start
from tests.inspector.tiny_bundle import tiny_fill
from tests.serving import Daemon, until

OTHER = "0123456789abcdef-other"


def reload(daemon: Daemon) -> dict[str, Any]:
    """Send SIGHUP, and return the log line of the reload."""
    before = len(daemon.events("reloaded") + daemon.events("reload refused"))
    daemon.process.send_signal(signal.SIGHUP)

    def answers() -> list[dict[str, Any]]:
        return [line for line in daemon.lines.copy() if line["event"] in {"reloaded", "reload refused"}]

    until(lambda: len(answers()) > before)
    return answers()[-1]


def status(daemon: Daemon, key: str) -> int:
    """Return the status of a request with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{daemon.url}/v1/models", headers=headers).status_code


def test_other_keys_take_effect(store: Store, start: Start, tmp_path: Path) -> None:
    """New keys are let in, withdrawn ones are not; bad files change nothing; the log shows no key."""
    store.publish("tiny", tiny_fill())
    keys = tmp_path / "keys"
    keys.write_text(f"score:{KEY}\nadmin:{ADMIN}\n")
    daemon = start("--api-keys-file", keys)
    assert [status(daemon, key) for key in (KEY, ADMIN, OTHER)] == [200, 200, 401]
    keys.write_text(f"score:{OTHER}\n")
    line = reload(daemon)
    assert (line["event"], line["keys"], line["keys_changed"]) == ("reloaded", 1, True)
    assert [status(daemon, key) for key in (KEY, ADMIN, OTHER)] == [401, 401, 200]
    for content, reason in (
        ("score:short", "entry 1"),
        ("# none\n", "holds no key"),
        (None, "cannot be read"),
    ):
        keys.unlink()
        if content is not None:
            keys.write_text(content)
        else:
            keys.mkdir()
        line = reload(daemon)
        assert (line["event"], line["level"]) == ("reload refused", "error")
        assert reason in line["reason"]
        assert line["hint"]
        assert [status(daemon, key) for key in (KEY, OTHER)] == [401, 200]
    assert OTHER not in str(daemon.lines)


def test_settings_take_effect_or_are_named(store: Store, start: Start, tmp_path: Path) -> None:
    """Some settings change at once, others are named; options and the environment still override the file."""
    store.publish("tiny", tiny_fill())
    config = tmp_path / "inspector.toml"
    config.write_text("queue_size = 5\nbody_seconds = 20\nport = 1\n")
    daemon = start("--config", config, INSPECTOR_BODY_SECONDS="10")
    assert reload(daemon)["settings_changed"] == []
    config.write_text("queue_size = 6\nbody_seconds = 30\nport = 2\nmax_pixels = 2000000\nworkers = 3\n")
    line = reload(daemon)
    assert line["settings_changed"] == ["queue_size"]
    assert sorted(line["restart_needed_for"]) == ["max_pixels", "workers"]
    config.write_text("queue_size = many\n")
    assert "cannot be read" in reload(daemon)["reason"]
    config.write_text("queue_size = 0\n")
    assert "queue_size" in reload(daemon)["reason"]
    assert daemon.is_ready()


@pytest.mark.parametrize("content", [f'api_keys = "score:{KEY}"', None])
def test_nobody_is_let_in_by_a_reload(
    store: Store, start: Start, tmp_path: Path, content: str | None
) -> None:
    """A daemon that began with keys keeps asking for them; one without them has to be restarted."""
    store.publish("tiny", tiny_fill())
    config = tmp_path / "inspector.toml"
    config.write_text("" if content else f'api_keys = "score:{KEY}"')
    daemon = start("--config", config)
    config.write_text(content or "")
    line = reload(daemon)
    assert (line["event"], line["hint"]) == ("reload refused", "restart the daemon")
    assert status(daemon, KEY) == 200
    assert status(daemon, OTHER) == (200 if content else 401)
