"""File names: those of a library, which others chose, and those of our results.

Pure. A library file is called `YYYY-MM-DD_HH:MM[:SS]_{room}_{source}.EXT`, or with `-` for `:`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from merger.timeline import Span

MEDIA_EXTENSIONS = ("mp4", "mkv", "ts", "mov", "webm")

_NAME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})_(?P<hour>\d{2})(?P<sep>[:-])(?P<minute>\d{2})"
    r"(?:(?P=sep)(?P<second>\d{2}))?_(?P<rest>.+)\.(?P<extension>[A-Za-z0-9]+)",
    re.DOTALL,
)

# Characters that some file system refuses, and those that no name should hold.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_LONGEST_BYTES = 255  # of one name, on every common file system


@dataclass(frozen=True)
class LibraryName:
    """What the name of a library file says: the naive local start, and whose media it is."""

    start: datetime
    source: str


def library_name(name: str, room: str, sources: set[str]) -> LibraryName | str:
    """Return what a file's name says, or, for a name that does not fit, why (a phrase).

    Room and source are compared with the given names, because both may hold `_`.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return "its name does not begin with a date and a time, or has no extension"
    if match["extension"].lower() not in MEDIA_EXTENSIONS:
        return f"{match['extension']} is none of {', '.join(MEDIA_EXTENSIONS)}"
    source = next((s for s in sources if match["rest"] == f"{room}_{s}"), None)
    if source is None:
        return "it is of another room or source"
    text = f"{match['date']}T{match['hour']}:{match['minute']}:{match['second'] or '00'}"
    try:
        return LibraryName(datetime.fromisoformat(text), source)
    except ValueError:
        return f"{text} is not in the calendar"


def result_stem(name: str, room: str, span: Span, zone: ZoneInfo) -> str:
    """Return the name of a result without `_backup` and extension, safe on every file system.

    `{name}_{room}_{YYYY-MM-DD}_{HH-MM}-{HH-MM}` in local time; letters of any script are kept.
    """
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    tail = f"{start:%Y-%m-%d_%H-%M}-{end:%H-%M}"
    longest = _LONGEST_BYTES - len(f"_{tail}_backup.plan.json.partial".encode())
    return f"{_safe(f'{name}_{room}', longest)}_{tail}"


def _safe(text: str, longest_bytes: int) -> str:
    text = _UNSAFE.sub("_", text)
    text = re.sub(r"\s+", " ", text).strip(" .")
    while len(text.encode("utf-8", "replace")) > longest_bytes:
        text = text[:-1]
    return text.encode("utf-8", "replace").decode().rstrip(" .") or "lecture"
