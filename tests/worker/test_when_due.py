"""When a record is made: at once, at its end, or when there was patience enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from merger.daemon.late_media import find_late_media
from tests.conftest import MOSCOW, seconds
from tests.daemon.late_lecture import (
    DAY,
    DUE,
    END,
    HALF,
    HOUR,
    MINUTE,
    WHOLE,
    all_but_half_the_screen,
    changed,
    come,
    delivered,
    seen_right,
    waiting_lecture,
)
from tests.support.databases import ON_SQLITE
from tests.support.line import reason
from tests.support.site import Site
from tests.support.stumbling import cannot_reach


@pytest.fixture
def lecture(site: Site) -> Site:
    return waiting_lecture(site)


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
        "waiting", "waiting for media from screen until 2026-11-20 11:30",
    )  # fmt: skip
    lecture.clock = DUE - seconds(1)
    assert lecture.claim() is None
    lecture.clock = DUE
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == HALF


@ON_SQLITE
def test_a_share_that_was_away_and_is_back_is_only_waited_for(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_but_half_the_screen(lecture)
    lecture.clock = END + 5 * MINUTE
    with monkeypatch.context() as patched:
        cannot_reach(lecture, patched)
        assert lecture.work() == "deferred"
    lecture.clock = lecture.row().run_after
    assert lecture.work() == "waiting"
    row = lecture.row()
    assert (row.error_code, row.error_message, row.tries) == (None, None, 0)


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
    assert find_late_media(lecture.service, lecture.clock) == [1]
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
        assert lecture.work() == "deferred"
        row = lecture.row()
        assert (row.status, row.error_code, row.run_after) == ("queued", "no_media", at)
        lecture.clock = at - seconds(1)
        assert lecture.claim() is None
        lecture.clock = at
    assert lecture.work() == "failed"
    row = lecture.row()
    assert (row.status, row.error_code, row.done) == ("failed", "no_media", 1)
    assert reason(row).startswith(
        "no media from speaker, screen in room '504' between 2026-11-20T10:00:00+03:00"
        " and 2026-11-20T10:00:12+03:00"
    )
    assert not lecture.merged.exists() or not list(lecture.merged.iterdir())
    lecture.clock += DAY
    assert lecture.work() is None
    assert find_late_media(lecture.service, lecture.clock) == []


@ON_SQLITE
def test_media_that_comes_in_the_night_is_merged_in_the_morning(lecture: Site) -> None:
    lecture.clock = DUE
    for _ in range(2):
        assert lecture.work() == "deferred"
        lecture.clock = lecture.row().run_after
    come(lecture, "speaker", when=lecture.clock - HOUR)
    come(lecture, "screen", when=lecture.clock - HOUR)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 1)
