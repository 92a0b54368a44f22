"""Structured logs: one JSON object on each line of stderr, without pictures and keys."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

logger = logging.getLogger("inspector.daemon")


class JsonFormatter(logging.Formatter):
    """Formats a log record and its fields as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


_FORMATTER = JsonFormatter()


def log_event(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with its fields."""
    logger.log(level, event, extra={"fields": fields})


def warning_line(event: str, **fields: Any) -> str:
    """Return a warning as a whole line of the log, for code that must not or cannot use a logger."""
    level = {"level": logging.WARNING, "levelname": logging.getLevelName(logging.WARNING)}
    record = logging.makeLogRecord({**level, "msg": event, "fields": fields})
    return f"{_FORMATTER.format(record)}\n"


def configure(stream: SupportsWrite[str]) -> None:
    """Send all logs to a stream as JSON lines, with warnings and errors that no code handles.

    On a full disk, and while nobody reads, lines are lost, but no request is.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_FORMATTER)
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)  # libraries log here, too
    logging.captureWarnings(True)
    logger.setLevel(logging.INFO)
    threading.excepthook = lambda found: _unhandled(
        found.exc_value, thread=getattr(found.thread, "name", None)
    )
    sys.unraisablehook = lambda found: _unhandled(found.exc_value, where=repr(found.object))


def _unhandled(exc: BaseException | None, **fields: Any) -> None:
    logger.error("unhandled error", exc_info=exc, extra={"fields": fields})
