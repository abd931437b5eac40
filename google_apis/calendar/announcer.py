"""Calendar, call by call; and the announcement of a record in the event that it was made for.

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
_LONGEST_DESCRIPTION = 8192  # characters; longer ones are cut by Google


def events_api(google: Google) -> Any:
    """Return the resource of events, which makes requests."""
    return google.service("calendar", "v3").events()


def add_links(
    event: Mapping[str, Any],
    links: tuple[Link, ...],
    title: str,
    gone: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what to change of an event so that it holds links; empty where it does. Pure.

    Files of Drive are attached beside what is there already; other links, and those for which there
    is no room, stand in the description. gone: files that we put there and that are no more, by
    their ids, and their links: they are taken out.
    """
    before = list(event.get("attachments") or ())
    there = [
        one for one in before
        if one.get("fileId") not in gone and one.get("fileUrl") not in gone.values()
    ]  # fmt: skip
    known = {str(one.get("fileUrl")) for one in there} | {str(one.get("fileId")) for one in there}
    said = str(event.get("description") or "")
    ends = tuple(f": {url}" for url in gone.values())
    old = [line for line in said.splitlines() if ends and line.endswith(ends)]
    description = "\n".join(line for line in said.splitlines() if line not in old) if old else said
    added: list[dict[str, str]] = []
    lines: list[str] = []
    for link in links:
        if link.url in known or (link.file and link.file in known) or link.url in description:
            continue
        named = f"{title} ({link.kind})" if link.kind != "merge" else title
        if link.file and len(there) + len(added) < MOST_ATTACHMENTS:
            added.append({"fileUrl": link.url, "title": named, "mimeType": "video/mp4"})
        elif len(description) + len(link.url) + len(named) < _LONGEST_DESCRIPTION - 10:
            lines.append(f"{named}: {link.url}")
    change: dict[str, Any] = {}
    if added or len(there) < len(before):
        change["attachments"] = [*there, *added]
    if lines or old:
        change["description"] = "\n".join([*([description] if description else []), *lines])
    return change


def _is_not_for_us(error: MergerError) -> bool:
    return isinstance(error, NotThere | Gone) or error.code == "google_rights"


@dataclass(frozen=True)
class EventAnnouncer:
    """Attaches a record's files to the event, in the calendar where the event is."""

    google: Google
    name: str = "calendar"

    def concerns(self, news: Announcement) -> bool:
        """Return whether a record was made for an event."""
        return bool(news.calendar_id and news.event_id)

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        """Attach the links; attached already is as good. Raises Refused where the event is gone.

        What was attached before and is another file now, or none, is taken out: `files` in state.
        Where the room is only invited, the organiser's copy is changed, from which Google changes
        the others; if that is not for us, the room's copy, which guests may be let to modify.
        """
        links = tuple(link for link in news.links if link.file)
        if not links:
            raise Refused("no_link", "nothing of it is in Drive, and only such files are attached")
        ours = {str(link.file): link.url for link in links}
        before = dict(state.get("files") or {})
        gone = {file: url for file, url in before.items() if file not in ours}
        rooms = str(news.calendar_id)
        at_organizers = True
        for _ in range(_MOST_RACES):
            calendar, event = rooms, self._event(news)
            if at_organizers and (found := self._at_organizers(event)):
                calendar, event = found
            change = add_links(event, links, news.name, gone)
            if not change:
                if before != ours:
                    fence.keep({"files": ours})
                return str(event.get("htmlLink") or news.event_id)
            fence.confirm()
            request = events_api(self.google).patch(
                calendarId=calendar, eventId=news.event_id, body=change,
                supportsAttachments=True, sendUpdates="none",
            )  # fmt: skip
            # Whoever else attached something meanwhile keeps it.
            request.headers["If-Match"] = str(event.get("etag", "*"))
            try:
                self.google.call(request)
            except Changed:
                continue
            except MergerError as error:
                if calendar == rooms or not _is_not_for_us(error):
                    raise
                at_organizers = False  # we may read there, and not write
                continue
            failpoint("calendar.attached")
        raise Temporary("google_busy", "the event is being changed again and again")

    def _event(self, news: Announcement) -> dict[str, Any]:
        try:
            event = self.google.call(
                events_api(self.google).get(calendarId=news.calendar_id, eventId=news.event_id)
            )
        except (NotThere, Gone) as error:
            raise Refused("event", "the event is no longer in the calendar") from error
        if event.get("status") == "cancelled":
            raise Refused("event", "the event was cancelled")
        return event

    def _at_organizers(self, event: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Return the organiser's calendar and copy, where that is to be changed, and is for us."""
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
