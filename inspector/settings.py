"""Settings from the environment, read once into one frozen record."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from inspector.errors import UsageError
from inspector.imaging.files import MAX_BYTES
from inspector.imaging.header import MAX_PIXELS

PREFIX = "INSPECTOR_"

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = (("http://", ":80"), ("https://", ":443"))


def _split(given: object) -> object:
    """Split a text at commas and white space; a TOML file may also have a list."""
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _origin(given: str) -> str:
    """Return an origin as browsers send it: lower case, without a slash at the end and the default port."""
    origin = given.lower().removesuffix("/")
    for scheme, port in _DEFAULT_PORTS:
        if origin.startswith(scheme):
            origin = origin.removesuffix(port)
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError(given)
    return origin


Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)]

_COUNT = "a whole number from {} to {}".format
_FLAG = "1 or 0"


def default_store() -> Path:
    """Return the platform's folder for a person's application data."""
    from platformdirs import user_data_path

    return user_data_path("inspector", appauthor=False)


class Settings(BaseModel):
    """The settings of every command; an unset or empty variable means the default.

    The description of each field says which values are allowed.

    Attributes
    ----------
    store : Path
        `INSPECTOR_STORE`, the folder that holds the models.
    max_pixels : int
        `INSPECTOR_MAX_PIXELS`, the largest width times height of a picture.
    max_bytes : int
        `INSPECTOR_MAX_BYTES`, the largest image file.
    threads : int
        `INSPECTOR_THREADS`, cores to use; 0 means all of them.
    debug : bool
        `INSPECTOR_DEBUG` shows tracebacks, as `--debug` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: UserPath = Field(default_factory=default_store, description="the path of a folder")
    max_pixels: int = Field(default=MAX_PIXELS, ge=1024, description="a whole number from 1024")
    max_bytes: int = Field(default=MAX_BYTES, ge=1, description="a whole number from 1")
    threads: int = Field(default=0, ge=0, le=1024, description=_COUNT("0 (one for each core)", 1024))
    debug: bool = Field(default=False, description=_FLAG)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, file: Path | None = None) -> Self:
        """Read `INSPECTOR_STORE`, `INSPECTOR_PORT`, … from `environ`, and unset ones from a file.

        Parameters
        ----------
        environ : mapping
            The environment.
        file : Path, optional
            TOML with the same names in lower case, without the prefix.

        Raises
        ------
        UsageError
            A value is not allowed; the message names the variable, the value, and the allowed values.
        """
        found = {name: (value, f"{name} in {file}") for name, value in _read(file, cls.model_fields).items()}
        for name in cls.model_fields:
            variable = PREFIX + name.upper()
            if environ.get(variable, "").strip():
                found[name] = (environ[variable], variable)
        try:
            return cls.model_validate({name: value for name, (value, _) in found.items()})
        except ValidationError as exc:
            name = str(exc.errors()[0]["loc"][0])
            value, where = found[name]
            raise UsageError(
                f"{where} is {value!r}; allowed is {cls.model_fields[name].description}",
                hint=f"unset {where} for the default",
            ) from exc

    def changed(self, **values: object) -> Self:
        """Return a copy with other values; None leaves a value as it is.

        Raises
        ------
        ValueError
            A value is not allowed; the message names the setting, the value, and the allowed values.
        """
        given = {name: value for name, value in values.items() if value is not None}
        try:
            return type(self).model_validate(self.model_dump() | given)
        except ValidationError as exc:
            name = str(exc.errors()[0]["loc"][0])
            allowed = type(self).model_fields[name].description
            raise ValueError(f"{name} is {given[name]!r}; allowed is {allowed}") from exc


class ServeSettings(Settings):
    """The settings of `inspector serve`: those of every command, and those of the daemon.

    Attributes
    ----------
    threads : int
        Threads for one picture; 1 by default, because other pictures are scored at the same time.
    host, port : str, int
        The address to listen on.
    model : str or None
        The model of requests that name none; without it, the name that is current at the start.
    workers : int
        Threads that score; 0 means one for each core.
    queue_size : int
        Requests that may wait for a worker.
    max_model_bytes : int
        Memory for opened models; the default model stays open in any case.
    body_seconds : float
        Time for a sender to send a request body; a slower sender is refused.
    keep_alive_seconds : int
        Time that an idle connection stays open; longer than a proxy keeps it, so that the proxy closes first.
    allowed_origins : tuple of str
        Origins whose pages may use the daemon from a browser; `*` stands for all of them.
    api_keys, api_keys_file : str, Path
        `SCOPE:KEY` words, and a file with one word on each line.
    metrics_open : bool
        Leave `/metrics` open without a key.
    allow_anonymous : bool
        Leave every route open without a key.
    """

    model_config = ConfigDict(defer_build=True)  # no command but `serve` validates them

    threads: int = Field(default=1, ge=0, le=1024, description=_COUNT("0 (one for each core)", 1024))
    host: str = Field(default="127.0.0.1", description="an address")
    port: int = Field(default=8080, ge=0, le=65535, description=_COUNT(0, 65535))
    model: str | None = Field(default=None, description="NAME, NAME@VERSION or a path")
    workers: int = Field(default=0, ge=0, le=256, description=_COUNT("0 (one for each core)", 256))
    queue_size: int = Field(default=64, ge=1, le=100_000, description=_COUNT(1, 100000))
    max_model_bytes: int = Field(default=2**30, ge=1, description="a whole number from 1")
    body_seconds: float = Field(default=30.0, gt=0, description="a number above 0")
    keep_alive_seconds: int = Field(default=75, ge=1, le=86_400, description=_COUNT(1, 86400))
    allowed_origins: Origins = Field(
        default=(), description="origins such as https://mes.example:8443, separated by commas, or *"
    )
    api_keys: str | None = Field(default=None, repr=False, description="SCOPE:KEY, separated by commas")
    api_keys_file: UserPath | None = Field(default=None, description="the path of a file")
    metrics_open: bool = Field(default=False, description=_FLAG)
    allow_anonymous: bool = Field(default=False, description=_FLAG)


def _read(file: Path | None, known: Mapping[str, object]) -> dict[str, Any]:
    if file is None:
        return {}
    import tomllib

    try:
        found = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(
            f"--config {file} cannot be read: {exc}", hint="it is TOML, such as port = 9000"
        ) from exc
    for name in sorted(found.keys() - known):
        raise UsageError(
            f"--config {file} sets {name!r}, which is not a setting", hint=f"settings are {sorted(known)}"
        )
    return found


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each variable with our prefix that is no setting; it names the most similar one.

    Examples
    --------
    >>> unknown_variables({"INSPECTOR_STROE": "/models", "INSPECTOR_PORT": "80"})
    ['INSPECTOR_STROE is not a setting and has no effect; did you mean INSPECTOR_STORE?']
    """
    known = [PREFIX + name.upper() for name in ServeSettings.model_fields]
    warnings = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        close = get_close_matches(
            name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known], 1
        )
        advice = f"did you mean {PREFIX}{close[0]}?" if close else f"the settings are {', '.join(known)}"
        warnings.append(f"{name} is not a setting and has no effect; {advice}")
    return warnings


def is_debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `INSPECTOR_DEBUG` asks for tracebacks; False if the environment itself is invalid."""
    try:
        return Settings.from_environment(environ).debug
    except UsageError:
        return False


def wants_colour(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a terminal may be coloured: `NO_COLOR` is unset and `TERM` is not `dumb`."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
