"""Reads what changes in the calendars of rooms: incremental sync, and channels for changes.

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

_PAGE = 2500  # the maximum, says the reference of events.list


@dataclass(frozen=True)
class Calendars:
    """Calendars of rooms. hook: the address that Google calls after changes, or empty."""

    google: Google
    hook: str = ""

    def changes(self, calendar: str, token: str | None, window: Span, zone: ZoneInfo) -> Changes:
        """Return what changed since a token, or all events in a window.

        A token that is too old counts as none. Raises Refused for a calendar that we cannot see.
        """
        try:
            if token:
                try:
                    return self._list(calendar, zone, {"syncToken": token}, whole=False)
                except Gone:
                    pass
            times = {"timeMin": window.start.isoformat(), "timeMax": window.end.isoformat()}
            return self._list(calendar, zone, times, whole=True)
        except NotThere as error:
            raise Refused(
                "calendar", "google.no_calendar", calendar=calendar, account=self.google.account
            ) from error

    def _list(
        self, calendar: str, zone: ZoneInfo, query: dict[str, str], *, whole: bool
    ) -> Changes:
        events: list[CalendarEvent] = []
        token = None
        # With a sync token all other parameters must be as they were without. What was deleted is
        # always among the changes, and never in a window.
        while True:
            page = self.google.call(
                events_api(self.google).list(
                    calendarId=calendar, singleEvents=True, maxResults=_PAGE, pageToken=token,
                    **query,
                )
            )  # fmt: skip
            listed = (calendar_event(calendar, event, zone) for event in page.get("items", ()))
            events += [event for event in listed if event is not None]
            token = page.get("nextPageToken")
            if not token:
                return Changes(tuple(events), page.get("nextSyncToken"), whole)

    def watch(self, calendar: str, channel: str, token: str, until: datetime) -> Channel | None:
        """Open a channel for changes; None without an address that Google could reach."""
        if not self.hook:
            return None
        body: dict[str, Any] = {
            "id": channel, "token": token, "type": "web_hook", "address": self.hook,
            "expiration": str(int(until.timestamp() * 1000)),
        }  # fmt: skip
        answer = self.google.call(events_api(self.google).watch(calendarId=calendar, body=body))
        ends_ms = int(answer.get("expiration") or body["expiration"])
        ends = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ends_ms)
        return Channel(channel, token, str(answer["resourceId"]), ends)

    def unwatch(self, channel: Channel) -> None:
        """Close a channel, if it is there."""
        body = {"id": channel.id, "resourceId": channel.resource}
        try:
            self.google.call(self.google.collection("calendar", "v3", "channels").stop(body=body))
        except (NotThere, Gone):
            return
