"""Is a presentation on the screen? And what stands on the right when it is not."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

import cv2
import numpy as np
import pytest

from merger.analysis.cards import card_from_picture, draw_cards
from merger.analysis.words.networks import are_there
from merger.timeline.clock import Span, utc
from merger.timeline.plan import Overrule
from recorders.testing.clock import plain
from tests.analysis.watching.screens import Scene, still, write_screen
from tests.conftest import CARRIED, MOSCOW, START, Room, seconds
from tests.render.test_time import path_of
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import error_ms, frames_seen, instant_of

SIZE = (640, 360)
HALF = timedelta(seconds=30)
COARSE = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "35", "-g", "25")


def card(name: str | None = None) -> np.ndarray:
    cards = draw_cards()
    return cv2.resize(cards[name or next(iter(cards))], SIZE, interpolation=cv2.INTER_AREA)


def slide() -> np.ndarray:
    picture = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    cv2.putText(picture, "Three words only", (60, 240), (40, 40, 40), cv2.FontFace("sans"), 16, 400)
    return picture


def film_screen(
    room: Room, at: float, length: float, ground: np.ndarray, *, clock: bool = False
) -> None:
    room.film("screen", at, length, ground=ground, clock=clock, sound=False, codec=COARSE)


@BOTH_FFMPEGS
@pytest.mark.parametrize(("card_s", "presence"), [(5, True), (26, False)])
def test_a_card_for_a_part_of_a_chunk(room: Room, card_s: int, presence: bool) -> None:
    film_screen(room, 0, card_s, card())
    film_screen(room, card_s, 30 - card_s, slide())
    room.film("speaker", 0, 30)
    room.film("board", 0, 30)
    result = room.merge(30.0, roles=("speaker", "screen", "board"), chunk=HALF, decide="chunk")
    (chunk,) = result.plan.chunks
    assert (chunk.presence, chunk.verdict) == (
        presence,
        "presentation" if presence else "no_signal",
    )
    assert float(chunk.score) == pytest.approx(1 - card_s / 30, abs=0.2)
    assert chunk.samples >= 5
    rights = {
        s.right and s.right.source for s in frames_seen(path_of(result), wanted=range(0, 750, 50))
    }
    assert rights == ({None} if presence else {3})


@BOTH_FFMPEGS
def test_the_screen_takes_over_at_the_frame_at_which_it_shows_something(room: Room) -> None:
    """A computer is plugged in late, sleeps for two seconds, and is unplugged before the end."""
    room.film("speaker", 0, 30)
    room.film("board", 0, 30)
    scenes = [
        (185, card()),
        (200, slide()),
        (50, np.zeros_like(slide())),
        (115, slide()),
        (200, card()),
    ]
    write_screen(
        room.library / "2026-11-20_10-00-00_504_screen.mp4",
        [Scene(frames, still(picture)) for frames, picture in scenes], group=120,
    )  # fmt: skip
    result = room.merge(30.0, roles=("speaker", "screen", "board"))
    seen = {s.frame: s for s in frames_seen(path_of(result), wanted=range(170, 570))}
    rights = {frame: bool(s.right and s.right.source == 3) for frame, s in seen.items()}
    assert [frame for frame in range(171, 570) if rights[frame] != rights[frame - 1]] == [185, 550]
    assert rights[170]  # the board
    assert [(d.right, (d.span.start - utc(START)).total_seconds()) for d in result.plan.decisions] == [
        ("board", 0), ("screen", 7.4), ("board", 22),
    ]  # fmt: skip


def test_an_editor_has_the_board_shown_in_a_span(one_room: Room) -> None:
    """What is not touched is not encoded again."""
    roles, start = ("speaker", "screen", "board"), datetime(2026, 11, 20, 10, 1, 56, tzinfo=MOSCOW)
    for source in roles:
        one_room.film(source, 0, 8, start=start)
    one_room.merge(8.0, start=start, roles=roles)
    before = one_room.cached()
    wanted = Overrule(Span(utc(start + seconds(1)), utc(start + seconds(3))), "board")
    result = one_room.merge(8.0, start=start, roles=roles, overrules=(wanted,))
    seen = frames_seen(path_of(result), wanted=range(0, 200, 5))
    sides = {s.frame: s.right.source for s in seen if s.right}
    assert {n for n, source in sides.items() if source == 3} == set(range(25, 75, 5))
    # Of two parts of each video, the first.
    assert len([name for name in one_room.cached() - before if ".mp4" in name]) in (1, 2)


def test_slides_of_a_screen_whose_recorder_knows_what_it_shows(one_room: Room) -> None:
    """Whatever they look like, they are presentations, and chapters."""
    one_room.library.mkdir()
    write_screen(
        one_room.library / "2026-11-20_10-00-05_504_screen.mp4",
        [Scene(125, still(picture)) for picture in (slide(), card(), np.full_like(slide(), 90))],
    )  # fmt: skip
    known = one_room.presence(20.0, screen_is_known=True)
    begins = [(c.span.start - utc(START)).total_seconds() for c in known.chapters]
    assert begins == [5, 10, 15]
    assert {d.right for d in known.decisions} == {"screen"}
    shown = {d.right for d in one_room.presence(20.0).decisions}
    assert shown == {"screen", "board"}


@pytest.mark.parametrize("name", sorted(draw_cards()))
def test_each_card_that_ships_hides_the_screen(one_room: Room, name: str) -> None:
    film_screen(one_room, 0, 10, card(name))
    expected = "bars" if "bars" in name else "no_signal"
    assert [c.verdict for c in one_room.chunks()] == [expected]


@pytest.mark.skipif(not are_there(), reason="words are not read on this system")
def test_words_are_read_in_the_confined_reader(one_room: Room) -> None:
    ground = np.full((SIZE[1], SIZE[0], 3), (90, 40, 20), np.uint8)
    font = cv2.FontFace("uni")
    cv2.putText(ground, "Kein Signal", (300, 120), (230, 230, 230), font, 30, 400)
    film_screen(one_room, 0, 10, ground)
    one_room.environ["MERGER_READ_WORDS"] = "yes"
    (chunk,) = one_room.chunks()
    assert (chunk.presence, chunk.verdict) == (False, "no_signal")


def test_a_card_of_ones_own(one_room: Room) -> None:
    own = np.full((360, 640, 3), (90, 40, 110), np.uint8)
    cv2.circle(own, (320, 160), 80, (240, 240, 240), -1)
    cv2.putText(own, "ROOM 504", (230, 320), (255, 255, 255), cv2.FontFace("sans"), 36, 600)
    film_screen(one_room, 0, 10, own)
    assert one_room.chunks()[0].presence
    cards = (card_from_picture("room", cv2.resize(own, (1920, 1080))),)
    assert one_room.chunks(cards=cards)[0].verdict == "no_signal"


@pytest.mark.parametrize(
    ("ground", "verdict"),
    [
        (plain(*SIZE, level=0), "blank"),
        (plain(*SIZE, level=255), "blank"),
        (np.full((360, 640, 3), (180, 40, 20), np.uint8), "blank"),
        (slide(), "presentation"),
    ],
    ids=["black", "white", "blue", "three words"],
)
def test_blank_and_nearly_blank(one_room: Room, ground: np.ndarray, verdict: str) -> None:
    film_screen(one_room, 0, 10, ground)
    chunk = one_room.chunks()[0]
    assert (chunk.verdict, chunk.presence) == (verdict, verdict == "presentation")


def test_every_chunk_by_itself(room: Room) -> None:
    """presentation, card (board), card (no board: alone), nothing at all, presentation with a hole."""
    room.film("speaker", 0, 50)
    room.film("board", 0, 18)
    room.film("board", 40, 10)
    room.film("screen", 0, 10)
    film_screen(room, 10, 20, card())
    room.film("screen", 40, 4)
    result = room.merge(50.0, roles=("speaker", "screen", "board"), decide="chunk")
    assert [c.presence for c in result.plan.chunks] == [True, False, False, False, True]
    assert [c.verdict for c in result.plan.chunks][:4] == [
        "presentation", "no_signal", "no_signal", "missing",
    ]  # fmt: skip
    path = path_of(result)
    seen = {s.frame: s for s in frames_seen(path)}
    rights = [seen[at * 25 + 12].right for at in (5, 15, 42, 47)]
    assert [right and right.source for right in rights] == [2, 3, 2, 3]
    assert seen[19 * 25].right is None  # the board's file has ended: a slate
    alone = {s.frame: s for s in frames_seen(path, left_width=640)}  # the whole canvas
    for at in (25, 35):
        clock = alone[at * 25].left
        assert clock is not None and clock.source == 1
        assert abs(error_ms(clock, instant_of(START, at * 25))) <= 40
    layouts = [(s.layout, s.first // 25, s.end // 25) for s in result.plan.scenes]
    assert ("speaker_only", 20, 40) in layouts
    backup = frames_seen(path_of(result, "backup"), left_width=320)
    assert len(backup) == 1250
    assert backup[15 * 25].left.source == 3 and backup[25 * 25].left is None


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_long_gop_in_a_short_chunk(one_room: Room, container: str) -> None:
    """No key frame falls into the second chunk: pictures after it are decoded."""
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-g", "1000", "-bf", "2")
    one_room.film("screen", 0, 20, container=container, codec=codec)
    chunks = one_room.chunks(20.0)
    assert [c.presence for c in chunks] == [True, True]
    assert [c.samples for c in chunks] == [5, 5]


@pytest.mark.parametrize(
    ("black_s", "verdict", "score"), [(1, "presentation", 0.8), (25, "blank", 0.2)]
)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_one_key_frame_does_not_decide_for_all_that_follows(
    one_room: Room, container: str, black_s: int, verdict: str, score: float
) -> None:
    one_room.library.mkdir()
    path = one_room.library / f"2026-11-20_10-00-00_504_screen.{container}"
    subprocess.run(
        [CARRIED.path, "-v", "error", "-f", "lavfi", "-i", "mandelbrot=size=320x180:rate=10", "-t", "30",
         "-vf", f"drawbox=t=fill:color=black:enable='lt(t,{black_s})'", "-c:v", "libx264", "-preset", "ultrafast",
         "-bf", "2", "-g", "100000", "-sc_threshold", "0", str(path)], check=True,
    )  # fmt: skip
    (chunk,) = one_room.chunks(30.0, chunk=timedelta(minutes=30))
    assert (chunk.verdict, chunk.samples, float(chunk.score)) == (verdict, 5, score)


def test_no_right_source_is_no_backup(one_room: Room) -> None:
    one_room.film("speaker", 0, 5)
    result = one_room.merge(5.0, roles=("speaker",))
    assert [r.kind for r in result.renditions] == ["merge"]
    assert result.renditions[0].size.width == 320
    assert sorted(p.suffix for p in one_room.output.iterdir()) == [".json", ".mp4"]


def test_layouts(one_room: Room) -> None:
    one_room.film("speaker", 0, 5)
    one_room.film("screen", 0, 5)
    large = one_room.merge(5.0, layout="screen_large")
    assert (large.renditions[0].size.width, large.renditions[0].size.height) == (320, 180)
    assert frames_seen(path_of(large), left_width=0, wanted=[60])[0].right.source == 2
    assert frames_seen(path_of(large, "backup"), left_width=320, wanted=[60])[0].left.source == 2
    alone = one_room.merge(5.0, layout="speaker_only")
    assert [r.kind for r in alone.renditions] == ["merge"]
    assert frames_seen(path_of(alone), left_width=320, wanted=[60])[0].left.source == 1


def test_no_speaker_at_all(one_room: Room) -> None:
    one_room.film("screen", 0, 5)
    result = one_room.merge(5.0)
    seen = frames_seen(path_of(result))
    assert all(s.left is None and s.right.source == 2 for s in seen)
    assert any("speaker has no pictures" in str(warning) for warning in result.warnings)
