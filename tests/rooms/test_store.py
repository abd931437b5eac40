"""Rooms of a file into the tables and out again, on each kind of database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, event, func, insert, select, update
from sqlalchemy.exc import OperationalError

from merger.accounts.room_policy import RoomPolicy
from merger.db.engine import reading, writing
from merger.errors import Broken, Conflict
from merger.i18n import render
from merger.rooms import store
from merger.rooms.spec import RoomSpec, SourceSpec
from merger.rooms.store import apply_rooms, differences, removals, rooms_document, stored_rooms
from merger.rooms.yaml_file import parse_rooms
from models import Record, Room, Segment, Source
from tests.support.databases import ON_MARIADB, ON_SQLITE
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CAMERA = SourceSpec("camera", "speaker", "folder", "/srv/recordings")
SLIDES = SourceSpec("slides", "screen", "folder", "/srv/recordings#504_slides")
BOARD = SourceSpec("board", "board", "folder", "/srv/recordings", "geheim")
ROOM = RoomSpec("504", "Europe/Moscow", sources=(CAMERA, BOARD))
HALL = RoomSpec("Актовый зал", "Asia/Tokyo", 600, "camera", "0AbC", "a@b", (CAMERA, SLIDES))
OWN = RoomSpec(
    "OWN", "UTC", early_s=0, late_s=3600, mails=False, uploads_raw=True,
    requesters=RoomPolicy("named", ("ada@example.org", "@example.edu")),
    watchers=RoomPolicy("everybody"), papers=True,
)  # fmt: skip


def rows(engine: Engine, *columns: Any) -> list[tuple[Any, ...]]:
    with reading(engine) as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(*columns))]


def applied(engine: Engine, *specs: RoomSpec) -> list[str]:
    """Apply rooms; check that a dry run says the same, and that nothing is left to do."""
    foreseen = differences(engine, specs)
    changes = apply_rooms(engine, specs, may_remove=True)
    assert changes == foreseen
    assert differences(engine, specs) == []
    words = [str(change) for change in changes]
    assert not any("geheim" in text for text in words)
    return words


def test_rooms_are_added(engine: Engine) -> None:
    assert applied(engine, ROOM, HALL) == [
        "added room '504' (Europe/Moscow, chunks of 30m)",
        "added source 'camera' to room '504' (speaker, folder '/srv/recordings')",
        "added source 'board' to room '504' (board, folder '/srv/recordings', with credentials)",
        "added room 'Актовый зал' (Asia/Tokyo, chunks of 10m)",
        "added source 'camera' to room 'Актовый зал' (speaker, folder '/srv/recordings')",
        "added source 'slides' to room 'Актовый зал' (screen, folder '/srv/recordings#504_slides')",
    ]
    assert stored_rooms(engine) == [ROOM, HALL]
    assert rows(engine, Source.credentials) == [(None,)] * 3 + [("geheim",)]


def test_a_dry_run_writes_nothing(engine: Engine) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert differences(engine, [ROOM])
    assert {s.split()[0] for s in statements} <= {"BEGIN", "SELECT"}
    assert stored_rooms(engine) == []


def test_the_second_time_nothing_happens(engine: Engine) -> None:
    applied(engine, ROOM, HALL)
    before = rows(engine, Source.id, Source.room_id, Source.name)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert apply_rooms(engine, [HALL, ROOM]) == []
    assert not any(s.startswith(("INSERT", "UPDATE", "DELETE")) for s in statements)
    assert rows(engine, Source.id, Source.room_id, Source.name) == before


def test_a_room_is_changed(engine: Engine) -> None:
    applied(engine, HALL)
    changed = RoomSpec(
        "Актовый зал", "Europe/Moscow", 7200, None, "0XyZ", None, HALL.sources,
        early_s=0, late_s=90, mails=False, uploads_raw=True, watchers=RoomPolicy("editors"),
        papers=True, default_course="MISC", unmatched="ignore", shortest_s=90, decide="chunk",
        shows_both=True, both_after_s=90,
    )  # fmt: skip
    assert applied(engine, changed) == [
        "changed zone of room 'Актовый зал' from 'Asia/Tokyo' to 'Europe/Moscow'",
        "changed chunk of room 'Актовый зал' from '10m' to '2h'",
        "changed decide of room 'Актовый зал' from 'instant' to 'chunk'",
        "changed shows_both of room 'Актовый зал' from 'no' to 'yes'",
        "changed both_after of room 'Актовый зал' from '1m' to '90s'",
        "changed early of room 'Актовый зал' from '1m' to '0s'",
        "changed late of room 'Актовый зал' from '2m' to '90s'",
        "changed sound_source of room 'Актовый зал' from 'camera' to nothing",
        "changed drive_folder of room 'Актовый зал' from '0AbC' to '0XyZ'",
        "changed calendar_id of room 'Актовый зал' from 'a@b' to nothing",
        "changed mails of room 'Актовый зал' from 'yes' to 'no'",
        "changed uploads_raw of room 'Актовый зал' from 'no' to 'yes'",
        "changed papers of room 'Актовый зал' from 'no' to 'yes'",
        "changed watchers of room 'Актовый зал' from nothing to 'editors'",
        "changed default_course of room 'Актовый зал' from nothing to 'MISC'",
        "changed unmatched of room 'Актовый зал' from nothing to 'ignore'",
        "changed shortest of room 'Актовый зал' from nothing to '90s'",
    ]
    assert stored_rooms(engine) == [changed]


def test_sources_are_changed_in_their_place(engine: Engine) -> None:
    applied(engine, ROOM)
    ids = dict(rows(engine, Source.name, Source.id))
    board = SourceSpec("board", "audio", "testpattern", "testpattern:", "auch-geheim")
    # The same roles, but for others: nothing of that kind is unique in the tables.
    camera = SourceSpec("camera", "board", "folder", "/srv/recordings", "geheim")
    changed = RoomSpec("504", "Europe/Moscow", sources=(board, camera))
    assert applied(engine, changed) == [
        "changed role of source 'board' of room '504' from 'board' to 'audio'",
        "changed kind of source 'board' of room '504' from 'folder' to 'testpattern'",
        "changed address of source 'board' of room '504' from '/srv/recordings' to 'testpattern:'",
        "changed credentials of source 'board' of room '504'",
        "changed role of source 'camera' of room '504' from 'speaker' to 'board'",
        "added credentials of source 'camera' of room '504'",
    ]
    assert dict(rows(engine, Source.name, Source.id)) == ids
    assert applied(engine, RoomSpec("504", "Europe/Moscow", sources=(CAMERA, board)))[1:] == [
        "removed credentials of source 'camera' of room '504'"
    ]


def test_a_source_that_is_no_longer_listed_is_removed(engine: Engine) -> None:
    applied(engine, ROOM, HALL)
    board = dict(rows(engine, Source.name, Source.id))["board"]
    with engine.begin() as connection:
        connection.execute(
            insert(Segment).values(
                source_id=board, origin="a.mp4", fingerprint="1", start_at=NOON, path="a",
                size_bytes=1, collected_at=NOON,
            )
        )  # fmt: skip
    assert applied(engine, RoomSpec("504", "Europe/Moscow", sources=(SLIDES, CAMERA))) == [
        "added source 'slides' to room '504' (screen, folder '/srv/recordings#504_slides')",
        "removed source 'board' of room '504'; what was collected from it is forgotten",
    ]
    assert rows(engine, func.count(Segment.id)) == [(0,)]
    names = [source.name for source in stored_rooms(engine)[0].sources]
    assert sorted(names) == ["camera", "slides"]
    assert stored_rooms(engine)[1] == HALL


REMOVALS = [
    ([ROOM, HALL], []),
    ([HALL], []),  # a room that is not listed is left alone
    ([replace(ROOM, zone="UTC", sources=(BOARD, SLIDES, CAMERA))], []),
    ([replace(ROOM, sources=(replace(CAMERA, kind="rtsp", address="rtsp://h/1"), BOARD))], []),
    ([replace(ROOM, sources=(CAMERA,))], ["source 'board' of room '504'"]),
    ([replace(ROOM, sources=(CAMERA, replace(BOARD, name="Board")))], ["source 'board' of room '504'"]),
    (
        [replace(ROOM, sources=()), replace(HALL, sources=(CAMERA,))],
        ["source 'camera' of room '504'", "source 'board' of room '504'", "source 'slides' of room 'Актовый зал'"],
    ),
]  # fmt: skip


def test_sources_are_removed_only_where_that_is_meant(engine: Engine) -> None:
    apply_rooms(engine, [ROOM, HALL])
    for specs, places in REMOVALS:
        assert [str(place) for place in removals(engine, specs)] == places
        if places:
            with pytest.raises(Conflict) as caught:
                apply_rooms(engine, [*specs, RoomSpec("new", "UTC")])
            assert caught.value.code == "remove" and "--remove" in str(caught.value)
            assert all(place in str(caught.value) for place in places)
            assert stored_rooms(engine) == [ROOM, HALL]  # nothing at all


def test_other_rooms_and_records_are_left_alone(engine: Engine) -> None:
    applied(engine, ROOM)
    ((room,),) = rows(engine, Room.id)
    with engine.begin() as connection:
        connection.execute(
            insert(Record).values(
                room_id=room, start_at=NOON, end_at=NOON, zone="Europe/Moscow", layout="a",
                event_name="lecture", profile="b", created_at=NOON, updated_at=NOON, run_after=NOON,
            )
        )  # fmt: skip
    applied(engine, HALL)
    applied(engine, RoomSpec("504", "Asia/Tokyo"))
    assert [spec.name for spec in stored_rooms(engine)] == ["504", "Актовый зал"]
    assert rows(engine, Record.room_id, Record.zone) == [(room, "Europe/Moscow")]
    assert applied(engine) == []


def test_names_are_compared_exactly(engine: Engine) -> None:
    names = ["A", "a", "é", "e", "ё", "е", "🎓", "🎒"]
    specs = [RoomSpec(name, "UTC", sources=(CAMERA,)) for name in names]
    specs.append(
        RoomSpec("z", "UTC", sources=tuple(SourceSpec(n, n, "folder", "/srv") for n in names))
    )
    applied(engine, *specs)
    assert {spec.name: spec for spec in stored_rooms(engine)} == {spec.name: spec for spec in specs}


def test_all_or_nothing(engine: Engine) -> None:
    too_long = RoomSpec("505", "Z" * 100) if engine.dialect.name != "sqlite" else None
    nameless = RoomSpec("505", "UTC", sources=(SourceSpec(None, "", "", ""),))  # type: ignore[arg-type]
    with pytest.raises(Broken):
        apply_rooms(engine, [ROOM, too_long or nameless])
    assert stored_rooms(engine) == []


def test_several_imports_at_once(engine: Engine) -> None:
    applied(engine, RoomSpec("504", "UTC", sources=(SLIDES, BOARD)))
    with ThreadPoolExecutor(4) as threads:
        words = list(
            threads.map(lambda _: apply_rooms(engine, [HALL, ROOM], may_remove=True), range(4))
        )
    assert sum(map(bool, words)) == 1
    assert differences(engine, [ROOM, HALL]) == []
    assert rows(engine, func.count(Source.id)) == [(4,)]


@ON_MARIADB
def test_what_is_compared_cannot_change_before_it_is_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(engine, ROOM)
    write, tries = store._write, []

    def held(*values: Any) -> None:
        with pytest.raises(OperationalError) as caught, engine.connect() as other:
            other.execute(select(Room).with_for_update(nowait=True))
        tries.append(caught.value)
        write(*values)

    monkeypatch.setattr(store, "_write", held)
    assert apply_rooms(engine, [RoomSpec("504", "Asia/Tokyo", sources=ROOM.sources)])
    assert len(tries) == 1


def test_a_room_that_another_adds_meanwhile(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, tries = store._write, 0

    def late(session: Any, row: Room | None, spec: RoomSpec) -> None:
        nonlocal tries
        tries += 1
        write(session, row, spec)
        if tries == 1 and engine.dialect.name != "sqlite":  # which lets one write at a time
            writing(engine, lambda other: other.add(Room(name="504", zone="UTC")))

    monkeypatch.setattr(store, "_write", late)
    words = apply_rooms(engine, [ROOM])
    assert stored_rooms(engine) == [ROOM]
    if engine.dialect.name != "sqlite":
        assert tries == 2
        assert str(words[0]) == "changed zone of room '504' from 'UTC' to 'Europe/Moscow'"


def test_the_listing_is_a_file_without_secrets(engine: Engine) -> None:
    assert rooms_document(engine) == []
    applied(engine, HALL, ROOM, OWN)
    found = rooms_document(engine)
    assert "geheim" not in str(found)
    assert found[2] == {
        "name": "Актовый зал",
        "zone": "Asia/Tokyo",
        "chunk": "10m",
        "decide": "instant",
        "shows_both": False,
        "both_after": "1m",
        "early": "1m",
        "late": "2m",
        "sound_source": "camera",
        "drive_folder": "0AbC",
        "calendar_id": "a@b",
        "mails": True,
        "uploads_raw": False,
        "papers": False,
        "archives": False,
        "requesters": None,
        "watchers": None,
        "default_course": None,
        "unmatched": None,
        "shortest": None,
        "sources": [
            {"name": s.name, "role": s.role, "kind": s.kind, "address": s.address}
            for s in HALL.sources
        ],
    }
    read = parse_rooms(yaml.safe_dump({"rooms": found}), ["folder"], lambda _: None)
    [change] = differences(engine, read)
    assert str(change) == "removed credentials of source 'board' of room '504'"
    assert render("ru", change) == "удалены логин и пароль: источник «board» (аудитория «504»)"


@ON_SQLITE
def test_what_was_written_by_hand_is_listed_and_masked(engine: Engine) -> None:
    applied(engine, ROOM)
    with engine.begin() as connection:
        connection.execute(update(Room).values(chunk_s=0))
        connection.execute(update(Source).values(address="rtsp://u:geheim@camera/1"))
    (found,) = rooms_document(engine)
    assert found["chunk"] == "0s"
    assert found["sources"][0]["address"] == "rtsp://u:***@camera/1"
    assert (
        "changed address of source 'camera' of room '504' from 'rtsp://u:***@camera/1'"
        " to '/srv/recordings'"
    ) in applied(engine, ROOM)


def test_tables_that_are_missing(engine: Engine) -> None:
    applied(engine, ROOM)
    with engine.begin() as connection:
        for table in ("uploads", "segments", "sources"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    for act in (
        stored_rooms,
        rooms_document,
        lambda e: apply_rooms(e, [ROOM]),
        lambda e: differences(e, [ROOM]),
    ):
        with pytest.raises(Broken, match="init-db"):
            act(engine)
