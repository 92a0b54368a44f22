"""The environment, read once into one frozen `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspector.errors import UsageError

PREFIX = "INSPECTOR_"

ALLOWED = {
    "store": "the path of a folder",
    "max_pixels": "a whole number from 1024",
    "max_bytes": "a whole number from 1",
    "threads": "a whole number from 0 (one for each core) to 1024",
    "debug": "1 or 0",
}


def default_store() -> Path:
    """Return the platform's place for a person's application data."""
    from platformdirs import user_data_path

    return user_data_path("inspector", appauthor=False)


class Settings(BaseModel):
    """What `INSPECTOR_*` variables say; an unset or empty variable means the default.

    Attributes
    ----------
    store : Path
        `INSPECTOR_STORE`, the folder that holds the models.
    max_pixels : int
        `INSPECTOR_MAX_PIXELS`, width times height that a picture may have at most.
    max_bytes : int
        `INSPECTOR_MAX_BYTES`, bytes that an image file may have at most.
    threads : int
        `INSPECTOR_THREADS`, threads of ONNX Runtime; 0 means one for each core.
    debug : bool
        `INSPECTOR_DEBUG`, shows tracebacks as `--debug` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: Path = Field(default_factory=default_store)
    max_pixels: int = Field(default=80_000_000, ge=1024)
    max_bytes: int = Field(default=100_000_000, ge=1)
    threads: int = Field(default=0, ge=0, le=1024)
    debug: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read `INSPECTOR_STORE`, `INSPECTOR_MAX_PIXELS`, … from `environ`.

        Raises
        ------
        UsageError
            A variable holds a value that is not allowed; the message names all three.
        """
        found: dict[str, Any] = {
            name: environ[PREFIX + name.upper()]
            for name in cls.model_fields
            if environ.get(PREFIX + name.upper(), "").strip()
        }
        if "store" in found:
            found["store"] = Path(found["store"]).expanduser()
        try:
            return cls.model_validate(found)
        except ValidationError as exc:
            name = str(exc.errors()[0]["loc"][0])
            variable = PREFIX + name.upper()
            raise UsageError(
                f"{variable} is {environ[variable]!r}; allowed is {ALLOWED[name]}",
                hint=f"unset {variable} for the default",
            ) from exc


def is_debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `INSPECTOR_DEBUG` asks for tracebacks; False where the environment itself is at fault."""
    try:
        return Settings.from_environment(environ).debug
    except UsageError:
        return False


def wants_colour(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be coloured: `NO_COLOR` is unset and `TERM` is not `dumb`."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
