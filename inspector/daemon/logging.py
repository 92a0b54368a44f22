"""Structured logs: one JSON object on each line of stderr, without pictures and keys."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

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


def log_event(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with its fields."""
    logger.log(level, event, extra={"fields": fields})


def configure() -> None:
    """Send all logs to stderr as JSON lines; on a full disk lines are lost, requests are not."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)  # libraries log here, too
    logger.setLevel(logging.INFO)
