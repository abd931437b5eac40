"""What a room needs at Google, made once: its calendar, and who may write there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google_apis.http import Google


@dataclass(frozen=True)
class RoomSetup:
    """Ids of what a room has at Google now."""

    folder: str
    calendar: str


def room_calendar(google: Google, room: str, zone: str) -> str:
    """Make the calendar of a room, unless it is there; return its id."""
    mark = _mark(room)
    known = next((one for one in _calendars(google) if one.get("description") == mark), None)
    if known is None:
        body = {"summary": room, "description": mark, "timeZone": zone}
        known = google.call(
            google.service("calendar", "v3").calendars().insert(body=body), repeats=False
        )
    return str(known["id"])


def grant_write(google: Google, made: RoomSetup, email: str) -> None:
    """Let somebody put files into the folder, and events into the calendar."""
    google.call(
        google.service("drive", "v3").permissions().create(
            fileId=made.folder, supportsAllDrives=True, sendNotificationEmail=False,
            body={"type": "user", "role": "writer", "emailAddress": email},
        )
    )  # fmt: skip
    rule = {"role": "writer", "scope": {"type": "user", "value": email}}
    google.call(
        google.service("calendar", "v3").acl().insert(
            calendarId=made.calendar, body=rule, sendNotifications=False
        )
    )  # fmt: skip


def _mark(room: str) -> str:
    """Return what a calendar of ours is known by, whatever it is called."""
    return f"Lectures in {room} (lecture-merger)"


def _calendars(google: Google) -> Iterator[dict[str, Any]]:
    token = None
    while True:
        said = google.call(
            google.service("calendar", "v3").calendarList().list(maxResults=250, pageToken=token)
        )
        yield from said.get("items", ())
        token = said.get("nextPageToken")
        if not token:
            return
