"""Local text to instants: the two nights on which clocks are changed, and the chunk grid."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Refused
from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.zones import (
    first_instant,
    half_hour_chunks,
    instant_from,
    length_from,
    local_from,
    offsets_of_twice,
    wall_time,
    zone_named,
)

pytestmark = pytest.mark.quick

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes its clocks by half an hour
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # +05:45
HAVANA = ZoneInfo("America/Havana")  # changes its clocks at midnight
MOSCOW = ZoneInfo("Europe/Moscow")
MINUTE = timedelta(minutes=1)


def iso(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def refusal(text: str, zone: ZoneInfo = MOSCOW) -> str:
    with pytest.raises(Refused) as caught:
        instant_from(text, zone, "start")
    assert caught.value.code == "start"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T10:05:07.0000000+03:00", "2026-11-20T07:05:07+00:00"),  # .NET
        ("2026-11-20T10:05:07.1234567", "2026-11-20T07:05:07.123457+00:00"),
        ("2026-11-20t07:05:59.9999999z", "2026-11-20T07:06:00+00:00"),
        ("2026-11-20T10:05", "2026-11-20T07:05:00+00:00"),
        ("2026-11-20 10:05", "2026-11-20T07:05:00+00:00"),
        ("2026-11-20T10:05:07", "2026-11-20T07:05:07+00:00"),
        ("2026-11-20T10:05:07.5", "2026-11-20T07:05:07.500000+00:00"),
        ("2026-11-20T10:05:07.000001", "2026-11-20T07:05:07.000001+00:00"),
        ("2026-11-20T10:05Z", "2026-11-20T10:05:00+00:00"),
        ("2026-11-20T10:05+01:00", "2026-11-20T09:05:00+00:00"),
        ("2026-11-20T10:05:00.25-0330", "2026-11-20T13:35:00.250000+00:00"),
        ("2028-02-29T00:00", "2028-02-28T21:00:00+00:00"),
    ],
)
def test_texts_that_name_an_instant(text: str, instant: str) -> None:
    found = instant_from(text, MOSCOW, "start")
    assert found == datetime.fromisoformat(instant)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-20", "10:05", "20.11.2026 10:05", "2026-11-20T10", "2026-11-20T10:5",
     "2026-11-20T10:05:07.", "2026-11-20T10:05 ", "٢٠٢٦-11-20T10:05",
     "\n2026-11-20T10:05", "2026-11-20T10:05+3", "2026-11-20T10:05[Europe/Berlin]",
     "2026-W47-5T10:05"],
)  # fmt: skip
def test_texts_of_another_form_are_refused(text: str) -> None:
    assert "is not a date and time; write it like" in refusal(text)


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T10:00", "2027-02-29T10:00", "2026-13-01T10:00", "2026-11-20T25:00",
     "2026-11-20T24:01", "2026-11-20T10:60", "0000-01-01T00:00",
     "2026-11-20T10:05+25:00"],
)  # fmt: skip
def test_texts_outside_the_calendar_are_refused(text: str) -> None:
    assert "not a valid date and time" in refusal(text)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-03-29T02:00", BERLIN),
        ("2026-03-29T02:59:59.999999", BERLIN),
        ("2026-03-08T02:30", NEW_YORK),
        ("2026-10-04T02:15", LORD_HOWE),
    ],
)
def test_the_hour_that_spring_skips_is_refused(text: str, zone: ZoneInfo) -> None:
    assert f"does not exist in {zone.key}" in refusal(text, zone)


@pytest.mark.parametrize(
    ("text", "zone", "early", "late"),
    [
        ("2026-10-25T02:00", BERLIN, "+02:00", "+01:00"),
        ("2026-10-25T02:59:59", BERLIN, "+02:00", "+01:00"),
        ("2026-11-01T01:30", NEW_YORK, "-04:00", "-05:00"),
        ("2026-04-05T01:45", LORD_HOWE, "+11:00", "+10:30"),
    ],
)
def test_the_repeated_hour_of_autumn_needs_an_offset(
    text: str, zone: ZoneInfo, early: str, late: str
) -> None:
    message = refusal(text, zone)
    assert "happened twice" in message
    assert early in message
    assert late in message
    first, second = (instant_from(text + offset, zone, "start") for offset in (early, late))
    assert (first, second) == (iso(text + early), iso(text + late))
    assert wall_time(datetime.fromisoformat(text), zone)[0] == first
    assert offsets_of_twice(text, zone) == (early, late)
    assert offsets_of_twice(text + early, zone) == ()
    assert offsets_of_twice(text.replace("T02", "T04").replace("T01", "T04"), zone) == ()


@pytest.mark.parametrize("text", ["2026-03-29T02:30", "soon", "0001-01-01T00:00", "2026-10-25"])
def test_what_did_not_happen_twice_has_no_choice(text: str) -> None:
    assert offsets_of_twice(text, BERLIN) == ()


@pytest.mark.parametrize(
    ("text", "zone", "offset"),
    [
        ("2026-03-29T01:59:59", BERLIN, "+01:00"),
        ("2026-03-29T03:00", BERLIN, "+02:00"),
        ("2026-10-25T01:59:59", BERLIN, "+02:00"),
        ("2026-10-25T03:00", BERLIN, "+01:00"),
        ("2026-10-04T02:30", LORD_HOWE, "+11:00"),
        ("2026-04-05T02:00", LORD_HOWE, "+10:30"),
    ],
)
def test_the_edges_of_those_nights_are_plain(text: str, zone: ZoneInfo, offset: str) -> None:
    assert instant_from(text, zone, "start") == iso(text + offset)
    assert wall_time(datetime.fromisoformat(text), zone) == (iso(text + offset), None)


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-03-29T01:59:59", BERLIN, "2026-03-29T01:59:59+01:00"),
        ("2026-03-29T02:00", BERLIN, "2026-03-29T03:00+02:00"),
        ("2026-03-29T02:59:59.5", BERLIN, "2026-03-29T03:00+02:00"),
        ("2026-03-29T03:00", BERLIN, "2026-03-29T03:00+02:00"),
        ("2026-10-25T02:30", BERLIN, "2026-10-25T02:30+02:00"),
        ("2026-10-04T02:15", LORD_HOWE, "2026-10-04T02:30+11:00"),
        ("2026-03-08T00:30", HAVANA, "2026-03-08T01:00-04:00"),
        ("2011-12-30T12:00", ZoneInfo("Pacific/Apia"), "2011-12-31T00:00+14:00"),
    ],
)
def test_what_people_agreed_on_takes_place_in_those_nights_too(
    text: str, zone: ZoneInfo, instant: str
) -> None:
    assert first_instant(datetime.fromisoformat(text), zone) == iso(instant)


@pytest.mark.parametrize(
    "text", ["2026-11-20T10:05", "2026-11-20t10:05:00.0000000", "2026-11-20 10:04:60,4"]
)
def test_texts_that_name_a_local_time(text: str) -> None:
    assert local_from(text, "start") == datetime(2026, 11, 20, 10, 5)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2026-11-20", "timeline.no_instant"),
        ("2026-11-31T10:05", "timeline.not_in_calendar"),
        ("2026-11-20T10:05Z", "timetable.not_local"),
    ],
)
def test_texts_that_name_none(text: str, key: str) -> None:
    with pytest.raises(Refused) as caught:
        local_from(text, "start")
    assert (caught.value.code, caught.value.message.key) == ("start", key)


def test_a_recorders_odd_local_times_are_read_and_told() -> None:
    skipped = wall_time(datetime.fromisoformat("2026-03-29T02:30"), BERLIN)
    assert skipped[0] == iso("2026-03-29T02:30+01:00")
    assert skipped[1] == Message("timeline.skipped_file")
    repeated = wall_time(datetime.fromisoformat("2026-10-25T02:30"), BERLIN)
    assert repeated[1] == Message("timeline.twice_file")


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("UTC")], ids=str)
@pytest.mark.parametrize("offset", ["", "Z"])
@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59:58"])
def test_the_ends_of_the_calendar_are_refused_or_of_use(
    text: str, offset: str, zone: ZoneInfo
) -> None:
    try:
        start = instant_from(text + offset, zone, "start")
    except Refused:
        return
    span = Span(start, start + timedelta(seconds=1))
    assert half_hour_chunks(span, 30 * MINUTE, zone) == [span]
    assert start.astimezone(zone) == start


@pytest.mark.parametrize("name", ["UTC", "Europe/Moscow", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_zones(name: str) -> None:
    assert zone_named(name).key == name


@pytest.mark.parametrize(
    "name",
    ["", "Moscow", "Europe", "Europe/", "Europe/Nowhere", "../etc/passwd", "/etc/localtime",
     "+03:00", "Europe/Moscow\0", "Europe/Moscow\n", "Москва", ".", "x" * 5000],
)  # fmt: skip
def test_names_that_are_no_zone(name: str) -> None:
    with pytest.raises(Refused, match="is not a time zone; write it like"):
        zone_named(name)


@pytest.mark.parametrize(
    ("text", "length"),
    [("30m", 30 * MINUTE), ("10s", MINUTE / 6), ("1h", 60 * MINUTE), ("24h", 24 * 60 * MINUTE),
     ("86400s", 24 * 60 * MINUTE), ("1s", MINUTE / 60), (" 7 m ", 7 * MINUTE)],
)  # fmt: skip
def test_lengths(text: str, length: timedelta) -> None:
    assert length_from(text, "chunk") == length


@pytest.mark.parametrize(
    "text",
    ["", "30", "m", "0s", "25h", "86401s", "-5m", "1.5h", "1d", "5M", "1h30m", "9" * 5000 + "s"],
)
def test_lengths_that_are_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"write|between") as caught:
        length_from(text, "chunk")
    assert caught.value.code == "chunk"


@pytest.mark.parametrize(
    ("start", "zone", "hours"),
    [
        ("2026-11-20T12:00", BERLIN, 24),
        ("2026-03-28T12:00", BERLIN, 23),
        ("2026-10-24T12:00", BERLIN, 25),
        ("2026-03-07T12:00", NEW_YORK, 23),
        ("2026-10-31T12:00", NEW_YORK, 25),
        ("2026-10-03T12:00", LORD_HOWE, 23.5),
        ("2026-04-04T12:00", LORD_HOWE, 24.5),
        ("2026-11-20T12:00", KATHMANDU, 24),
        ("2026-03-07T12:00", HAVANA, 23),  # 00:00 does not exist on the 8th
        ("2026-10-31T12:00", HAVANA, 25),  # 00:00 to 01:00 comes twice on the 1st
    ],
    ids=str,
)
def test_half_hours_begin_at_00_and_30_from_noon_to_noon(
    start: str, zone: ZoneInfo, hours: float
) -> None:
    noon = datetime.fromisoformat(start)
    ends = [local.replace(tzinfo=zone).astimezone(UTC) for local in (noon, noon + 1440 * MINUTE)]
    cells = half_hour_chunks(Span(*ends), 30 * MINUTE, zone)
    assert len(cells) == hours * 2
    local = {cell.start.astimezone(zone) for cell in cells}
    assert {(at.minute % 30, at.second, at.microsecond) for at in local} == {(0, 0, 0)}
    assert {cell.length for cell in cells} == {30 * MINUTE}


@pytest.mark.parametrize(
    ("length", "edges"),
    [
        ("30m", ["23:56:30", "00:00:00", "00:15:00"]),
        ("7m", ["23:56:30", "00:00:00", "00:07:00", "00:14:00", "00:15:00"]),
        ("1h", ["23:56:30", "00:00:00", "00:15:00"]),
        ("5h", ["23:56:30", "00:00:00", "00:15:00"]),
    ],
)
def test_the_grid_begins_anew_at_local_midnight(length: str, edges: list[str]) -> None:
    span = Span(iso("2026-11-20T23:56:30+05:45"), iso("2026-11-21T00:15:00+05:45"))
    cells = half_hour_chunks(span, length_from(length, "chunk"), KATHMANDU)
    found = {f"{at.astimezone(KATHMANDU):%T}" for c in cells for at in (c.start, c.end)}
    assert found == set(edges)


def test_a_span_inside_one_chunk_is_one_chunk() -> None:
    span = Span(iso("2026-11-20T10:05+03:00"), iso("2026-11-20T10:20+03:00"))
    assert half_hour_chunks(span, 30 * MINUTE, MOSCOW) == [span]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU, HAVANA, MOSCOW]),
    st.sampled_from(["30m", "10s", "7m", "1h", "24h", "17s"]),
    st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30)),
    st.integers(1, 4 * 3600 * 10**6),
)
def test_chunks_tile_the_span(zone: ZoneInfo, text: str, naive: datetime, us: int) -> None:
    start = naive.replace(tzinfo=UTC)
    span, length = Span(start, start + timedelta(microseconds=us)), length_from(text, "chunk")
    cells = half_hour_chunks(span, length, zone)
    assert (cells[0].start, cells[-1].end) == (span.start, span.end)
    assert all(a.end == b.start for a, b in pairwise(cells))
    assert all(timedelta(0) < cell.length <= length for cell in cells)
    for cell in cells[1:]:  # every inner edge is a whole number of cells after local midnight
        day = cell.start.astimezone(zone).date()
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        assert (cell.start - midnight) % length == timedelta(0)
