"""Attaches the files of a recording to the calendar event that it belongs to.

https://developers.google.com/workspace/calendar/api/v3/reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google_apis.errors import Changed, Gone, NotThere
from google_apis.http import Google
from merger.errors import MergerError, Refused, Temporary
from merger.failpoints import failpoint
from merger.ports.announcer import Announcement, Link
from merger.ports.destination import Fence

# https://developers.google.com/workspace/calendar/api/v3/reference/events#attachments
MOST_ATTACHMENTS = 25
_MOST_RACES = 5
_LONGEST_DESCRIPTION = 8192  # characters; Google cuts longer ones


def events_api(google: Google) -> Any:
    """Return the resource of events, which builds requests."""
    return google.collection("calendar", "v3", "events")


def add_links(
    event: Mapping[str, Any],
    links: tuple[Link, ...],
    title: str,
    gone: Mapping[str, str] = MappingProxyType({}),
    *,
    is_renamed: bool = False,
) -> dict[str, Any]:
    """Return what to change of an event so that it has links; empty where it has. Pure.

    Files of Drive are attached beside what is there already. Other links, and those for which there
    is no space, go into the description.

    Args:
        title: of the recording.
        gone: files that we attached and that no longer exist, as ids and links, to be removed.
        is_renamed: what is there already may have another title, which it is to get.
    """
    before = list(event.get("attachments") or ())
    names = {link.url: _name_of(link, title) for link in links} if is_renamed else {}
    names |= {str(link.file): names[link.url] for link in links if names and link.file}
    there = [
        {**a, "title": name} if (name := _find(a, names)) else a
        for a in before
        if a.get("fileId") not in gone and a.get("fileUrl") not in gone.values()
    ]
    attached = {str(a.get("fileUrl")) for a in there} | {str(a.get("fileId")) for a in there}
    text = str(event.get("description") or "")
    ends = tuple(f": {url}" for url in gone.values())
    old = [line for line in text.splitlines() if ends and line.endswith(ends)]
    kept = [_retitled(line, names) for line in text.splitlines() if line not in old]
    description = text if kept == text.splitlines() else "\n".join(kept)
    added: list[dict[str, str]] = []
    lines: list[str] = []
    for link in links:
        if link.url in attached or link.file in attached or link.url in description:
            continue
        name = _name_of(link, title)
        if link.file and len(there) + len(added) < MOST_ATTACHMENTS:
            added.append({"fileUrl": link.url, "title": name, "mimeType": "video/mp4"})
        elif len(description) + len(link.url) + len(name) < _LONGEST_DESCRIPTION - 10:
            lines.append(f"{name}: {link.url}")
    change: dict[str, Any] = {}
    if added or there != before:
        change["attachments"] = [*there, *added]
    if lines or description != text:
        change["description"] = "\n".join([*([description] if description else []), *lines])
    return change


def _name_of(link: Link, title: str) -> str:
    return f"{title} ({link.kind})" if link.kind != "merge" else title


def _find(attachment: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
    """Return the title of an attachment of ours."""
    return names.get(str(attachment.get("fileId"))) or names.get(str(attachment.get("fileUrl")))


def _retitled(line: str, names: Mapping[str, str]) -> str:
    """Return a line of a description with the title of the link that it ends with."""
    before, _, url = line.rpartition(": ")
    return f"{names[url]}: {url}" if before and url in names else line


def _is_not_for_us(error: MergerError) -> bool:
    return isinstance(error, NotThere | Gone) or error.code == "google_rights"


@dataclass(frozen=True)
class EventAnnouncer:
    """Attaches a recording's files to its event, in the calendar where the event is."""

    google: Google
    name: str = "calendar"

    def concerns(self, news: Announcement) -> bool:
        """Return whether a recording belongs to an event."""
        return bool(news.calendar_id and news.event_id)

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        """Attach the files, unless they are attached. Raises Refused where the event is gone.

        What was attached before (`files` in state) and no longer exists is removed; what has
        another title (`title`) gets it, once: people may call it what they like. Where the room
        is only invited, the organiser's copy is changed, from which Google updates the others; if
        we have no access to that, the room's copy, which guests may be allowed to modify.
        """
        links = tuple(link for link in news.links if link.file)
        if not links:
            raise Refused("no_link", "google.nothing_to_attach")
        ours = {str(link.file): link.url for link in links}
        before = dict(state.get("files") or {})
        gone = {file: url for file, url in before.items() if file not in ours}
        is_renamed = bool(before) and state.get("title") != news.name
        room_calendar = str(news.calendar_id)
        tries_organizer = True
        for _ in range(_MOST_RACES):
            calendar, event = room_calendar, self._event(news)
            if tries_organizer and (copy := self._organizers_copy(event)):
                calendar, event = copy
            change = add_links(event, links, news.name, gone, is_renamed=is_renamed)
            if not change:
                if before != ours or state.get("title") != news.name:
                    fence.keep({"files": ours, "title": news.name})
                return str(event.get("htmlLink") or news.event_id)
            fence.confirm()
            request = events_api(self.google).patch(
                calendarId=calendar, eventId=news.event_id, body=change,
                supportsAttachments=True, sendUpdates="none",
            )  # fmt: skip
            # What somebody else attached meanwhile stays.
            request.headers["If-Match"] = str(event.get("etag", "*"))
            try:
                self.google.call(request)
            except Changed:
                continue
            except MergerError as error:
                if calendar == room_calendar or not _is_not_for_us(error):
                    raise
                tries_organizer = False  # we may read there, but not write
                continue
            failpoint("calendar.attached")
            is_renamed = False  # whatever Google makes of it
        raise Temporary("google_busy", "google.event_busy")

    def _event(self, news: Announcement) -> dict[str, Any]:
        try:
            event = self.google.call(
                events_api(self.google).get(calendarId=news.calendar_id, eventId=news.event_id)
            )
        except (NotThere, Gone) as error:
            raise Refused("event", "google.event_gone") from error
        if event.get("status") == "cancelled":
            raise Refused("event", "google.event_cancelled")
        return event

    def _organizers_copy(self, event: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Return the organiser's calendar and copy, if we should and may change it."""
        organizer = event.get("organizer") or {}
        email = organizer.get("email")
        if not email or organizer.get("self") or event.get("guestsCanModify"):
            return None
        request = events_api(self.google).get(calendarId=email, eventId=event["id"])
        try:
            copy = self.google.call(request)
        except MergerError as error:
            if _is_not_for_us(error):
                return None
            raise
        return None if copy.get("status") == "cancelled" else (str(email), copy)
