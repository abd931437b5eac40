"""A recorded meeting as Zoom describes it; which of its files are used, and where. Pure.

The same object comes with `recording.completed` and from the API. Times are whole seconds, so a
file is placed on the wall clock to a second, and its end is no measure of its clock's drift.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from merger.i18n import Message, Param
from merger.ports.meetings import MeetingEvent
from merger.timeline.clock import Span, is_plausible
from merger.timeline.timestamps import parse_timestamp
from recorders.zoom.pauses import stretches
from recorders.zoom.views import has_captions, right_alone, sides_of, view_of

# Begun by mistake, or to see whether it works.
FALSE_START = timedelta(seconds=120)
# Times are rounded to seconds: files that touch may seem to overlap.
_ROUNDED = timedelta(seconds=2)
_TRANSCRIPTS = {"CHAT", "TRANSCRIPT", "CC"}
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class File:
    """One file of a recording.

    status: as Zoom has it, in lower case; empty where it says none. stretches: when it was
    recorded, between its pauses; empty where nothing is known of any.
    """

    name: str
    file_type: str
    recording_type: str
    start: datetime | None
    end: datetime | None
    size_bytes: int
    status: str
    url: str
    stretches: tuple[Span, ...] = ()

    @property
    def view(self) -> str | None:
        return view_of(self.recording_type) if self.file_type == "MP4" else None

    @property
    def is_complete(self) -> bool:
        """Whether Zoom has finished it; without a word about that, it has not."""
        return self.status == "completed" and bool(self.url) and self.span is not None

    @property
    def is_empty(self) -> bool:
        """Whether Zoom has finished it, and there is nothing in it: it ends where it begins."""
        has_times = self.start is not None and self.end is not None
        return self.status == "completed" and has_times and self.span is None

    @property
    def is_transcript(self) -> bool:
        """Whether it is something to read: the chat, or what people said."""
        return self.file_type in _TRANSCRIPTS and bool(self.url)

    @property
    def span(self) -> Span | None:
        """When it was recorded, or None where Zoom does not say so (yet)."""
        if self.start is None or self.end is None or self.end <= self.start:
            return None
        return Span(self.start, self.end)

    @property
    def paused_stretches(self) -> tuple[Span, ...]:
        """When it was recorded, where it is known to have been paused; else nothing."""
        # Else nothing is known of what it begins with.
        is_whole = self.stretches and self.stretches[0].start == self.start
        return self.stretches if is_whole and len(self.stretches) > 1 else ()


@dataclass(frozen=True)
class Meeting:
    """A meeting that was recorded.

    host: a mail address, or empty. links: where people watch it. start: when the meeting began,
    which is before its recording did; None where Zoom does not say it.
    """

    uuid: str
    number: str
    topic: str
    host: str
    files: tuple[File, ...]
    links: tuple[str, ...] = ()
    start: datetime | None = None

    @property
    def has_transcript(self) -> bool:
        """Whether Zoom has written down what people said."""
        return any(file.file_type == "TRANSCRIPT" and file.url for file in self.files)


class Malformed(ValueError):
    """An object that is no meeting; the message says what is wrong with it."""

    def __init__(self, key: str, /, **params: Param) -> None:
        self.message = Message(f"recorders.zoom.{key}", **params)
        super().__init__(str(self.message))


def meeting_of(document: Any) -> Meeting:
    """Return the meeting that an object of Zoom's describes. Raises Malformed."""
    if not isinstance(document, Mapping):
        raise Malformed("not_an_object")
    required = ("uuid", "id", "recording_files")
    missing = tuple(name for name in required if document.get(name) in (None, ""))
    if missing:
        raise Malformed("missing", fields=missing)
    number, files = digits(str(document["id"])), document["recording_files"]
    if not isinstance(document["uuid"], str) or not number:
        raise Malformed("bad_id")
    if not isinstance(files, list) or not all(isinstance(file, Mapping) for file in files):
        raise Malformed("bad_files")
    links = [document.get("share_url"), *(file.get("play_url") for file in files)]
    return Meeting(
        document["uuid"], number, _text(document, "topic"), _text(document, "host_email"),
        tuple(_file(file) for file in files),
        tuple(link for link in links if isinstance(link, str) and link),
        _instant(document.get("start_time")),
    )  # fmt: skip


def recorded_meeting(document: Any) -> Meeting | None:
    """Return the meeting that an object describes; None where nothing has been recorded yet."""
    try:
        return meeting_of(document)
    except Malformed:
        return None


def with_stretches(meeting: Meeting, events: Collection[MeetingEvent]) -> Meeting:
    """Return a meeting whose files say when they were recorded, as far as its events tell."""
    if not events:
        return meeting
    files = (
        replace(file, stretches=tuple(stretches(file.span, events))) if file.span else file
        for file in meeting.files
    )
    return replace(meeting, files=tuple(files))


