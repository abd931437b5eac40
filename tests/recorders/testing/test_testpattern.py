"""Kind `testpattern`: the grid of its files, what they show, and what they sound like."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest

from app import create_service
from merger.analysis.cards import shipped_cards
from merger.analysis.classify import classify
from merger.config import load
from merger.db.engine import connect
from merger.errors import Broken, Cancelled, Refused
from merger.media.sidecar import read_sidecar
from merger.timeline.clock import Span
from recorders.base import Collected, Item, SourceOfRoom
from recorders.testing.testpattern import Pattern
from tests.conftest import CARRIED
from tests.recorders.conftest import MOSCOW, TEN, digest, never, span
from tests.support.truth import beep_onsets, frames_seen, pitch, sound_of

BERLIN = ZoneInfo("Europe/Berlin")
LATER = datetime(2027, 1, 1, tzinfo=UTC)
FOUR = span(0, 4)


def source(query: str = "", role: str = "speaker", zone: ZoneInfo = MOSCOW) -> SourceOfRoom:
    return SourceOfRoom("504", "camera", role, "testpattern", f"testpattern:{query}", zone)


def items(one: SourceOfRoom, wanted: Span, now: datetime = LATER) -> tuple[Item, ...]:
    return Pattern().find(one, wanted, now).items


def filmed(one: SourceOfRoom, into: Path, wanted: Span = FOUR) -> list[Collected]:
    return Pattern().collect(one, wanted, into, LATER, never)


def starts(one: SourceOfRoom, wanted: Span, zone: ZoneInfo) -> list[str]:
    return [f"{item.start.astimezone(zone):%H:%M}" for item in items(one, wanted)]


def test_half_hours_of_the_rooms_clock() -> None:
    assert starts(source(), span(300, 3900), MOSCOW) == ["10:00", "10:30", "11:00"]
    assert starts(source(), span(0, 1800), MOSCOW) == ["10:00"]
    kathmandu = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead
    assert starts(source(zone=kathmandu), span(0, 1800), kathmandu) == ["12:30", "13:00"]


def test_files_are_whole_whatever_the_span() -> None:
    (item,) = items(source(), span(600, 660))
    assert item.end is not None
    assert (item.start, item.end - item.start) == (TEN, timedelta(minutes=30))
    assert item in items(source(), span(-7200, 7200))


def test_the_last_file_of_a_day_ends_with_it() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=MOSCOW)
    last, first = items(source("?segment=25m"), span(-60, 60, midnight))
    assert last.end == first.start == midnight
    assert last.end - last.start == timedelta(minutes=15)


@pytest.mark.parametrize("day,hours", [(25, 25), (26, 24)])
def test_the_day_on_which_clocks_go_back(day: int, hours: int) -> None:
    midnight = datetime(2026, 10, day, tzinfo=BERLIN)
    found = items(source(zone=BERLIN), span(0, hours * 3600, midnight))
    assert len(found) == len({item.origin for item in found}) == hours * 2
    assert all(a.end == b.start for a, b in pairwise(found))


def test_a_lost_file_is_not_expected() -> None:
    lost = source("?lost=22")  # the 22nd half hour begins at 10:30
    found = Pattern().find(lost, span(0, 5400), LATER)
    assert starts(lost, span(0, 5400), MOSCOW) == ["10:00", "11:00"]
    assert not found.more_expected
    assert starts(lost, span(86_400, 86_400 + 5400), MOSCOW) == ["10:00", "11:00"]


def test_as_time_goes_by() -> None:
    wanted = span(300, 2400)
    seen = []
    for minute in (-1, 1, 29, 31, 41, 61):
        found = Pattern().find(source(), wanted, TEN + timedelta(minutes=minute))
        seen.append(([item.settled for item in found.items], found.more_expected))
    assert seen == [
        ([], True),
        ([False], True),
        ([False], True),
        ([True, False], True),
        ([True, False], True),  # the record is over, its last file is not
        ([True, True], False),
    ]


def test_nothing_has_to_settle() -> None:
    assert Pattern().settle == timedelta()


def test_the_screen_shows_a_presentation(tmp_path: Path) -> None:
    for size in ("320x180", "640x360"):
        (one,) = filmed(source(f"?segment=4s&size={size}", "screen"), tmp_path)
        with av.open(str(one.path)) as container:
            assert container.streams.audio == ()
            frame = next(container.decode(video=0))
            planes = [
                np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width].copy()
                for p in frame.planes
            ]
        # with the clock, and without it: it is the slide that counts
        for top, bottom in ((0.0, 1.0), (0.2, 0.8)):
            luma, *chroma = (p[int(top * len(p)) : int(bottom * len(p))] for p in planes)
            sight = classify(luma, (chroma[0], chroma[1]), shipped_cards())
            assert sight.verdict == "presentation", sight.reason
        assert frames_seen(one.path, left_width=10_000, wanted=[0])[0].left is not None


@pytest.mark.parametrize(
    "query,role,heard,code",
    [
        ("", "speaker", 440, 1),
        ("", "screen", None, 2),
        ("", "board", None, 3),
        ("", "audio", 440, 4),
        ("&pitch=880&code=7", "board", 880, 7),
        ("&pitch=0", "speaker", None, 1),
    ],
)
def test_what_a_role_sounds_like(tmp_path: Path, query: str, role: str, heard, code: int) -> None:
    (one,) = filmed(source(f"?segment=4s{query}", role), tmp_path)
    seen = frames_seen(one.path, left_width=10_000)
    assert {frame.left and frame.left.source for frame in seen} == {code}
    if heard is None:
        with av.open(str(one.path)) as container:
            assert container.streams.audio == ()
        return
    sound = sound_of(one.path)
    assert np.abs(beep_onsets(sound) - np.arange(1, 4)).max() < 0.02  # the first is on at once
    assert [round(pitch(sound, at + 0.01) / 10) * 10 for at in range(4)] == [heard] * 4
    assert pitch(sound, 0.5) == 0


def test_its_sidecar_and_its_time(tmp_path: Path) -> None:
    (one,) = filmed(source("?segment=4s"), tmp_path)
    sidecar, complaint = read_sidecar(one.path)
    assert complaint is None
    assert (sidecar.start, sidecar.end) == (one.item.start, one.item.end)
    assert sidecar.sha256 == digest(one.path.read_bytes())
    assert one.item.end is not None
    assert one.path.stat().st_mtime == one.item.end.timestamp()  # whenever it is filmed


def test_other_settings_are_other_files(tmp_path: Path) -> None:
    queries = ("?segment=4s", "?segment=4s&rate=10", "?segment=2s", "?segment=4s&code=5")
    names = {filmed(source(query), tmp_path)[0].path.name for query in queries}
    assert len(names) == 4
    (item,) = items(source("?segment=4s"), span(0, 4))
    assert item == items(source("?segment=4s&pitch=440&size=320x180"), span(0, 4))[0]


def test_the_size_is_guessed_well_enough(tmp_path: Path) -> None:
    (one,) = filmed(source("?segment=30s"), tmp_path, span(0, 30))
    assert one.path.stat().st_size < one.item.size_bytes < 5 * one.path.stat().st_size


@pytest.mark.parametrize(
    "query,said",
    [
        ("?sise=1", "did you mean 'size'"),
        ("?qqq=1", "the choices are code, lost, pitch, rate, segment, size"),
        ("?rate=5&rate=6", "twice"),
        ("?rate=61", "rate=61: a whole number from 1 to 60"),
        ("?rate=٣", "a whole number"),
        ("?size=320", "64x36 to 1920x1080"),
        ("?size=9999x9999", "64x36 to 1920x1080"),
        ("?segment=1h", "at most 30m"),
        ("?segment=soon", "write 30m"),
        ("?segment=0s", "between 1s"),
        ("?pitch=20", "50 to 7000"),
    ],
)
def test_settings_that_make_no_sense(query: str, said: str) -> None:
    with pytest.raises(Refused) as told:
        Pattern().check(source(query))
    assert said in str(told.value) and query in str(told.value)


def test_credentials_are_of_no_use() -> None:
    with pytest.raises(Refused, match="needs no credentials"):
        Pattern().check(
            SourceOfRoom("1", "a", "screen", "testpattern", "testpattern:", MOSCOW, "x")
        )


def test_the_service_films_with_the_ffmpeg_that_it_is_told_to_use(tmp_path: Path) -> None:
    tool, said, into = tmp_path / "ffmpeg", tmp_path / "said", tmp_path / "into"
    tool.write_text(f'#!/bin/sh\necho "$*" >> {said}\nexec {CARRIED.path} "$@"\n')
    tool.chmod(0o755)
    settings = load({"MERGER_FFMPEG": str(tool), "MERGER_DATA": str(tmp_path)})
    service = create_service(settings, connect(settings.database_address))
    one = source("?segment=4s")
    assert len(service.recorder_of(one.kind).collect(one, FOUR, into, LATER, never)) == 1
    assert "aevalsrc" in said.read_text()


@pytest.mark.parametrize(
    "script",
    ["exit 1", "cat > /dev/null", 'head -c 9 > "$out"; exit 1', 'cat > /dev/null; : > "$out"'],
)
def test_an_ffmpeg_that_fails(tmp_path: Path, script: str) -> None:
    tool, into = tmp_path / "ffmpeg", tmp_path / "into"
    tool.write_text(
        '#!/bin/sh\n[ "$2" = -version ] && { echo ffmpeg version 7; exit; }\n'
        f'for out in "$@"; do :; done\n{script}\n'
    )
    tool.chmod(0o755)
    with pytest.raises(Broken, match="could not be filmed"):
        Pattern(tool=str(tool)).collect(source("?segment=4s"), FOUR, into, LATER, never)
    assert list(into.iterdir()) == []
    assert len(filmed(source("?segment=4s"), into)) == 1


def test_stopped_while_it_films(tmp_path: Path) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 5

    with pytest.raises(Cancelled):
        Pattern().collect(source("?segment=4s"), FOUR, tmp_path, LATER, cancelled)
    assert list(tmp_path.iterdir()) == []


def test_sound_is_not_held_in_memory(tmp_path: Path) -> None:
    """Half an hour of samples, as numbers, would be gigabytes."""
    tracemalloc.start()
    try:
        filmed(source("?segment=5m&rate=1"), tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000
