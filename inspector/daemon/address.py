"""The address that the daemon listens on: found, checked, bound, and written as a URL."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from inspector.errors import UsageError

_HINT = "--host is an IP address or a name of this computer (0.0.0.0 or :: means all), --port a free port"
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?", re.ASCII)
_NAME = re.compile(r"[\w.:%-]+")
_WITH_PORT = re.compile(r"(?:\w+://)?(\[[^\]]*\]|[^:/\[\]]*)(?::(\d+))?/?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """An address of this computer.

    Attributes
    ----------
    family : socket.AddressFamily
    name : tuple
        The address as sockets take it: host, port, and two more numbers for IPv6.
    """

    family: socket.AddressFamily
    name: tuple[Any, ...]

    @property
    def is_loopback(self) -> bool:
        """True if no other computer can reach it."""
        return ipaddress.ip_address(self.name[0]).is_loopback

    def bind(self) -> socket.socket:
        """Return a socket that is bound to the address.

        Raises
        ------
        UsageError
            The address is in use, or belongs to another computer.
        """
        listening = socket.socket(self.family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.name[0] == "::":  # all addresses, those of IPv4 as well
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listening.bind(self.name)
        except OSError as exc:
            listening.close()
            host, port = self.name[:2]
            raise UsageError(f"cannot listen on {host} port {port}: {exc.strerror}", hint=_HINT) from exc
        return listening


def find_address(host: str, port: int) -> Address:
    """Return the address of a host: IPv4 if it has one, else IPv6.

    Parameters
    ----------
    host : str
        A name or an IP address; IPv6 with brackets or without.
    port : int

    Raises
    ------
    UsageError
        There is no such host.
    """
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not _NAME.fullmatch(plain):  # such as *, which some systems take for this computer alone
        raise _unknown(host, port, "it is no name")
    try:
        found = socket.getaddrinfo(plain, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as exc:
        raise _unknown(host, port, getattr(exc, "strerror", "it is no name")) from exc
    family, _, _, _, name = min(found, key=lambda one: one[0] is not socket.AF_INET)
    return Address(family, name)


def url_of(listening: socket.socket) -> str:
    """Return the URL of a bound socket."""
    return url_to(*listening.getsockname()[:2])


def url_to(host: str, port: int) -> str:
    """Return the URL of a host and a port."""
    written = f"[{host.replace('%', '%25')}]" if ":" in host else host  # RFC 6874: a zone follows %25
    return f"http://{written}:{port}"


def asked_url(request: Request) -> str:
    """Return the URL by which a client reached the daemon, from the header Host and without a path."""
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host):
        return f"{request.scope['scheme']}://{host}"
    return url_to(*request.scope["server"])


def _unknown(host: str, port: int, reason: str) -> UsageError:
    """Return the error of a host that does not exist; the hint takes a URL or a port apart."""
    found = _WITH_PORT.fullmatch(host)
    if found and found[1] and found[1] != host:
        hint = f"write --host {found[1]} --port {found[2] or port}, or the same in the environment"
        return UsageError(f"the host {host!r} is more than an address", hint=hint)
    return UsageError(f"cannot listen on {host!r} port {port}: {reason}", hint=_HINT)
