"""Recordings of Zoom that nobody asked for, as the hook, the account's list or a link has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

from merger.errors import Refused
from merger.ports.discovery import DiscoveredRecording
from recorders.zoom.api import Account, Client
from recorders.zoom.meeting import Malformed, Meeting, meeting_of, place_files
from recorders.zoom.source import Zoom, meeting_number

# A link to watch a recording names no meeting: it is looked for in what Zoom lists.
LINKS_LOOKED_BACK = timedelta(days=183)
_UUID = re.compile(r"[A-Za-z0-9+/_=-]{16,64}")
_PATH_OF_LINK = re.compile(r"/rec(ording)?/(share|play)/")
_LONGEST = 2_000  # characters


def offer_of(meeting: Meeting) -> DiscoveredRecording:
    """Return a meeting as what it offers. Pure."""
    what = place_files(meeting)
    return DiscoveredRecording(
        "zoom", meeting.uuid, meeting.number, meeting.topic, meeting.host, what.span, what.length,
        what.is_complete,
    )  # fmt: skip


def uuid_in(text: str) -> str | None:
    """Return the UUID that a text is, or that a link names as its meeting; None without. Pure.

    Links hold it percent-encoded, once or twice; a plus in it is meant, and no space.
    """
    query = re.search(r"[?&](?:meeting_id|meetingId|uuid)=([^&#\s]+)", text)
    found = query[1] if query else text
    for _ in range(3):
        found = unquote(found)
    return found if _UUID.fullmatch(found) else None


@dataclass(frozen=True)
class ZoomOffers:
    """What an account has recorded."""

    account: Account

    def _client(self) -> Client:
        return Zoom(self.account).client()

    def place_of(self, address: str) -> str:
        """Return the meeting number of a source's address; empty where it is none."""
        return meeting_number(address)

    def offered(self, since: datetime, until: datetime) -> Iterator[DiscoveredRecording]:
        """Yield what was recorded between two instants, as the list of the account has it.

        Without credentials that is nothing: rooms may have sources with their own.
        """
        if not self.account.credentials:
            return
        for meeting in self._listed(since, until):
            yield offer_of(meeting)

    def _listed(self, since: datetime, until: datetime) -> Iterator[Meeting]:
        for listed in self._client().recordings(since.date(), until.date()):
            try:
                yield meeting_of(listed)
            except Malformed:
                continue  # nothing was recorded yet

    def offer_named(self, text: str, now: datetime) -> DiscoveredRecording:
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
                return offer_of(meeting_of(answer))
            except Malformed as error:
                key, why = "recorders.zoom.not_understood", error.message
                raise Refused("zoom", key, uuid=uuid, why=why) from error
        return self._watched_at(text, now)

    def _watched_at(self, link: str, now: datetime) -> DiscoveredRecording:
        """Return the recording that people watch at a link."""
        path = _path(link)
        if not _PATH_OF_LINK.match(path):
            raise Refused("zoom", "recorders.zoom.no_link")
        for meeting in self._listed(now - LINKS_LOOKED_BACK, now):
            if path in map(_path, meeting.links):
                return offer_of(meeting)
        raise Refused("zoom", "recorders.zoom.unknown_link")


def _path(link: str) -> str:
    try:
        return urlsplit(link).path
    except ValueError:
        return ""
