"""API keys: reads them, and checks the key of a request against the scope that a route needs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from inspector.daemon.errors import Problem
from inspector.errors import UsageError
from inspector.imaging.files import printable

SCOPES = ("score", "admin")  # admin includes score
MIN_KEY_LENGTH = 16
_UNREAD_HEADERS = ("X-API-Key", "Api-Key", "apikey", "X-Auth-Token", "Proxy-Authorization")  # of other APIs

_bearer = HTTPBearer(auto_error=False, description="An API key.")


@dataclass
class Keys:
    """Digests of the known keys; the keys themselves are not kept.

    Attributes
    ----------
    digests : tuple of (bytes, str)
        SHA-256 of a key, and its scope.  A reload replaces them.
    """

    digests: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def scope_of(self, key: str) -> str | None:
        """Return the scope of a key; None if the key is unknown.

        The key is compared with every known key, each in constant time, so the duration reveals nothing.
        """
        given = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, scope in self.digests:
            if hmac.compare_digest(digest, given):
                found = scope
        return found


def require(keys: Keys, scope: str) -> list[Any]:
    """Return the dependencies of a route that needs a key of this scope; none if no keys are set."""
    if not keys:
        return []

    async def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> None:
        found = keys.scope_of(given.credentials if given else "")
        if found is None:
            raise _no_key(request, is_bearer=given is not None)
        if found not in {scope, "admin"}:
            raise Problem(403, "forbidden", f"the key has the scope '{found}'", f"use a key with '{scope}'")

    return [Depends(check)]


def _no_key(request: Request, *, is_bearer: bool) -> Problem:
    """Return the problem of a request without a known key: the header is missing, malformed or unknown."""
    hint = "send 'Authorization: Bearer KEY'"
    if is_bearer:
        detail = "the header Authorization holds no known key"
    elif "authorization" in request.headers:
        detail = "the header Authorization is not 'Bearer', a space and a key"
    else:
        detail = "the header Authorization is missing"
        unread = [name for name in _UNREAD_HEADERS if name in request.headers]
        hint += "".join(f"; {name} is not read" for name in unread)
    return Problem(401, "unauthorized", detail, hint, {"WWW-Authenticate": "Bearer"})


def read_keys(listed: str | None, file: Path | None) -> Keys:
    """Read keys from `INSPECTOR_API_KEYS` and from a key file.

    Parameters
    ----------
    listed : str, optional
        `SCOPE:KEY` entries, separated by commas or white space.
    file : Path, optional
        One `SCOPE:KEY` on each line; empty lines and lines that begin with `#` are skipped.

    Raises
    ------
    UsageError
        An entry is malformed, or the file cannot be read.  The message never shows a key.
    """
    entries = list(_parse("INSPECTOR_API_KEYS", (listed or "").replace(",", " ").split()))
    if file is not None:
        found = list(_parse(printable(file), _lines(file)))
        if not found and not entries:
            raise UsageError(
                f"--api-keys-file {printable(file)} holds no key, so everyone would be let in",
                hint="write one SCOPE:KEY on each line, or leave the option out",
            )
        entries += found
    return Keys(tuple((hashlib.sha256(key.encode()).digest(), scope) for scope, key in entries))


def _lines(file: Path) -> list[str]:
    """Return the entries of a key file."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(
            f"--api-keys-file {printable(file)} cannot be read: {exc}",
            hint="write one SCOPE:KEY on each line",
        ) from exc
    return [line for line in lines if line and not line.startswith("#")]


def _parse(origin: str, entries: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield scope and key of each entry."""
    for number, entry in enumerate(entries, 1):
        scope, _, key = entry.partition(":")
        if scope not in SCOPES or len(key) < MIN_KEY_LENGTH or not key.isascii():
            raise UsageError(
                f"{origin}: entry {number} is not SCOPE:KEY with a scope of {', '.join(SCOPES)} and a key of "
                f"at least {MIN_KEY_LENGTH} ASCII characters",
                hint="for example score:$(openssl rand -hex 24)",
            )
        yield scope, key
