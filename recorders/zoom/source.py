"""Kind `zoom`: the cloud recordings of a Zoom meeting.

The address is the number of the meeting, `zoom:123 4567 8901`. Credentials, where they are not
those of the settings, are account_id:client_id:client_secret of a server-to-server OAuth app.

One source fills two roles where no camera fills them: what the speaker is seen in stands left, what
is shared stands right (`recorders/zoom/views.py`). Beside a camera, it is the right side alone, and
that is what is shared, where anything is. A file is placed by its recording_start. Zoom rounds it,
and the end, to seconds: by them nothing is known of a clock, but of a recording that was paused.
After a pause it goes on in the same file; when that was, only the events say that Zoom reported.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from merger.errors import Invalid, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.container import read_header
from merger.media.sidecar import sidecar_bytes, sidecar_path
from merger.ports.meetings import MeetingEvent
from merger.ports.recorder import Probe
from merger.storage.copying import sha256_of
from merger.storage.files import publish
from merger.timeline.captions import Transcript
from merger.timeline.clock import Span
from recorders import base
from recorders.base import Collected, Found, Item, Skipped, SourceOfRoom, invalid_source
from recorders.zoom.api import Account, Client, client_of
from recorders.zoom.download import NotThere, download
from recorders.zoom.meeting import (
    File,
    Meeting,
    Placed,
    digits,
    place_files,
    recorded_meeting,
    with_stretches,
)
from recorders.zoom.probe import probe_meeting
from recorders.zoom.views import name_of_view, order_of

# Of one recording; and between a UTC date that Zoom looks by and the day that it means by it.
_LONGEST = timedelta(hours=24)
_DAY = timedelta(days=1)
_LEFT = ("speaker", "audio")


def _no_events(uuid: str) -> Collection[MeetingEvent]:
    return ()


@dataclass(frozen=True)
class Zoom:
    """Meetings that Zoom has recorded.

    settle: its documentation promises a recording after about twice the length of the meeting.
    events_of: what Zoom reported of a meeting while it went on, by its UUID.
    """

    account: Account = field(default_factory=Account)
    settle: timedelta = timedelta(hours=2)
    fills: tuple[str, ...] = ("speaker", "screen")
    events_of: Callable[[str], Collection[MeetingEvent]] = _no_events

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address is no meeting's, or there are no credentials."""
        number_of(source)
        self.check_credentials(source)

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where there are none, or not all three parts of them."""
        self.client(source)

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return when the newest recording of the meeting began. Raises MergerError."""
        return probe_meeting(self.client(source), number_of(source), source.zone, now)

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return the files of the source's side of the meetings in a span.

        More is expected while Zoom is working on one, and where meetings do not reach over the
        span; a gap inside of a meeting is one in which nothing was recorded.
        """
        recorded = list(self._recorded(source, span))
        meetings = [there for there in recorded if _has_leave(source, *there)]
        items = [_item(meeting, file) for meeting, file in _files(meetings, source, span)]
        whole = [_whole(meeting, placed) for meeting, placed in meetings if placed.span]
        is_complete = all(placed.is_complete for _, placed in meetings)
        expected = not is_complete or not base.reach_over(sorted(whole, key=_start), span)
        has_notes = source.role in _LEFT  # once, where there is a right side, too
        notes = [note for _, placed in meetings for note in placed.notes if has_notes]
        if len(meetings) < len(recorded) and "/" not in source.name:
            notes.append(Message("recorders.zoom.of_another"))
        return Found(tuple(items), expected, tuple(notes))

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Load what is complete and not there yet."""
        base.stop_if(cancelled)
        client = self.client(source)

        def load_to(meeting: Meeting, file: File, final: Path) -> None:
            if not _is_collected(final):
                _load_media(client, meeting, file, final, cancelled)

        files = _files(list(self._meetings(source, span)), source, span)
        items = ((_item(m, f), "mp4", partial(load_to, m, f)) for m, f in files)
        return base.collect_each(source, into, items, cancelled)

    def collect_views(
        self, source: SourceOfRoom, span: Span, into: Path, cancelled: Callable[[], bool]
    ) -> list[Collected]:
        """Load all views that are complete and not there yet.

        What a side of the record shows is there under the name of that side.
        """
        client = self.client(source)

        def load_to(meeting: Meeting, file: File, final: Path) -> None:
            sides = (replace(source, name=f"{source.name}/{role}") for role in self.fills)
            twins = [into / base.file_name(s, _item(meeting, file), "mp4") for s in sides]
            if not _is_collected(final) and not _link_twin(twins, final):
                _load_media(client, meeting, file, final, cancelled)

        items = [
            (_item(meeting, file), "mp4", partial(load_to, meeting, file))
            for meeting, _ in self._meetings(source, span)
            for file in sorted(meeting.files, key=lambda file: order_of(file.view))
            if file.file_type == "MP4" and file.span and file.span.cut_to(span)
        ]
        return base.collect_each(source, into, items, cancelled)

    def view_of(self, origin: str) -> str:
        """Return the name of the view that a file is."""
        recording_type = origin.partition(" ")[2].rpartition(" ")[0]
        return name_of_view(recording_type)

    def collect_transcripts(
        self, source: SourceOfRoom, span: Span, into: Path, cancelled: Callable[[], bool]
    ) -> list[Transcript]:
        """Load the chats and the transcripts of the meetings in a span."""
        client = self.client(source)
        there: list[Transcript] = []
        trouble: Temporary | None = None
        for meeting, _ in self._meetings(source, span):
            for file in meeting.files:
                if not file.is_transcript:
                    continue
                name = f"{file.recording_type or file.file_type.lower()}-{file.name}"
                final = into / f"{name[:150]}.{'txt' if file.file_type == 'CHAT' else 'vtt'}"
                try:
                    if not final.exists():
                        with base.work_folder(into) as work:
                            # Of any size: it is to be read, not played.
                            _load(client, meeting, file, work / final.name, 0, cancelled)
                            publish(work / final.name, final)
                except NotThere:
                    continue  # deleted: the video is what matters
                except Temporary as error:  # one bad file never stops the others
                    trouble = error
                    continue
                there.append(_transcript(meeting, file, final.name))
        if trouble and not there:
            raise trouble
        return there

    def client(self, source: SourceOfRoom | None = None) -> Client:
        """Return what asks Zoom, for a source perhaps. Raises Invalid without credentials."""
        credentials = (source and source.credentials) or self.account.credentials
        parts = credentials.split(":")
        if len(parts) != 3 or not all(parts):
            what = "credentials_form" if credentials else "no_credentials"
            key = f"recorders.zoom.{what}"
            if source is None:
                raise Invalid("credentials", key)
            raise invalid_source(source, "credentials", key)
        return client_of(replace(self.account, credentials=credentials))

    def _meetings(self, source: SourceOfRoom, span: Span) -> Iterator[tuple[Meeting, Placed]]:
        """Yield the meetings that may be taken: all that is used of them comes from here."""
        for meeting, placed in self._recorded(source, span):
            if _has_leave(source, meeting, placed):
                yield meeting, placed

    def _recorded(self, source: SourceOfRoom, span: Span) -> Iterator[tuple[Meeting, Placed]]:
        """Yield the meetings of a source that may have been recorded in a span."""
        number, client = number_of(source), self.client(source)
        first = (span.start - _LONGEST - _DAY).date()
        for entry in client.recordings(first, (span.end + _DAY).date()):
            if digits(str(entry.get("id"))) != number or not isinstance(entry.get("uuid"), str):
                continue
            # The list may be older than the meeting's own answer, and its addresses, too.
            meeting = recorded_meeting(client.meeting(entry["uuid"]))
            if meeting is None:
                continue
            meeting = with_stretches(meeting, self.events_of(meeting.uuid))
            if _may_touch(placed := place_files(meeting), span):
                yield meeting, placed


