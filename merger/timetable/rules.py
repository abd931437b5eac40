"""The rules by which series repeat (RRULE of RFC 5545), and the days that they have. Pure.

A rule is asked day by day, so that no rule takes long, not even one that has no day at all. What
iCalendar knows beyond days (several times of one day, the nth of a set, numbers of weeks) is
refused: no timetable needs it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from merger.errors import Invalid
from merger.i18n import Message
from merger.timeline.clock import is_plausible

MOST_COUNTED = 500
_LARGEST_INTERVAL = 1_000
_LONGEST_RULE = 1_000  # characters
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)

_WEEKDAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})")
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}")
_UNTIL = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?")


@dataclass(frozen=True)
class Rule:
    """A rule, read.

    until: the last day, local time or instant. week_start: Monday is 0. weekdays: each with the
    number that stands before it, such as the 2 of 2TU, or 0. Where numbers are negative, they count
    from the end of a month or year. Empty sets allow all.
    """

    frequency: str
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    week_start: int = 0
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    weekdays: frozenset[tuple[int, int]] = frozenset()


def parse_rule(text: str, field: str = "rule") -> Rule:
    """Return a rule. Raises Invalid for what is none, or more than a timetable needs.

    Args:
        text: such as FREQ=WEEKLY;BYDAY=MO.
        field: the code of errors.
    """
    values = _values_of(text, field)
    if (frequency := values.get("frequency")) is None:
        raise Invalid(field, "timetable.rule.no_frequency", choices=_FREQUENCIES)
    rule = Rule(**values)
    if rule.count is not None and rule.until is not None:
        raise Invalid(field, "timetable.rule.two_ends")
    if rule.year_days and frequency != "YEARLY":
        raise Invalid(field, "timetable.rule.together", part="BYYEARDAY", frequency=frequency)
    if rule.month_days and frequency == "WEEKLY":
        raise Invalid(field, "timetable.rule.together", part="BYMONTHDAY", frequency=frequency)
    if any(n for n, _ in rule.weekdays) and frequency in ("DAILY", "WEEKLY"):
        raise Invalid(field, "timetable.rule.no_numbers", frequency=frequency)
    return rule


def days_of_rule(rule: Rule, start: date, first: date, last: date) -> Iterator[date]:
    """Yield the days of a rule from a first to a last one, both included, in order.

    The end that the rule may have is not looked at: it is an instant, and the zone matters.

    Args:
        start: the day of the series' first time, from which intervals and `count` go.
    """
    at = start if rule.count is not None else max(start, first)
    left = rule.count
    for ordinal in range(at.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if not _has_day(rule, start, day):
            continue
        if left is not None:
            if left == 0:
                return
            left -= 1
        if day >= first:
            yield day


# --- reading --------------------------------------------------------------------------------------


def _values_of(text: str, field: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    plain = text.strip().upper().removeprefix("RRULE:")
    if len(plain) > _LONGEST_RULE:
        raise Invalid(field, "error.too_long", longest=_LONGEST_RULE)
    for piece in plain.split(";"):
        part, equals, value = (half.strip() for half in piece.partition("="))
        if not (part and equals and value):
            raise Invalid(field, "timetable.rule.form", text=text)
        if part not in _PARTS:
            raise Invalid(field, "timetable.rule.no_part", part=part, parts=tuple(_PARTS))
        name, read = _PARTS[part]
        if name in values:
            raise Invalid(field, "timetable.rule.part_twice", part=part)
        try:
            values[name] = read(value)
        except ValueError as error:
            raise Invalid(field, _no_value(part, value)) from error
    return values


def _no_value(part: str, value: str) -> Message:
    if part == "FREQ":
        return Message("timetable.rule.frequency", value=value, choices=_FREQUENCIES)
    if part == "COUNT":
        return Message("timetable.rule.count", value=value, most=MOST_COUNTED)
    return Message("timetable.rule.value", part=part, value=value)


def _frequency(value: str) -> str:
    if value not in _FREQUENCIES:
        raise ValueError(value)
    return value


def _until(value: str) -> date | datetime:
    if not _UNTIL.fullmatch(value):
        raise ValueError(value)
    digits, is_utc = value.rstrip("Z"), value.endswith("Z")
    form = "%Y%m%dT%H%M%S" if "T" in digits else "%Y%m%d"
    at = datetime.strptime(digits, form)  # noqa: DTZ007  # it is local, unless a Z says otherwise
    if not is_plausible(at):
        raise ValueError(value)
    return at.replace(tzinfo=UTC) if is_utc else at if "T" in digits else at.date()


def _weekday(value: str) -> int:
    return WEEKDAYS.index(value)


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        number = int(value) if _NUMBER.fullmatch(value) else 0
        if not lowest <= number <= highest:
            raise ValueError(value)
        return number

    return read


def _numbers(lowest: int, highest: int) -> Callable[[str], frozenset[int]]:
    """Return what reads a list of numbers that may be anything but zero."""

    def read(value: str) -> frozenset[int]:
        numbers = frozenset(map(_number(lowest, highest), value.split(",")))
        if 0 in numbers:
            raise ValueError(value)
        return numbers

    return read


def _weekdays(value: str) -> frozenset[tuple[int, int]]:
    found = set()
    for word in value.split(","):
        match = _WEEKDAY.fullmatch(word.strip())
        if not match or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            raise ValueError(word)
        found.add((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return frozenset(found)


# What a rule may consist of: the name of each part here, and what reads its value.
_PARTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "FREQ": ("frequency", _frequency),
    "INTERVAL": ("interval", _number(1, _LARGEST_INTERVAL)),
    "COUNT": ("count", _number(1, MOST_COUNTED)),
    "UNTIL": ("until", _until),
    "WKST": ("week_start", _weekday),
    "BYDAY": ("weekdays", _weekdays),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYMONTHDAY": ("month_days", _numbers(-31, 31)),
    "BYYEARDAY": ("year_days", _numbers(-366, 366)),
}


# --- the days -------------------------------------------------------------------------------------


def _has_day(rule: Rule, start: date, day: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    if not (rule.weekdays or rule.month_days or rule.year_days):
        if not _is_like_start(rule, start, day):
            return False
    elif not (_fits_weekdays(rule, day) and _fits_numbers(rule, day)):
        return False
    return rule.interval == 1 or _periods_between(rule, start, day) % rule.interval == 0


def _is_like_start(rule: Rule, start: date, day: date) -> bool:
    """Return whether a day has its place in the week, month or year in common with the first."""
    if rule.frequency == "WEEKLY":
        return day.weekday() == start.weekday()
    if rule.frequency == "MONTHLY":
        return day.day == start.day
    if rule.frequency == "YEARLY":
        return day.day == start.day and (bool(rule.months) or day.month == start.month)
    return True


def _periods_between(rule: Rule, start: date, day: date) -> int:
    if rule.frequency == "DAILY":
        return (day - start) // _DAY
    if rule.frequency == "WEEKLY":
        first = start - _DAY * ((start.weekday() - rule.week_start) % 7)
        return (day - first) // _WEEK
    if rule.frequency == "MONTHLY":
        return (day.year - start.year) * 12 + day.month - start.month
    return day.year - start.year


def _fits_weekdays(rule: Rule, day: date) -> bool:
    if not rule.weekdays:
        return True
    weekday = day.weekday()
    if (0, weekday) in rule.weekdays:
        return True
    place, length = day.day, _days_in_month(day)
    if rule.frequency == "YEARLY" and not rule.months:
        place, length = day.timetuple().tm_yday, _days_in_year(day)
    from_start, from_end = (place - 1) // 7 + 1, (length - place) // 7 + 1
    return (from_start, weekday) in rule.weekdays or (-from_end, weekday) in rule.weekdays


def _fits_numbers(rule: Rule, day: date) -> bool:
    if rule.month_days and not rule.month_days & {day.day, day.day - _days_in_month(day) - 1}:
        return False
    if not rule.year_days:
        return True
    place = day.timetuple().tm_yday
    return bool(rule.year_days & {place, place - _days_in_year(day) - 1})


def _days_in_month(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _days_in_year(day: date) -> int:
    return 366 if calendar.isleap(day.year) else 365
