"""Local times in forms: their instants, and the choice between two where a time happened twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from merger.errors import Refused
from merger.timeline.clock import is_plausible, record_span
from merger.timeline.zones import instant_from, offsets_of_twice
from merger.web.language import t
from merger.web.pages.base import Errors, field_problem, phrases_of_error

TURNS = ("first", "second")  # in the night in which the clocks are put back
_TIME = re.compile(r"\d{2}:\d{2}(:\d{2})?")


def is_clock(text: str) -> bool:
    """Return whether a text is a time of day. Pure."""
    try:
        return bool(_TIME.fullmatch(text) and time.fromisoformat(text))
    except ValueError:
        return False


def date_of(text: str, errors: Errors, name: str = "date") -> date | None:
    """Return the date that was typed into a field; None, and an error added, if there is none."""
    try:
        on = date.fromisoformat(text)
        if not is_plausible(datetime.combine(on, time())):
            raise ValueError(text)
        return on
    except ValueError:
        errors[name] = field_problem("date" if text else "missing", given=text)
        return None


def local_text(on: date, clock: str, *, is_end: bool) -> str:
    """Return the local time of a field, in ISO 8601; midnight is the end of a day. Pure."""
    if is_end and clock == "00:00" and on < date.max:
        on += timedelta(days=1)
    return f"{on.isoformat()}T{clock}"


def turn_of(local: datetime, zone: ZoneInfo) -> str:
    """Return which of two equal local times an instant is; empty if there is only one. Pure."""
    naive = local.replace(tzinfo=None).isoformat()
    return TURNS[local.fold] if offsets_of_twice(naive, zone) else ""


def choices(offsets: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the choices for each field whose time happened twice."""
    return {
        name: [t(f"which.{turn}", offset=o) for turn, o in zip(TURNS, of_field, strict=True)]
        for name, of_field in offsets.items()
        if of_field
    }


def instant_of(
    text: str, zone: ZoneInfo, name: str, errors: Errors, turn: str = ""
) -> datetime | None:
    """Return the instant of a local time; None, and an error added, if there is none.

    Args:
        text: the local time, in ISO 8601.
        zone: of the clock.
        name: of the field.
        errors: by field, to add to.
        turn: one of TURNS, needed where the time happened twice.
    """
    if offsets := offsets_of_twice(text, zone):
        if turn not in TURNS:
            errors[name] = field_problem("twice", time=text[11:], zone=zone.key)
            return None
        text += offsets[TURNS.index(turn)]
    try:
        return instant_from(text, zone, name)
    except Refused as error:
        errors[name] = phrases_of_error(error)
        return None


def check_span(start: datetime, end: datetime, now: datetime, errors: Errors) -> None:
    """Add what is wrong with the span of a record to the errors, by field."""
    try:
        record_span(start, end, now)
    except Refused as error:
        if error.code == "end":
            errors["end"] = field_problem("ends_before" if end <= start else "too_far_apart")
        else:
            errors[error.code] = (
                field_problem("too_far_ahead") if start > now else phrases_of_error(error)
            )
