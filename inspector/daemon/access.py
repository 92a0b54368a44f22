"""Which requests need a key, and of which scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from inspector.daemon.errors import Problem
from inspector.daemon.service import Service


def allowed(service: Service, *, scope: str, is_open: Callable[[], bool] = lambda: False) -> Any:
    """Make the dependency that lets a request pass only with a key of this scope."""
    if not service.keys:
        return Depends(_everyone)
    bearer = Security(HTTPBearer(auto_error=False, description="An API key."))  # only described: read below

    async def check(request: Request, _described: Any = bearer) -> None:
        if is_open():
            return
        found = service.keys.scope(request.headers.get("authorization"))
        if found is None:
            raise Problem(
                401,
                "unauthorized",
                "there is no known key in the header Authorization",
                "send 'Authorization: Bearer KEY'",
                {"WWW-Authenticate": "Bearer"},
            )
        if found != scope and found != "admin":
            raise Problem(403, "forbidden", f"the key has the scope '{found}'", f"use one with '{scope}'")

    return Depends(check)


async def _everyone() -> None:
    """Let everyone in: there are no keys."""
