"""The log: lines on stderr, of text or as JSON objects."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal

# What says at INFO or as a warning what is of use to its developers.
_QUIET = {"alembic": logging.WARNING, "schedule": logging.WARNING, "waitress.queue": logging.ERROR}

_PASSWORD_IN_ADDRESS = re.compile(r"(://[^/@:\s]*):[^/\s]*@")

# What all lines of this process are about: a worker has one record, and a thread beside the work.
_about: dict[str, Any] = {}


def start_logging(form: Literal["text", "json"]) -> None:
    """Log to stderr, a line each, in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def set_context(**fields: Any) -> None:
    """Have all lines of this process say what they are about."""
    _about.update(fields)


def fields(**values: Any) -> dict[str, Any]:
    """Return what a call of a logger takes as `extra`, to say values beside its sentence."""
    return {"fields": values}


def printable(text: str) -> str:
    """Return text without what would do something to a terminal: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def mask_passwords(text: str) -> str:
    """Return text without the passwords in addresses such as rtsp://user:password@host."""
    return _PASSWORD_IN_ADDRESS.sub(r"\1:***@", text) if "://" in text else text


class TextLines(logging.Formatter):
    """Writes a line of the log for people, with what it is about in front."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(about)s%(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        words = ", ".join(f"{name} {value}" for name, value in _about.items())
        record.about = f"[{words}] " if words else ""
        return super().formatMessage(record)


class JsonLines(logging.Formatter):
    """Writes a line of the log as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_about,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
