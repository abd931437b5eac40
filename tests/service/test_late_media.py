"""When a record is made, and made again: media that is not there yet, comes late, or never."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from merger import failpoints
from merger.daemon import keep_house
from merger.database import writing
from merger.errors import Broken
from merger.late import look_for_late
from merger.sources import Collected, Found, Recorder
from merger.tidy import tidy
from merger.timeline import utc
from models import Source
from tests.conftest import MOSCOW, PITCHES, START, seconds
from tests.databases import ON_SQLITE
from tests.site import Site
from tests.truth import error_ms, frames_seen, instant_of, pitch, sound_of

LENGTH_S = 12.0
END = utc(START + seconds(LENGTH_S))
DUE = utc(START + timedelta(hours=1, minutes=30))  # the half hour after the end, and an hour
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def lecture(site: Site) -> Site:
    """A service with a record of twelve seconds that was asked for before it took place."""
    site.add_room(chunk_s=1800)
    site.ask(LENGTH_S)
    site.clock = END
    return site


def come(
    site: Site,
    source: str,
    at_s: float = 0.0,
    length_s: float = LENGTH_S,
    when: datetime | None = None,
) -> Path:
    """A file comes to the library, now or at another instant."""
    path = site.film(source, at_s, length_s, sound=source == "speaker")
    changed(path, when or site.clock)
    return path


def changed(path: Path, when: datetime) -> None:
    os.utime(path, (when.timestamp(), when.timestamp()))


def all_but_half_the_screen(site: Site) -> None:
    """The screen's second file, from six seconds on, is missing."""
    come(site, "speaker", when=END + MINUTE)
    come(site, "screen", 0, 6, when=END + MINUTE)


def merge_of(site: Site) -> Path:
    [merge] = [path for path in site.merged.glob("*.mp4") if "backup" not in path.name]
    return merge


def seen_right(site: Site) -> list[bool]:
    """Return for each second of the result whether the screen is seen; all that is seen is right."""
    frames = frames_seen(merge_of(site), wanted=range(12, 300, 25))
    assert len(frames) == LENGTH_S
    for frame in frames:
        instant = instant_of(START, frame.frame)
        assert frame.left is not None and abs(error_ms(frame.left, instant)) <= 40
        assert frame.right is None or abs(error_ms(frame.right, instant)) <= 40
    return [frame.right is not None for frame in frames]


HALF, WHOLE = [True] * 6 + [False] * 6, [True] * 12


def deliver_with_a_gap(site: Site) -> None:
    all_but_half_the_screen(site)
    site.clock = DUE
    assert site.work() == "delivered"
    assert seen_right(site) == HALF


def delivered(site: Site, version: int) -> None:
    """A version is what people have, once, and nothing else is on its way."""
    row = site.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", version, version)
    assert (row.error_code, row.tries) == (None, 0)
    assert len(list(site.merged.glob("*"))) == 2
    told = site.details()
    assert [(d["status"], d["version"]) for d in told["deliveries"]] == [("delivered", version)] * 2
    assert [r["version"] for r in told["renditions"]] == [version] * 2


# --- when it is due -------------------------------------------------------------------------------


def test_nothing_is_done_before_a_record_has_ended(lecture: Site) -> None:
    lecture.clock = END - seconds(1)
    assert lecture.claim() is None
    lecture.clock = END
    assert lecture.claim() is not None


def test_incomplete_media_is_waited_for_until_it_is_due(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    lecture.clock = END + 5 * MINUTE
    assert lecture.work() == "waiting"
    row = lecture.row()
    assert (row.status, row.run_after, row.stage) == ("queued", DUE, "collect")
    assert (row.tries, row.lost, row.error_code) == (0, 0, None)
    event = lecture.details()["events"][-1]
    assert (event["kind"], event["text"]) == (
        "waiting", "waits for media of screen until 2026-11-20 11:30",
    )  # fmt: skip
    lecture.clock = DUE - seconds(1)
    assert lecture.claim() is None
    lecture.clock = DUE
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == HALF


@ON_SQLITE
def test_complete_media_is_not_waited_for(lecture: Site) -> None:
    come(lecture, "speaker", when=END)
    come(lecture, "screen", when=END)
    lecture.clock = END + 2 * MINUTE
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 1)
    assert lecture.row().watched_until is None  # nothing is missing


