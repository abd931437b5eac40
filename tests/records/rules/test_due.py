"""When the media of a record can be there, by the clock of its room."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from merger.ports.recorder import Found, Item
from merger.records.rules.due import HALF_HOUR, PATIENCE, due_at, is_stable, wait_until

pytestmark = pytest.mark.quick

BERLIN, MOSCOW = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Moscow")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # +05:45
CHATHAM = ZoneInfo("Pacific/Chatham")  # +12:45, in summer +13:45
KOLKATA = ZoneInfo("Asia/Kolkata")  # +05:30
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes its clocks by half an hour
NEW_YORK = ZoneInfo("America/New_York")
ZONES = [BERLIN, MOSCOW, KATHMANDU, CHATHAM, KOLKATA, LORD_HOWE, NEW_YORK, ZoneInfo("UTC")]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def local(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize("zone", [MOSCOW, KATHMANDU, CHATHAM, KOLKATA, LORD_HOWE])
@pytest.mark.parametrize(
    ("end", "due"),
    [
        ("2026-11-20T11:20", "2026-11-20T12:30"),
        ("2026-11-20T11:30", "2026-11-20T12:30"),
        ("2026-11-20T11:40", "2026-11-20T13:00"),
        ("2026-11-20T12:00", "2026-11-20T13:00"),
        ("2026-11-20T11:30:00.000001", "2026-11-20T13:00"),
        ("2026-11-20T11:59:59.999999", "2026-11-20T13:00"),
        ("2026-11-20T11:00:01", "2026-11-20T12:30"),
        ("2026-11-20T23:40", "2026-11-21T01:00"),
        ("2026-12-31T23:31", "2027-01-01T01:00"),
    ],
)
def test_half_hours_are_those_of_the_rooms_clock(zone: ZoneInfo, end: str, due: str) -> None:
    found = due_at(local(end, zone), HOUR, zone)
    assert found == local(due, zone)
    assert found.utcoffset() == timedelta(0)


def test_an_end_is_read_by_the_clock_of_the_room_however_it_is_written() -> None:
    at = datetime(2026, 11, 20, 5, 35, tzinfo=UTC)  # 11:20 in Kathmandu
    assert due_at(at, HOUR, KATHMANDU) == at + 10 * MINUTE + HOUR
    assert due_at(at.astimezone(NEW_YORK), HOUR, KATHMANDU) == at + 10 * MINUTE + HOUR
    assert due_at(at, HOUR, MOSCOW) == at + 25 * MINUTE + HOUR


@pytest.mark.parametrize("settle", [timedelta(), timedelta(minutes=5), timedelta(hours=26)])
def test_the_settle_time_is_added_to_the_half_hour(settle: timedelta) -> None:
    end = local("2026-11-20T11:20", MOSCOW)
    assert due_at(end, settle, MOSCOW) == end + 10 * MINUTE + settle


@pytest.mark.parametrize(
    ("zone", "end", "due"),
    [
        # Spring: after 01:59 comes 03:00; an hour of settling is an hour all the same.
        (BERLIN, "2026-03-29T01:40+01:00", "2026-03-29T04:00+02:00"),
        (BERLIN, "2026-03-29T01:20+01:00", "2026-03-29T03:30+02:00"),
        (NEW_YORK, "2026-03-08T01:45-05:00", "2026-03-08T04:00-04:00"),
        # Autumn: the hour from 02:00 happens twice.
        (BERLIN, "2026-10-25T02:20+02:00", "2026-10-25T02:30+01:00"),
        (BERLIN, "2026-10-25T02:50+02:00", "2026-10-25T03:00+01:00"),
        (BERLIN, "2026-10-25T02:50+01:00", "2026-10-25T04:00+01:00"),
        (NEW_YORK, "2026-11-01T01:10-04:00", "2026-11-01T01:30-05:00"),
        # Half an hour at a time: 02:00 becomes 02:30 in spring, and 01:30 in autumn.
        (LORD_HOWE, "2026-10-04T01:50+10:30", "2026-10-04T03:30+11:00"),
        (LORD_HOWE, "2026-04-05T01:40+11:00", "2026-04-05T02:30+10:30"),
        (LORD_HOWE, "2026-04-05T01:40+10:30", "2026-04-05T03:00+10:30"),
    ],
)
def test_the_nights_on_which_clocks_are_changed(zone: ZoneInfo, end: str, due: str) -> None:
    assert due_at(datetime.fromisoformat(end), HOUR, zone) == datetime.fromisoformat(due)


instants = st.datetimes(
    datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.sampled_from([UTC, *ZONES])
)
settles = st.timedeltas(timedelta(), timedelta(days=2))
# Around the changes of clocks, where something could go wrong at all.
nights = st.builds(
    lambda at, seconds: datetime.fromisoformat(at) + timedelta(seconds=seconds),
    st.sampled_from(
        ["2026-03-29T01:00+00:00", "2026-10-25T01:00+00:00", "2026-10-03T15:30+00:00",
         "2026-04-04T15:00+00:00", "2026-09-26T14:00+00:00", "2026-04-04T14:00+00:00"]
    ),
    st.integers(-7200, 7200),
)  # fmt: skip
proven = settings(max_examples=300, deadline=None, derandomize=True)


@proven
@given(instants | nights, settles, st.sampled_from(ZONES))
def test_media_is_due_within_half_an_hour_after_end_and_settle_time(
    end: datetime, settle: timedelta, zone: ZoneInfo
) -> None:
    later = due_at(end, settle, zone) - (end.astimezone(UTC) + settle)
    assert timedelta() <= later < HALF_HOUR
    at = (due_at(end, settle, zone) - settle).astimezone(zone)
    assert (at.minute % 30, at.second, at.microsecond) == (0, 0, 0)


@proven
@given(nights | instants, st.timedeltas(timedelta(), timedelta(hours=3)), st.sampled_from(ZONES))
@example(datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC), timedelta(seconds=1), BERLIN)
def test_a_later_end_is_never_due_earlier(end: datetime, more: timedelta, zone: ZoneInfo) -> None:
    at = end.astimezone(UTC)
    assert due_at(at, HOUR, zone) <= due_at(at + more, HOUR, zone)


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def found(more_expected: bool, *settled: bool) -> Found:
    items = tuple(
        Item(f"item {n}", "1", NOON - HOUR, None, 1, is_settled)
        for n, is_settled in enumerate(settled)
    )
    return Found(items, more_expected)


COMPLETE, GROWING, NOTHING = found(False, True), found(True, True, False), found(True)
SHORT = found(True, True)  # settled, but not over the whole span


@pytest.mark.parametrize(
    ("sources", "after_due", "again_after_due"),
    [
        ([], -HOUR, None),
        ([COMPLETE], -HOUR, None),  # nothing is waited for that is there
        ([COMPLETE, COMPLETE], HOUR, None),
        ([COMPLETE, NOTHING], -HOUR, timedelta()),
        ([NOTHING], -timedelta(microseconds=1), timedelta()),
        ([SHORT], -HOUR, timedelta()),
        ([GROWING, COMPLETE], -HOUR, -HOUR + 10 * MINUTE),  # it may be the last that is missing
        ([GROWING, NOTHING], -MINUTE, timedelta()),
        ([GROWING], timedelta(), 10 * MINUTE),
        ([COMPLETE, GROWING], HOUR, HOUR + 10 * MINUTE),
        ([SHORT, GROWING], HOUR, HOUR + 10 * MINUTE),
        ([GROWING], PATIENCE - MINUTE, PATIENCE + 9 * MINUTE),
        ([GROWING], PATIENCE, None),
        ([SHORT], timedelta(), None),
        ([NOTHING], timedelta(), None),
        # growing, but nothing is expected of it: the recorder knows best
        ([found(False, False)], -HOUR, None),
    ],
)
def test_when_to_look_for_media_again(
    sources: list[Found], after_due: timedelta, again_after_due: timedelta | None
) -> None:
    again = wait_until(iter(sources), NOON + after_due, NOON)
    assert again == (None if again_after_due is None else NOON + again_after_due)


@proven
@given(
    st.lists(st.sampled_from([COMPLETE, GROWING, NOTHING, SHORT]), max_size=4),
    st.timedeltas(-timedelta(days=2), timedelta(days=2)),
)
def test_waiting_comes_to_an_end(sources: list[Found], after_due: timedelta) -> None:
    now, waits = NOON + after_due, 0
    while (again := wait_until(sources, now, NOON)) is not None:
        assert again > now
        now, waits = again, waits + 1
    assert waits <= 2 + (PATIENCE - min(after_due, timedelta())) / (10 * MINUTE)
    assert now < NOON + max(PATIENCE + 10 * MINUTE, after_due + MINUTE)


@pytest.mark.parametrize(
    ("unchanged_for", "settle", "stable"),
    [
        (29 * MINUTE, timedelta(), False),
        (30 * MINUTE, timedelta(), True),
        (59 * MINUTE, HOUR, False),
        (60 * MINUTE, HOUR, True),
    ],
)
def test_late_media_is_taken_when_it_stays_as_it_is(
    unchanged_for: timedelta, settle: timedelta, stable: bool
) -> None:
    assert is_stable(unchanged_for, settle) is stable
