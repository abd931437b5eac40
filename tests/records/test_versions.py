"""Another version by hand: what takes the place of what, what it costs, and when there may be one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from merger import failpoints
from merger.daemon.retention import remove_expired
from merger.db.engine import writing
from merger.errors import Temporary
from merger.records import actions
from merger.records.browse import files
from merger.timeline.clock import utc
from models import Source
from tests.conftest import START, seconds
from tests.records.versions import (
    FILMED_S,
    FROM_S,
    LARGE,
    UNTIL_S,
    again,
    check_version,
    delivered_lecture,
    filmed_lecture,
    in_the_folder,
    names_in_the_ledger,
    refused,
    wanted,
)
from tests.support.aftermath import LATER, check_only, rows
from tests.support.databases import ON_SQLITE
from tests.support.line import reason
from tests.support.site import Site
from tests.support.stumbling import Stumble, cannot_deliver, cannot_encode


@pytest.fixture
def lecture(site: Site) -> Site:
    return delivered_lecture(site)


@contextmanager
def counting(site: Site) -> Iterator[Counter[str]]:
    """Count what is encoded meanwhile, by the kinds of files that the cache gets."""

    def cached() -> set[Path]:
        return set(site.settings.cache.glob("??/*.m??"))

    counted: Counter[str] = Counter()
    before = cached()
    yield counted
    counted.update(path.name.partition(".")[2] for path in cached() - before)


PART = {"merge.mp4": 1, "backup.mp4": 1}
SOUND = {"m4a": 1}


# --- another version ------------------------------------------------------------------------------


def test_another_layout_takes_the_place_of_the_first_in_one_step(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_version(lecture, 1)
    names, first = names_in_the_ledger(lecture), in_the_folder(lecture)
    again(lecture, layout="screen_large")
    row = lecture.row()
    assert wanted(row)[0] == "screen_large"
    assert (row.status, row.stage, row.version, row.delivered_version) == (
        "queued",
        "collect",
        2,
        1,
    )
    assert in_the_folder(lecture) == first
    seen: list[tuple[str, bytes]] = []

    def look(place: str) -> None:
        there = in_the_folder(lecture)
        assert set(there) == set(first)  # under these names, always, and nothing beside
        seen.append((place, there[names["merge"]]))

    monkeypatch.setattr(failpoints, "hook", look)
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    places = [place for place, _ in seen]
    assert places.count("encode.part") == 2 and encoded["m4a"] == 0  # the sound is the same
    shown = [data for _, data in seen]
    assert len(set(shown)) == 2
    switched = shown.index(in_the_folder(lecture)[names["merge"]])
    assert shown == [first[names["merge"]]] * switched + [shown[-1]] * (len(seen) - switched)
    assert places[switched - 1] == "folder.confirmed"
    check_version(lecture, 2, left_px=LARGE)
    assert names_in_the_ledger(lecture) == names
    assert lecture.events()[-5:] == ["remerged", "claimed", "sent", "sent", "delivered"]
    check_only(lecture, lecture.clock)


@pytest.mark.parametrize("until_s", [UNTIL_S - 3, FILMED_S])
def test_another_end_costs_the_last_part_and_the_sound(lecture: Site, until_s: float) -> None:
    names = names_in_the_ledger(lecture)
    again(lecture, end=utc(START + seconds(until_s)))
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {**PART, **SOUND}
    check_version(lecture, 2, until_s)
    assert names_in_the_ledger(lecture) == names


@ON_SQLITE
def test_back_to_what_it_was_costs_nothing(lecture: Site) -> None:
    """Meanwhile there was no backup, neither in the ledger nor in the folder."""
    first, names = in_the_folder(lecture), names_in_the_ledger(lecture)
    again(lecture, layout="speaker_only")
    assert lecture.work() == "delivered"
    check_version(lecture, 2, kinds=("merge",), left_px=320)
    again(lecture, layout="side_by_side")
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {}
    check_version(lecture, 3)
    assert (in_the_folder(lecture), names_in_the_ledger(lecture)) == (first, names)
    check_only(lecture, lecture.clock)


@ON_SQLITE
def test_the_same_again_is_a_version_that_costs_nothing(lecture: Site) -> None:
    again(lecture)
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {}
    check_version(lecture, 2)


# --- when there may be another --------------------------------------------------------------------


def test_a_record_that_is_not_done_is_not_made_again(lecture: Site) -> None:
    again(lecture, layout="screen_large")
    for status in ("queued", "running"):
        assert lecture.row().status == status
        before = rows(lecture)
        assert refused(lambda: again(lecture, layout="side_by_side")) == "status"
        assert rows(lecture) == before
        lecture.claim()


@ON_SQLITE
def test_what_makes_no_sense_changes_nothing(lecture: Site) -> None:
    before = rows(lecture)
    late = utc(START + seconds(FROM_S - 1))
    for code, changes in (
        ("layout", {"layout": "three_in_a_row"}), ("profile", {"profile": "4k"}),
        ("end", {"end": late}), ("record", {"only_of": 17}),
    ):  # fmt: skip
        assert refused(lambda changes=changes: again(lecture, **changes)) == code
    assert refused(lambda: actions.remerge(lecture.engine, 2, lecture.clock)) == "record"
    assert rows(lecture) == before


def failed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        cannot_encode(site, patched)
        assert site.work() == "failed"


def cancelled(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert actions.cancel(site.engine, 1, site.clock) == "cancelled"


def undeliverable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        cannot_deliver(site, patched)
        assert site.work() == "failed"


@ON_SQLITE
@pytest.mark.parametrize("end", [failed, cancelled, undeliverable])
def test_a_record_that_came_to_nothing_is_made_otherwise(
    site: Site, monkeypatch: pytest.MonkeyPatch, end: Stumble
) -> None:
    """It stays the first version; and a file that was taken out meanwhile does not come back."""
    filmed_lecture(site)
    bad = site.film("screen", FROM_S + 1, 2)
    site.ask(UNTIL_S, FROM_S)
    end(site, monkeypatch)
    bad.unlink()
    again(site, layout="screen_large")
    row = site.row()
    assert (row.status, row.version, row.delivered_version, row.delivered_as) == (
        "queued",
        1,
        None,
        None,
    )
    assert refused(lambda: files.rendition_file(site.engine, 1, "merge")) == "rendition"
    assert site.work() == "delivered"
    check_version(site, 1, left_px=LARGE)
    media = site.row().media
    assert media is not None and len(media["items"]["screen"]) == 1
    check_only(site, site.clock + LATER)


# --- what is there to make it of ------------------------------------------------------------------


def replace_sources(site: Site) -> None:
    """The room has other sources now, that have nothing of that time."""

    def change(session: Session) -> None:
        session.execute(delete(Source))
        for role in ("speaker", "screen"):
            address = f"{site.library().library}#504_new{role}"
            session.add(Source(room_id=1, name=f"new {role}", role=role, kind="folder",
                               address=address))  # fmt: skip

    writing(site.engine, change)


@ON_SQLITE
def test_slates_never_take_the_place_of_a_video(lecture: Site) -> None:
    first = in_the_folder(lecture)
    replace_sources(lecture)
    again(lecture, layout="screen_large")
    while (outcome := lecture.work()) == "deferred":
        lecture.clock = lecture.row().run_after
    assert outcome == "failed"
    assert in_the_folder(lecture) == first
    assert "no media from new speaker, new screen" in reason(lecture.row())


@ON_SQLITE
def test_sources_that_get_other_names_before_a_record_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed_lecture(site)
    site.ask(UNTIL_S, FROM_S)
    with monkeypatch.context() as patched:
        cannot_encode(site, patched, Temporary("memory", "there was not enough memory"))
        assert site.work() == "deferred"

    def rename(session: Session) -> None:
        for source in session.scalars(select(Source)):
            source.name = f"the {source.name}"

    writing(site.engine, rename)
    site.clock = site.row().run_after
    assert site.work() == "delivered"
    check_version(site, 1)


@ON_SQLITE
@pytest.mark.parametrize("how", ["retry", "remerge"])
def test_what_was_collected_is_used_where_nothing_is_left(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The library kept its files for two days; somebody mended the encoder after three."""
    filmed_lecture(site)
    site.ask(UNTIL_S, FROM_S)
    failed(site, monkeypatch)
    for path in site.library().library.iterdir():
        path.unlink()
    site.clock += timedelta(days=3)
    remove_expired(site.service, site.clock)
    getattr(actions, how)(site.engine, 1, site.clock)
    assert site.work() == "delivered"
    check_version(site, 1)
