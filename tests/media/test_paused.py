"""A screen whose recording was paused: where its pictures are, in everything that is told of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from merger.analysis import thumbnails
from merger.analysis.sampling import sample_chunk
from merger.config import load
from merger.media.library import Library, read_library, segments
from merger.media.sidecar import sidecar_bytes
from merger.timeline.clock import Span, picture_track, utc
from merger.timeline.media import STILL_US
from merger.timeline.report import plan_document
from tests.conftest import START, Room, seconds
from tests.support.truth import error_ms, frames_seen, instant_of

LENGTH_S = 10.0  # of the file
# Recorded for 4 and for 6 s, with a break in between.
BREAK_S = 8.0


def film_paused(room: Room, break_s: float = BREAK_S, first_s: float = 4) -> Path:
    """Film a screen, and say that it was paused after some seconds."""
    path = room.film("screen", 0, LENGTH_S, sound=False)
    ran = (
        Span(utc(START), utc(START + seconds(first_s))),
        Span(utc(START + seconds(first_s + break_s)), utc(START + seconds(LENGTH_S + break_s))),
    )
    path.with_suffix(".json").write_bytes(sidecar_bytes(ran[0].start, stretches=ran))
    return path


def library_of(room: Room, from_s: float, until_s: float) -> Library:
    request = room.request(until_s, from_s=from_s)
    return read_library(room.library, "504", ("screen",), request.span, room.zone)


def test_both_stretches_are_seen_where_they_were(one_room: Room) -> None:
    film_paused(one_room)
    one_room.film("speaker", 0, LENGTH_S + BREAK_S)
    result = one_room.merge(LENGTH_S + BREAK_S)
    merged = next(r.path for r in result.renditions if r.kind == "merge")
    seen = frames_seen(merged, wanted=range(0, 450, 5))
    for frame in seen:
        at_s = frame.frame / 25
        if 4 <= at_s < 4 + BREAK_S:
            assert frame.right is None, frame
            continue
        assert frame.right is not None
        # The pictures show the file's own time, which stood still during the break.
        shown = START if at_s < 4 else START - seconds(BREAK_S)
        assert abs(error_ms(frame.right, instant_of(shown, frame.frame))) <= 60, frame
    assert not result.warnings or all(w.key != "media.paused" for w in result.warnings)

    document = json.loads(json.dumps(plan_document(result.plan)))
    of_screen = {n: s for n, s in document["segments"].items() if s["source"] == "screen"}
    assert len(of_screen) == 2
    items = next(t for t in document["tracks"] if t["source"] == "screen")["items"]
    assert [item["file"] for item in items if item["file"]] == sorted(of_screen)


def test_what_follows_a_long_break_is_not_passed_over(one_room: Room) -> None:
    """By its length alone, the file is over long before."""
    film_paused(one_room, 600)
    (entry,) = library_of(one_room, 606, 610).entries
    assert entry.clock.wall_zero == utc(START + seconds(604))
    assert not library_of(one_room, 611, 620).entries
    assert len(library_of(one_room, 0, 620).entries) == 2


def test_pictures_that_people_look_at_have_their_instants(one_room: Room) -> None:
    film_paused(one_room)
    library = library_of(one_room, 0, 18)
    span = Span(utc(START), utc(START + seconds(18)))
    track = picture_track("screen", span, segments(library.entries, "screen", {}, STILL_US))
    look = sample_chunk(span, track, library.media)
    instants = [datetime.fromisoformat(picture["at"]) for picture in look.pictures]
    assert instants == sorted(instants)
    offsets = [(at - span.start) / timedelta(seconds=1) for at in instants]
    assert all(at < 4 or 4 + BREAK_S <= at <= 18 for at in offsets), offsets
    assert min(offsets) < 4 and max(offsets) >= 12


@pytest.mark.parametrize(
    ("first_s", "until_s", "at_s"),
    [
        (4, 18, 17), (4, 3, 17),
        (9.4, 18, 9),  # after the pause there is no key frame
    ],
)  # fmt: skip
def test_the_last_picture_has_its_instant(
    one_room: Room, tmp_path: Path, first_s: float, until_s: float, at_s: float
) -> None:
    film_paused(one_room, first_s=first_s)
    settings = load({"MERGER_DATA": str(tmp_path / "data")})
    thumbnails.save_last_thumbnails(settings, {"screen": 1}, library_of(one_room, 0, until_s))
    assert thumbnails.taken_at(settings, 1) == (START + seconds(at_s)).astimezone(UTC)
