"""Late media that is tried: versions that come to nothing, and media that cannot be brought yet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merger.daemon.late_media import find_late_media
from merger.errors import Temporary
from merger.ports.recorder import Collected
from recorders.folder.source import Folder
from tests.conftest import START, seconds
from tests.daemon.late_lecture import (
    DAY,
    DUE,
    HALF,
    HOUR,
    LENGTH_S,
    MINUTE,
    WHOLE,
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
from tests.support.line import reason
from tests.support.site import Site
from tests.support.stumbling import Stumble, cannot_collect, cannot_encode, cannot_find

AWAY = Temporary("source_away", "the share is away")


@pytest.fixture
def lecture(site: Site) -> Site:
    return waiting_lecture(site)


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
    assert find_late_media(lecture.service, lecture.clock) == []
    lecture.clock += 2 * HOUR
    assert find_late_media(lecture.service, lecture.clock) == [1]
    with monkeypatch.context() as patched:
        stumble(lecture, patched)
        assert lecture.work() == "failed"
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version, row.done) == ("delivered", 1, 1, 1)
    assert words in reason(row)
    assert merge_of(lecture).stat().st_ino == inode
    assert seen_right(lecture) == HALF
    for _ in range(24):
        lecture.clock += HOUR
        assert find_late_media(lecture.service, lecture.clock) == []
        assert lecture.work() is None
    come(lecture, "screen", 9, 3, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_version_that_failed_is_made_when_somebody_says_so(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    with monkeypatch.context() as patched:
        cannot_encode(lecture, patched)
        assert lecture.work() == "failed"
    assert lecture.run("retry", "1").returncode == 0
    lecture.clock = max(lecture.clock, lecture.row().run_after)
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_a_version_that_is_cancelled_leaves_people_what_they_have(lecture: Site) -> None:
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.said("cancel", "1") == {"id": 1, "status": "delivered"}
    assert lecture.work() is None
    assert find_late_media(lecture.service, lecture.clock) == []
    assert seen_right(lecture) == HALF
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 1, 1)


@ON_SQLITE
def test_a_source_that_is_away_says_nothing_about_late_media(lecture: Site) -> None:
    """Nor does a room whose sources are no longer as they were."""
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    library = lecture.library().library
    library.rename(library.with_name("elsewhere"))
    assert find_late_media(lecture.service, lecture.clock) == []
    library.with_name("elsewhere").rename(library)
    assert find_late_media(lecture.service, lecture.clock) == [1]


@ON_SQLITE
def test_a_source_that_is_away_does_not_hold_up_the_others(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is away, what was collected at first is used."""
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    with monkeypatch.context() as patched:
        cannot_find(patched, AWAY, "speaker")
        assert find_late_media(lecture.service, lecture.clock) == []  # more may come with it
        lecture.clock += HOUR
        assert find_late_media(lecture.service, lecture.clock) == [1]
        while (outcome := lecture.work()) == "deferred":
            lecture.clock = lecture.row().run_after
    assert outcome == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_late_media_whose_share_is_away_when_it_is_to_be_brought(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No version is made without what it is made for; when the share is back, it is."""
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    with monkeypatch.context() as patched:
        cannot_find(patched, AWAY, "screen")
        while (outcome := lecture.work()) == "deferred":
            lecture.clock = lecture.row().run_after
        assert outcome == "failed"
    delivered_with_error = lecture.row()
    assert (delivered_with_error.status, delivered_with_error.version) == ("delivered", 1)
    lecture.clock += HOUR
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 2)


@ON_SQLITE
def test_late_media_that_cannot_be_brought_at_first(lecture: Site) -> None:
    """It is not what its note says: somebody may be changing it. Later it is taken as it is."""
    deliver_with_a_gap(lecture)
    path = what_is_missing_comes(lecture, 4 * HOUR)
    said = {"start": (START + seconds(6)).isoformat(), "sha256": "0" * 64}
    path.with_suffix(".json").write_text(json.dumps(said))
    changed(path.with_suffix(".json"), lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == HALF
    assert find_late_media(lecture.service, lecture.clock) == []
    lecture.clock += HOUR
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    assert seen_right(lecture) == WHOLE
    delivered(lecture, 3)
    lecture.clock += HOUR
    assert find_late_media(lecture.service, lecture.clock) == []


@ON_SQLITE
def test_late_media_that_can_never_be_brought_makes_few_versions(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_with_a_gap(lecture)
    what_is_missing_comes(lecture, 4 * HOUR)
    real = Folder.collect

    def collect(*asked: Any) -> list[Collected]:
        return [one for one in real(*asked) if "10-00-06" not in one.path.name]

    monkeypatch.setattr(Folder, "collect", collect)
    versions = 0
    while look_until(lecture):
        assert lecture.work() == "delivered"
        versions += 1
    assert versions == 8  # after 0, 1, 2, 4, … 64 hours


def look_until(site: Site) -> bool:
    """Look every hour for late media, until there is some, or nobody looks any more."""
    while not find_late_media(site.service, site.clock):
        site.clock += HOUR
        if site.clock > DUE + 7 * DAY:
            return False
    return True


@ON_SQLITE
def test_somebody_asks_anew_for_what_has_failed(lecture: Site) -> None:
    """Its media comes late: one video is made."""
    lecture.clock = DUE
    while lecture.work() == "deferred":
        lecture.clock = lecture.row().run_after
    assert lecture.ask(LENGTH_S) == 2
    while lecture.work() == "deferred":
        lecture.clock = lecture.row(2).run_after
    assert [lecture.row(n).status for n in (1, 2)] == ["failed", "failed"]
    for source in ("speaker", "screen"):
        come(lecture, source, when=lecture.clock - 2 * MINUTE)
    assert find_late_media(lecture.service, lecture.clock) == [1]
    assert lecture.work() == "delivered"
    lecture.clock += HOUR
    assert find_late_media(lecture.service, lecture.clock) == []
    assert len(list(lecture.merged.glob("*"))) == 2
