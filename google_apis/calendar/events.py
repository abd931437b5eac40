"""Events of Google Calendar as events of a room. Pure.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from merger.names import LONGEST_NAME, clean_name
from merger.ports.calendar import CalendarEvent
from merger.timeline.clock import Span, utc
from merger.timeline.timestamps import parse_timestamp

# A line such as `course: MATH-101` or `Поток: БПМИ231`, in whatever case.
_SPACE = r"[^\S\r\n]*"  # within a line: what follows a `course:` without a code is another
_COURSE = re.compile(
    rf"^{_SPACE}(?:course|поток){_SPACE}:{_SPACE}(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE
)
# People write descriptions in an editor that produces HTML. Where one of these tags begins or ends,
# so does a line.
_BREAK = re.compile(
    r"<\s*/?\s*(?:br|p|div|ul|ol|li|h[1-6]|table|tr|blockquote)(?:[\s/][^<>]*)?>", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]*>")


def calendar_event(calendar: str, event: Mapping[str, Any], zone: ZoneInfo) -> CalendarEvent | None:
    """Return what an event means for a room; None for one without an id, or that is no meeting.

    Args:
        zone: of the room, for times that come without one.
    """
    number = str(event.get("id") or "")
    if not number or event.get("eventType", "default") != "default":
        return None  # the hours, the absence or the birthday of somebody
    return CalendarEvent(
        calendar=calendar,
        event=number,
        name=clean_name(str(event.get("summary") or ""))[:LONGEST_NAME] or "lecture",
        span=_span(event, zone),
        # A calendar, of a room or another, is no person; who created the event is.
        owner=_address(event.get("organizer")) or _address(event.get("creator")),
        course_code=course_code(str(event.get("description") or "")),
        is_off=event.get("status") == "cancelled" or _is_declined(event),
    )


def course_code(description: str) -> str | None:
    """Return the code in a line `course: …` or `Поток: …` of a description, in HTML or plain."""
    plain = html.unescape(_TAG.sub("", _BREAK.sub("\n", description))).replace("\xa0", " ")
    found = _COURSE.search(plain)
    return clean_name(found[1])[:LONGEST_NAME] or None if found else None


def _span(event: Mapping[str, Any], zone: ZoneInfo) -> Span | None:
    start, end = (_instant(event.get(key), zone) for key in ("start", "end"))
    return Span(start, end) if start and end and start < end else None


def _instant(time: object, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a `dateTime`; None for a `date`, which is a whole day."""
    text = time.get("dateTime") if isinstance(time, Mapping) else None
    try:
        instant = parse_timestamp(str(text)) if text else None
    except (ValueError, OverflowError):
        return None
    if instant is None:
        return None
    return utc(instant if instant.tzinfo else instant.replace(tzinfo=zone))


def _is_declined(event: Mapping[str, Any]) -> bool:
    """Return whether the room, whose calendar it is, has declined."""
    return any(
        guest.get("self") and guest.get("responseStatus") == "declined"
        for guest in event.get("attendees") or ()
    )


def _address(person: object) -> str:
    email = str(person.get("email") or "") if isinstance(person, Mapping) else ""
    return "" if email.endswith(("calendar.google.com", "gserviceaccount.com")) else email
