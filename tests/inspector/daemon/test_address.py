"""The address to listen on: IPv4, IPv6 with brackets and without, names, nonsense."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.daemon.address import find_address, url_of
from inspector.errors import UsageError
from tests.inspector.daemon.conftest import GOOD, KEY, Start
from tests.inspector.tiny_bundle import tiny_fill


@pytest.mark.parametrize(
    ("host", "found", "is_loopback"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("0.0.0.0", "0.0.0.0", False),  # noqa: S104 - that is the point
        ("192.0.2.7", "192.0.2.7", False),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("::", "::", False),
        ("[::]", "::", False),
        ("[2001:db8::7]", "2001:db8::7", False),
    ],
)
def test_hosts_are_found(host: str, found: str, is_loopback: bool) -> None:
    """Addresses of both families and names are found; only loopback needs no key."""
    address = find_address(host, 8000)
    assert address.name[:2] == (found, 8000)
    assert address.family == (socket.AF_INET6 if ":" in found else socket.AF_INET)
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("[::1]:8000", "write --host [::1] --port 8000"),
        ("http://[::1]:8000", "write --host [::1] --port 8000"),
        ("http://127.0.0.1:8000/", "write --host 127.0.0.1 --port 8000"),
        ("https://line-pc", "write --host line-pc --port 80"),
        ("localhost:8000", "write --host localhost --port 8000"),
        ("http://localhost:8000/v1/score", "IP address or a name"),
        ("", "IP address or a name"),
        ("*", "0.0.0.0 or :: means all"),
        ("[", "IP address or a name"),
        ("[]", "IP address or a name"),
        ("::1]", "IP address or a name"),
        ("no such host", "IP address or a name"),
        ("two\nlines", "IP address or a name"),
        ("x" * 80, "IP address or a name"),
        ("::1::2", "IP address or a name"),
    ],
)
def test_nonsense_is_refused(host: str, hint: str) -> None:
    """A word that is no host, or more than a host, is refused on one line, and the hint corrects it."""
    with pytest.raises(UsageError) as caught:
        find_address(host, 80)
    assert repr(host) in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_an_address_in_use_is_refused() -> None:
    """Address and port are named; so are those of another computer."""
    with find_address("127.0.0.1", 0).bind() as first:
        first.listen()
        port = first.getsockname()[1]
        assert url_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(UsageError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: Address"):
            find_address("127.0.0.1", port).bind()
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.7 port 0: Cannot assign"):
        find_address("192.0.2.7", 0).bind()


class _Bound(socket.socket):
    """A socket of a link-local address, which few machines have."""

    def getsockname(self) -> tuple[str, int, int, int]:
        """Its address."""
        return "fe80::1%eth0", 8000, 0, 2


def test_a_zone_in_a_url() -> None:
    """The zone of a link-local address follows %25, as RFC 6874 says."""
    with _Bound() as bound:
        assert url_of(bound) == "http://[fe80::1%25eth0]:8000"


@pytest.mark.system  # a machine may have no IPv6
@pytest.mark.parametrize("host", ["[::1]", "::1"])
def test_a_daemon_on_ipv6(store: Store, start: Start, host: str) -> None:
    """The log has a URL that works, and no key is needed on loopback."""
    store.publish("tiny", tiny_fill())
    daemon = start("--host", host)
    assert daemon.url == f"http://[::1]:{daemon.port}"
    assert daemon.lines[0]["host"] == "::1"
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["verdict"] == "pass"


@pytest.mark.system  # a machine may have no IPv6
def test_all_addresses_of_both_families(store: Store, start: Start) -> None:
    """`::` takes IPv4 as well."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_HOST="[::]", INSPECTOR_API_KEYS=f"score:{KEY}")
    assert daemon.url == f"http://[::]:{daemon.port}"
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{daemon.port}/livez").status_code == 200


def test_the_url_of_the_log(store: Store, start: Start) -> None:
    """The URL has host and port of the listening socket."""
    store.publish("tiny", tiny_fill())
    daemon = start("--host", "localhost")
    assert urlsplit(daemon.url).port == daemon.port
    assert daemon.url == f"http://127.0.0.1:{daemon.port}"
