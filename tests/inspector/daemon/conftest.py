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


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of the shared daemon, with one model; nobody may change it."""
    store = Store(tmp_path_factory.mktemp("shared") / "store")
    store.publish("tiny", tiny_fill())
    return store


@pytest.fixture(scope="module")
def shared_daemon(shared_store: Store) -> Iterator[Daemon]:
    """A daemon with a model, for tests that do not depend on earlier requests."""
    with Daemon(INSPECTOR_STORE=str(shared_store.root)) as running:
        yield running


@pytest.fixture
def daemon(store: Store, start: Start) -> Daemon:
    """A daemon with a model, started for one test."""
    store.publish("tiny", tiny_fill())
    return start()
