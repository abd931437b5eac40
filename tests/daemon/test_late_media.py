"""Media that comes after a merge with gaps: the record is made again."""

from __future__ import annotations

import av
import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from merger.daemon.housekeeping import keep_house
from merger.daemon.late_media import find_late_media
from merger.daemon.retention import remove_expired
from merger.db.engine import writing
from models import Source
from tests.conftest import PITCHES, START, seconds
from tests.daemon.late_lecture import (
    DAY,
    DUE,
    END,
    HALF,
    HOUR,
    LENGTH_S,
    MINUTE,
    WHOLE,
    all_but_half_the_screen,
    changed,
    come,
    deliver_with_a_gap,
    delivered,
    seen_right,
    waiting_lecture,
    what_is_missing_comes,
)
from tests.support.aftermath import merge_of
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.truth import error_ms, frames_seen, instant_of, pitch, sound_of


@pytest.fixture
def lecture(site: Site) -> Site:
    return waiting_lecture(site)


def test_a_missing_file_that_comes_late_makes_another_version(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    delivered(lecture, 1)
    assert lecture.row().watched_until == DUE + 7 * DAY
    first = merge_of(lecture)
    inode, bytes_before = first.stat().st_ino, first.read_bytes()
    keep_house(lecture.service, lecture.clock)
    assert lecture.claim() is None  # nothing has come
    lecture.clock += 2 * HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    keep_house(lecture.service, lecture.clock)
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version, row.stage) == (
        "queued",
        2,
        1,
        "collect",
    )
    assert row.done == 0
    assert (
        merge_of(lecture).stat().st_ino == inode
    )  # people have the first, until the second is there
    with merge_of(lecture).open("rb") as watched:
        assert lecture.work() == "delivered"
        assert watched.read() == bytes_before
    assert merge_of(lecture) == first and first.stat().st_ino != inode
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)
    assert lecture.row().watched_until is None
    told = lecture.details()
    assert told["gaps"] == []
    kinds = [event["kind"] for event in told["events"]]
    assert kinds == [
        "asked", "claimed", "sent", "sent", "delivered", "late", "claimed", "sent", "sent", "delivered",
    ]  # fmt: skip
    assert told["events"][5]["text"] == "media from screen arrived late: processing again"
    assert told["events"][-1]["text"].startswith("version 2 delivered")
    remove_expired(lecture.service, lecture.clock)
    attempts = list((lecture.settings.data / "records" / "1").glob("attempt-*"))
    assert [path.name for path in attempts] == ["attempt-2"]
    lecture.clock += DAY
    assert find_late_media(lecture.service, lecture.clock) == []


