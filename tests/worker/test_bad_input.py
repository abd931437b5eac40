"""Rows that make no sense: refused with a sentence for their owner, and no obstacle to others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.orm import Session

from merger.daemon.late_media import find_late_media
from merger.daemon.retention import remove_expired
from merger.db.engine import writing
from merger.timeline.clock import utc
from models import Room
from tests.conftest import START, seconds
from tests.render.test_time import check_instants
from tests.support.aftermath import merge_of
from tests.support.databases import ON_SQLITE
from tests.support.filmed import DAY, HOUR, filmed_room, in_room, put, source
from tests.support.line import reason
from tests.support.selection import BOTH_DATABASES
from tests.support.site import LENGTH_S, Site
from tests.support.truth import frames_seen


@pytest.fixture
def filmed(site: Site) -> Site:
    return filmed_room(site)


def without_room(site: Site) -> int:
    site.add_room("demolished")
    record = put(site, "demolished")
    writing(site.engine, lambda s: s.execute(delete(Room).where(Room.name == "demolished")))
    return record


def with_source(**changes: Any) -> Callable[[Site], int]:
    def make(site: Site) -> int:
        record = in_room()(site)
        source(site, "odd", **changes)
        return record

    return make


def with_row(**changes: Any) -> Callable[[Site], int]:
    return lambda site: put(site, **changes)


BAD: dict[str, tuple[Callable[[Site], int], str, str]] = {
    "no time": (
        with_row(end_at=utc(START)), "end", "the recording ends (2026-11-20T07:00:00+00:00) before it starts",
    ),
    "ends before it starts": (
        with_row(end_at=utc(START - HOUR)), "end", "ends (2026-11-20T06:00:00+00:00) before it starts (2026-11-20T07",
    ),
    "more than a day": (with_row(end_at=utc(START + DAY + seconds(1))), "end", "a recording can be at most 24 hours long"),
    "another millennium": (
        with_row(start_at=datetime(1066, 1, 1, tzinfo=utc(START).tzinfo)), "start", "the recording starts in the year 1066",
    ),
    "no room": (without_room, "room", "the room of this recording no longer exists"),
    "no speaker": (
        in_room(("screen", "board")), "speaker", "room 'odd' has no source with the role speaker; add one to the room",
    ),
    "no source at all": (in_room(()), "speaker", "room 'odd' has no source with the role speaker"),
    "unknown layout": (with_row(layout="pyramid"), "layout", "'pyramid' is not one of side_by_side"),
    "unknown profile": (with_row(profile="8k"), "profile", "'8k' is not one of"),
    "unknown zone": (with_row(zone="Mars/Olympus"), "zone", "'Mars/Olympus' is not a time zone; write it like Europe/Moscow"),
    "a zone that is a path": (with_row(zone="../../etc/passwd"), "zone", "is not a time zone"),
    "unknown kind": (with_source(kind="pigeon"), "kind", "there is no kind of source 'pigeon'; the choices are drive, folder"),
    "mistyped kind": (with_source(kind="foldr"), "kind", "there is no kind of source 'foldr'; did you mean 'folder'?"),
    "an address of another kind": (
        with_source(address="rtsp://camera/1"), "address", "source 'screen': the address 'rtsp://camera/1' is not an absolute path; mount the share",
    ),
    "no address": (with_source(address=""), "address", "source 'screen': the address '' is not an absolute path"),
    "credentials for nothing": (
        with_source(credentials="sehr-geheim"), "credentials", "source 'screen': the kind folder needs no credentials; remove them",
    ),
    "heard from nobody": (in_room(sound_source="mic"), "sound_source", "room 'odd' takes its sound from 'mic', which it does not have"),
    "chunks of nothing": (in_room(chunk_s=0), "chunk", "room 'odd' checks for presentations every 0 s"),
    "decides by the moon": (in_room(decide="moon"), "decide", "'moon' is not one of instant, chunk"),
    "chunks of less than nothing": (in_room(chunk_s=-1), "chunk", "room 'odd' checks for presentations every -1 s"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_fails_at_once_with_a_sentence(site: Site, what: str) -> None:
    make, code, words = BAD[what]
    site.add_room()
    record = make(site)
    assert site.work() == "failed"
    row = site.row(record)
    assert (row.status, row.done, row.processing, row.attempt) == ("failed", 1, 0, 1)
    assert row.error_code == code
    assert words in reason(row)
    assert "mistake" not in reason(row) and "geheim" not in reason(row)
    assert site.work() is None
    assert site.events(record) == ["claimed", "failed"]


def test_bad_rows_do_not_keep_a_good_one_from_its_turn(filmed: Site) -> None:
    """All of them at once, and before it; the commands show them like any other."""
    for number, (make, _, _) in enumerate(BAD.values()):
        make(filmed)

        def rename(session: Session, number: int = number) -> None:
            odd = update(Room).where(Room.name == "odd")
            session.execute(odd.values(name=f"odd {number}"))

        writing(filmed.engine, rename)
    good = filmed.ask(LENGTH_S - 1)  # that of a row above would be the same record
    outcomes = []
    while (outcome := filmed.work()) is not None:
        outcomes.append(outcome)
    assert sorted(outcomes) == ["delivered"] + ["failed"] * len(BAD)
    assert filmed.row(good).status == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
    assert find_late_media(filmed.service, filmed.clock) == []
    remove_expired(filmed.service, filmed.clock)
    listed = filmed.said("records", "--limit", "100")["records"]
    assert [record["id"] for record in listed] == list(range(1, good + 1))
    done = filmed.run("records", "--limit", "100")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 + good
    for record, (_, code, _) in enumerate(BAD.values(), 1):
        assert filmed.details(record)["error"]["code"] == code
    for shown in (["show", "10"], ["show", "4"], ["show", str(good), "--json"]):
        done = filmed.run(*shown)
        assert done.returncode == 0, done.stderr


@ON_SQLITE
def test_what_was_put_right_can_be_tried_again(filmed: Site) -> None:
    source(filmed, "504", kind="foldr")
    record = filmed.ask()
    assert filmed.work() == "failed"
    source(filmed, "504", kind="folder")
    assert filmed.work() is None  # nobody tries by himself
    assert filmed.run("retry", str(record)).returncode == 0
    filmed.clock = max(filmed.clock, filmed.row().run_after)
    assert filmed.work() == "delivered"
    assert filmed.row().error_code is None


@BOTH_DATABASES
def test_a_row_of_another_program_is_a_record_like_any_other(filmed: Site) -> None:
    """Written in plain SQL, with no more than a row must have."""
    start, end = (utc(START + seconds(s)).replace(tzinfo=None) for s in (0, LENGTH_S))
    with filmed.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO records (room_id, start_at, end_at, zone, event_name, layout, profile,"
                " created_at, updated_at, run_after) VALUES (1, :start, :end, 'Europe/Moscow',"
                " 'Lecture', 'side_by_side', 'tiny', :start, :start, :end)"
            ),
            {"start": str(start), "end": str(end)},
        )
    row = filmed.row()
    assert (row.status, row.done, row.processing, row.attempt, row.version) == (
        "queued",
        0,
        0,
        0,
        1,
    )
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
