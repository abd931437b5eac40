"""Calendar as far as we use it: events with their series, sync tokens, channels, attachments."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from dateutil.rrule import rrulestr

from tests.fakes.google_answers import Asked, Said, Wrong, parts_of

MOST_ATTACHMENTS = 25
_EXCLUSIVE = ("timeMin", "timeMax", "q", "updatedMin", "orderBy", "iCalUID")
_OF_A_PAGE = ("syncToken", "pageToken", "maxResults")


@dataclass
class Calendar:
    """Calendars, their events by id, and how far each was changed."""

    now: Callable[[], datetime]
    calendars: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    oldest_token: int = 0  # sync tokens before it are no longer good
    read_only: set[str] = field(default_factory=set)  # calendars that are shared for reading alone
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _changes: Any = field(default_factory=lambda: itertools.count(1))
    _last: int = 0

    def add(self, calendar: str, summary: str = "room") -> str:
        self.calendars[calendar] = {"id": calendar, "summary": summary}
        self.events[calendar] = {}
        return calendar

    def put(self, calendar: str, **event: Any) -> str:
        """Somebody makes an event, or changes one that has an id."""
        known = event.pop("id", None) or f"event{next(self._numbers):04}"
        before = self.events[calendar].get(known, {"status": "confirmed", "attachments": []})
        self._last = next(self._changes)
        self.events[calendar][known] = {
            **before, **event, "id": known, "etag": f'"{self._last}"', "changed": self._last,
            "htmlLink": f"https://calendar.google.com/event?eid={known}",
        }  # fmt: skip
        return known

    def invite(self, organizer: str, known: str, guest: str) -> None:
        """The organiser of an event invites a guest, in whose calendar a copy of it appears."""
        guests = [*self.events[organizer][known].get("attendees", ()), {"email": guest}]
        self.put(organizer, id=known, attendees=guests)
        self.put(guest, **{**self.events[organizer][known], "organizer": {"email": organizer}})

    def answer(self, asked: Asked) -> Said:
        """Answer a call below /calendar/v3."""
        parts = parts_of(asked.path)[2:]
        if parts == ["channels", "stop"]:
            self.channels.pop(json.loads(asked.body)["id"], None)
            return Said(204)
        if parts == ["users", "me", "calendarList"]:
            return Said(document={"items": list(self.calendars.values())})
        if parts == ["calendars"]:
            known = f"calendar{next(self._numbers)}@group.calendar.google.com"
            self.add(known)
            self.calendars[known] |= json.loads(asked.body)
            return Said(document=self.calendars[known])
        calendar = parts[1]
        if calendar not in self.calendars:
            raise Wrong(404, "notFound", "Not Found")
        if len(parts) == 2 and asked.method == "DELETE":
            del self.calendars[calendar], self.events[calendar]
            return Said(204)
        if parts[2:] == ["acl"]:
            self.rules.append((calendar, json.loads(asked.body)["scope"]["value"]))
            return Said(document={"id": "rule"})
        if parts[2:] == ["events"] and asked.method == "GET":
            return self._list(asked, calendar)
        if parts[2:] == ["events"]:
            body = json.loads(asked.body)
            if body.get("id") in self.events[calendar]:
                raise Wrong(409, "duplicate", "The requested identifier already exists.")
            known = self.put(calendar, **body)
            return Said(document=_shown(self.events[calendar][known]))
        if parts[2:] == ["events", "watch"]:
            body = json.loads(asked.body)
            resource = f"resource-{body['id']}"
            self.channels[body["id"]] = {**body, "resourceId": resource, "calendar": calendar}
            said = {"id": body["id"], "resourceId": resource, "expiration": body["expiration"]}
            return Said(document=said)
        if len(parts) != 4 or asked.method not in ("GET", "PATCH", "DELETE"):
            raise Wrong(501, "notImplemented", "The stand-in does not know this call.")
        return self._one(asked, calendar, parts[3])

    def _one(self, asked: Asked, calendar: str, known: str) -> Said:
        event = self._event(calendar, known)
        if asked.method == "DELETE":
            if event["status"] == "cancelled":
                raise Wrong(410, "deleted", "Resource has been deleted")
            self.put(calendar, **{**event, "status": "cancelled"})
            return Said(204)
        if asked.method == "PATCH":
            self._check_rights(calendar, event)
            if asked.headers.get("If-Match", event["etag"]) not in (event["etag"], "*"):
                raise Wrong(412, "conditionNotMet", "Precondition Failed")
            body = json.loads(asked.body)
            if "attachments" in body and asked.query.get("supportsAttachments") != "true":
                del body["attachments"]
            if len(body.get("attachments", ())) > MOST_ATTACHMENTS:
                raise Wrong(400, "invalid", "Too many attachments.")
            self.put(calendar, **{**event, **body})
            event = self.events[calendar][known]
            for guest in self._guests_of(calendar, known):
                self.put(guest, id=known, **body)
        return Said(document=_shown(event))

    def _check_rights(self, calendar: str, event: Mapping[str, Any]) -> None:
        if calendar in self.read_only:
            message = "You need to have writer access to this calendar."
            raise Wrong(403, "requiredAccessLevel", message)
        organizer = event.get("organizer") or {"self": True}
        if not organizer.get("self") and not event.get("guestsCanModify"):
            message = "Shared properties can only be changed by the organizer of the event."
            raise Wrong(403, "forbiddenForNonOrganizer", message)

    def _guests_of(self, calendar: str, known: str) -> list[str]:
        """Return the calendars with a copy of an event of a calendar."""
        return [
            guest
            for guest, events in self.events.items()
            if guest != calendar
            and events.get(known, {}).get("organizer", {}).get("email") == calendar
        ]

    def _event(self, calendar: str, known: str) -> dict[str, Any]:
        events = self.events[calendar]
        if known in events:
            return events[known]
        for master in events.values():  # one of a series that was never changed
            for instance in self._instances(calendar, master):
                if instance["id"] == known:
                    return instance
        raise Wrong(404, "notFound", "Not Found")

    # --- lists -----------------------------------------------------------------------------------

    def _list(self, asked: Asked, calendar: str) -> Said:
        query = asked.query
        assert query.get("singleEvents") == "true"
        since, window = 0, (query.get("timeMin"), query.get("timeMax"))
        others = {k: v for k, v in query.items() if k not in (*_EXCLUSIVE, *_OF_A_PAGE)}
        asked_how = urlencode(sorted(others.items()))
        if token := query.get("syncToken"):
            if any(key in query for key in _EXCLUSIVE):
                raise Wrong(400, "invalid", "Sync token cannot be used with filters.")
            number, *bounds, before = token.split("|")
            if asked_how != before:  # Google calls it undefined what happens then
                raise Wrong(400, "invalid", "Other parameters than in the first read.")
            since, window = int(number), (bounds[0] or None, bounds[1] or None)
            if since < self.oldest_token:
                raise Wrong(410, "fullSyncRequired", "Sync token is no longer valid.")
        shows_deleted = bool(token) or query.get("showDeleted") == "true"
        found = [
            event
            for event in self._expanded(calendar)
            if event["changed"] > since
            and (shows_deleted or event["status"] != "cancelled")
            and (event["status"] == "cancelled" or _is_within(event, *window))
        ]
        start, size = int(query.get("pageToken") or 0), int(query.get("maxResults", 250))
        document: dict[str, Any] = {"items": [_shown(e) for e in found[start : start + size]]}
        if start + size < len(found):
            document["nextPageToken"] = str(start + size)
        else:
            bounds = [bound or "" for bound in window]
            document["nextSyncToken"] = "|".join([str(self._last), *bounds, asked_how])
        return Said(document=document)

    def _expanded(self, calendar: str) -> Iterator[dict[str, Any]]:
        events = self.events[calendar]
        for event in list(events.values()):
            if "recurrence" not in event:
                yield event
                continue
            for instance in self._instances(calendar, event):
                if instance["id"] not in events:
                    yield instance

    def _instances(self, calendar: str, master: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "recurrence" not in master:
            return
        start, end = (_instant(master[key]) for key in ("start", "end"))
        rule = rrulestr("\n".join(master["recurrence"]), dtstart=start)
        for at in itertools.islice(rule, 400):
            known = f"{master['id']}_{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
            yield {
                **{k: v for k, v in master.items() if k != "recurrence"},
                "id": known, "recurringEventId": master["id"],
                "start": {"dateTime": at.isoformat()},
                "end": {"dateTime": (at + (end - start)).isoformat()},
                "originalStartTime": {"dateTime": at.isoformat()},
            }  # fmt: skip


def _instant(said: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(said["dateTime"])


def _is_within(event: Mapping[str, Any], since: str | None, until: str | None) -> bool:
    if "start" not in event:
        return True
    start, end = (_day_or_instant(event[key]) for key in ("start", "end"))
    return not (since and end <= datetime.fromisoformat(since)) and not (
        until and start >= datetime.fromisoformat(until)
    )


def _day_or_instant(said: Mapping[str, str]) -> datetime:
    if "date" in said:
        return datetime.fromisoformat(said["date"]).replace(tzinfo=UTC) + timedelta()
    return _instant(said)


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as it is told: of one that is cancelled, little more than its id."""
    if event["status"] == "cancelled":
        return {k: event[k] for k in ("id", "status", "etag", "recurringEventId") if k in event}
    return {k: v for k, v in event.items() if k != "changed"}
