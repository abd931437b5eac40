"""What passes between the supervisor and a process that records: values, each a line of JSON.

The process gets a `Job` on its standard input, and says on its standard output what becomes of it.
Both are of one version, so a line of any other form is a mistake and is refused.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from merger.i18n import Message, from_json, to_json
from recorders.rtsp.capture_clock import ClockSource


@dataclass(frozen=True)
class Job:
    """What is to be recorded, and where to.

    zone: of the room, in which files are named and cut. grid_s: they are cut at multiples of it
    since midnight. allowed: networks, beside those where any camera may be. look: only see whether
    there is a picture.
    """

    url: str
    credentials: str | None = field(repr=False)
    room: str
    source: str
    zone: str
    folder: str
    grid_s: int = 1800
    allowed: str = ""
    look: bool = False


@dataclass(frozen=True)
class Arriving:
    """Something comes, and no key frame yet with which a file could begin."""

    size_bytes: int  # of all that came on this connection


@dataclass(frozen=True)
class Progress:
    """Media comes. The instants are those of its capture, in microseconds since 1970."""

    size_bytes: int  # of all that came on this connection
    at_us: int  # of the newest packet
    from_us: int  # of the first key frame of this connection
    key_us: int  # of the newest key frame
    by: ClockSource


@dataclass(frozen=True)
class PictureTaken:
    """What the source shows, for people to recognise it by."""

    at_us: int
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class FileClosed:
    """A raw file is complete, and can be finished."""

    name: str


@dataclass(frozen=True)
class Ended:
    """The process ends by itself, and why.

    code: a stable word. is_lasting: trying again helps only after somebody has put something right.
    """

    code: str
    why: Message
    is_lasting: bool = False


ChildMessage = Arriving | Progress | PictureTaken | FileClosed | Ended
_KINDS: dict[str, type[Job | ChildMessage]] = {
    "job": Job,
    "arriving": Arriving,
    "progress": Progress,
    "picture_taken": PictureTaken,
    "file_closed": FileClosed,
    "ended": Ended,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FIELDS = {name: get_type_hints(kind) for name, kind in _KINDS.items()}


class MalformedLine(ValueError):
    """A line that is none of these values."""


def emit(message: ChildMessage) -> None:
    """Tell the supervisor something, who reads our standard output."""
    print(to_line(message), flush=True)


def to_line(value: Job | ChildMessage) -> str:
    """Return a value as a line of JSON, without the end of the line."""
    plain = {f.name: _to_plain(getattr(value, f.name)) for f in fields(value)}
    return json.dumps({"is": _NAMES[type(value)], **plain})


def from_line(line: str) -> Job | ChildMessage:
    """Return the value that a line holds.

    Raises:
        MalformedLine: it holds none, or a field is missing, unknown, or of another type.
    """
    try:
        found = json.loads(line)
        kind = found.pop("is")
        types = _FIELDS[kind]
        if found.keys() != types.keys():
            raise ValueError("fields are missing, or unknown")
        values = {name: _from_plain(value, types[name]) for name, value in found.items()}
        return _KINDS[kind](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedLine(str(error)) from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return to_json(value) if isinstance(value, Message) else value


def _from_plain(value: Any, of: Any) -> Any:
    """Return a value of JSON as one of a type. Raises ValueError, KeyError, TypeError."""
    if of is bytes:
        return b64decode(value, validate=True)
    if of is Message and isinstance(value, dict):
        return from_json(value)
    if not _has_type(value, of):
        raise ValueError(f"a value is no {of}")  # which may be a password
    return value


def _has_type(value: Any, of: Any) -> bool:
    if get_origin(of) is UnionType:
        return any(_has_type(value, option) for option in get_args(of))
    if get_origin(of) is Literal:
        return value in get_args(of)
    return type(value) is of  # a bool is no int here
