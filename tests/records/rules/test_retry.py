"""Whether and when a failed record is tried again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Broken, Cancelled, MergerError, NoMedia, Refused, Temporary
from merger.records.rules.due import PATIENCE
from merger.records.rules.retry import (
    LONGEST_DELAY,
    LOOK_FOR_ROOM,
    OF_THE_MACHINE,
    TRIES,
    TRIES_BY_CODE,
    again_at,
    delay,
    next_morning,
    waits_for_room,
)

pytestmark = pytest.mark.quick

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
KATHMANDU, NEW_YORK = ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AWAY = Temporary("share", "the share is away")
FULL = Temporary("disk_full", "the disk is full")
NOTHING = NoMedia("no_media", "there is nothing")
NO_FFMPEG = Broken("ffmpeg", "there is no ffmpeg")
FOR_EVER = timedelta(days=3650)

proven = settings(max_examples=200, deadline=None, derandomize=True)


def again(error: MergerError, tries: int = 1, chance: float = 0.5) -> datetime | None:
    return again_at(error, tries, NOW, NOW - HOUR, MOSCOW, chance)


def test_the_time_between_tries_doubles_to_an_hour() -> None:
    minutes = [delay(tries) / MINUTE for tries in range(1, 10)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert delay(0) == MINUTE
    assert delay(10**6) == LONGEST_DELAY


def test_what_may_pass_is_tried_eight_times() -> None:
    waits = [again(AWAY, tries) for tries in range(1, 10)]
    assert waits == [NOW + n * MINUTE for n in (1, 2, 4, 8, 16, 32, 60)] + [None, None]
    assert TRIES == 8


@pytest.mark.parametrize("code", TRIES_BY_CODE)
def test_what_somebody_has_to_make_possible_is_waited_for_about_a_day(code: str) -> None:
    waited = timedelta()
    tries = 1
    while (at := again(Temporary(code, ""), tries)) is not None:
        waited += at - NOW
        tries += 1
    assert tries == 30
    assert timedelta(hours=22) <= waited <= timedelta(hours=26)


@pytest.mark.parametrize(
    ("since_due", "minutes"),
    [(-5 * HOUR, 10), (timedelta(), 10), (HOUR, 10), (3 * HOUR, 30), (6 * HOUR, 60),
     (24 * HOUR, 60), (FOR_EVER, 60)],
)  # fmt: skip
@pytest.mark.parametrize("tries", [1, 8, 30, 10_000])
def test_a_full_disk_is_waited_for_without_end(
    since_due: timedelta, minutes: int, tries: int
) -> None:
    """Soon and often first; then a few dozen times a day, for all of them are in the history."""
    for chance, factor in ((0.0, 0.75), (0.5, 1.0), (1.0, 1.25)):
        at = again_at(FULL, tries, NOW, NOW - since_due, MOSCOW, chance)
        assert at == NOW + minutes * factor * MINUTE
    assert LOOK_FOR_ROOM == 10 * MINUTE


def test_the_looks_of_a_day_can_be_read() -> None:
    due, now, looks = NOW, NOW, 0
    while now < due + timedelta(days=1):
        again = again_at(FULL, 1, now, due, MOSCOW, 0.5)
        assert again is not None
        now, looks = again, looks + 1
    assert looks < 40


def test_only_a_full_disk_is_waited_for_like_that() -> None:
    assert waits_for_room(FULL)
    for error in (AWAY, NOTHING, NO_FFMPEG, Broken("disk_full", ""), Temporary("storage_away", "")):
        assert not waits_for_room(error)


@pytest.mark.parametrize("code", sorted(OF_THE_MACHINE))
def test_what_ails_the_machine_fails_no_record(code: str) -> None:
    waits = [again(Broken(code, ""), tries) for tries in (1, 2, 3, 8, 30, 10_000)]
    assert waits == [NOW + n * MINUTE for n in (16, 32, 60, 60, 60, 60)]


@pytest.mark.parametrize(
    "error", [Refused("room", ""), Broken("encoder", ""), Cancelled("cancelled", "")]
)
@pytest.mark.parametrize("tries", [1, 100])
def test_what_somebody_has_to_put_right_is_never_tried_again(
    error: MergerError, tries: int
) -> None:
    assert again(error, tries) is None


def test_a_full_disk_that_somebody_has_to_act_on_is_never_tried_again() -> None:
    assert again(Broken("disk_full", "")) is None


@proven
@given(st.integers(1, TRIES - 1), st.floats(0, 1), st.floats(0, 1))
def test_what_failed_together_is_spread(tries: int, first: float, second: float) -> None:
    one, other = again(AWAY, tries, first), again(AWAY, tries, second)
    assert one is not None and other is not None
    for at in (one, other):
        assert 0.75 * delay(tries) <= at - NOW <= 1.25 * delay(tries)
    assert (one <= other) or (first > second)


def test_the_bounds_of_the_spread_are_reached() -> None:
    assert [again(AWAY, 7, chance) for chance in (0.0, 1.0)] == [
        NOW + timedelta(minutes=45), NOW + timedelta(minutes=75)
    ]  # fmt: skip


@proven
@given(
    st.sampled_from([AWAY, FULL, NOTHING, Refused("", ""), Broken("", ""), NO_FFMPEG]),
    st.integers(0, 100),
    st.timedeltas(-FOR_EVER, FOR_EVER),
    st.sampled_from([MOSCOW, BERLIN, KATHMANDU, NEW_YORK]),
    st.floats(0, 1),
)
def test_another_try_is_never_in_the_past_and_never_for_ever(
    error: MergerError, tries: int, since_due: timedelta, zone: ZoneInfo, chance: float
) -> None:
    due = NOW - since_due
    at = again_at(error, tries, NOW, due, zone, chance)
    if at is not None:
        assert at > NOW
        assert at.utcoffset() == timedelta(0)
        assert at <= max(NOW + 1.25 * LONGEST_DELAY, due + PATIENCE + timedelta(hours=32))
    assert at is None or tries < 30 or error in (FULL, NOTHING, NO_FFMPEG)


def tried_again(due: datetime, zone: ZoneInfo, first: datetime) -> list[datetime]:
    """Return when a record without media is tried, by the clock of its room."""
    tries = [first]
    while at := again_at(NOTHING, len(tries), tries[-1], due, zone, 0.5):
        tries.append(at)
        assert len(tries) < 10
    return [at.astimezone(zone).replace(tzinfo=None) for at in tries[1:]]


@pytest.mark.parametrize("zone", [MOSCOW, KATHMANDU, NEW_YORK])
@pytest.mark.parametrize(
    ("due", "tries"),
    [
        ("2026-11-20T12:30", ["2026-11-20T15:30", "2026-11-21T07:00"]),
        ("2026-11-20T20:30", ["2026-11-20T23:30", "2026-11-21T07:00"]),
        ("2026-12-31T12:30", ["2026-12-31T15:30", "2027-01-01T07:00"]),
        # Three hours later it is the next day already: the morning is that of the day after it.
        ("2026-11-20T22:00", ["2026-11-21T01:00", "2026-11-22T07:00"]),
    ],
)
def test_without_media_it_is_tried_twice_more(zone: ZoneInfo, due: str, tries: list[str]) -> None:
    at = datetime.fromisoformat(due).replace(tzinfo=zone).astimezone(UTC)
    expected = [datetime.fromisoformat(text) for text in tries]
    assert tried_again(at, zone, at) == expected
    assert tried_again(at, zone, at + MINUTE) == expected
    assert tried_again(at, zone, at + PATIENCE - MINUTE) == expected
    assert tried_again(at, zone, at + PATIENCE) == expected[1:]
    assert tried_again(at, zone, at + timedelta(days=2)) == []


def test_a_record_of_long_ago_without_media_is_not_tried_again() -> None:
    assert again_at(NOTHING, 1, NOW, NOW - timedelta(days=2), MOSCOW, 0.5) is None
    assert again_at(NOTHING, 1, NOW, NOW - FOR_EVER, MOSCOW, 0.5) is None


@pytest.mark.parametrize(
    ("instant", "morning"),
    [
        ("2026-03-28T15:00+01:00", "2026-03-29T07:00+02:00"),  # that night has one hour less
        ("2026-10-24T15:00+02:00", "2026-10-25T07:00+01:00"),  # and that one an hour more
        ("2026-11-20T23:59:59+01:00", "2026-11-21T07:00+01:00"),
        ("2026-11-20T00:00+01:00", "2026-11-21T07:00+01:00"),
        ("2026-11-19T23:30+00:00", "2026-11-21T07:00+01:00"),  # the day is the zone's
    ],
)
def test_seven_in_the_morning_is_by_the_clock_of_the_room(instant: str, morning: str) -> None:
    assert next_morning(datetime.fromisoformat(instant), BERLIN) == datetime.fromisoformat(morning)


@proven
@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([MOSCOW, BERLIN, KATHMANDU, NEW_YORK]),
)
def test_the_next_morning_is_on_the_next_day(instant: datetime, zone: ZoneInfo) -> None:
    morning = next_morning(instant, zone)
    assert morning.utcoffset() == timedelta(0)
    at = morning.astimezone(zone)
    assert at.date() == instant.astimezone(zone).date() + timedelta(days=1)
    assert (at.hour, at.minute, at.second) == (7, 0, 0)
    assert timedelta(hours=6) <= at - instant <= timedelta(hours=32)


def test_tries_come_in_order() -> None:
    tries = tried_again(NOW, MOSCOW, NOW)
    assert all(one < other for one, other in pairwise(tries))


@pytest.mark.parametrize("code", sorted(OF_THE_MACHINE))
def test_what_fails_every_record_alike_fails_none(code: str) -> None:
    for tries in (1, 8, 1000):
        at = again(Broken(code, ""), tries)
        assert at is not None
        assert timedelta(minutes=12) <= at - NOW <= timedelta(minutes=75)