def number_of(source: SourceOfRoom) -> str:
    """Return the meeting number of a source. Raises Invalid with what to write instead."""
    number = meeting_number(source.address)
    if not number:
        key = "recorders.zoom.not_a_meeting"
        raise invalid_source(source, "address", key, address=source.address)
    return number


def meeting_number(address: str) -> str:
    """Return the meeting number of an address; empty where it is none. Pure."""
    scheme, colon, number = address.partition(":")
    return digits(number.strip()) if colon and scheme == "zoom" else ""


def _has_leave(source: SourceOfRoom, meeting: Meeting, placed: Placed) -> bool:
    """Return whether a record may show a meeting. Pure."""
    leave = source.leave
    return leave is None or leave.covers(meeting.uuid, meeting.host, placed.span)


def _may_touch(placed: Placed, span: Span) -> bool:
    """Return whether a meeting has to do with a span, or may have: one without times yet."""
    if placed.span is None:
        return not placed.is_complete
    return placed.span.start < span.end and placed.span.end > span.start


def _files(
    meetings: list[tuple[Meeting, Placed]], source: SourceOfRoom, span: Span
) -> list[tuple[Meeting, File]]:
    """Return the files of a source's side that reach into a span, in order of time."""
    files = [
        (meeting, file)
        for meeting, placed in meetings
        for file in _side(placed, source)
        if file.start and file.start < span.end and not (file.end and file.end <= span.start)
    ]
    return sorted(files, key=lambda pair: (_item(*pair).start, pair[1].name))


def _side(placed: Placed, source: SourceOfRoom) -> tuple[File, ...]:
    """Return the files of a meeting that are of a source's side.

    A source that is the screen (or the board) by its own role leaves the speaker to a camera; one
    that has this role in addition to its own is called NAME/ROLE, and has the speaker, too.
    """
    if source.role in _LEFT:
        return placed.left
    return placed.right if "/" in source.name else placed.right_alone


