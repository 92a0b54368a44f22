"""API keys: who may do what."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inspector.errors import UsageError
from inspector.imaging.files import printable

SCOPES = ("score", "admin")  # admin may do what score may, and more
SHORTEST = 16


@dataclass(frozen=True)
class Keys:
    """Digests of the known keys; the keys themselves are not kept.

    Attributes
    ----------
    digests : tuple of (bytes, str)
        SHA-256 of a key, and its scope.
    """

    digests: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def scope(self, authorization: str | None) -> str | None:
        """Return the scope of `Authorization: Bearer KEY`; None for an unknown key.

        Every known key is compared, each in constant time, so that the time tells nothing.
        """
        kind, _, key = (authorization or "").partition(" ")
        given = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, scope in self.digests:
            if hmac.compare_digest(digest, given) and kind.lower() == "bearer":
                found = scope
        return found


def read_keys(listed: str | None, file: Path | None) -> Keys:
    """Read keys from `scope:key` words, separated by commas or white space, and from a file of such lines.

    Raises
    ------
    UsageError
        A word is no key; the message never shows one.
    """
    words = list(_words("INSPECTOR_API_KEYS", (listed or "").replace(",", " ").split()))
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(
                f"--api-keys-file {printable(file)} cannot be read: {exc}",
                hint="one 'scope:key' on each line",
            ) from exc
        plain = (line.strip() for line in lines)
        found = list(_words(printable(file), (line for line in plain if line and not line.startswith("#"))))
        if not found and not words:
            raise UsageError(
                f"--api-keys-file {printable(file)} holds no key, which would let everyone in",
                hint="write one SCOPE:KEY on each line, or leave the option out",
            )
        words += found
    return Keys(tuple((hashlib.sha256(key.encode()).digest(), scope) for scope, key in words))


def _words(where: str, words: Iterable[str]) -> Iterable[tuple[str, str]]:
    for number, word in enumerate(words, 1):
        scope, _, key = word.partition(":")
        if scope not in SCOPES or len(key) < SHORTEST or not key.isascii():
            raise UsageError(
                f"{where}: entry {number} is not SCOPE:KEY with a scope of {', '.join(SCOPES)} and a key of "
                f"{SHORTEST} ASCII characters or more",
                hint="for example score:$(openssl rand -hex 24)",
            )
        yield scope, key
