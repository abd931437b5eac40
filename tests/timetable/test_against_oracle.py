"""Random rules yield what another library makes of them, in the weeks when clocks change, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from merger.timeline.clock import Span
from merger.timeline.zones import first_instant
from merger.timetable.ics import parse_calendar
from merger.timetable.recurrence import Override, Recurrence, check_recurrence, occurrences
from tests.support.selection import rarely

pytestmark = pytest.mark.quick

ZONES = (
    "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Sydney",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Moscow", "America/Havana", "UTC",
)  # fmt: skip
# Days around which the clocks of these zones change.
CHANGES = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 9, 6),
           date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1)]  # fmt: skip
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LESSON = timedelta(minutes=90)
# A failure is not made smaller: the other library may take minutes over what is tried then.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def lists(values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.lists(values.map(str), min_size=1, max_size=4, unique=True).map(",".join)


def numbers(highest: int, lowest: int = 1) -> st.SearchStrategy[str]:
    return lists(st.integers(lowest, highest).filter(bool))


WEEKDAY_LIST = lists(st.sampled_from(WEEKDAYS))
# The other library wants days to fit both where some of a list have numbers and some have none.
NUMBERED_LIST = lists(
    st.tuples(st.integers(-5, 5).filter(bool), st.sampled_from(WEEKDAYS)).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    )
)
# Such that all rules have days: the other library looks for them until the year 9999.
PARTS = {
    "DAILY": {"BYDAY": WEEKDAY_LIST, "BYMONTHDAY": numbers(31, -31)},
    "WEEKLY": {"BYDAY": WEEKDAY_LIST, "BYMONTH": numbers(12)},
    "MONTHLY": {"BYDAY": st.one_of(WEEKDAY_LIST, NUMBERED_LIST), "BYMONTHDAY": numbers(28, -28)},
    "YEARLY": {
        "BYDAY": st.one_of(WEEKDAY_LIST, NUMBERED_LIST), "BYMONTH": numbers(12),
        "BYMONTHDAY": numbers(31, -31), "BYYEARDAY": numbers(366, -366),
    },
}  # fmt: skip


@st.composite
def rules(draw: st.DrawFn, start: date) -> str:
    frequency = draw(st.sampled_from(sorted(PARTS)))
    parts = [f"FREQ={frequency}"]
    for part, values in PARTS[frequency].items():
        if draw(st.sampled_from((True, False, False))):
            parts.append(f"{part}={draw(values)}")
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 5))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(WEEKDAYS))}")
    end = draw(st.sampled_from(("COUNT", "UNTIL", None)))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 60))}")
    elif end == "UNTIL":
        day = start + timedelta(days=draw(st.integers(1, 400)))
        parts.append(f"UNTIL={day:%Y%m%d}T{draw(st.integers(0, 23)):02}3000Z")
    return ";".join(parts)


@st.composite
def series(draw: st.DrawFn) -> Recurrence:
    zone = draw(st.sampled_from(ZONES))
    day = draw(st.sampled_from(CHANGES)) + timedelta(days=draw(st.integers(-40, 10)))
    night = st.integers(0, 14).map(lambda quarters: time(quarters // 4, quarters % 4 * 15))
    starts = datetime.combine(day, draw(st.one_of(night, st.just(time(10)), st.just(time(23, 30)))))
    return Recurrence(zone, starts, LESSON, draw(st.one_of(st.none(), rules(day))))


def text_of(recurrence: Recurrence) -> str:
    """Return a series as iCalendar."""
    zone = recurrence.zone
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:x", "DTSTAMP:20260101T000000Z",
             f"DTSTART;TZID={zone}:{recurrence.starts_local:%Y%m%dT%H%M%S}", "DURATION:PT90M"]  # fmt: skip
    if recurrence.rule is not None:
        lines.append(f"RRULE:{recurrence.rule}")
    for name, times in (("EXDATE", recurrence.exdates), ("RDATE", recurrence.rdates)):
        lines += [f"{name};TZID={zone}:{at:%Y%m%dT%H%M%S}" for at in times]
    return "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""])


def of_oracle(recurrence: Recurrence, window: Span) -> list[datetime]:
    """Return when occurrences begin, by the other library.

    It reads a time that spring skips in its own way, so its local times are read as ours.
    """
    calendar = icalendar.Calendar.from_ical(text_of(recurrence))
    events = recurring_ical_events.of(calendar).between(window.start, window.end)
    zone = ZoneInfo(recurrence.zone)
    found = {
        first_instant(event.start.astimezone(zone).replace(tzinfo=None), zone) for event in events
    }
    return sorted(at for at in found if at in window)


def moved_text(recurrence: Recurrence, overrides: Sequence[Override]) -> str:
    """Return a series as iCalendar, with what was changed about single occurrences."""
    parts = [text_of(recurrence).removesuffix("END:VCALENDAR\r\n")]
    for override in overrides:
        lines = ["BEGIN:VEVENT", "UID:x", "DTSTAMP:20260101T000000Z", "SEQUENCE:1",
                 f"RECURRENCE-ID:{override.original_at:%Y%m%dT%H%M%SZ}"]  # fmt: skip
        if override.span is None:
            lines += ["STATUS:CANCELLED", f"DTSTART:{override.original_at:%Y%m%dT%H%M%SZ}"]
        else:
            lines += [
                f"DTSTART:{override.span.start:%Y%m%dT%H%M%SZ}",
                f"DTEND:{override.span.end:%Y%m%dT%H%M%SZ}",
            ]
        parts.append("\r\n".join([*lines, "END:VEVENT", ""]))
    return "".join([*parts, "END:VCALENDAR\r\n"])


@pytest.mark.parametrize("examples", [120, rarely(500, why="from more seeds of chance")])
def test_random_rules(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, phases=PHASES)
    @given(series(), st.data())
    def agree(recurrence: Recurrence, data: st.DataObject) -> None:
        check_recurrence(recurrence, NOW)
        begins = first_instant(recurrence.starts_local, ZoneInfo(recurrence.zone))
        begins += timedelta(days=data.draw(st.integers(-3, 300), "window"))
        window = Span(begins, begins + timedelta(days=90))
        mine = [occurrence.span.start for occurrence in occurrences(recurrence, window)]
        assert mine == of_oracle(recurrence, window)

    agree()


@st.composite
def changed_series(draw: st.DrawFn) -> tuple[Recurrence, tuple[Override, ...]]:
    """Draw a weekly or daily series, away from the nights in which clocks change, with exceptions."""
    zone = draw(st.sampled_from(ZONES))
    starts = datetime.combine(draw(st.sampled_from(CHANGES)), time(10))
    rule = draw(
        st.sampled_from(
            ("FREQ=DAILY;COUNT=40", "FREQ=WEEKLY;COUNT=12", "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=20")
        )
    )
    recurrence = Recurrence(zone, starts, LESSON, rule)
    window = Span(NOW - timedelta(days=200), NOW + timedelta(days=300))
    known = [occurrence.original_at for occurrence in occurrences(recurrence, window)]
    fates = draw(st.lists(st.sampled_from("----exm"), min_size=len(known), max_size=len(known)))
    local = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in known]
    exdates = tuple(at for at, fate in zip(local, fates, strict=True) if fate == "e")
    extra = st.sampled_from([at + timedelta(minutes=20) for at in local])
    rdates = tuple(draw(st.lists(extra, max_size=3, unique=True)))
    overrides = []
    for at, fate in zip(known, fates, strict=True):
        if fate == "x":
            overrides.append(Override(at, None))
        elif fate == "m":
            moved = at + timedelta(minutes=draw(st.integers(-3000, 3000)))
            overrides.append(
                Override(at, Span(moved, moved + timedelta(minutes=draw(st.integers(1, 200)))))
            )
    return replace(recurrence, exdates=exdates, rdates=rdates), tuple(overrides)


@pytest.mark.parametrize("examples", [60, rarely(500, why="from more seeds of chance")])
def test_random_exceptions(examples: int) -> None:
    """They are read from a calendar, too, as they were written."""

    @settings(max_examples=examples, deadline=None, phases=PHASES)
    @given(changed_series())
    def agree(drawn: tuple[Recurrence, tuple[Override, ...]]) -> None:
        recurrence, overrides = drawn
        text = moved_text(recurrence, overrides)
        [event] = parse_calendar(
            text.replace("UID:x", "UID:x\r\nLOCATION:504"), "x", "UTC", LONG_AGO
        ).events
        assert (event.series.recurrence, event.series.overrides) == (recurrence, overrides)
        window = Span(NOW - timedelta(days=90), NOW + timedelta(days=200))
        mine = {(o.span.start, o.span.end) for o in occurrences(recurrence, window, (), overrides)}
        calendar = icalendar.Calendar.from_ical(text)
        found = recurring_ical_events.of(calendar).between(window.start, window.end)
        theirs = {
            (e.start.astimezone(UTC), e.end.astimezone(UTC))
            for e in found
            if e.get("STATUS") != "CANCELLED"
        }
        assert mine == {pair for pair in theirs if pair[0] in window}

    agree()
