"""Names that others gave to their files, and the names of our results."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.i18n import Message
from merger.timeline.clock import Span
from merger.timeline.files.filenames import (
    LibraryName,
    leeway_of,
    library_name,
    nearest,
    result_stem,
)
from merger.timeline.zones import wall_time

pytestmark = pytest.mark.quick

MOSCOW = ZoneInfo("Europe/Moscow")
LECTURE = Span(
    datetime.fromisoformat("2026-11-20T10:05:00+03:00"),
    datetime.fromisoformat("2026-11-20T11:20:00+03:00"),
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("name", "room", "source", "start"),
    [
        ("2026-11-20_10:00_504_cam.mp4", "504", "cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10:00:07_504_cam.mp4", "504", "cam", "2026-11-20T10:00:07"),
        ("2026-11-20_10-00_504_cam.mkv", "504", "cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00-07_504_cam.ts", "504", "cam", "2026-11-20T10:00:07"),
        ("2026-11-20_10-00_504_cam.MOV", "504", "cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_504_cam.WebM", "504", "cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_hall_2_front_cam.mp4", "hall_2", "front_cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_a_b_c.mp4", "a", "b_c", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_a_b_c.mp4", "a_b", "c", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_504_30.mp4", "504", "30", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_07_cam.mp4", "07", "cam", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_Зал 5_Доска.mp4", "Зал 5", "Доска", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_504_cam.v2.mp4", "504", "cam.v2", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_504_cam\n.mp4", "504", "cam\n", "2026-11-20T10:00:00"),
        ("2026-11-20_10-00_.*_(.mp4", ".*", "(", "2026-11-20T10:00:00"),
        ("2024-02-29_23-59-59_504_cam.mp4", "504", "cam", "2024-02-29T23:59:59"),
    ],
)
def test_names_that_fit(name: str, room: str, source: str, start: str) -> None:
    assert library_name(name, room, {source, "other"}) == LibraryName(local(start), source)


@pytest.mark.parametrize(
    ("origin", "seconds"),
    [
        ("2026-11-20_10:00:07_504_cam.mp4", 1),
        ("2026-11-20_10-00-00_Зал 5_Доска.mp4", 1),
        ("2026-11-20_10-00_504_cam.mp4", 2),  # of a full minute, give or take less than a pause
        ("1AbC_x-Y 2026-11-20_10-00-00_Зал 5_cam.mp4", 1),  # as Drive has it
        ("1AbC_x-Y 2026-11-20_10-00_504_cam.mp4", 2),
        ("4444AAAiAAAAAiAiAiiAii== shared_screen x.mp4", 0),  # as Zoom has it
        ("", 0),
    ],
)
def test_how_exact_a_name_is(origin: str, seconds: int) -> None:
    assert leeway_of(origin) == timedelta(seconds=seconds)


def test_a_source_whose_name_ends_like_another_is_another() -> None:
    sources = {"cam", "front_cam", "t_cam"}
    for source in sources:
        said = library_name(f"2026-11-20_10-00_504_{source}.mp4", "504", sources)
        assert said == LibraryName(local("2026-11-20T10:00"), source)


@pytest.mark.parametrize(
    "name",
    ["2026-11-20_10-00_504_cam.mp4", "2026-11-20_10-00_5_04_cam.mp4", "2026-11-20_10-00_5_cam2.mp4",
     "2026-11-20_10-00_15_cam.mp4", "2026-11-20_10-00_5_xcam.mp4", "2026-11-20_10-00_5_Cam.mp4",
     "2026-11-20_10-00_5cam.mp4", "2026-11-20_10-00_5_cam .mp4", "2026-11-20_10-00_cam_5.mp4"],
)  # fmt: skip
def test_another_room_or_source(name: str) -> None:
    assert library_name(name, "5", {"cam"}) == Message("timeline.other_source")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2026-11-20_10:00-07_5_cam.mp4", "not named like"),
        ("2026-11-20_10-00:07_5_cam.mp4", "not named like"),
        ("2026-11-20_10_5_cam.mp4", "not named like"),
        ("2026-11-20 10-00_5_cam.mp4", "not named like"),
        ("20261120_1000_5_cam.mp4", "not named like"),
        (" 2026-11-20_10-00_5_cam.mp4", "not named like"),
        ("2026-11-20_10-00_5_cam", "not named like"),
        ("2026-11-20_10-00_.mp4", "not named like"),
        ("", "not named like"),
        ("notes.txt", "not named like"),
        ("2026-11-20_10-00_5_cam.avi", "avi is not one of mp4, mkv, ts, mov, webm"),
        ("2026-11-20_10-00_5_cam.mp4.part", "part is not one of"),
        ("2026-11-20_10-00_5_cam.json", "json is not one of"),
        ("2026-02-30_10-00_5_cam.mp4", "not a valid date and time"),
        ("2026-11-20_24-01_5_cam.mp4", "not a valid date and time"),
        ("2026-11-20_10-60_5_cam.mp4", "not a valid date and time"),
        ("2026-11-20_10-00-60_5_cam.mp4", "not a valid date and time"),
        ("0000-11-20_10-00_5_cam.mp4", "not a valid date and time"),
        ("٢٠٢٦-11-20_10-00_5_cam.mp4", "not a valid date and time"),
    ],
)
def test_names_that_do_not_fit_say_why(name: str, reason: str) -> None:
    why = library_name(name, "5", {"cam"})
    assert isinstance(why, Message)
    assert reason in str(why)


@pytest.mark.parametrize("zone", ["Europe/Moscow", "America/New_York", "UTC"])
@pytest.mark.parametrize("start", ["0001-01-01_00-00", "9999-12-31_23-59-59"])
def test_a_file_from_the_end_of_time_stops_nothing(start: str, zone: str) -> None:
    said = library_name(f"{start}_5_cam.mp4", "5", {"cam"})
    if isinstance(said, LibraryName):  # then it can be placed, and compared with a day later
        at, _ = wall_time(said.start, ZoneInfo(zone))
        assert at + timedelta(days=1) > at


def test_the_name_of_a_result() -> None:
    assert result_stem("Лекция 5", "504", LECTURE, MOSCOW) == "Лекция 5_504_2026-11-20_10-05-11-20"
    over_midnight = Span(LECTURE.start, LECTURE.start + timedelta(hours=20))
    assert result_stem("x", "5", over_midnight, MOSCOW) == "x_5_2026-11-20_10-05-06-05"
    assert result_stem("x", "5", LECTURE, ZoneInfo("UTC")) == "x_5_2026-11-20_07-05-08-20"


TAIL = "_2026-11-20_10-05-11-20"
HOSTILE = [
    "", ".", "..", "...", "../../etc/passwd", "/etc/passwd", "a/b\\c:d", "a\0b", "a\x1bb\nc\td",
    "\x85", "\x80\x9b", "\u202egpj.exe", "a\u2066b\u2069", "a\u061cb", "\ud800", "caf\udce9",
    'a*?"<>|b', " x ", "x. . ", "я" * 300, "x" * 300, "🎓" * 300, "a\u0301" * 200,
    "a\u2028b", "NUL", "con",
]  # fmt: skip


def forbidden(stem: str) -> list[str]:
    """Return what some file system, terminal or person would stumble over."""
    bidi = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return [c for c in stem if c in '/\\:*?"<>|' + bidi or ord(c) < 32 or 127 <= ord(c) < 160]


@pytest.mark.parametrize(
    "room", ["504", "../x", "я" * 300, ""], ids=["plain", "up", "long", "none"]
)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_give_safe_files(name: str, room: str) -> None:
    stem = result_stem(name, room, LECTURE, MOSCOW)
    assert stem.endswith(TAIL)
    assert forbidden(stem) == []
    assert not stem.startswith((".", " "))
    assert len(stem.removesuffix(TAIL)) > 0
    for ending in (".mp4", "_backup.mp4", ".plan.json"):
        assert len((stem + ending).encode()) <= 255


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=120), st.text(max_size=120))
def test_any_name_gives_a_safe_file(name: str, room: str) -> None:
    stem = result_stem(name, room, LECTURE, MOSCOW)
    assert forbidden(stem) == []
    assert len(f"{stem}_backup.mp4".encode()) <= 255


def test_a_long_title_does_not_swallow_the_room() -> None:
    stems = {result_stem("x" * 300, room, LECTURE, MOSCOW) for room in ("504", "505")}
    assert len(stems) == 2


def test_letters_of_any_script_are_kept() -> None:
    for title in ("Линейная алгебра — лекция №5", "線形代数", "Álgebra (1)", "αβγ & co."):
        assert result_stem(title, "5", LECTURE, MOSCOW).startswith(f"{title}_5_")


def test_the_files_that_are_nearest_to_a_span() -> None:
    at = {
        name: LECTURE.start + timedelta(minutes=minutes)
        for name, minutes in (("a", -90), ("b", -60), ("within", 10), ("c", 75), ("d", 80))
    }
    assert str(nearest(at, LECTURE)) == "the nearest files are b and c"
    assert str(nearest({"d": at["d"]}, LECTURE)) == "the nearest file is d"
    assert nearest({"within": at["within"]}, LECTURE) is None
    assert nearest({}, LECTURE) is None
