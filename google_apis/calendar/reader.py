"""What changes in the calendars of rooms: incremental sync, and channels that tell of changes.

https://developers.google.com/workspace/calendar/api/guides/sync and …/guides/push
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from google_apis.calendar.announcer import events_api
from google_apis.calendar.events import calendar_event
from google_apis.errors import Gone, NotThere
from google_apis.http import Google
from merger.errors import Refused
from merger.ports.calendar import CalendarEvent, Changes, Channel
from merger.timeline.clock import Span

_PAGE = 2500  # the most, as the reference of events.list has it


@dataclass(frozen=True)
class Calendars:
    """Calendars of rooms. hook: the address that Google tells of changes; empty: nobody is told."""

    google: Google
    hook: str = ""

    def changes(self, calendar: str, token: str | None, window: Span, zone: ZoneInfo) -> Changes:
        """Return what changed since a token, or all there is in a window.

        A token that is too old is as good as none. Raises Refused for a calendar that is not there.
        """
        try:
            if token:
                try:
                    return self._listed(calendar, zone, {"syncToken": token}, whole=False)
                except Gone:
                    pass
            asked = {"timeMin": window.start.isoformat(), "timeMax": window.end.isoformat()}
            return self._listed(calendar, zone, asked, whole=True)
        except NotThere as error:
            message = (
                f"there is no calendar {calendar!r}, or not for {self.google.account}; share it"
                " with that address"
            )
            raise Refused("calendar", message) from error

    def _listed(
        self, calendar: str, zone: ZoneInfo, asked: dict[str, str], *, whole: bool
    ) -> Changes:
        found: list[CalendarEvent] = []
        page = None
        # With a token all parameters must be as they were without; what was deleted since is always
        # among what changed, and never among all there is.
        while True:
            said = self.google.call(
                events_api(self.google).list(
                    calendarId=calendar, singleEvents=True, maxResults=_PAGE, pageToken=page,
                    **asked,
                )
            )  # fmt: skip
            read = (calendar_event(calendar, event, zone) for event in said.get("items", ()))
            found += [one for one in read if one is not None]
            page = said.get("nextPageToken")
            if not page:
                return Changes(tuple(found), said.get("nextSyncToken"), whole)

    def watch(self, calendar: str, channel: str, token: str, until: datetime) -> Channel | None:
        """Have a calendar tell of changes; None without an address that Google could reach."""
        if not self.hook:
            return None
        body: dict[str, Any] = {
            "id": channel, "token": token, "type": "web_hook", "address": self.hook,
            "expiration": str(int(until.timestamp() * 1000)),
        }  # fmt: skip
        said = self.google.call(events_api(self.google).watch(calendarId=calendar, body=body))
        ends_ms = int(said.get("expiration") or body["expiration"])
        ends = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ends_ms)
        return Channel(channel, token, str(said["resourceId"]), ends)

    def unwatch(self, channel: Channel) -> None:
        """End a channel, if it is there."""
        body = {"id": channel.id, "resourceId": channel.resource}
        try:
            self.google.call(self.google.service("calendar", "v3").channels().stop(body=body))
        except (NotThere, Gone):
            return