@ON_SQLITE
def test_media_that_has_come_meanwhile_is_used_when_it_is_due(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    lecture.clock = END + 5 * MINUTE
    assert lecture.work() == "waiting"
    come(lecture, "screen", 6, 6, when=END + 20 * MINUTE)
    lecture.clock = DUE
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE


@ON_SQLITE
def test_a_file_that_still_grows_when_it_is_due_is_waited_for(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    growing = come(lecture, "screen", 6, 6, when=DUE - seconds(10))
    lecture.clock = DUE
    for _ in range(3):
        assert lecture.work() == "waiting"
        assert lecture.row().run_after == lecture.clock + 10 * MINUTE
        lecture.clock += 10 * MINUTE
        changed(growing, lecture.clock - seconds(10))
    assert lecture.row().tries == 0
    changed(growing, lecture.clock - 2 * MINUTE)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE


@ON_SQLITE
def test_a_file_that_grows_for_ever_is_not_waited_for_for_ever(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    growing = come(lecture, "screen", 6, 6, when=DUE - seconds(10))
    lecture.clock = DUE
    while lecture.work() == "waiting":
        lecture.clock = lecture.row().run_after
        changed(growing, lecture.clock - seconds(10))
    assert lecture.clock == DUE + 3 * HOUR
    assert lecture.row().status == "delivered"
    assert seen_right(lecture) == HALF
    assert lecture.row().watched_until == DUE + 7 * DAY
    # It ends at last, and is looked at like any other that came late.
    changed(growing, lecture.clock)
    lecture.clock += HOUR
    assert look_for_late(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE


def test_media_that_never_comes(lecture: Site) -> None:
    """Looked for when it is due, three hours later, and the next morning; then somebody must act."""
    lecture.clock = DUE
    tries: Sequence[datetime] = (
        DUE + 3 * HOUR,
        datetime(2026, 11, 21, 7, tzinfo=MOSCOW).astimezone(UTC),
    )
    for at in tries:
        assert lecture.work() == "put off"
        row = lecture.row()
        assert (row.status, row.error_code, row.run_after) == ("queued", "no_media", at)
        lecture.clock = at - seconds(1)
        assert lecture.claim() is None
        lecture.clock = at
    assert lecture.work() == "failed"
    row = lecture.row()
    assert (row.status, row.error_code, row.done) == ("failed", "no_media", 1)
    assert row.error_text is not None and row.error_text.startswith(
        "no media of speaker, screen in room '504' between 2026-11-20T10:00:00+03:00"
        " and 2026-11-20T10:00:12+03:00"
    )
    assert not lecture.merged.exists() or not list(lecture.merged.iterdir())
    lecture.clock += DAY
    assert lecture.work() is None
    assert look_for_late(lecture.service, lecture.clock) == []


@ON_SQLITE
def test_media_that_comes_in_the_night_is_merged_in_the_morning(lecture: Site) -> None:
    lecture.clock = DUE
    for _ in range(2):
        assert lecture.work() == "put off"
        lecture.clock = lecture.row().run_after
    come(lecture, "speaker", when=lecture.clock - HOUR)
    come(lecture, "screen", when=lecture.clock - HOUR)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 1)


# --- what comes late ------------------------------------------------------------------------------


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
    assert told["events"][5]["text"] == "media of screen came late: made again"
    assert told["events"][-1]["text"].startswith("version 2 delivered")
    tidy(lecture.service, lecture.clock)
    attempts = list((lecture.settings.data / "records" / "1").glob("attempt-*"))
    assert [path.name for path in attempts] == ["attempt-2"]
    lecture.clock += DAY
    assert look_for_late(lecture.service, lecture.clock) == []


def test_late_media_that_may_not_be_all_is_taken_once_it_is_stable(lecture: Site) -> None:
    """Three of the screen's files were missing; one after the other comes, and one never."""
    come(lecture, "speaker", when=END)
    come(lecture, "screen", 0, 3, when=END)
    lecture.clock = DUE
    assert lecture.work() == "delivered"
    lecture.clock += HOUR
    come(lecture, "screen", 3, 3, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == []
    lecture.clock += 59 * MINUTE
    assert look_for_late(lecture.service, lecture.clock) == []
    come(lecture, "screen", 9, 3, when=lecture.clock - 2 * MINUTE)  # another: the hour begins anew
    assert look_for_late(lecture.service, lecture.clock) == []
    lecture.clock += 59 * MINUTE
    assert look_for_late(lecture.service, lecture.clock) == []
    delivered(lecture, 1)
    lecture.clock += MINUTE
    assert look_for_late(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == [True] * 6 + [False] * 3 + [True] * 3
    delivered(lecture, 2)
    assert lecture.row().watched_until == DUE + 7 * DAY  # there is a gap still
    lecture.clock += DAY
    assert look_for_late(lecture.service, lecture.clock) == []
    come(lecture, "screen", 6, 3, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == [1]  # now it is complete
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 3)


@ON_SQLITE
def test_a_late_file_that_still_grows_is_not_taken(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    growing = come(lecture, "screen", 6, 6, when=lecture.clock - seconds(10))
    for _ in range(12):
        assert look_for_late(lecture.service, lecture.clock) == []
        lecture.clock += 10 * MINUTE
        changed(growing, lecture.clock - seconds(10))
    lecture.clock += 10 * MINUTE
    assert look_for_late(lecture.service, lecture.clock) == [1]


@ON_SQLITE
def test_media_where_nothing_is_missing_changes_nothing(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    inode = merge_of(lecture).stat().st_ino
    lecture.clock += HOUR
    come(lecture, "speaker", 2, 3, when=lecture.clock - 2 * MINUTE)
    come(lecture, "screen", 1, 4, when=lecture.clock - 2 * MINUTE)
    for _ in range(20):
        assert look_for_late(lecture.service, lecture.clock) == []
        lecture.clock += HOUR
    assert merge_of(lecture).stat().st_ino == inode
    delivered(lecture, 1)


@ON_SQLITE
def test_after_seven_days_nobody_looks_any_more(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock = DUE + 7 * DAY - HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, DUE + 7 * DAY) == []
    assert look_for_late(lecture.service, DUE + 7 * DAY - seconds(1)) == [1]


@ON_SQLITE
def test_a_record_that_was_made_late_is_watched_no_longer_than_others(lecture: Site) -> None:
    all_but_half_the_screen(lecture)
    lecture.clock = DUE + 8 * DAY
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == HALF
    assert lecture.row().watched_until is None


@dataclasses.dataclass(frozen=True)
class Stumbling:
    """A recorder that finds, and cannot bring."""

    real: Recorder

    @property
    def settle(self) -> timedelta:
        return self.real.settle

    def check(self, source: Any) -> None:
        self.real.check(source)

    def find(self, *arguments: Any) -> Found:
        return self.real.find(*arguments)

    def collect(self, *_: Any) -> list[Collected]:
        raise Broken("source_permission", "the camera's password was changed")


def cannot_collect(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = site.recorder_of
    monkeypatch.setattr(site, "recorder_of", lambda kind: Stumbling(real(kind)))


def cannot_encode(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(place: str) -> None:
        if place == "encode.part":
            raise Broken("encoder", "no encoder works any more")

    monkeypatch.setattr(failpoints, "hook", stumble)


Stumble = Callable[[Site, pytest.MonkeyPatch], None]


@pytest.mark.parametrize(
    ("stumble", "words"),
    [(cannot_collect, "password was changed"), (cannot_encode, "no encoder works")],
    ids=["collecting", "encoding"],
)
def test_a_version_that_fails_leaves_people_what_they_have(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, stumble: Stumble, words: str
) -> None:
    """And it is not tried again and again, but once more when yet other media comes."""
    deliver_with_a_gap(lecture)
    inode = merge_of(lecture).stat().st_ino
    lecture.clock += HOUR
    come(lecture, "screen", 6, 3, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == []
    lecture.clock += 2 * HOUR
    assert look_for_late(lecture.service, lecture.clock) == [1]
    with monkeypatch.context() as patched:
        stumble(lecture, patched)
        assert lecture.work() == "failed"
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version, row.done) == ("delivered", 1, 1, 1)
    assert words in (row.error_text or "")
    assert merge_of(lecture).stat().st_ino == inode
    assert seen_right(lecture) == HALF
    for _ in range(24):
        lecture.clock += HOUR
        assert look_for_late(lecture.service, lecture.clock) == []
        assert lecture.work() is None
    come(lecture, "screen", 9, 3, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_version_that_failed_is_made_when_somebody_says_so(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == [1]
    with monkeypatch.context() as patched:
        cannot_encode(lecture, patched)
        assert lecture.work() == "failed"
    assert lecture.command("retry", "1").returncode == 0
    lecture.clock = max(lecture.clock, lecture.row().run_after)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_version_that_is_cancelled_leaves_people_what_they_have(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == [1]
    assert lecture.said("cancel", "1") == {"id": 1, "status": "delivered"}
    assert lecture.work() is None
    assert look_for_late(lecture.service, lecture.clock) == []
    assert seen_right(lecture) == HALF
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 1, 1)


@ON_SQLITE
def test_a_source_that_is_away_says_nothing_about_late_media(lecture: Site) -> None:
    """Nor does a room whose sources are no longer as they were."""
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    library = lecture.library().library
    library.rename(library.with_name("elsewhere"))
    assert look_for_late(lecture.service, lecture.clock) == []
    library.with_name("elsewhere").rename(library)
    assert look_for_late(lecture.service, lecture.clock) == [1]


@ON_SQLITE
def test_what_was_collected_is_used_though_the_library_has_it_no_more(lecture: Site) -> None:
    """A recorder that keeps its files for a day must not make the second version worse."""
    deliver_with_a_gap(lecture)
    for path in lecture.library().library.iterdir():
        path.unlink()
    lecture.clock += 2 * DAY
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == []
    lecture.clock += HOUR
    assert look_for_late(lecture.service, lecture.clock) == [1]
    tidy(lecture.service, lecture.clock)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_source_is_removed_before_media_comes_late(lecture: Site) -> None:
    """What the room has no more is not shown, nor heard; the rest is."""
    deliver_with_a_gap(lecture)
    lecture.clock += HOUR
    come(lecture, "screen", 6, 6, when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, lecture.clock) == [1]

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
    assert look_for_late(site.service, site.clock) == [1]
    assert site.work() == "delivered"
    assert pitch(sound_of(merge_of(site)), 5.01) == pytest.approx(PITCHES["audio"], abs=5)
    delivered(site, 2)
    site.clock += HOUR
    assert look_for_late(site.service, site.clock) == []


def test_media_of_a_record_that_failed_for_want_of_any(lecture: Site) -> None:
    """It is made after all, as its first version; media that comes after seven days is too late."""
    lecture.clock = DUE
    while lecture.work() == "put off":
        lecture.clock = lecture.row().run_after
    assert lecture.row().status == "failed"
    lecture.clock += 2 * DAY
    assert look_for_late(lecture.service, lecture.clock) == []
    come(lecture, "speaker", when=lecture.clock - 2 * MINUTE)
    come(lecture, "screen", when=lecture.clock - 2 * MINUTE)
    assert look_for_late(lecture.service, DUE + 7 * DAY) == []
    assert look_for_late(lecture.service, lecture.clock) == [1]
    row = lecture.row()
    assert (row.status, row.version, row.error_code, row.done) == ("queued", 1, None, 0)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 1)
    assert lecture.row().watched_until is None
