"""Text of dates with times, in every form that RFC 3339 knows and programs write. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from fractions import Fraction

_FORM = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})"
    r"(?::([0-9]{2})(?:[.,]([0-9]{1,30}))?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def is_timestamp(text: str) -> bool:
    """Return whether text has the form of a date with a time; the calendar may not hold it."""
    return bool(_FORM.fullmatch(text))


def parse_timestamp(text: str) -> datetime:
    """Return a date with a time, aware where the text has an offset.

    Args:
        text: of RFC 3339, with the seconds and the offset optional, and with any number of digits
            behind the second, which are rounded to microseconds; a leap second is the first of the
            next minute. Also what `datetime.fromisoformat` knows beside that.

    Raises:
        ValueError: the text has another form, or the calendar does not hold it.
        OverflowError: neither does Python's.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        return datetime.fromisoformat(text)
    day, minute, second, digits, offset = match.groups()
    is_leap = second == "60"
    zone = "+00:00" if offset in ("Z", "z") else offset or ""
    whole = datetime.fromisoformat(f"{day}T{minute}:{'59' if is_leap else second or '00'}{zone}")
    microseconds = round(Fraction(int(digits), 10 ** len(digits)) * 1_000_000) if digits else 0
    return whole + timedelta(seconds=int(is_leap), microseconds=microseconds)
