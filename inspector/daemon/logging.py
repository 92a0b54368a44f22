"""Structured logs: one JSON object on each line of stderr, without pictures and without keys."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("inspector.daemon")


class JsonLines(logging.Formatter):
    """Formats a record and the fields given with it as one JSON object."""

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


def say(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line."""
    logger.log(level, event, extra={"fields": fields})


def configure() -> None:
    """Send everything to stderr as JSON lines; a full disk under it loses lines, not requests."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)  # of the libraries, too
    logger.setLevel(logging.INFO)
