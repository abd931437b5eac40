"""Sets up at Google, once, what a room needs: its calendar, and who may write there."""

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


def ensure_calendar(google: Google, room: str, zone: str) -> str:
    """Return the id of a room's calendar, which is created where it is missing."""
    mark = _mark(room)
    calendar = next((c for c in _calendars(google) if c.get("description") == mark), None)
    if calendar is None:
        body = {"summary": room, "description": mark, "timeZone": zone}
        calendar = google.call(
            google.collection("calendar", "v3", "calendars").insert(body=body), repeats=False
        )
    return str(calendar["id"])


def grant_write(google: Google, room: RoomSetup, email: str) -> None:
    """Let somebody put files into the folder, and events into the calendar."""
    google.call(
        google.collection("drive", "v3", "permissions").create(
            fileId=room.folder, supportsAllDrives=True, sendNotificationEmail=False,
            body={"type": "user", "role": "writer", "emailAddress": email},
        )
    )  # fmt: skip
    rule = {"role": "writer", "scope": {"type": "user", "value": email}}
    google.call(
        google.collection("calendar", "v3", "acl").insert(
            calendarId=room.calendar, body=rule, sendNotifications=False
        )
    )  # fmt: skip


def _mark(room: str) -> str:
    """Return the description by which our calendar is recognised, whatever its name."""
    return f"Lectures in {room} (lecture-merger)"


def _calendars(google: Google) -> Iterator[dict[str, Any]]:
    token = None
    while True:
        page = google.call(
            google.collection("calendar", "v3", "calendarList").list(
                maxResults=250, pageToken=token
            )
        )
        yield from page.get("items", ())
        token = page.get("nextPageToken")
        if not token:
            return
