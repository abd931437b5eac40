"""Local text to instants and lengths, and the chunk grid of a zone: the border of the wall clock.

Pure. Everything behind this module is aware UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil import tz

from merger.errors import Invalid
from merger.i18n import Message
from merger.timeline.clock import Span, is_plausible
from merger.timeline.timestamps import is_timestamp, parse_timestamp

_LENGTH = re.compile(r"([0-9]+)\s*(s|m|h)")
_UNIT = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
LONGEST_MARGIN = timedelta(hours=1)
SHORTEST_STANDING = timedelta(seconds=5)


def zone_named(name: str) -> ZoneInfo:
    """Return an IANA time zone. Raises Invalid for a name that is none."""
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+/-]+", name):
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("zone", "timeline.no_zone", zone=name) from error


def instant_from(text: str, zone: ZoneInfo, field: str) -> datetime:
    """Return the UTC instant that a local or offset text names.

    Args:
        text: RFC 3339, seconds optional; with an offset the offset counts, without one the zone.
        field: the code of an error.

    Raises:
        Invalid: the text has another form, or names a local time that does not exist (spring) or,
            without an offset, exists twice (autumn).
    """
    if not is_timestamp(text):
        raise Invalid(field, "timeline.no_instant", text=text)
    try:
        instant = parse_timestamp(text)
        if not is_plausible(instant):
            raise ValueError(f"the year {instant.year}")
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
        local = instant.replace(tzinfo=zone)
        exists, ambiguous = tz.datetime_exists(local), tz.datetime_ambiguous(local)
        at = local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(field, "timeline.not_in_calendar", text=text) from error
    if not exists:
        raise Invalid(field, "timeline.skipped", time=text, zone=zone.key)
    if ambiguous:
        earlier, later = _offsets(local)
        raise Invalid(
            field, "timeline.twice", time=text, zone=zone.key, earlier=earlier, later=later
        )
    return at


def local_from(text: str, field: str) -> datetime:
    """Return the local time, to the second, that a text without an offset names.

    Args:
        text: RFC 3339, seconds optional.
        field: the code of an error.

    Raises:
        Invalid: the text has another form, or an offset.
    """
    if not is_timestamp(text):
        raise Invalid(field, "timeline.no_instant", text=text)
    try:
        local = parse_timestamp(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(field, "timeline.not_in_calendar", text=text) from error
    if local.tzinfo is not None:
        raise Invalid(field, "timetable.not_local", time=text)
    return local.replace(microsecond=0)


def offsets_of_twice(text: str, zone: ZoneInfo) -> tuple[str, ...]:
    """Return the offsets, like +02:00, of a local time that happened twice, the earlier one first.

    Nothing for what happened once or never, and for text that is no local time.
    """
    try:
        local = parse_timestamp(text) if is_timestamp(text) else None
    except (ValueError, OverflowError):
        return ()
    if local is None or local.tzinfo is not None or not is_plausible(local):
        return ()
    aware = local.replace(tzinfo=zone)
    happened_twice = tz.datetime_exists(aware) and tz.datetime_ambiguous(aware)
    return _offsets(aware) if happened_twice else ()


def _offsets(local: datetime) -> tuple[str, ...]:
    offsets = (local.replace(fold=fold).strftime("%z") for fold in (0, 1))
    return tuple(f"{offset[:3]}:{offset[3:]}" for offset in offsets)


def length_from(text: str, field: str) -> timedelta:
    """Return a length such as 30m, 10s or 1h. Raises Invalid unless it is 1 s to 24 h."""
    length = _length(text, field)
    if not timedelta(seconds=1) <= length <= _DAY:
        raise Invalid(field, "timeline.length_range", text=text)
    return length


def margin_from(text: str, field: str) -> timedelta:
    """Return a length that may be nothing, such as 0s or 2m. Raises Invalid over an hour."""
    length = _length(text, field)
    if length > LONGEST_MARGIN:
        raise Invalid(field, "timeline.margin_range", text=text)
    return length


def standing_from(text: str, field: str) -> timedelta:
    """Return how long a slide has to stand, such as 60s. Raises Invalid unless it is 5 s to 1 h."""
    length = _length(text, field)
    if not SHORTEST_STANDING <= length <= LONGEST_MARGIN:
        raise Invalid(field, "timeline.standing_range", text=text)
    return length


def _length(text: str, field: str) -> timedelta:
    match = _LENGTH.fullmatch(text.strip())
    if not match or len(match[1]) > 6:
        raise Invalid(field, "timeline.no_length", text=text)
    return int(match[1]) * _UNIT[match[2]]


def wall_time(local: datetime, zone: ZoneInfo) -> tuple[datetime, Message | None]:
    """Return the UTC instant of a naive local time, and what is odd about it, if anything is.

    A time in the repeated hour of autumn is read as the earlier one; one in the hour that spring
    skips as if the clocks had not been changed, as a recorder whose clock was not set would mean.
    """
    aware = local.replace(tzinfo=zone)  # fold=0: the earlier reading
    odd = None
    if not tz.datetime_exists(aware):
        odd = Message("timeline.skipped_file")
    elif tz.datetime_ambiguous(aware):
        odd = Message("timeline.twice_file")
    return aware.astimezone(UTC), odd


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a naive local time that people have agreed on.

    A time in the repeated hour of autumn is the earlier one; in place of one that spring skips, it
    is the first that exists.
    """
    aware = local.replace(tzinfo=zone)
    before, after = aware.utcoffset(), aware.replace(fold=1).utcoffset()
    if before is None or after is None or before >= after:
        return aware.astimezone(UTC)
    # The clocks go forward between these two: where exactly is found by halving.
    whole = local.replace(microsecond=0, tzinfo=UTC)
    early, late = whole - after, whole - before
    while late - early > _SECOND:
        middle = early + (late - early) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def half_hour_chunks(span: Span, length: timedelta, zone: ZoneInfo) -> list[Span]:
    """Return the cells of the chunk grid that a span touches, cut to the span.

    The grid starts anew at each local midnight, so that with 30 minutes a cell begins at :00 and
    :30 of the room's clock, also on the two days on which the clocks are changed.
    """
    cells: list[Span] = []
    day = span.start.astimezone(zone).date()
    while (midnight := _midnight(day, zone)) < span.end:
        next_midnight = _midnight(day + _DAY, zone)
        skipped = max(0, (span.start - midnight) // length)
        at = midnight + skipped * length
        while at < min(next_midnight, span.end):
            end = min(at + length, next_midnight)
            cell = Span(at, end).cut_to(span)
            if cell:
                cells.append(cell)
            at = end
        day += _DAY
    return cells


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
