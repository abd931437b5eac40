"""Which lecture a recording is of: the rules as tables, and an oracle that looks at each minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from merger.timeline.clock import Span
from merger.timetable.matching import TOLERANCE, Candidate, Match, NoMatch, match
from merger.timetable.recurrence import Recurrence, occurrences
from merger.timetable.rules import WEEKDAYS
from tests.support.selection import rarely
from tests.texts.russian import in_russian

pytestmark = pytest.mark.quick

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MONDAY = date(2026, 9, 7)


def at(clock: str, day: date = MONDAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), UTC)


def span(text: str) -> Span:
    """Return a span of the day: 10:00-11:30, or 10:00 for what has no known end."""
    start, _, end = text.partition("-")
    return Span(at(start), at(end or start))


def lecture(name: str, text: str, course: str | None = None, priority: int = 0) -> Candidate:
    return Candidate(name, span(text), course or name, name, priority)


def found(recording: Span, *lectures: Candidate, tolerance: timedelta = TOLERANCE) -> str | None:
    result = match(lectures, recording, tolerance)
    in_russian(result.why)
    return result.occurrence.key if isinstance(result, Match) else None


@pytest.mark.parametrize(
    ("recording", "tolerance", "fits"),
    [
        ("15:00-16:00", 30, True),
        ("16:00-17:00", 30, False),
        ("14:20-15:30", 30, False),
        ("14:20-15:30", 45, True),
        ("14:30-14:40", 30, True),
        ("15:30-15:40", 30, True),
        ("15:31-15:40", 30, False),
        ("15:01-15:40", 0, False),
        ("15:00-15:00", 0, True),
    ],
)
def test_the_start_of_a_lecture_of_unknown_length(
    recording: str, tolerance: int, fits: bool
) -> None:
    result = found(span(recording), lecture("A", "15:00"), tolerance=tolerance * MINUTE)
    assert (result == "A") is fits


@pytest.mark.parametrize(
    ("recording", "lectures", "best"),
    [
        # Half of the shorter of the two, however far the starts are.
        ("10:45-12:00", ["10:00-11:30"], "10:00-11:30"),
        ("10:46-12:15", ["10:00-11:30"], None),
        ("10:50-11:10", ["10:00-11:30"], "10:00-11:30"),
        ("09:00-12:00", ["10:00-11:30"], "10:00-11:30"),
        ("11:30-13:00", ["10:00-11:30"], None),
        # The largest overlap, then the nearest start.
        ("10:20-11:30", ["10:00-11:00", "10:30-12:00"], "10:30-12:00"),
        ("10:00-11:00", ["09:00-10:30", "10:30-12:00"], "10:30-12:00"),
        ("10:00-11:00", ["10:15", "09:50"], "09:50"),
        ("10:00-11:00", ["10:05", "09:30-11:30"], "09:30-11:30"),
        # Nobody stopped it: the first, though it holds more of the second.
        ("10:00-13:30", ["11:30-13:30", "10:00-11:30"], "10:00-11:30"),
        ("10:05-13:30", ["10:00-11:00", "11:00-12:00", "12:00-13:30"], "10:00-11:00"),
        ("10:50-13:30", ["10:00-11:00", "11:00-13:30"], "11:00-13:30"),
    ],
)
def test_the_best_of_several(recording: str, lectures: list[str], best: str | None) -> None:
    candidates = [lecture(text, text) for text in lectures]
    assert found(span(recording), *candidates) == best


def test_priority_and_order_decide_last() -> None:
    a, b, c = (
        lecture("A", "10:00-11:00"),
        lecture("B", "10:00-11:00"),
        lecture("C", "10:00-11:00", priority=1),
    )
    recording = span("10:02-11:00")
    assert found(recording, a, b) == "A"
    assert found(recording, b, a) == "B"
    assert found(recording, a, b, c) == "C"
    assert found(recording, c, lecture("D", "10:01-11:00")) == "D"


def test_a_tie_of_courses_is_named() -> None:
    a, b = lecture("A: Lecture", "10:00-11:00", "A"), lecture("B: Lecture", "10:00-11:00", "B")
    again = lecture("A: Section", "10:00-11:00", "A")
    result = match([a, again, b], span("10:00-11:00"), TOLERANCE)
    assert isinstance(result, Match)
    assert (result.occurrence, result.also) == (a, (b,))
    assert str(result.why) == (
        "the recording starts when A: Lecture starts; "
        "B: Lecture would fit as well; give one of them another time, or a higher priority"
    )
    in_russian(result.why)
    clear = match([a, lecture("B", "10:10-11:00")], span("10:00-11:00"), TOLERANCE)
    assert isinstance(clear, Match)
    assert clear.also == ()


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        ("09:59-11:30", "the recording starts 1 minute before A"),
        ("10:05-11:30", "the recording starts 5 minutes after A has started"),
        ("10:00-13:00", "it goes on over B"),
        ("13:00-14:00", "no lecture is held then; B, the nearest, started 90 minutes before"),
        ("08:00-09:00", "no lecture is held then; A, the nearest, starts 120 minutes later"),
    ],
)
def test_why(recording: str, words: str) -> None:
    result = match(
        [lecture("A", "10:00-11:30"), lecture("B", "11:30-13:00")], span(recording), TOLERANCE
    )
    assert words in str(result.why)
    in_russian(result.why)


def test_nothing_to_match() -> None:
    result = match([], span("10:00-11:00"), TOLERANCE)
    assert isinstance(result, NoMatch)
    assert result.nearest is None
    assert "no lecture is held on these days" in str(result.why)
    in_russian(result.why)
    far = match([lecture("A", "20:00")], span("10:00-11:00"), TOLERANCE)
    assert isinstance(far, NoMatch)
    assert far.nearest is not None and far.nearest.key == "A"


# --- lectures of a timetable ----------------------------------------------------------------------


def weekly(zone: str, days: str, clock: str, minutes: int = 0) -> Recurrence:
    """Return a series that began long ago, such as MO,WE at 10:00."""
    rule = f"FREQ=WEEKLY;BYDAY={days}"
    return Recurrence(zone, datetime.fromisoformat(f"2024-12-30T{clock}"), minutes * MINUTE, rule)


def candidates(recording: Span, **series: Recurrence) -> list[Candidate]:
    around = Span(recording.start - DAY, recording.end + DAY)
    return [
        Candidate(name, occurrence.span, name, name)
        for name, recurrence in series.items()
        for occurrence in occurrences(recurrence, around)
    ]


def recording_at(zone: str, local: str, length: timedelta = 75 * MINUTE) -> Span:
    start = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return Span(start, start + length)


@pytest.mark.parametrize(
    ("zone", "days", "clock", "recording", "fits"),
    [
        ("America/New_York", "SA", "10:00", "2026-01-03T10:00", True),
        ("America/New_York", "SA", "20:00", "2026-01-03T10:00", False),
        ("America/New_York", "MO,WE", "10:00", "2026-01-07T10:00", True),
        ("America/New_York", "MO,WE", "10:00", "2026-01-06T10:00", False),
        # Just before midnight for just after it, also from one year into the next.
        ("Europe/Berlin", "TU", "00:10", "2026-09-07T23:50", True),
        ("Europe/Berlin", "TU", "00:10", "2026-09-08T23:50", False),
        ("Europe/Berlin", "FR", "00:10", "2026-12-31T23:50", True),
        # Another day of the week in UTC.
        ("America/New_York", "TU", "21:00", "2026-09-08T21:05", True),
        ("America/New_York", "WE", "21:00", "2026-09-08T21:05", False),
        ("Australia/Sydney", "MO", "08:00", "2026-09-07T08:05", True),
        ("Australia/Sydney", "SU", "08:00", "2026-09-07T08:05", False),
        # The weeks in which clocks change, on both sides of the change.
        *[("Europe/Berlin", "MO", "10:00", f"2026-{day}T10:00", True)
          for day in ("03-23", "03-30", "10-19", "10-26")],
        *[("America/New_York", "SU", "01:30", f"2026-{day}T01:30", True)
          for day in ("03-01", "03-08", "10-25", "11-01")],
        ("America/New_York", "SU", "02:30", "2026-03-08T03:00", True),
    ],
)  # fmt: skip
def test_days_and_times_are_local(
    zone: str, days: str, clock: str, recording: str, fits: bool
) -> None:
    filmed = recording_at(zone, recording)
    result = match(candidates(filmed, A=weekly(zone, days, clock)), filmed, TOLERANCE)
    assert isinstance(result, Match) is fits


def test_two_courses_in_one_meeting() -> None:
    """Each recording belongs to its own course, over ten weeks and a change of clocks."""
    series = {
        "MON": weekly("Europe/Berlin", "MO", "10:00"),
        "WED": weekly("Europe/Berlin", "WE", "10:00"),
    }
    names = []
    for week in range(10):
        for day in (0, 2):
            monday = MONDAY + 7 * week * DAY
            filmed = recording_at("Europe/Berlin", f"{monday + day * DAY}T10:03")
            result = match(candidates(filmed, **series), filmed, TOLERANCE)
            assert isinstance(result, Match)
            names.append(result.occurrence.course)
    assert names == ["MON", "WED"] * 10


# --- an oracle ------------------------------------------------------------------------------------

ZONES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Sydney",
         "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "UTC")  # fmt: skip
# Days on which clocks change, and one on which none do.
DAYS = [
    date(2026, *day)
    for day in ((3, 8), (3, 29), (4, 5), (6, 10), (9, 6), (10, 4), (10, 25), (11, 1))
]


def oracle_finds(
    zone: ZoneInfo, weekday: int, clock: time, length: int, filmed: Span, tolerance: int
) -> bool:
    """Return whether a lecture fits, by looking at the local clock in each minute around it."""
    first = filmed.start - (tolerance + length) * MINUTE
    for n in range((filmed.end - first) // MINUTE + tolerance + 1):
        minute = first + n * MINUTE
        now, before = (
            (minute - ago).astimezone(zone).replace(tzinfo=None) for ago in (timedelta(0), MINUTE)
        )
        wanted = datetime.combine(now.date(), clock)
        begins = now.weekday() == weekday and before < wanted <= now
        if not begins or minute.astimezone(zone).fold:
            continue
        together = sum(minute <= m < minute + length * MINUTE for m in _minutes_of(filmed))
        shorter = min(length, filmed.length // MINUTE)
        if abs(minute - filmed.start) <= tolerance * MINUTE or (
            shorter and together * 2 >= shorter
        ):
            return True
    return False


def _minutes_of(filmed: Span) -> list[datetime]:
    return [filmed.start + n * MINUTE for n in range(filmed.length // MINUTE)]


@pytest.mark.parametrize("examples", [200, rarely(2000, why="from more seeds of chance")])
def test_random_lectures(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, phases=(Phase.reuse, Phase.generate))
    @given(
        zone=st.sampled_from(ZONES),
        day=st.sampled_from(DAYS),
        clock=st.integers(0, 24 * 60 - 1),
        length=st.sampled_from((0, 0, 45, 90)),
        away=st.integers(-150, 150),
        minutes=st.integers(0, 120),
        tolerance=st.integers(0, 60),
        other_day=st.sampled_from((0, 0, 0, 1)),
    )
    def agree(
        zone: str,
        day: date,
        clock: int,
        length: int,
        away: int,
        minutes: int,
        tolerance: int,
        other_day: int,
    ) -> None:
        here, at_clock = ZoneInfo(zone), time(clock // 60, clock % 60)
        start = datetime.combine(day, at_clock, here).astimezone(UTC) + away * MINUTE
        filmed = Span(start, start + minutes * MINUTE)
        weekday = (day.weekday() + other_day) % 7
        series = weekly(zone, WEEKDAYS[weekday], f"{at_clock:%H:%M}", length)
        result = match(candidates(filmed, A=series), filmed, tolerance * MINUTE)
        assert isinstance(result, Match) is oracle_finds(
            here, weekday, at_clock, length, filmed, tolerance
        )

    agree()
