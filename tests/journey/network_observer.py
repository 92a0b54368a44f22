"""Runs a program in a network of its own, and prints every packet that the program sends elsewhere.

    unshare --net --mount python -m tests.journey.network_observer COMMAND [ARGUMENT]...

All addresses are routed to the loopback interface, where nobody answers, and names are looked up at such an
address.  So each attempt to reach another computer becomes a packet that can be read.  Needs root.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

OWN, RESOLVER = "192.0.2.1", "192.0.2.53"  # addresses that documentation may use, RFC 5737
DNS = 53
NETWORK = (
    "ip link set lo up",
    f"ip address add {OWN}/32 dev lo",
    "ip route add default dev lo",
    "ip -6 route add default dev lo",
)
FILES = {"/etc/resolv.conf": f"nameserver {RESOLVER}\n", "/etc/nsswitch.conf": "hosts: files dns\n"}


def isolate() -> None:
    """Route everything to the loopback interface, and let names be looked up there."""
    for line in NETWORK:
        subprocess.run(line.split(), check=True)
    for path, content in FILES.items():
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        Path(file.name).unlink()


def destination(packet: bytes) -> str | None:
    """Return where an IP packet goes, with the name that it asks for; None if it stays on this computer."""
    if packet[0] >> 4 == 4:
        protocol, body, address = packet[9], packet[(packet[0] & 15) * 4 :], ip_address(packet[16:20])
    else:
        protocol, body, address = packet[6], packet[40:], ip_address(packet[24:40])
    if address.is_loopback or str(address) == OWN:
        return None
    port = int.from_bytes(body[2:4], "big")
    if protocol == socket.IPPROTO_UDP and port == DNS:
        return f"look-up of {_question(body[20:])}"
    return f"{address} port {port}"


def _question(message: bytes) -> str:
    """Return the name at the begin of a DNS question."""
    labels, at = [], 0
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)


def observe(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run a command; return its exit code and where its packets went."""
    found: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as wire:  # 3: every protocol
        wire.settimeout(0.2)
        ended = threading.Event()

        def read() -> None:
            while True:
                try:
                    packet = wire.recv(65536)
                except TimeoutError:
                    if ended.is_set():
                        return
                    continue
                if packet[0] >> 4 in {4, 6} and (where := destination(packet)) is not None:
                    found.add(where)

        reader = threading.Thread(target=read)
        reader.start()
        code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
        ended.set()
        reader.join()
    return code, sorted(found)


if __name__ == "__main__":
    isolate()
    code, found = observe(sys.argv[1:])
    sys.stdout.write(json.dumps({"code": code, "found": found}))
