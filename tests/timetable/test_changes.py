"""What a timetable changes, and when it is asked whether that is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from merger.timetable.changes import compare
from merger.timetable.sheet import Term, parse_sheet, series_of_row
from merger.timetable.spec import SeriesSpec

pytestmark = pytest.mark.quick

NOW = datetime(2026, 9, 1, tzinfo=UTC)
TERM = Term(date(2026, 9, 1), date(2026, 12, 20))
HEAD = "course,days,start,room,until\n"


def series_of(lines: str, term: Term = TERM) -> list[SeriesSpec]:
    rows = parse_sheet(HEAD + lines).rows
    return [series_of_row(row, "Fall", "Europe/Berlin", term, NOW) for row in rows]


def several(count: int) -> list[SeriesSpec]:
    return series_of("".join(f"CS{n},M,9:15,504,\n" for n in range(count)))


def test_the_same_timetable_changes_nothing() -> None:
    before = series_of("CS50,M,9:15,504,\nCS51,T,9:15,504,\n")
    again = compare(before, series_of("CS51,T,09:15,504,\n\nCS50,M,9:15am,504,\n"))
    assert not again
    assert {series.course for series in again.unchanged} == {"CS50", "CS51"}


def test_what_changes() -> None:
    before = series_of("CS50,M,9:15,504,\nCS51,T,9:15,504,\nCS52,W,9:15,504,\n")
    after = series_of("CS50,M,9:15,504,\nCS51,T,9:15,504,2026-11-30\nCS53,F,9:15,504,\n")
    changes = compare(before, after)
    assert [series.course for series in changes.unchanged] == ["CS50"]
    assert changes.changed == (after[1],)
    assert changes.added == (after[2],)
    assert changes.ended == (before[2],)
    assert changes
    assert not changes.needs_confirmation
    kept = compare(before, after, keeps_missing=True)
    assert (kept.ended, kept.added) == ((), changes.added)


def test_another_time_is_another_series() -> None:
    changes = compare(series_of("CS50,M,9:15,504,\n"), series_of("CS50,M,9:30,504,\n"))
    assert (len(changes.added), len(changes.ended), changes.changed) == (1, 1, ())


def test_a_start_that_nobody_has_set_stays() -> None:
    first, later = (Term(date(2026, 9, day), has_open_start=True) for day in (1, 15))
    before = series_of("CS50,MW,9:15,504,\n", first)
    assert not compare(before, series_of("CS50,MW,9:15,504,\n", later))
    changes = compare(before, series_of("CS50,MW,9:15,504,2026-11-30\n", later))
    [changed] = changes.changed
    assert changed.recurrence == replace(before[0].recurrence, until_day=date(2026, 11, 30))
    # A term that somebody has set counts.
    assert compare(before, series_of("CS50,MW,9:15,504,\n", TERM)).changed
    # What the tables hold does not say whether its start was open.
    stored = [replace(before[0], has_open_start=False)]
    assert not compare(stored, series_of("CS50,MW,9:15,504,\n", later))


@pytest.mark.parametrize(
    ("stored", "left", "asks"),
    [
        (30, 19, True),
        (30, 20, False),
        (33, 22, False),
        (33, 21, True),
        (10, 0, False),
        (11, 0, True),
        (12, 1, True),
        (300, 200, False),
        (300, 199, True),
        (0, 0, False),
    ],
)
def test_half_a_sheet_is_asked_about(stored: int, left: int, asks: bool) -> None:
    """More than a third, and more than ten."""
    before = several(stored) if stored else []
    assert compare(before, before[:left]).needs_confirmation is asks
    new = series_of("NEW,S,20:00,506,\n") * 1
    assert compare(before, [*before[:left], *new]).needs_confirmation is asks
    assert not compare(before, before[:left], keeps_missing=True).needs_confirmation
