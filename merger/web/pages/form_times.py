"""Local times in forms: instants of them, and the choice where a time happened twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from merger.errors import Refused
from merger.timeline.clock import record_span
from merger.timeline.zones import instant_from, offsets_of_twice
from merger.web.language import t
from merger.web.pages.base import Errors, field_problem, phrases_of_error

TURNS = ("first", "second")  # in the night in which the clocks are put back


def turn_of(local: datetime, zone: ZoneInfo) -> str:
    """Return which of two alike local times an instant is; nothing where there is one. Pure."""
    naive = local.replace(tzinfo=None).isoformat()
    return TURNS[local.fold] if offsets_of_twice(naive, zone) else ""


def choices(offsets: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what can be chosen at each field whose time happened twice."""
    return {
        name: [t(f"which.{turn}", offset=one) for turn, one in zip(TURNS, some, strict=True)]
        for name, some in offsets.items()
        if some
    }


def instant_of(
    text: str, zone: ZoneInfo, name: str, errors: Errors, turn: str = ""
) -> datetime | None:
    """Return the instant of a local time, or say what is wrong with it.

    turn: one of TURNS; it has a meaning where the time happened twice.
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
    """Say what is wrong with the span of a record, by field."""
    try:
        record_span(start, end, now)
    except Refused as error:
        if error.code == "end":
            errors["end"] = field_problem("ends_before" if end <= start else "too_far_apart")
        else:
            errors[error.code] = (
                field_problem("too_far_ahead") if start > now else phrases_of_error(error)
            )
