"""Cutting a record into parts, and the specs that name what is encoded by what is in it."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.media.library import Entry, segments
from merger.timeline.clock import ClockMap, FrameGrid, Segment, Span, Stretch
from merger.timeline.layout import Size
from merger.timeline.media import Audio, MediaFile, Video
from merger.timeline.parts import cells, part_spec
from merger.timeline.plan import PART_US, Chunk, EditPlan, Slate, Sources, plan_edit, plan_parts
from merger.timeline.profiles import ENCODERS, SAMPLE_RATE
from merger.timeline.screen.decisions import decide_chunks
from merger.timeline.sound import sound_spec
from merger.timeline.specs import (
    PartSpec,
    SoundPiece,
    SoundSpec,
    likely_bytes,
    spec_hash,
    spec_json,
)

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 5, tzinfo=UTC)
MINUTE = 60_000_000
X264 = ENCODERS["libx264"]
proven = settings(max_examples=100, deadline=None, derandomize=True)
starts = st.integers(0, 10**9).map(lambda ms: START + timedelta(milliseconds=ms))


@proven
@given(starts, st.sampled_from([Fraction(25), Fraction(30000, 1001)]), st.integers(1, 30_000))
def test_parts_end_at_multiples_of_two_minutes(
    start: datetime, rate: Fraction, frames: int
) -> None:
    grid = FrameGrid(start, rate)
    parts = plan_parts(grid, frames)
    assert (parts[0].first, parts[-1].end) == (0, frames)
    assert all(a.end == b.first for a, b in pairwise(parts))
    assert len(parts) == 1 or min(p.end - p.first for p in parts) >= round(rate)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for part in parts[:-1]:  # the first frame at or after the multiple
        late = (grid.instant(part.end) - epoch) % timedelta(microseconds=PART_US)
        assert late < timedelta(microseconds=round(1_000_000 / rate))
    # No multiple is left out but those within a second of an end.
    assert len(parts) - 1 >= (frames / rate - 2) // 120


@proven
@given(starts, st.integers(1, 5000), st.integers(6000, 30_000))
def test_another_start_keeps_the_inner_parts(start: datetime, later: int, frames: int) -> None:
    def ends(first: int) -> list[int]:
        grid = FrameGrid(start + timedelta(milliseconds=40 * first), Fraction(25))
        return [first + part.end for part in plan_parts(grid, frames - first)]

    assert ends(later) == ends(0)[-len(ends(later)) :]


@pytest.mark.parametrize(
    ("start_s", "frames", "ends"),
    [
        (59.7, 20, [20]),  # 07:05:59.7 and 0.8 s: the record itself is shorter than a second
        (59.7, 3030, [3030]),  # 0.28 s at the beginning, 0.92 s at the end
        (59, 3050, [25, 3025, 3050]),  # just a second on either side
        (58.96, 3050, [26, 3050]),
        (0, 3000, [1500, 3000]),
    ],
)
def test_no_part_is_shorter_than_a_second(start_s: float, frames: int, ends: list[int]) -> None:
    parts = plan_parts(FrameGrid(START + timedelta(seconds=start_s), Fraction(25)), frames)
    assert [part.end for part in parts] == ends


VIDEO = Video(
    0, "h264", 1920, 1080, Fraction(1), 0, "yuv420p", False, None, False, 40_000, False, True
)


def media_file(name: str, **of_video: Any) -> MediaFile:
    """Return ten minutes at 25 fps with a key frame every two seconds, and sound."""
    keys = np.arange(0, 10 * MINUTE, 2_000_000, np.int64)
    return MediaFile(
        Path(name), "mov", size_bytes=1000, mtime_ns=1,
        video=dataclasses.replace(VIDEO, **of_video), audio=Audio(1, "aac", 44_100, 2),
        picture_us=np.arange(0, 10 * MINUTE, 40_000, np.int64), picture_ends_us=10 * MINUTE,
        key_us=keys, key_read_us=keys, sound=(Stretch(0, 10 * MINUTE),), zero_us=0,
    )  # fmt: skip


class Record:
    """A lecture whose speaker and screen begin five minutes before its plain start."""

    def __init__(self, folder: str = "/library", rate: Fraction = Fraction(1), **of_video: Any):
        names = {name: f"{folder}/{name}.mp4" for name in ("speaker", "screen")}
        self.media = {path: media_file(path, **of_video) for path in names.values()}
        self.identities = {path: f"1000-{name}" for name, path in names.items()}
        clock = ClockMap(START - timedelta(minutes=5), 0, rate)
        whole = (Stretch(0, 10 * MINUTE),)
        self.segments = [Segment(name, path, clock, whole, whole) for name, path in names.items()]

    def plan(self, first: int = 0, frames: float = 6000, *, presence: bool = True) -> EditPlan:
        start = START + timedelta(milliseconds=40 * first)
        span = Span(start, start + timedelta(milliseconds=40 * frames))
        seen = Chunk(span, presence, "presentation", Fraction(1), 5)
        sources = Sources("speaker", "screen")
        return plan_edit(
            span,
            Fraction(25),
            "side_by_side",
            sources,
            self.segments,
            [seen],
            decide_chunks([seen]),
        )

    def spec(self, plan: EditPlan | None = None, n: int = 1, **changes: Any) -> PartSpec:
        plan = plan or self.plan()
        options: dict[str, Any] = {
            "layout": "side_by_side", "lines": 720, "encoder": X264, "language": "en",
            "backup": True,
        } | changes  # fmt: skip
        return part_spec(plan, plan.parts[n], self.media, self.identities, **options)

    def sound(self, plan: EditPlan | None = None) -> SoundSpec:
        return sound_spec(plan or self.plan(), self.media, self.identities, "128k")


def name_of(spec: PartSpec | SoundSpec) -> str:
    return spec_hash(spec, "7.0")


BASE = Record().spec()


def test_a_spec_says_which_pictures_are_shown() -> None:
    shot = BASE.runs[0][0].shots[0]
    assert BASE.frames == shot.frames == shot.pictures == 3000
    assert BASE.size == Size(2560, 720)
    assert shot.at_us == 6 * MINUTE  # the second part begins at 07:06
    assert shot.input is not None
    assert shot.input.seek_us == 6 * MINUTE + 20_000  # half a frame more
    assert BASE.outputs == {"merge": Size(2560, 720), "backup": Size(1280, 720)}


@pytest.mark.parametrize(
    "same",
    [
        Record("/elsewhere").spec(),
        Record().spec(Record().plan(first=7)),
        Record().spec(Record().plan(first=7, frames=5900)),
        Record().spec(Record().plan(frames=7000)),
    ],
    ids=["moved files", "later start", "later start and earlier end", "later end"],
)
def test_the_same_part_has_the_same_name(same: PartSpec) -> None:
    assert name_of(same) == name_of(BASE)


def shot_changed(**of_input: Any) -> PartSpec:
    lane = BASE.runs[0][0]
    shot = lane.shots[0]
    assert shot.input is not None
    changed = dataclasses.replace(shot, input=dataclasses.replace(shot.input, **of_input))
    lane = dataclasses.replace(lane, shots=(changed,))
    return dataclasses.replace(BASE, runs=((lane, BASE.runs[0][1]),))


@pytest.mark.parametrize("of_input", [{"seek_us": None}, {"seek_us": 5}, {"file": "/b.mp4"}])
def test_where_and_how_a_file_is_read_does_not_count(of_input: Mapping[str, Any]) -> None:
    assert name_of(shot_changed(**of_input)) == name_of(BASE)


DIFFERENT = {
    "content": shot_changed(identity="1000-other"),
    "stream": shot_changed(stream=3),
    "size": Record().spec(lines=540),
    "encoder": Record().spec(encoder=ENCODERS["h264_nvenc"]),
    "options": Record().spec(encoder=dataclasses.replace(X264, options=(("crf", 24),))),
    "language": Record().spec(language="ru"),
    "backup": Record().spec(backup=False),
    "drift": Record(rate=Fraction(1001, 1000)).spec(),
    "range": Record(full_range=True).spec(),
    "matrix": Record(matrix="bt601").spec(),
    "aspect": Record(width=1440).spec(),
    "other pictures": Record().spec(n=2),
    "presence": Record().spec(Record().plan(presence=False)),
    "half a frame later": Record().spec(dataclasses.replace(
        Record().plan(), span=Span(START + timedelta(milliseconds=20), START + timedelta(240))
    )),
}  # fmt: skip


def test_whatever_changes_the_pictures_changes_the_name() -> None:
    names = {what: name_of(spec) for what, spec in DIFFERENT.items()} | {"base": name_of(BASE)}
    assert len(set(names.values())) == len(names)
    assert spec_hash(BASE, "7.1") != name_of(BASE)


def test_the_slate_counts() -> None:
    def with_slate(key: Any) -> PartSpec:
        shown = Record().plan()
        scenes = tuple(dataclasses.replace(s, right=Slate(key)) for s in shown.scenes)
        # A picture somewhere else keeps the record side by side.
        scenes += (dataclasses.replace(shown.scenes[0], first=6000, end=6001),)
        return Record().spec(dataclasses.replace(shown, scenes=scenes))

    assert name_of(with_slate("no_screen")) != name_of(with_slate("no_board"))


@pytest.mark.parametrize("spec", [BASE, *DIFFERENT.values(), Record().sound()], ids=name_of)
def test_a_spec_is_plain_json(spec: PartSpec | SoundSpec) -> None:
    document = spec_json(spec)
    assert json.loads(json.dumps(document)) == document


def test_a_record_without_any_right_hand_picture_has_room_for_its_slate() -> None:
    record = Record()
    del record.segments[1]  # the screen turned out to be broken after presence was decided
    spec = record.spec()
    boxes = [lane.box for run in spec.runs for lane in run]
    assert all(box.width > 0 for box in boxes)
    assert sum(box.width for box in boxes) == spec.size.width


@pytest.mark.parametrize(
    ("layout", "size", "box", "places"),
    [
        ("side_by_side", (2560, 720), (1280, 720), ["bottom_right"]),
        ("side_by_side_16x9", (1280, 720), (854, 720), ["bottom_right"]),
        ("screen_large", (1280, 720), (1280, 720), ["bottom_left", "bottom_right"]),
    ],
)
def test_the_slide_lies_above_the_board_and_never_above_the_speaker(
    layout: str, size: tuple[int, int], box: tuple[int, int], places: list[str]
) -> None:
    record = Record()
    [screen] = [s for s in record.segments if s.source == "screen"]
    shown = record.plan()
    [scene] = shown.scenes
    halves = (
        dataclasses.replace(scene, layout=layout, end=4000),
        dataclasses.replace(scene, layout=layout, first=4000, slide=screen),
    )
    corner = "bottom_right" if layout == "screen_large" else None
    found = record.spec(
        dataclasses.replace(shown, scenes=halves, corner=corner),  # type: ignore[arg-type]
        layout=layout,
    )
    assert found.size == Size(*size)  # with both as without
    before, both = found.runs
    assert [lane.above for lane in (*before, found.backup[0])] == [None] * 3  # type: ignore[index]
    [large] = [lane for lane in both if lane.above]
    slide = large.above
    assert slide is not None and slide.place is not None and large.box == Size(*box)
    assert slide.box.width * slide.box.height == pytest.approx(box[0] * box[1] / 9, rel=0.05)
    assert slide.shots[0].input == large.shots[0].input
    across = [lane.place for lane in (large.above, *both) if lane and lane.place]
    corners = [
        "bottom_right" if 2 * place.x > large.box.width else "bottom_left" for place in across
    ]
    assert corners == places and all(2 * place.y > large.box.height for place in across)
    # The backup has it, too; and every file that is read is looked after.
    assert [lane in found.lanes for lane in (slide, found.backup[1].above)] == [True] * 2  # type: ignore[index]
    assert name_of(found) != name_of(record.spec(layout=layout))


def test_cells_are_as_wide_as_what_is_shown() -> None:
    record = Record(width=1440)
    assert cells(record.plan(), record.media, 720)["left"] == Size(960, 720)
    assert cells(record.plan(presence=False), record.media, 720)["right"] == Size(1280, 720)


@proven
@given(
    st.lists(st.tuples(st.integers(0, 2 * MINUTE), st.integers(1, MINUTE)), max_size=6),
    st.integers(1, 4000),
)
def test_the_pieces_of_the_sound_last_as_long_as_the_record(
    stretches: list[tuple[int, int]], frames: int
) -> None:
    record = Record()
    record.segments = [
        dataclasses.replace(
            record.segments[n % 2], sound=(Stretch(5 * MINUTE + a, 5 * MINUTE + a + length),)
        )
        for n, (a, length) in enumerate(stretches)
    ]
    plan = record.plan(frames=frames)
    spec = record.sound(plan)
    assert spec.samples == frames * 1920  # 48,000 a second, 25 frames a second
    assert sum(piece.samples for piece in spec.pieces) == spec.samples
    assert spec.pieces[0].lead == 0
    assert {piece.lead for piece in spec.pieces[1:]} <= {0, 1920}
    assert all(p.samples >= after.lead for p, after in pairwise(spec.pieces))


def test_sound_of_another_loudness_has_another_name() -> None:
    """What was encoded as loud as it was recorded keeps the name that it had before."""
    names = [
        name_of(SoundSpec(48_000, (SoundPiece(48_000),), "128k", lufs))
        for lufs in (None, -18.0, -23.0)
    ]
    assert names[0] == "9239743a449ed7655320606233a9ac1534078f53"
    assert len(set(names)) == 3


def test_the_sound_of_a_record_of_half_a_frame_more_fills_its_last_frame() -> None:
    spec = Record().sound(Record().plan(frames=25.75))
    assert [piece.samples for piece in spec.pieces] == [spec.samples] == [26 * 1920]


def test_the_room_that_encoding_takes_is_guessed_from_its_pixels() -> None:
    """An hour at 720p of both sides, and of the right one alone: 1.6 GB, and 58 MB of sound."""
    part = Record().spec()
    assert part.outputs == {"merge": Size(2560, 720), "backup": Size(1280, 720)}
    hour = dataclasses.replace(part, frames=25 * 3600)
    assert likely_bytes([hour]) == (2560 + 1280) * 720 * 25 * 3600 // 20 // 8
    assert likely_bytes([]) == 0
    assert likely_bytes([hour, part]) == likely_bytes([hour]) + likely_bytes([part])
    alone = dataclasses.replace(hour, backup=None)
    assert likely_bytes([alone]) == likely_bytes([hour]) * 2 // 3
    sound = SoundSpec(48_000 * 3600, (), "128k")
    assert likely_bytes([], sound) == 57_600_000
    assert likely_bytes([hour], sound) == likely_bytes([hour]) + 57_600_000


def test_a_shot_behind_the_last_picture_of_its_file_shows_that() -> None:
    record = Record()
    plan = record.plan(first=7500, frames=50)  # begins where the files end
    shown = [scene.left for scene in plan.scenes]
    assert not any(isinstance(view, Segment) for view in shown)
    whole = (Stretch(0, 10 * MINUTE + 40_000),)
    record.segments = [dataclasses.replace(s, pictures=whole) for s in record.segments]
    spec = record.spec(record.plan(first=7500, frames=50), 0)
    shot = spec.runs[0][0].shots[0]
    assert (shot.frames, shot.at_us, shot.pictures) == (1, 10 * MINUTE - 40_000, 50)


def test_the_last_picture_of_a_file_may_stand_unless_it_is_damaged() -> None:
    media = media_file("/library/speaker.mp4")
    entry = Entry("speaker", media, ClockMap(START, 0), "1000-speaker")
    last = Stretch(10 * MINUTE - 40_000, 10 * MINUTE)
    inside = Stretch(MINUTE, 2 * MINUTE)

    def frame_us(entry: Entry, *holes: Stretch) -> int:
        return segments([entry], None, {entry.file: holes})[0].frame_us

    assert frame_us(entry) == frame_us(entry, inside) == 40_000
    assert frame_us(entry, last) == frame_us(entry, Stretch(0, 10 * MINUTE)) == 0
    torn = dataclasses.replace(media, torn=(last,))
    assert frame_us(dataclasses.replace(entry, media=torn)) == 0


def test_sound_of_many_pieces_takes_room_for_its_runs() -> None:
    piece = SoundPiece(SAMPLE_RATE)
    few, many = (SoundSpec(n * SAMPLE_RATE, (piece,) * n, "128k") for n in (100, 101))
    assert likely_bytes([], few) == 100 * 16_000
    assert likely_bytes([], many) == 101 * (16_000 + 8 * SAMPLE_RATE)


def test_a_shot_is_of_one_kind_of_pictures() -> None:
    """Another size needs no shot of its own: filters follow it."""
    record = Record()
    file = record.media["/library/screen.mp4"]
    small = dataclasses.replace(VIDEO, width=640, height=480)
    turned = dataclasses.replace(small, rotation=90)
    changes = ((7 * MINUTE, small), (7 * MINUTE + 30_000_000, turned))
    record.media["/library/screen.mp4"] = dataclasses.replace(file, changes=changes)
    _, screen = record.spec(n=1).runs[0]  # from 07:06 on: 6 minutes into the file
    assert [(s.frames, s.picture and s.picture.rotation) for s in screen.shots] == [
        (2250, 0),
        (750, 90),
    ]
    assert [s.at_us for s in screen.shots] == [6 * MINUTE, 7 * MINUTE + 30_000_000]
    assert not any(s.picture and s.picture.suits_gpu for s in screen.shots)
    assert screen.box == Size(1280, 720)  # as wide as the widest


def test_pictures_that_change_all_the_time_are_one_shot() -> None:
    record = Record()
    file = record.media["/library/screen.mp4"]
    changes = tuple(
        (n * 1_000_000, dataclasses.replace(VIDEO, rotation=n % 2 * 180)) for n in range(1, 600)
    )
    record.media["/library/screen.mp4"] = dataclasses.replace(file, changes=changes)
    _, screen = record.spec(n=1).runs[0]
    assert [s.frames for s in screen.shots] == [3000]
