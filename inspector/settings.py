"""The environment, read once into one frozen `Settings`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspector.errors import UsageError
from inspector.imaging.files import MAX_BYTES
from inspector.imaging.header import MAX_PIXELS

PREFIX = "INSPECTOR_"
PATHS = {"store", "api_keys_file"}

ALLOWED = {
    "store": "the path of a folder",
    "max_pixels": "a whole number from 1024",
    "max_bytes": "a whole number from 1",
    "threads": "a whole number from 0 (one for each core) to 1024",
    "debug": "1 or 0",
    "host": "an address",
    "port": "a whole number from 0 to 65535",
    "model": "NAME, NAME@VERSION or a path",
    "workers": "a whole number from 0 (one for each core) to 256",
    "queue_size": "a whole number from 1 to 100000",
    "max_model_bytes": "a whole number from 1",
    "body_seconds": "a number above 0",
    "api_keys": "SCOPE:KEY, separated by commas",
    "api_keys_file": "the path of a file",
    "metrics_open": "1 or 0",
    "allow_anonymous": "1 or 0",
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
        `INSPECTOR_THREADS`, cores to use; 0 means all of them.
    debug : bool
        `INSPECTOR_DEBUG`, shows tracebacks as `--debug` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: Path = Field(default_factory=default_store)
    max_pixels: int = Field(default=MAX_PIXELS, ge=1024)
    max_bytes: int = Field(default=MAX_BYTES, ge=1)
    threads: int = Field(default=0, ge=0, le=1024)
    debug: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, file: Path | None = None) -> Self:
        """Read `INSPECTOR_STORE`, `INSPECTOR_PORT`, … from `environ`, and what it leaves out from a file.

        Parameters
        ----------
        environ : mapping
        file : Path, optional
            TOML with the same names, in small letters and without the prefix.

        Raises
        ------
        UsageError
            A value is not allowed; the message names its place, the value, and what is allowed.
        """
        found = {
            name: (value, f"{name} in {file}") for name, value in _read(file, set(cls.model_fields)).items()
        }
        for name in cls.model_fields:
            variable = PREFIX + name.upper()
            if environ.get(variable, "").strip():
                found[name] = (environ[variable], variable)
        values = {name: value for name, (value, _) in found.items()}
        for name in PATHS & values.keys():
            values[name] = Path(str(values[name])).expanduser()
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            name = str(exc.errors()[0]["loc"][0])
            value, where = found[name]
            raise UsageError(
                f"{where} is {value!r}; allowed is {ALLOWED[name]}", hint=f"unset {where} for the default"
            ) from exc


class ServeSettings(Settings):
    """What the daemon needs beside them.

    Attributes
    ----------
    host, port : str, int
        Where it listens.
    model : str or None
        The model of requests that name none; the store's current one without it.
    workers, queue_size : int
        Threads that score (0: one for each core), and requests that may wait for one.
    max_model_bytes : int
        Memory that opened models may take; the default one stays in any case.
    body_seconds : float
        A sender that needs longer is given up.
    api_keys, api_keys_file : str, Path
        `SCOPE:KEY` words, and a file with one on each line.
    metrics_open, allow_anonymous : bool
        Whether `/metrics`, or everything, is open without a key.
    """

    threads: int = Field(default=1, ge=0, le=1024)  # of one picture: others are scored beside it
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    model: str | None = None
    workers: int = Field(default=0, ge=0, le=256)
    queue_size: int = Field(default=64, ge=1, le=100_000)
    max_model_bytes: int = Field(default=2**30, ge=1)
    body_seconds: float = Field(default=30.0, gt=0)
    api_keys: str | None = Field(default=None, repr=False)
    api_keys_file: Path | None = None
    metrics_open: bool = False
    allow_anonymous: bool = False


def _read(file: Path | None, known: set[str]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(
            f"--config {file} cannot be read: {exc}", hint="it is TOML, such as port = 9000"
        ) from exc
    for name in sorted(found.keys() - known):
        raise UsageError(
            f"--config {file} sets {name!r}, which is not known", hint=f"known are {sorted(known)}"
        )
    return found


def is_debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `INSPECTOR_DEBUG` asks for tracebacks; False where the environment itself is at fault."""
    try:
        return Settings.from_environment(environ).debug
    except UsageError:
        return False


def wants_colour(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be coloured: `NO_COLOR` is unset and `TERM` is not `dumb`."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