def _item(meeting: Meeting, file: File) -> Item:
    assert file.start is not None
    pauses = ""
    if len(file.stretches) > 1:  # what is learnt of them later places the file anew
        pauses = f"-{hashlib.sha256(str(file.stretches).encode()).hexdigest()[:16]}"
    return Item(
        origin=f"{meeting.uuid} {file.recording_type} {file.name}.mp4",
        fingerprint=f"{file.size_bytes}-{file.start.isoformat()}{pauses}",
        start=file.start,
        end=file.end,
        size_bytes=file.size_bytes,
        settled=file.is_complete,
    )


def _whole(meeting: Meeting, placed: Placed) -> Item:
    """Return a meeting as if it were a single item without gaps."""
    assert placed.span is not None
    return Item(meeting.uuid, "", placed.span.start, placed.span.end, 0, placed.is_complete)


def _start(item: Item) -> datetime:
    return item.start


def _is_collected(final: Path) -> bool:
    """Return whether a file was collected earlier. Its name depends on the size that Zoom gives."""
    return final.is_file() and sidecar_path(final).is_file()


def _link_twin(twins: Collection[Path], final: Path) -> bool:
    """Give a file that was collected under another name this one, too; return whether it was."""
    twin = next(filter(_is_collected, twins), None)
    if twin is not None:
        for path, other in ((sidecar_path(twin), sidecar_path(final)), (twin, final)):
            other.unlink(missing_ok=True)
            other.hardlink_to(path)
    return twin is not None


def _load_media(
    client: Client, meeting: Meeting, file: File, final: Path, cancelled: Callable[[], bool]
) -> None:
    """Load a file under its final name, with a sidecar that places it.

    One that is shorter than Zoom says, and of which it has no more, is used as far as it goes.

    Raises:
        Skipped: Zoom does not give it, or not now, or it is no video.
        Cancelled: `cancelled` says so.
        Temporary, Broken: our own folder.
    """
    assert file.span is not None
    base.require_space(final.parent, file.size_bytes, file.name)
    with base.work_folder(final.parent) as work:
        partial = work / final.name
        try:
            _load(client, meeting, file, partial, file.size_bytes, cancelled)
        except Temporary as error:
            raise Skipped(error) from error
        except NotThere as error:
            trouble = Refused(
                "source", "recorders.zoom.file_refused", view=file.recording_type,
                meeting=meeting.uuid, why=error.why,
            )  # fmt: skip
            raise Skipped(trouble) from error
        is_longer = 0 < file.size_bytes < partial.stat().st_size
        if is_longer or not _is_video(partial):
            raise Skipped(Temporary("source_away", "recorders.zoom.no_video", file=file.name))
        # The cache knows files by the time of their change: loaded again, it is the same file.
        changed_ns = int(file.span.end.timestamp()) * 1_000_000_000
        os.utime(partial, ns=(changed_ns, changed_ns))
        sha256 = sha256_of(partial, lambda: base.stop_if(cancelled))
        failpoint("recorder.copied")
        base.publish_media(partial, _sidecar(file, sha256), final)


def _sidecar(file: File, sha256: str) -> bytes:
    """Return what places a file: its start, its end, and when it was recorded in between."""
    assert file.span is not None
    end = file.stretches[-1].end if file.stretches else file.span.end
    return sidecar_bytes(
        file.span.start, end, sha256, exact_to_s=1, stretches=file.paused_stretches
    )


def _transcript(meeting: Meeting, file: File, name: str) -> Transcript:
    """Return where the times of a chat or a transcript lie.

    Those of a chat count from the start of the meeting, not of the recording. Captions say the same
    as a transcript, where there is one.
    """
    if file.file_type == "CHAT":
        return Transcript(name, "chat", meeting.start)
    is_placed = file.file_type == "TRANSCRIPT" or not meeting.has_transcript
    return Transcript(name, "transcript", file.start if is_placed else None, file.paused_stretches)


def _load(
    client: Client,
    meeting: Meeting,
    file: File,
    partial: Path,
    size_bytes: int,
    cancelled: Callable[[], bool],
) -> None:
    """Load a file; where its address has expired, ask for a new one, once."""
    try:
        return download(client, file.url, partial, size_bytes, cancelled)
    except NotThere:
        newest = recorded_meeting(client.meeting(meeting.uuid))
        files = newest.files if newest else ()
        fresh = next((other for other in files if other.name == file.name and other.url), None)
        if fresh is None:
            raise
    return download(client, fresh.url, partial, size_bytes, cancelled)


def _is_video(path: Path) -> bool:
    """Return whether a file has pictures, by its header."""
    try:
        header = reader.call(read_header, path)
    except Unreadable:
        return False
    return header is not None and header.has_pictures
