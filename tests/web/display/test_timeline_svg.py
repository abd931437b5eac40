"""The timeline as a picture: every bar lies where it belongs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger.web.display.timeline_svg import AXIS_PX, LANE_PX, Lane, timeline

pytestmark = pytest.mark.quick

MOSCOW = ZoneInfo("Europe/Moscow")


def at(clock: str, day: int = 20) -> str:
    return f"2026-11-{day}T{clock}:00+03:00"


def span(start: str, end: str, **more: Any) -> dict[str, Any]:
    return {"start": at(start), "end": at(end), **more}


LECTURE = {
    "scenes": [
        span("10:00", "10:30", left="camera", right="slides"),
        span("10:30", "11:00", left="slate", right="board"),
        span("11:00", "12:00", left="camera", right=None),
    ],
    "gaps": [
        span("10:30", "11:00", source="camera"),
        span("09:00", "10:15", source="board"),
        span("11:45", "13:00", source="board"),
    ],
    "chunks": [
        span("10:00", "11:00", verdict="presentation"),
        span("11:00", "12:00", verdict="no_signal"),
    ],
}


def drawn(record: dict[str, Any], zone: ZoneInfo = MOSCOW) -> dict[str, Lane]:
    picture = timeline(record, zone)
    assert picture is not None
    return {lane.name or lane.kind: lane for lane in picture.lanes}


def bars(lane: Lane) -> list[tuple[float, float, str]]:
    return [(bar.x, bar.width, bar.kind) for bar in lane.bars]


def test_every_source_has_a_lane_with_its_gaps() -> None:
    lanes = drawn(LECTURE)
    assert list(lanes) == ["camera", "slides", "board", "chunks", "left", "right"]
    assert bars(lanes["camera"]) == [(0, 25, "media"), (25, 25, "gap"), (50, 50, "media")]
    assert bars(lanes["slides"]) == [(0, 100, "media")]
    # What reaches over the ends of the record is cut to it.
    assert bars(lanes["board"]) == [(0, 12.5, "gap"), (12.5, 75, "media"), (87.5, 12.5, "gap")]


def test_chunks_show_their_verdict_and_scenes_what_is_on_either_side() -> None:
    lanes = drawn(LECTURE)
    assert bars(lanes["chunks"]) == [(0, 50, "presentation"), (50, 50, "no_signal")]
    assert bars(lanes["left"]) == [(0, 25, "source-1"), (25, 25, "slate"), (50, 50, "source-1")]
    assert bars(lanes["right"]) == [(0, 25, "source-2"), (25, 25, "source-3"), (50, 50, "alone")]
    assert [bar.what for bar in lanes["right"].bars] == ["slides", "board", ""]
    assert [f"{bar.start:%H:%M}" for bar in lanes["right"].bars] == ["10:00", "10:30", "11:00"]


def test_a_side_that_is_left_out_says_what_is_missing() -> None:
    """Above the screen a speaker without pictures is not shown at all."""
    scenes = [span("10:00", "11:00", left=None, right="slides")]
    lanes = drawn({**LECTURE, "scenes": scenes})
    assert bars(lanes["left"]) == [(0, 100, "no_speaker")]
    assert bars(lanes["right"])[0][2].startswith("source-")


def test_board_and_slide_are_one_bar() -> None:
    both = span("10:00", "11:00", left="camera", right="board", slide="slides")
    lanes = drawn(
        {
            **LECTURE,
            "scenes": [*LECTURE["scenes"], {**both, "start": at("11:00"), "end": at("12:00")}],
        }
    )
    assert [(bar.what, bar.above) for bar in lanes["right"].bars][-1] == ("board", "slides")
    assert {bar.above for bar in lanes["left"].bars} == {""}


def test_lanes_lie_below_each_other_and_fill_the_picture() -> None:
    picture = timeline(LECTURE, MOSCOW)
    assert picture is not None
    assert [lane.y for lane in picture.lanes] == [n * LANE_PX for n in range(6)]
    assert picture.height == 6 * LANE_PX + AXIS_PX
    for lane in picture.lanes:
        assert lane.bars[0].x == 0
        assert lane.bars[-1].x + lane.bars[-1].width == pytest.approx(100)


def test_sources_that_were_collected_have_a_lane_though_nobody_sees_them() -> None:
    lanes = drawn({**LECTURE, "sources": ["door", "camera"]})
    assert list(lanes)[:4] == ["door", "camera", "slides", "board"]


def test_there_is_no_picture_as_long_as_nothing_is_known() -> None:
    nothing: dict[str, Any] = {"scenes": [], "gaps": [], "chunks": []}
    assert timeline(nothing, MOSCOW) is None
    chunks = {**nothing, "chunks": LECTURE["chunks"]}
    assert list(drawn(chunks)) == ["chunks"]  # the analysis is through, the plan is not
    assert (
        timeline({**nothing, "scenes": [span("10:00", "10:00", left="a", right=None)]}, MOSCOW)
        is None
    )


@pytest.mark.parametrize(
    ("length_s", "texts"),
    [
        (6, ["10:00:00", "10:00:02", "10:00:04", "10:00:06"]),
        (120, ["10:00", "10:01", "10:02"]),
        (4500, ["10:00", "10:15", "10:30", "10:45", "11:00", "11:15"]),
        (24 * 3600, ["12:00", "18:00", "00:00", "06:00"]),
    ],
)
def test_marks_are_at_round_times_and_few(length_s: int, texts: list[str]) -> None:
    scene = span("10:00", "10:00", left="a", right=None)
    hour, minute = divmod(length_s // 60, 60)
    scene["end"] = (
        f"2026-11-{20 + (10 + hour) // 24}T{(10 + hour) % 24:02}:{minute:02}:{length_s % 60:02}+03:00"
    )
    picture = timeline({"scenes": [scene], "gaps": [], "chunks": []}, MOSCOW)
    assert picture is not None
    assert [tick.text for tick in picture.ticks] == texts
    assert all(0 <= tick.x <= 100 for tick in picture.ticks)


def test_marks_at_the_edges_stay_inside() -> None:
    picture = timeline(LECTURE, MOSCOW)
    assert picture is not None
    anchors = [tick.anchor for tick in picture.ticks]
    assert anchors == ["start", "middle", "middle", "middle", "end"]
    assert picture.ticks[1].x == 25


def test_marks_are_by_the_clock_of_the_room() -> None:
    picture = timeline(LECTURE, ZoneInfo("Asia/Kolkata"))  # two hours and a half ahead
    assert picture is not None
    assert [tick.text for tick in picture.ticks] == ["12:30", "13:00", "13:30", "14:00", "14:30"]


def test_the_night_of_the_clock_change_has_its_hour_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    scene = {
        "start": "2026-10-25T01:00:00+02:00", "end": "2026-10-25T04:00:00+01:00",
        "left": "a", "right": None,
    }  # fmt: skip
    picture = timeline({"scenes": [scene], "gaps": [], "chunks": []}, berlin)
    assert picture is not None
    lasts = picture.lanes[0].bars[0].end - picture.lanes[0].bars[0].start
    assert lasts == timedelta(hours=4)
    assert [tick.text for tick in picture.ticks] == ["01:00", "02:00", "02:00", "03:00", "04:00"]