def test_late_media_that_may_not_be_all_is_taken_once_it_is_stable(lecture: Site) -> None:
    """Three of the screen's files were missing; one after the other comes, and one never."""
    come(lecture, "speaker", when=END)
    come(lecture, "screen", 0, 3, when=END)
    lecture.clock = DUE
    assert lecture.work() == "delivered"
    lecture.clock += HOUR
    come(lecture, "screen", 3, 3, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == []
    lecture.clock += 59 * MINUTE
    assert find_late_media(lecture.service, lecture.clock) == []
    come(lecture, "screen", 9, 3, when=lecture.clock - 2 * MINUTE)  # another: the hour begins anew
    assert find_late_media(lecture.service, lecture.clock) == []
    lecture.clock += 59 * MINUTE
    assert find_late_media(lecture.service, lecture.clock) == []
    delivered(lecture, 1)
    lecture.clock += MINUTE
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == [True] * 6 + [False] * 3 + [True] * 3
    delivered(lecture, 2)
    assert lecture.row().watched_until == DUE + 7 * DAY  # there is a gap still
    lecture.clock += DAY
    assert find_late_media(lecture.service, lecture.clock) == []
    come(lecture, "screen", 6, 3, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == [1]  # now it is complete
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 3)


@ON_SQLITE
def test_a_late_file_that_still_grows_is_not_taken(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    growing = come(lecture, "screen", 6, 6, when=lecture.clock - seconds(10))
    for _ in range(12):
        assert find_late_media(lecture.service, lecture.clock) == []
        lecture.clock += 10 * MINUTE
        changed(growing, lecture.clock - seconds(10))
    lecture.clock += 10 * MINUTE
    assert find_late_media(lecture.service, lecture.clock) == [1]


@ON_SQLITE
def test_media_where_nothing_is_missing_changes_nothing(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    inode = merge_of(lecture).stat().st_ino
    lecture.clock += HOUR
    come(lecture, "speaker", 2, 3, when=lecture.clock - 2 * MINUTE)
    come(lecture, "screen", 1, 4, when=lecture.clock - 2 * MINUTE)
    for _ in range(20):
        assert find_late_media(lecture.service, lecture.clock) == []
        lecture.clock += HOUR
    assert merge_of(lecture).stat().st_ino == inode
    delivered(lecture, 1)


@ON_SQLITE
def test_after_seven_days_nobody_looks_any_more(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock = DUE + 7 * DAY - HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, DUE + 7 * DAY) == []
    assert find_late_media(lecture.service, DUE + 7 * DAY - seconds(1)) == [1]


@ON_SQLITE
def test_a_record_that_was_made_late_is_watched_no_longer_than_others(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    lecture.clock = DUE + 8 * DAY
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == HALF
    assert lecture.row().watched_until is None


@ON_SQLITE
def test_what_was_collected_is_used_though_the_library_has_it_no_more(lecture: Site) -> None:
    """A recorder that keeps its files for a day must not make the second version worse."""
    deliver_with_a_gap(lecture)
    for path in lecture.library().library.iterdir():
        path.unlink()
    lecture.clock += 2 * DAY
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == []
    lecture.clock += HOUR
    assert find_late_media(lecture.service, lecture.clock) == [1]
    remove_expired(lecture.service, lecture.clock)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_source_is_removed_before_media_comes_late(lecture: Site) -> None:
    """What the room has no more is not shown, nor heard; the rest is."""
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    assert find_late_media(lecture.service, lecture.clock) == [1]

    def remove(session: Session) -> None:
        session.execute(delete(Source).where(Source.name == "screen"))

    writing(lecture.engine, remove)
    assert lecture.work() == "delivered"
    [alone] = lecture.merged.iterdir()
    with av.open(str(alone)) as container:
        width = container.streams.video[0].width
    seen = frames_seen(alone, left_width=width, wanted=range(12, 300, 25))
    assert len(seen) == LENGTH_S
    for frame in seen:
        assert frame.left is not None and frame.left.source == 1
        assert abs(error_ms(frame.left, instant_of(START, frame.frame))) <= 40


@ON_SQLITE
def test_sound_that_comes_late_is_heard(site: Site) -> None:
    """A source that is only heard has no gap in the picture."""
    site.add_room(chunk_s=1800, roles=("speaker", "screen", "audio"))
    site.ask(LENGTH_S)
    come(site, "speaker", when=END)
    come(site, "screen", when=END)
    site.clock = DUE
    assert site.work() == "delivered"
    assert pitch(sound_of(merge_of(site)), 5.01) == pytest.approx(PITCHES["speaker"], abs=5)
    assert site.row().watched_until == DUE + 7 * DAY
    site.clock += HOUR
    changed(site.film("audio", 0, LENGTH_S), site.clock - 2 * MINUTE)
    assert find_late_media(site.service, site.clock) == [1]
    assert site.work() == "delivered"
    assert pitch(sound_of(merge_of(site)), 5.01) == pytest.approx(PITCHES["audio"], abs=5)
    delivered(site, 2)
    site.clock += HOUR
    assert find_late_media(site.service, site.clock) == []


def test_media_of_a_record_that_failed_for_want_of_any(lecture: Site) -> None:
    """It is made after all, as its first version; media that comes after seven days is too late."""
    lecture.clock = DUE
    while lecture.work() == "deferred":
        lecture.clock = lecture.row().run_after
    assert lecture.row().status == "failed"
    lecture.clock += 2 * DAY
    assert find_late_media(lecture.service, lecture.clock) == []
    come(lecture, "speaker", when=lecture.clock - 2 * MINUTE)
    come(lecture, "screen", when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, DUE + 7 * DAY) == []
    assert find_late_media(lecture.service, lecture.clock) == [1]
    row = lecture.row()
    assert (row.status, row.version, row.error_code, row.done) == ("queued", 1, None, 0)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 1)
    assert lecture.row().watched_until is None
