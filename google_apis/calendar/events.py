"""Events of a calendar as what happens in a room. Pure.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from merger.ports.calendar import CalendarEvent
from merger.timeline.clock import Span, utc

_LONGEST_NAME = 255
# A line such as `course: MATH-101` or `Поток: БПМИ231`, in whatever case.
_SPACE = r"[^\S\r\n]*"  # what stands behind a `course:` without a code is another line
_COURSE = re.compile(
    rf"^{_SPACE}(?:course|поток){_SPACE}:{_SPACE}(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE
)
# People write descriptions in an editor that makes HTML of them. Where one of these begins or ends,
# so does a line.
_BREAK = re.compile(
    r"<\s*/?\s*(?:br|p|div|ul|ol|li|h[1-6]|table|tr|blockquote)(?:[\s/][^<>]*)?>", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]*>")


def calendar_event(calendar: str, event: Mapping[str, Any], zone: ZoneInfo) -> CalendarEvent | None:
    """Return what an event means for a room; None for one that says too little.

    zone: of the room, for times that come without one.
    """
    known = str(event.get("id") or "")
    if not known:
        return None
    return CalendarEvent(
        calendar=calendar,
        event=known,
        name=" ".join(str(event.get("summary") or "").split())[:_LONGEST_NAME] or "lecture",
        span=_span(event, zone),
        # A calendar, of a room or another, is no person; who made the event is.
        owner=_address(event.get("organizer")) or _address(event.get("creator")),
        course_code=course_code(str(event.get("description") or "")),
        is_off=event.get("status") == "cancelled" or _is_declined(event),
    )


def course_code(description: str) -> str | None:
    """Return the code in a line `course: …` or `Поток: …` of a description, HTML or plain."""
    plain = html.unescape(_TAG.sub("", _BREAK.sub("\n", description))).replace("\xa0", " ")
    found = _COURSE.search(plain)
    return found[1][:_LONGEST_NAME] if found else None


def _span(event: Mapping[str, Any], zone: ZoneInfo) -> Span | None:
    start, end = (_instant(event.get(key), zone) for key in ("start", "end"))
    return Span(start, end) if start and end and start < end else None


def _instant(said: object, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a `dateTime`; None for a `date`, which is a whole day."""
    text = said.get("dateTime") if isinstance(said, Mapping) else None
    try:
        instant = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    if instant is None:
        return None
    return utc(instant if instant.tzinfo else instant.replace(tzinfo=zone))


def _is_declined(event: Mapping[str, Any]) -> bool:
    """Return whether the room, for whom the calendar is, has declined."""
    return any(
        one.get("self") and one.get("responseStatus") == "declined"
        for one in event.get("attendees") or ()
    )


def _address(person: object) -> str:
    email = str(person.get("email") or "") if isinstance(person, Mapping) else ""
    return "" if email.endswith(("calendar.google.com", "gserviceaccount.com")) else email