def digits(text: str) -> str:
    """Return the digits of a meeting number, which people write with spaces or dashes in it."""
    plain = re.sub(r"[ -]", "", text)
    return plain if re.fullmatch(r"[0-9]{6,20}", plain) else ""


def _file(entry: Mapping[str, Any]) -> File:
    size = entry.get("file_size")
    kind = _text(entry, "file_type").upper()
    view = _text(entry, "recording_type")
    name = _text(entry, "id") or f"{kind.lower()}-{view}-{_text(entry, 'recording_start')}"
    return File(
        re.sub(r"[^\w-]", "_", name)[:100], kind, view,
        _instant(entry.get("recording_start")), _instant(entry.get("recording_end")),
        int(size) if isinstance(size, int | float) and size > 0 else 0,
        _text(entry, "status").lower(), _text(entry, "download_url"),
    )  # fmt: skip


def _text(parent: Mapping[str, Any], key: str) -> str:
    value = parent.get(key)
    return value.strip() if isinstance(value, str) else ""


def _instant(text: Any) -> datetime | None:
    try:
        instant = parse_timestamp(text)
        if instant.tzinfo is None or not is_plausible(instant):
            return None
        return instant.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None  # empty while the recording goes on


# --- what is used of it ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """What stands left and right in a meeting, in order of time. notes: about what is left out.

    right_alone: what stands right where a camera has the left side. span: of all of it, None where
    there is nothing yet; is_complete: nothing is waited for.
    """

    left: tuple[File, ...]
    right: tuple[File, ...]
    span: Span | None
    is_complete: bool
    notes: tuple[Message, ...]
    right_alone: tuple[File, ...] = ()

    @property
    def length(self) -> timedelta:
        """How long the meeting was recorded, without the gaps."""
        return sum((span.length for span in _merge_spans(self.left + self.right)), timedelta())


def place_files(meeting: Meeting) -> Placed:
    """Return which files of a meeting are used.

    A piece is what was recorded between start and stop: files of several views that overlap. A
    pause begins no new files. Each piece has the views that it has, so what stands left and right
    is decided for each of them.
    """
    shown = [file for file in meeting.files if file.view and not file.is_empty]
    pieces = pieces_of(shown)
    notes = []
    if _is_false_start(pieces):
        seconds = _length(pieces.pop(0)).seconds
        notes.append(Message("recorders.zoom.false_start", seconds=seconds))
    left: list[File] = []
    right: list[File] = []
    alone: list[File] = []
    for piece in pieces:
        views = {file.view for file in piece if file.view}
        left_view, right_view = sides_of(views)
        left += _files_of_view(piece, left_view)
        right += _files_of_view(piece, right_view) if right_view else []
        view_alone = right_alone(views)
        alone += _files_of_view(piece, view_alone) if view_alone else []
    spans = _merge_spans(left + right)
    return Placed(
        tuple(left), tuple(right),
        Span(spans[0].start, spans[-1].end) if spans else None,
        all(file.is_complete for file in shown), tuple(notes), tuple(alone),
    )  # fmt: skip


def pieces_of(files: Iterable[File]) -> list[list[File]]:
    """Return the files that were recorded at the same time, together, in order of time.

    Zoom gives the files of a piece one recording_start; a screen that was shared later may have its
    own. Without a start, a file is not placed yet.
    """
    pieces: list[list[File]] = []
    until = _NEVER
    for file in sorted(files, key=_order):
        if file.start is None:
            continue
        if pieces and (file.start == pieces[-1][0].start or file.start < until - _ROUNDED):
            pieces[-1].append(file)
        else:
            pieces.append([file])
        until = max(until, file.end or file.start)
    return pieces


def _order(file: File) -> tuple[datetime, datetime, str]:
    return file.start or _NEVER, file.end or _NEVER, file.name


def _is_false_start(pieces: Sequence[Sequence[File]]) -> bool:
    if len(pieces) < 2:
        return False
    first = _length(pieces[0])
    return first < FALSE_START and any(_length(piece) > first for piece in pieces[1:])


def _length(piece: Sequence[File]) -> timedelta:
    return sum((span.length for span in _merge_spans(piece)), timedelta())


def _merge_spans(files: Iterable[File]) -> list[Span]:
    """Return when there is any of some files, in order of time."""
    spans: list[Span] = []
    for span in sorted((f.span for f in files if f.span), key=lambda span: span.start):
        if spans and span.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, span.end))
        else:
            spans.append(span)
    return spans


def _files_of_view(piece: Sequence[File], view: str) -> list[File]:
    """Return the files of a view, without captions where there are two of the same time."""
    chosen: list[File] = []
    of_view = [file for file in piece if file.view == view]
    for file in sorted(of_view, key=lambda f: (has_captions(f.recording_type), *_order(f))):
        span = file.span
        overlaps = span and any(other.span and other.span.cut_to(span) for other in chosen)
        if not overlaps:
            chosen.append(file)
    return sorted(chosen, key=_order)
