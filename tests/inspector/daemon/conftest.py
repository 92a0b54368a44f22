"""Daemons for tests: real processes with a real model on real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.serving import Daemon

KEY, ADMIN = "0123456789abcdef-score", "0123456789abcdef-admin"
GOOD, BAD = encode_png(good_picture()), encode_png(bad_picture())

Start = Callable[..., Daemon]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """A function that starts daemons on free ports; they are stopped, and must end well, with the test."""
    with ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(Daemon(*arguments, **options))


@pytest.fixture
def daemon(store: Store, start: Start) -> Daemon:
    """A daemon with a model."""
    store.publish("tiny", tiny_fill())
    return start()
