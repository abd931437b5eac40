"""Recordings of Zoom that nobody requested, as the hook, the account's list or a link has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

from merger.errors import Refused
from merger.ports.discovery import DiscoveredRecording
from merger.timeline.clock import Span
from recorders.zoom.api import Account, Client
from recorders.zoom.meeting import Malformed, Meeting, meeting_of, place_files, recorded_meeting
from recorders.zoom.source import Zoom, meeting_number

# A link to watch a recording names no meeting: it is looked for in what Zoom lists.
LINKS_LOOKED_BACK = timedelta(days=183)
_UUID = re.compile(r"[A-Za-z0-9+/_=-]{16,64}")
_PATH_OF_LINK = re.compile(r"/rec(ording)?/(share|play)/")
_LONGEST = 2_000  # characters


def discovered_recording(meeting: Meeting) -> DiscoveredRecording:
    """Return a recorded meeting as the service sees it. Pure."""
    placed = place_files(meeting)
    return DiscoveredRecording(
        kind="zoom",
        origin=meeting.uuid,
        place=meeting.number,
        name=meeting.topic,
        owner=meeting.host,
        span=placed.span,
        length=placed.length,
        is_complete=placed.is_complete,
    )


def transcribed_recording(meeting: Meeting) -> DiscoveredRecording:
    """Return a meeting of which Zoom tells only what was said; its span is that of this. Pure."""
    spans = [file.span for file in meeting.files if file.span]
    span = Span(min(s.start for s in spans), max(s.end for s in spans)) if spans else None
    return replace(discovered_recording(meeting), span=span)


def uuid_in(text: str) -> str | None:
    """Return the UUID that a text is, or that a link names as its meeting; None without. Pure.

    Links hold it percent-encoded, once or twice; a plus in it is meant, and no space.
    """
    query = re.search(r"[?&](?:meeting_id|meetingId|uuid)=([^&#\s]+)", text)
    uuid = query[1] if query else text
    for _ in range(3):
        uuid = unquote(uuid)
    return uuid if _UUID.fullmatch(uuid) else None


@dataclass(frozen=True)
class ZoomDiscovery:
    """What an account has recorded."""

    account: Account

    def _client(self) -> Client:
        return Zoom(self.account).client()

    def place_of(self, address: str) -> str:
        """Return the meeting number of a source's address; empty where it is none."""
        return meeting_number(address)

    def list_recordings(self, since: datetime, until: datetime) -> Iterator[DiscoveredRecording]:
        """Yield what was recorded between two instants, as the list of the account has it.

        Without credentials that is nothing: rooms may have sources with their own.
        """
        if not self.account.credentials:
            return
        for meeting in self._list_meetings(since, until):
            yield discovered_recording(meeting)

    def _list_meetings(self, since: datetime, until: datetime) -> Iterator[Meeting]:
        for entry in self._client().recordings(since.date(), until.date()):
            if (meeting := recorded_meeting(entry)) is not None:
                yield meeting

    def find_recording(self, text: str, now: datetime) -> DiscoveredRecording:
        """Return the recording that a UUID or a link names. Raises Refused where there is none."""
        text = text.strip()
        if len(text) > _LONGEST:
            raise Refused("zoom", "recorders.zoom.link_too_long")
        uuid = uuid_in(text)
        if uuid is not None:
            answer = self._client().meeting(uuid)
            if answer is None:
                raise Refused("zoom", "recorders.zoom.no_recording", uuid=uuid)
            try:
                return discovered_recording(meeting_of(answer))
            except Malformed as error:
                key, why = "recorders.zoom.not_understood", error.message
                raise Refused("zoom", key, uuid=uuid, why=why) from error
        return self._find_by_link(text, now)

    def _find_by_link(self, link: str, now: datetime) -> DiscoveredRecording:
        """Return the recording that people watch at a link."""
        path = _path(link)
        if not _PATH_OF_LINK.match(path):
            raise Refused("zoom", "recorders.zoom.no_link")
        for meeting in self._list_meetings(now - LINKS_LOOKED_BACK, now):
            if path in map(_path, meeting.links):
                return discovered_recording(meeting)
        raise Refused("zoom", "recorders.zoom.unknown_link")


def _path(link: str) -> str:
    try:
        return urlsplit(link).path
    except ValueError:
        return ""
