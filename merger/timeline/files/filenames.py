"""File names: those of a library, which others chose, and those of our results.

Pure. A library file is called `YYYY-MM-DD_HH:MM[:SS]_{room}_{source}.EXT`, or with `-` for `:`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from merger.i18n import Message
from merger.timeline.clock import Span, is_plausible

MEDIA_EXTENSIONS = ("mp4", "mkv", "ts", "mov", "webm")

_NAME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})_(?P<hour>\d{2})(?P<sep>[:-])(?P<minute>\d{2})"
    r"(?:(?P=sep)(?P<second>\d{2}))?_(?P<rest>.+)\.(?P<extension>[A-Za-z0-9]+)",
    re.DOTALL,
)

# Characters that some file system refuses, and those that no name should hold.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad/\\:*?\"<>|\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)
# What comes behind the stem of a result, by its kind: videos, and captions of them.
VIDEOS, CAPTIONS = ("merge", "backup"), ("transcript", "chat", "chapters")
ENDINGS = {
    "merge": ".mp4", "backup": "_backup.mp4",
    "transcript": "_transcript.vtt", "chat": "_chat.vtt", "chapters": "_chapters.vtt",
}  # fmt: skip
_LONGEST_BYTES = 255  # of one name, on every common file system
# How much later than its name says a file may begin. A name without seconds leaves a minute open,
# but recorders that are content with minutes begin at full ones, and a gap is not to be explained
# away: so it is only what no pause in a file is either.
_OF_SECONDS, _OF_MINUTES = timedelta(seconds=1), timedelta(seconds=2)


@dataclass(frozen=True)
class LibraryName:
    """What the name of a library file says: when it begins, in naive local time, and its source."""

    start: datetime
    source: str


def library_name(name: str, room: str, sources: set[str]) -> LibraryName | Message:
    """Return what a file's name says, or, for a name that does not fit, why.

    Room and source are compared with names, not parsed, because both may hold `_`.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return Message("timeline.other_form")
    if match["extension"].lower() not in MEDIA_EXTENSIONS:
        return Message(
            "timeline.other_extension", extension=match["extension"], extensions=MEDIA_EXTENSIONS
        )
    # macOS writes й and é as two characters each
    rest = _to_nfc(match["rest"])
    source = next((s for s in sources if rest == _to_nfc(f"{room}_{s}")), None)
    if source is None:
        return Message("timeline.other_source")
    text = f"{match['date']}T{match['hour']}:{match['minute']}:{match['second'] or '00'}"
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        return Message("timeline.not_in_calendar", text=text)
    if not is_plausible(start):
        return Message("timeline.impossible_year", year=start.year)
    return LibraryName(start, source)


def leeway_of(origin: str) -> timedelta:
    """Return how much later than its name says a library file may have begun.

    Args:
        origin: its name, perhaps behind an id and a space; any other leaves nothing open.
    """
    match = _NAME.fullmatch(origin) or _NAME.fullmatch(origin.partition(" ")[2])
    if match is None:
        return timedelta(0)
    return _OF_SECONDS if match["second"] else _OF_MINUTES


def place_and_source(name: str) -> str:
    """Return what stands behind the time in a library file's name: `{room}_{source}`, or ''."""
    match = _NAME.fullmatch(name)
    return match["rest"] if match else ""


def is_of_another(name: str) -> bool:
    """Return whether a file that does not fit is well named, and so of another room or source."""
    match = _NAME.fullmatch(name)
    return match is not None and match["extension"].lower() in MEDIA_EXTENSIONS


def nearest(starts: Mapping[str, datetime], span: Span) -> Message | None:
    """Return which files begin last before a span and first after it, or None without any.

    For a person who has mistyped a day or an hour.

    Args:
        starts: of files, by name.
    """
    before = sorted((at, name) for name, at in starts.items() if at < span.start)[-1:]
    after = sorted((at, name) for name, at in starts.items() if at >= span.end)[:1]
    names = [name for _, name in before + after]
    if not names:
        return None
    if len(names) == 1:
        return Message("timeline.nearest_file", file=names[0])
    return Message("timeline.nearest_files", before=names[0], after=names[1])


def _to_nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def result_stem(name: str, room: str, span: Span, zone: ZoneInfo) -> str:
    """Return the name of a result without `_backup` and extension, safe on every file system.

    `{name}_{room}_{YYYY-MM-DD}_{HH-MM}-{HH-MM}` in local time; letters of any script are kept.
    """
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    tail = f"{start:%Y-%m-%d_%H-%M}-{end:%H-%M}"
    longest = _LONGEST_BYTES - len(f"__{tail}_backup.plan.json".encode())
    # The room is kept before the name is: two rooms must not overwrite each other's results.
    place = f"{_safe_text(room, longest // 3)}_" if room else ""  # a room that was deleted
    return f"{_safe_text(name, longest - len(place.encode()))}_{place}{tail}"


def similar_names(wish: str) -> Iterator[str]:
    """Yield a name, and others like it, for where somebody has it already."""
    stem, dot, extension = wish.rpartition(".")
    yield wish
    for n in count(2):
        yield f"{stem}_{n}{dot}{extension}"


def name_key(name: str) -> str:
    """Return what is the same for names that some file system takes for one."""
    # `Math.mp4` and `math.mp4`, and both ways to write `й`.
    return hashlib.sha256(_to_nfc(name).casefold().encode()).hexdigest()


def is_similar(name: str, wish: str) -> bool:
    """Return whether a name is the one that was wished for, or one like it."""
    stem, dot, extension = wish.rpartition(".")
    return name == wish or bool(
        re.fullmatch(rf"{re.escape(stem)}_[1-9]\d*{re.escape(dot + extension)}", name)
    )


def _safe_text(text: str, longest_bytes: int) -> str:
    """Return text as a part of a file name; what is cut off is marked by a hash of the whole."""
    text = re.sub(r"\s+", " ", _UNSAFE.sub("_", text)).strip().lstrip(".") or "lecture"
    if len(text.encode()) <= longest_bytes:
        return text
    mark = f"~{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    while len(text.encode()) > longest_bytes - len(mark):
        text = text[:-1]
    return text.rstrip() + mark
