"""Series become occurrences: clock changes, exceptions, days off, and rules that are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from merger.errors import Invalid
from merger.timeline.clock import Span
from merger.timetable.recurrence import (
    MOST_IN_WINDOW,
    DayOff,
    Occurrence,
    Override,
    Recurrence,
    check_recurrence,
    goes_on,
    notes_on,
    occurrences,
)
from tests.texts.russian import in_russian

pytestmark = pytest.mark.quick

NOW = datetime(2026, 9, 1, tzinfo=UTC)
HOUR, LESSON = timedelta(hours=1), timedelta(minutes=90)
BERLIN = "Europe/Berlin"


def series(starts: str, rule: str | None = None, **other: Any) -> Recurrence:
    values = {"zone": BERLIN, "length": LESSON, **other}
    return Recurrence(starts_local=datetime.fromisoformat(starts), rule=rule, **values)


def window(first: str = "2026-01-01", last: str = "2028-01-01") -> Span:
    return Span(*(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last)))


def starts(recurrence: Recurrence, within: Span | None = None, **other: Any) -> list[str]:
    """Return when occurrences begin, in UTC, as month-day hour:minute."""
    found = occurrences(recurrence, within or window(), **other)
    return [f"{occurrence.span.start:%m-%d %H:%M}" for occurrence in found]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("recurrence", "expected"),
    [
        # 10:00 stays 10:00 when the clocks change, in both halves of the year and of the world.
        (series("2026-10-19T10:00", "FREQ=WEEKLY;COUNT=2"), ["10-19 08:00", "10-26 09:00"]),
        (series("2026-03-23T10:00", "FREQ=WEEKLY;COUNT=2"), ["03-23 09:00", "03-30 08:00"]),
        (series("2026-09-28T10:00", "FREQ=WEEKLY;COUNT=2", zone="Australia/Sydney"),
         ["09-28 00:00", "10-04 23:00"]),
        # What spring skips is the first time that exists; what autumn repeats, the earlier one.
        (series("2026-03-28T02:30", "FREQ=DAILY;COUNT=3"),
         ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        (series("2026-10-24T02:30", "FREQ=DAILY;COUNT=3"),
         ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        (series("2026-10-03T02:10", "FREQ=DAILY;COUNT=2", zone="Australia/Lord_Howe"),
         ["10-02 15:40", "10-03 15:30"]),
        (series("2026-03-07T00:10", "FREQ=DAILY;COUNT=2", zone="America/Havana"),
         ["03-07 05:10", "03-08 05:00"]),
        # The day by the local clock counts, whatever the day is in UTC.
        (series("2026-09-08T00:10", "FREQ=WEEKLY;BYDAY=TU;COUNT=2"), ["09-07 22:10", "09-14 22:10"]),
        # Months without such a day are left out; the last day of each is written -1.
        (series("2026-01-31T09:00", "FREQ=MONTHLY;COUNT=4"),
         ["01-31 08:00", "03-31 07:00", "05-31 07:00", "07-31 07:00"]),
        (series("2026-01-31T09:00", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3"),
         ["01-31 08:00", "02-28 08:00", "03-31 07:00"]),
        (series("2026-12-15T09:00", "FREQ=MONTHLY;COUNT=3"),
         ["12-15 08:00", "01-15 08:00", "02-15 08:00"]),
        (series("2026-12-30T09:00", "FREQ=WEEKLY;BYDAY=WE;COUNT=2"), ["12-30 08:00", "01-06 08:00"]),
        (series("2026-09-08T10:00", "FREQ=MONTHLY;BYDAY=2TU,-1FR;COUNT=4"),
         ["09-08 08:00", "09-25 08:00", "10-13 08:00", "10-30 09:00"]),
        (series("2026-09-15T10:00", "FREQ=MONTHLY;INTERVAL=2;BYMONTH=9,11,12;BYMONTHDAY=15,31"),
         ["09-15 08:00", "11-15 09:00", "09-15 08:00", "11-15 09:00"]),
        (series("2026-09-30T10:00", "FREQ=DAILY;BYMONTH=10,11;BYMONTHDAY=-1;COUNT=2"),
         ["09-30 08:00", "10-31 09:00", "11-30 09:00"]),
        # Every second week, by weeks that begin on Sunday or on Monday.
        (series("2026-09-06T10:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU;COUNT=4"),
         ["09-06 08:00", "09-07 08:00", "09-20 08:00", "09-21 08:00"]),
        (series("2026-09-06T10:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;COUNT=4"),
         ["09-06 08:00", "09-14 08:00", "09-20 08:00", "09-28 08:00"]),
        # Ends: of the series, and three ways to write that of the rule.
        (series("2026-09-07T10:00", "FREQ=WEEKLY", until_day=date(2026, 9, 14)),
         ["09-07 08:00", "09-14 08:00"]),
        (series("2026-09-07T10:00", "FREQ=WEEKLY;UNTIL=20260914"), ["09-07 08:00", "09-14 08:00"]),
        (series("2026-09-07T10:00", "FREQ=WEEKLY;UNTIL=20260914T095959"), ["09-07 08:00"]),
        (series("2026-09-07T10:00", "FREQ=WEEKLY;UNTIL=20260914T080000Z"),
         ["09-07 08:00", "09-14 08:00"]),
        (series("2026-09-07T10:00"), ["09-07 08:00"]),
        # The first time is one, as calendars show it, even if the rule lacks its day.
        (series("2026-09-08T10:00", "FREQ=WEEKLY;BYDAY=MO;UNTIL=20260914"),
         ["09-08 08:00", "09-14 08:00"]),
        # Dates that come on top or fall out: a date means the day, a time that time alone.
        (series("2026-09-07T10:00", rdates=(datetime(2026, 9, 7, 10), datetime(2026, 9, 9, 12))),
         ["09-07 08:00", "09-09 10:00"]),
        (series("2026-09-07T10:00", "FREQ=WEEKLY;COUNT=3", exdates=(datetime(2026, 9, 14, 10),),
                rdates=(datetime(2026, 9, 14, 14),)),
         ["09-07 08:00", "09-14 12:00", "09-21 08:00"]),
        (series("2026-09-07T10:00", "FREQ=WEEKLY;COUNT=3", exdates=(date(2026, 9, 14),),
                rdates=(datetime(2026, 9, 14, 14),)),
         ["09-07 08:00", "09-21 08:00"]),
        # A rule that has no day at all takes no time.
        (series("2026-09-07T10:00", "FREQ=DAILY;INTERVAL=7;BYDAY=TU"), ["09-07 08:00"]),
        (series("2026-09-07T10:00", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), ["09-07 08:00"]),
    ],
)  # fmt: skip
def test_when_a_series_takes_place(recurrence: Recurrence, expected: list[str]) -> None:
    assert starts(recurrence) == expected


def test_an_occurrence_has_its_length() -> None:
    [found] = occurrences(series("2026-09-07T10:00"), window())
    assert found == Occurrence(
        utc("2026-09-07T08:00"), Span(*map(utc, ("2026-09-07T08:00", "2026-09-07T09:30")))
    )
    [found] = occurrences(series("2026-09-07T10:00", length=timedelta(0)), window())
    assert not found.span


def test_a_whole_day_that_was_skipped() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    daily = series("2011-12-28T10:00", "FREQ=DAILY;COUNT=4", zone="Pacific/Apia")
    within = window("2011-12-01", "2012-02-01")
    assert starts(daily, within) == ["12-28 20:00", "12-29 20:00", "12-30 10:00", "12-30 20:00"]


def test_a_window_holds_what_begins_in_it() -> None:
    weekly = series("2026-09-07T10:00", "FREQ=WEEKLY")
    at = utc("2026-09-14T08:00")
    assert starts(weekly, Span(at, at + HOUR)) == ["09-14 08:00"]
    assert starts(weekly, Span(at - HOUR, at)) == []
    assert starts(weekly, Span(at + HOUR, at + 2 * HOUR)) == []
    daily = replace(weekly, rule="FREQ=DAILY")
    assert len(occurrences(daily, window())) == MOST_IN_WINDOW


def test_windows_together_hold_what_one_holds() -> None:
    """Nothing depends on where one looks from."""
    weekly = series("2025-02-03T10:00", "FREQ=WEEKLY;BYDAY=MO;COUNT=40")
    whole = occurrences(weekly, window("2025-01-01", "2026-01-01"))
    days = [utc("2025-01-01") + timedelta(days=n) for n in range(366)]
    assert [
        o for day in days for o in occurrences(weekly, Span(day, day + timedelta(days=1)))
    ] == whole
    assert starts(weekly, window("2025-03-12", "2025-03-20")) == ["03-17 09:00"]


def test_days_off_are_local_days() -> None:
    late = series("2026-09-07T00:30", "FREQ=WEEKLY;COUNT=3")  # the evening before, in UTC
    off = [DayOff(date(2026, 9, 13), date(2026, 9, 14), "Feast")]
    assert starts(late, days_off=off) == ["09-06 22:30", "09-20 22:30"]
    assert starts(late, days_off=[DayOff(date(2026, 9, 13), date(2026, 9, 13))]) == starts(late)


def test_overrides_win() -> None:
    weekly = series("2026-09-07T10:00", "FREQ=WEEKLY;COUNT=4")
    first, second, third, fourth = (o.original_at for o in occurrences(weekly, window()))
    moved = Span(utc("2026-09-15T12:00"), utc("2026-09-15T13:00"))
    overrides = [
        Override(first, None),
        Override(second, moved),
        Override(third, Span(third, third + HOUR)),
    ]
    off = [DayOff(date(2026, 9, 15), date(2026, 9, 28))]
    assert occurrences(weekly, window(), off, overrides) == [
        Occurrence(second, moved), Occurrence(third, Span(third, third + HOUR)),
    ]  # fmt: skip
    # It is found where it is now, not where it was.
    assert occurrences(weekly, Span(second, second + HOUR), overrides=overrides) == []
    assert occurrences(weekly, moved, overrides=overrides) == [Occurrence(second, moved)]
    assert fourth == utc("2026-09-28T08:00")


@pytest.mark.parametrize(
    ("recurrence", "at", "expected"),
    [
        (series("2025-09-18T21:00", "FREQ=DAILY;COUNT=2"), "2025-09-19T22:00", False),
        (series("2025-09-18T21:00", "FREQ=DAILY;COUNT=2"), "2025-09-19T19:00", True),
        (series("2025-09-18T21:00", "FREQ=DAILY"), "2125-09-19T19:00", True),
        (series("2025-09-18T21:00", "FREQ=DAILY;UNTIL=20250920"), "2025-09-20T22:00", False),
        (
            series("2025-09-18T21:00", "FREQ=DAILY", until_day=date(2025, 9, 20)),
            "2025-09-20T22:00",
            False,
        ),
        (
            series("2025-09-18T21:00", "FREQ=DAILY", until_day=date(9999, 12, 31)),
            "2025-09-20T22:00",
            True,
        ),
        (series("2025-09-18T21:00"), "2025-09-18T19:00", True),
        (series("2025-09-18T21:00"), "2025-09-18T19:01", False),
    ],
)
def test_whether_a_series_goes_on(recurrence: Recurrence, at: str, expected: bool) -> None:
    assert goes_on(recurrence, utc(at)) is expected


@pytest.mark.parametrize(
    ("recurrence", "days"),
    [
        (series("2026-01-31T09:00", "FREQ=MONTHLY"), ["31"]),
        (series("2026-01-28T09:00", "FREQ=MONTHLY"), []),
        (series("2026-01-28T09:00", "FREQ=MONTHLY;BYMONTHDAY=28,29,30"), ["29", "30"]),
        (series("2026-01-31T09:00", "FREQ=MONTHLY;BYMONTHDAY=-1"), []),
        (series("2026-01-31T09:00", "FREQ=MONTHLY;BYDAY=2TU"), []),
        (series("2028-02-29T09:00", "FREQ=YEARLY"), ["29"]),
        (series("2026-12-31T09:00", "FREQ=YEARLY"), []),
        (series("2026-12-31T09:00", "FREQ=WEEKLY"), []),
        (series("2026-12-31T09:00"), []),
    ],
)
def test_months_that_lack_a_day_are_noted(recurrence: Recurrence, days: list[str]) -> None:
    found = notes_on(recurrence)
    assert [str(note.params["day"]) for note in found] == days
    assert all(f"{day}-го числа" in in_russian(note) for day, note in zip(days, found, strict=True))


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"zone": "Mars/Phobos"}, "zone", "Europe/Moscow"),
        ({"zone": ""}, "zone", "Europe/Moscow"),
        ({"zone": "../etc/passwd"}, "zone", "Europe/Moscow"),
        ({"starts_local": datetime(1970, 1, 1, 10)}, "start", "two years"),
        ({"starts_local": datetime(2028, 9, 8, 10)}, "start", "two years"),
        ({"starts_local": datetime(9999, 12, 31, 23, 59)}, "start", "two years"),
        ({"starts_local": NOW}, "start", "offset"),
        ({"length": timedelta(seconds=59)}, "length", "from 1 minute"),
        ({"length": -LESSON}, "length", "from 1 minute"),
        ({"length": timedelta(hours=24, seconds=1)}, "length", "to 24 hours"),
        ({"until_day": date(2026, 9, 6)}, "until", "before it starts"),
        ({"rule": "FREQ=WEEKLY;UNTIL=20260906T235959"}, "rule", "before it starts"),
        ({"exdates": (date(2026, 9, 14),) * 501}, "exdates", "more than 500"),
        ({"rdates": (datetime(2026, 9, 14),) * 501}, "rdates", "more than 500"),
        ({"exdates": (NOW,)}, "exdates", "offset"),
        ({"rdates": (NOW,)}, "rdates", "offset"),
        ({"rdates": (datetime(2126, 9, 14),)}, "rdates", "two years"),
        *[({"rule": rule}, "rule", words) for rule, words in [
            ("FOO", "FREQ=WEEKLY;BYDAY=MO"), ("", "FREQ=WEEKLY;BYDAY=MO"),
            ("FREQ=WEEKLY;", "FREQ=WEEKLY;BYDAY=MO"), ("BYDAY=MO", "no FREQ"),
            ("FREQ=SECONDLY", "one of DAILY"), ("FREQ=HOURLY", "one of DAILY"),
            ("FREQ=MINUTELY;COUNT=3", "one of DAILY"), ("FREQ=", "FREQ=WEEKLY;BYDAY=MO"),
            ("FREQ=WEEKLY;FREQ=DAILY", "FREQ is given twice"),
            ("FREQ=DAILY;BYHOUR=9", "BYHOUR"), ("FREQ=DAILY;BYMINUTE=1", "BYMINUTE"),
            ("FREQ=DAILY;BYSECOND=1", "BYSECOND"), ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
            ("FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO"), ("FREQ=YEARLY;BYEASTER=0", "BYEASTER"),
            ("FREQ=DAILY;COUNT=501", "from 1 to 500"), ("FREQ=DAILY;COUNT=0", "from 1 to 500"),
            ("FREQ=DAILY;COUNT=-1", "from 1 to 500"), ("FREQ=DAILY;COUNT=9e9", "from 1 to 500"),
            ("FREQ=DAILY;COUNT=" + "9" * 900, "from 1 to 500"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20261001", "both COUNT and UNTIL"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"), ("FREQ=DAILY;INTERVAL=1001", "INTERVAL=1001"),
            ("FREQ=WEEKLY;BYDAY=XX", "BYDAY=XX"), ("FREQ=WEEKLY;BYDAY=2MO", "numbers"),
            ("FREQ=DAILY;BYDAY=-1MO", "numbers"), ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY=54MO"),
            ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY=0MO"), ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY=32"),
            ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0"), ("FREQ=YEARLY;BYMONTH=13", "BYMONTH=13"),
            ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH=-1"), ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY=367"),
            ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"), ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY"),
            ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL=TOMORROW"), ("FREQ=DAILY;UNTIL=20260230", "UNTIL=2026"),
            ("FREQ=DAILY;UNTIL=00010101T000000Z", "UNTIL=0001"),
            ("FREQ=DAILY;UNTIL=99991231T235959Z", "UNTIL=9999"),
            ("FREQ=WEEKLY;WKST=XX", "WKST=XX"), ("FREQ=WEEKLY;BYDAY=MO" + ",MO" * 400, "longer than"),
            ("FREQ=WEEKLY\nRRULE:FREQ=DAILY", "FREQ=WEEKLY\nRRULE"),
        ]],
    ],
)  # fmt: skip
def test_what_no_series_can_be(change: dict[str, Any], field: str, words: str) -> None:
    good = series("2026-09-07T10:00", "FREQ=WEEKLY;BYDAY=MO")
    check_recurrence(good, NOW)
    with pytest.raises(Invalid) as caught:
        check_recurrence(replace(good, **change), NOW)
    assert caught.value.code == field
    assert words in str(caught.value)
    in_russian(caught.value.message)


@pytest.mark.parametrize(
    "change",
    [
        {"rule": None},
        {"rule": "rrule:freq=weekly; byday=mo,fr; wkst=su; interval=2"},
        {"length": timedelta(0)},
        {"length": timedelta(hours=24)},
        {"starts_local": datetime(2024, 9, 2, 10)},
        {"until_day": date(9999, 12, 31)},
        {"until_day": date(2026, 9, 7)},
        {"rule": "FREQ=WEEKLY;UNTIL=20260907"},
        {"exdates": (date(1, 1, 1), date.max)},
    ],
)
def test_what_a_series_can_be(change: dict[str, Any]) -> None:
    recurrence = replace(series("2026-09-07T10:00", "FREQ=WEEKLY;BYDAY=MO"), **change)
    check_recurrence(recurrence, NOW)
    assert occurrences(recurrence, window("2024-09-01", "2027-01-01"))
