"""Rows that make no sense, shares that are away, and what is kept for how long."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from merger import records
from merger.database import reading, writing
from merger.late import look_for_late
from merger.tidy import tidy
from merger.timeline import utc
from models import Record, Rendition, Room, Segment, Source
from tests.conftest import START, seconds
from tests.databases import ON_SQLITE
from tests.media.test_time import check_instants
from tests.site import LENGTH_S, Site
from tests.truth import error_ms, frames_seen, instant_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def put(site: Site, room: str = "504", **changes: Any) -> int:
    """Write a row by hand, as nobody checks it; return its id."""
    values: dict[str, Any] = {
        "start_at": utc(START), "end_at": utc(START + seconds(LENGTH_S)), "zone": "Europe/Moscow",
        "event_name": "Lecture", "layout": "side_by_side", "profile": "tiny",
        "created_at": utc(START), "updated_at": utc(START), "run_after": utc(START), **changes,
    }  # fmt: skip

    def write(session: Session) -> int:
        row = Record(**values)
        row.room_id = session.scalar(select(Room.id).where(Room.name == room))
        session.add(row)
        session.flush()
        return row.id

    return writing(site.engine, write)


def source(site: Site, room: str, name: str = "screen", **changes: Any) -> None:
    """Change a source of a room behind everybody's back."""

    def write(session: Session) -> None:
        wanted = select(Room.id).where(Room.name == room).scalar_subquery()
        session.execute(
            update(Source).where(Source.room_id == wanted, Source.name == name).values(**changes)
        )

    writing(site.engine, write)


def without_room(site: Site) -> int:
    site.add_room("demolished")
    record = put(site, "demolished")
    writing(site.engine, lambda s: s.execute(delete(Room).where(Room.name == "demolished")))
    return record


def in_room(roles: tuple[str, ...] = ("speaker", "screen"), **room: Any) -> Callable[[Site], int]:
    def make(site: Site) -> int:
        site.add_room("odd", roles, **room)
        return put(site, "odd")

    return make


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
        with_row(end_at=utc(START)), "end", "the record ends (2026-11-20T07:00:00+00:00) before it starts",
    ),
    "ends before it starts": (
        with_row(end_at=utc(START - HOUR)), "end", "ends (2026-11-20T06:00:00+00:00) before it starts (2026-11-20T07",
    ),
    "more than a day": (with_row(end_at=utc(START + DAY + seconds(1))), "end", "a record lasts at most 24 hours"),
    "another millennium": (
        with_row(start_at=datetime(1066, 1, 1, tzinfo=utc(START).tzinfo)), "start", "the start of the record is in the year 1066",
    ),
    "no room": (without_room, "room", "the room of this record no longer exists"),
    "no speaker": (
        in_room(("screen", "board")), "speaker", "room 'odd' has no source with the role speaker; add one to the room",
    ),
    "no source at all": (in_room(()), "speaker", "room 'odd' has no source with the role speaker"),
    "unknown layout": (with_row(layout="pyramid"), "layout", "'pyramid' is none of side_by_side"),
    "unknown profile": (with_row(profile="8k"), "profile", "'8k' is none of"),
    "unknown zone": (with_row(zone="Mars/Olympus"), "zone", "'Mars/Olympus' is no time zone; write it like Europe/Moscow"),
    "a zone that is a path": (with_row(zone="../../etc/passwd"), "zone", "is no time zone"),
    "unknown kind": (with_source(kind="pigeon"), "kind", "there is no kind 'pigeon' of source; it is one of drive, folder"),
    "mistyped kind": (with_source(kind="foldr"), "kind", "there is no kind 'foldr' of source; did you mean folder?"),
    "an address of another kind": (
        with_source(address="rtsp://camera/1"), "address", "source 'screen': the address 'rtsp://camera/1' is no absolute path; mount the share",
    ),
    "no address": (with_source(address=""), "address", "source 'screen': the address '' is no absolute path"),
    "credentials for nothing": (
        with_source(credentials="sehr-geheim"), "credentials", "source 'screen': kind folder uses no credentials; remove them",
    ),
    "heard from nobody": (in_room(sound_source="mic"), "sound_source", "room 'odd' is to be heard from 'mic', which it has not"),
    "chunks of nothing": (in_room(chunk_s=0), "chunk", "room 'odd' has chunks of 0 s"),
    "chunks of less than nothing": (in_room(chunk_s=-1), "chunk", "room 'odd' has chunks of -1 s"),
}  # fmt: skip


@pytest.fixture
def filmed(site: Site) -> Site:
    site.add_room()
    site.film("speaker")
    site.film("screen", sound=False)
    return site


def merge_of(site: Site) -> Path:
    [merge] = [path for path in site.merged.glob("*.mp4") if "backup" not in path.name]
    return merge


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_fails_at_once_with_a_sentence(site: Site, what: str) -> None:
    make, code, words = BAD[what]
    site.add_room()
    record = make(site)
    assert site.work() == "failed"
    row = site.row(record)
    assert (row.status, row.done, row.processing, row.attempt) == ("failed", 1, 0, 1)
    assert row.error_code == code
    assert row.error_text is not None and words in row.error_text
    assert "mistake" not in row.error_text and "geheim" not in row.error_text
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
    assert look_for_late(filmed.service, filmed.clock) == []
    tidy(filmed.service, filmed.clock)
    listed = filmed.said("records", "--limit", "100")["records"]
    assert [record["id"] for record in listed] == list(range(1, good + 1))
    done = filmed.command("records", "--limit", "100")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 + good
    for record, (_, code, _) in enumerate(BAD.values(), 1):
        assert filmed.details(record)["error"]["code"] == code
    for shown in (["show", "10"], ["show", "4"], ["show", str(good), "--json"]):
        done = filmed.command(*shown)
        assert done.returncode == 0, done.stderr


@ON_SQLITE
def test_what_was_put_right_can_be_tried_again(filmed: Site) -> None:
    source(filmed, "504", kind="foldr")
    record = filmed.ask()
    assert filmed.work() == "failed"
    source(filmed, "504", kind="folder")
    assert filmed.work() is None  # nobody tries by himself
    assert filmed.command("retry", str(record)).returncode == 0
    filmed.clock = max(filmed.clock, filmed.row().run_after)
    assert filmed.work() == "delivered"
    assert filmed.row().error_code is None


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


# --- shares that are away -------------------------------------------------------------------------


def away(site: Site, *names: str) -> None:
    for name in names:
        source(site, "504", name, address=f"{site.folder}/not mounted#504_{name}")


def next_try(site: Site) -> str | None:
    site.clock = site.row().run_after
    return site.work()


def test_a_share_that_is_away_is_tried_again_and_then_done_without(filmed: Site) -> None:
    away(filmed, "screen")
    record = filmed.ask()
    assert filmed.work() == "put off"
    row = filmed.row()
    assert (row.status, row.error_code, row.tries, row.stage) == (
        "queued",
        "source_away",
        1,
        "collect",
    )
    assert "not mounted is away" in (row.error_text or "")
    assert "mount the share again, or correct the address" in (row.error_text or "")
    begun = filmed.clock
    for tries in range(2, 6):
        assert next_try(filmed) == "put off"
        assert filmed.row().tries == tries
    assert next_try(filmed) == "delivered"
    assert 10 * MINUTE < filmed.clock - begun < HOUR
    told = filmed.details(record)
    [warning] = [w for w in told["warnings"] if "reached" in w]
    assert warning.startswith("source 'screen' could not be reached: ")
    assert told["error"] is None
    seen = frames_seen(merge_of(filmed), left_width=10_000, wanted=range(0, 150, 25))
    assert len(seen) == 6
    for frame in seen:
        assert frame.left is not None
        assert abs(error_ms(frame.left, instant_of(START, frame.frame))) <= 40
    # It is mounted again: people get the whole of it.
    source(filmed, "504", "screen", address=f"{filmed.library().library}#504_screen")
    assert look_for_late(filmed.service, filmed.clock) == [record]
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
    assert filmed.row().delivered_version == 2


@ON_SQLITE
def test_a_share_that_comes_back_meanwhile(filmed: Site) -> None:
    away(filmed, "screen", "speaker")
    filmed.ask()
    assert filmed.work() == "put off"
    for name in ("screen", "speaker"):
        source(filmed, "504", name, address=f"{filmed.library().library}#504_{name}")
    assert next_try(filmed) == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
    row = filmed.row()
    assert (row.error_code, row.error_text, row.tries) == (None, None, 0)


@ON_SQLITE
def test_when_no_share_is_there_somebody_has_to_act(filmed: Site) -> None:
    away(filmed, "screen", "speaker")
    filmed.ask()
    begun = filmed.clock
    outcome = filmed.work()
    while outcome == "put off":
        outcome = next_try(filmed)
    assert outcome == "failed"
    assert 18 * HOUR < filmed.clock - begun < 30 * HOUR
    row = filmed.row()
    assert (row.status, row.error_code) == ("failed", "sources")
    for name in ("speaker", "screen"):
        assert f"source '{name}' could not be reached" in (row.error_text or "")


# --- what is kept, and for how long ---------------------------------------------------------------


def segments(site: Site) -> set[str]:
    """Return what was collected and is still there, as rows and as files."""
    with reading(site.engine) as session:
        rows = set(session.scalars(select(Segment.path)))
    data = site.settings.data
    files = {str(p.relative_to(data)) for p in data.glob("segments/*/*") if p.suffix != ".json"}
    assert rows == files
    return rows


def renditions(site: Site, record: int = 1) -> list[str]:
    """Return the finished videos of a record that are still kept, as rows and as files."""
    with reading(site.engine) as session:
        rows = session.scalars(select(Rendition.path).where(Rendition.record_id == record)).all()
    data = site.settings.data
    files = [str(path.relative_to(data)) for path in data.glob(f"records/{record}/attempt-*/*")]
    assert sorted(path for path in rows if path) == sorted(files)
    return files


def tidied(site: Site, now: datetime, disk_bytes: int | None = None) -> None:
    tidy(site.service, now, disk_bytes)
    assert not list(site.settings.data.glob("**/.merge-work-*"))


def test_what_was_delivered_is_kept_for_some_days(filmed: Site) -> None:
    filmed.environ |= {"MERGER_KEEP_SEGMENTS_DAYS": "3", "MERGER_KEEP_VIDEOS_DAYS": "5"}
    note = next(filmed.library().library.glob("*speaker*")).with_suffix(".json")
    note.write_text(f'{{"start": "{START.isoformat()}"}}')
    os.utime(note, (1, 1))
    filmed.ask()
    assert filmed.work() == "delivered"
    seen = [path.read_bytes() for path in sorted(filmed.merged.iterdir())]
    tidied(filmed, filmed.clock + 3 * DAY - MINUTE)
    assert len(segments(filmed)) == 2 and len(renditions(filmed)) == 2
    assert len(list(filmed.settings.data.glob("segments/*/*.json"))) == 1
    tidied(filmed, filmed.clock + 3 * DAY + MINUTE)
    assert (segments(filmed), len(renditions(filmed))) == (set(), 2)
    assert not list(filmed.settings.data.glob("segments/*/*"))
    tidied(filmed, filmed.clock + 5 * DAY - MINUTE)
    assert len(renditions(filmed)) == 2
    tidied(filmed, filmed.clock + 5 * DAY + MINUTE)
    assert renditions(filmed) == []
    assert not list(filmed.settings.data.glob("records/*/attempt-*"))
    # What people have stays, and so does what is known of it.
    assert [path.read_bytes() for path in sorted(filmed.merged.iterdir())] == seen
    assert len(filmed.details()["renditions"]) == 2
    assert len(list(filmed.library().library.glob("*.mp4"))) == 2
    tidied(filmed, filmed.clock + 300 * DAY)


@ON_SQLITE
def test_finished_videos_are_kept_for_ever_unless_said_otherwise(filmed: Site) -> None:
    filmed.ask()
    assert filmed.work() == "delivered"
    tidied(filmed, filmed.clock + 14 * DAY - MINUTE)
    assert len(segments(filmed)) == 2
    tidied(filmed, filmed.clock + 14 * DAY + MINUTE)
    assert segments(filmed) == set()
    tidied(filmed, filmed.clock + 3000 * DAY)
    assert len(renditions(filmed)) == 2


def three_lectures(site: Site) -> list[list[str]]:
    """Make three records, one a day; return the segments of each."""
    site.add_room(roles=("speaker",))
    made: list[list[str]] = []
    for n in range(3):
        site.film("speaker", 10 * n, 5)
        site.ask(from_s=10 * n, until_s=10 * n + 5)
        assert site.work() == "delivered"
        made.append(sorted(segments(site) - {path for paths in made for path in paths}))
        site.clock += DAY
    assert [len(paths) for paths in made] == [1, 1, 1]
    return made


def disk_for(site: Site, paths: list[str], percent: int = 50) -> int:
    """Return how large a disk is of which a share is just what some files hold."""
    held = sum((site.settings.data / path).stat().st_size for path in paths)
    return -(-held * 100 // percent)


@pytest.mark.parametrize(("percent", "room_for"), [(50, 3), (50, 2), (50, 1), (10, 1), (100, 2)])
def test_the_oldest_segments_go_when_they_hold_too_much(
    site: Site, percent: int, room_for: int
) -> None:
    """They are days from the time that they may stay for."""
    site.environ["MERGER_KEEP_SEGMENTS_SHARE"] = str(percent)
    lectures = three_lectures(site)
    newest = [path for paths in lectures[3 - room_for :] for path in paths]
    disk = disk_for(site, newest, percent)
    tidied(site, site.clock, disk)
    assert segments(site) == set(newest)
    tidied(site, site.clock, disk)
    assert segments(site) == set(newest)
    tidied(site, site.clock, disk - 100)  # a byte less, and one more has to go
    assert segments(site) == set(newest[1:])
    assert len(list(site.merged.iterdir())) == 3
    assert all(len(renditions(site, n)) == 1 for n in (1, 2, 3))


@ON_SQLITE
def test_what_a_record_needs_stays_however_much_it_holds(site: Site) -> None:
    [[first], [second], [third]] = three_lectures(site)
    site.ask(from_s=1, until_s=4)  # of the first again
    tidied(site, site.clock, disk_for(site, [first, third]))
    assert segments(site) == {first, third}
    tidied(site, site.clock, 1)
    assert segments(site) == {first}
    assert site.work() == "delivered"
    tidied(site, site.clock, 1)
    assert segments(site) == set()
    assert second not in segments(site)


@ON_SQLITE
def test_what_is_watched_stays_however_much_it_holds(site: Site) -> None:
    site.add_room()
    site.film("speaker")
    site.film("screen", 0, 3, sound=False)
    site.ask()
    assert site.work() == "delivered"
    until = site.row().watched_until
    assert until is not None
    tidied(site, until - MINUTE, 1)
    assert len(segments(site)) == 2
    tidied(site, until + MINUTE, 1)
    assert segments(site) == set()


@ON_SQLITE
def test_what_a_record_waits_for_is_kept(filmed: Site) -> None:
    """As long as it is queued, whatever for; of another time, or another room, it is not."""
    filmed.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "0"
    filmed.ask()
    assert filmed.work() == "delivered"
    assert len(segments(filmed)) == 2
    later = filmed.ask(from_s=2, until_s=4)  # of the same room and time
    filmed.add_room("505", ("speaker",))
    tidied(filmed, filmed.clock + MINUTE)
    assert len(segments(filmed)) == 2
    assert filmed.work() == "delivered"
    assert len(list(filmed.merged.iterdir())) == 4
    filmed.ask(from_s=LENGTH_S, until_s=LENGTH_S + 5)  # right after it
    filmed.ask(room="505")
    tidied(filmed, filmed.clock + MINUTE)
    assert segments(filmed) == set()
    assert filmed.row(later).status == "delivered"


KEPT_FOR_A_DAY = {"MERGER_KEEP_SEGMENTS_DAYS": "1", "MERGER_KEEP_VIDEOS_DAYS": "1"}


def test_what_is_ready_and_cannot_be_delivered_is_kept(filmed: Site) -> None:
    """The output share is away for longer than anything is kept."""
    filmed.environ |= KEPT_FOR_A_DAY | {"MERGER_OUTPUT": str(filmed.folder / "share")}
    filmed.ask()
    assert filmed.work() == "put off"
    row = filmed.row()
    assert (row.status, row.stage, row.error_code) == ("queued", "deliver", "destination")
    assert "make it, or mount it" in (row.error_text or "")
    tidied(filmed, filmed.clock + 30 * DAY)
    made = {path: (filmed.settings.data / path).stat().st_ino for path in renditions(filmed)}
    assert len(made) == 2
    filmed.merged.mkdir()
    assert next_try(filmed) == "delivered"
    assert {path: (filmed.settings.data / path).stat().st_ino for path in made} == made
    check_instants(frames_seen(merge_of(filmed)), START)


@ON_SQLITE
def test_a_record_that_failed_at_the_end_keeps_what_is_ready(filmed: Site) -> None:
    """For as long as it takes: whoever mounts the share again and retries has it at once."""
    filmed.environ |= KEPT_FOR_A_DAY | {"MERGER_OUTPUT": str(filmed.folder / "share")}
    filmed.ask()
    outcome = filmed.work()
    while outcome == "put off":
        outcome = next_try(filmed)
    assert outcome == "failed"
    filmed.clock += 300 * DAY
    tidied(filmed, filmed.clock)
    made = {path: (filmed.settings.data / path).stat().st_ino for path in renditions(filmed)}
    assert (len(made), segments(filmed)) == (2, set())
    filmed.merged.mkdir()
    assert filmed.command("retry", "1").returncode == 0
    filmed.clock = max(filmed.clock, filmed.row().run_after)
    assert filmed.work() == "delivered"
    assert {path: (filmed.settings.data / path).stat().st_ino for path in made} == made
    check_instants(frames_seen(merge_of(filmed)), START)
    filmed.clock += DAY + MINUTE  # now it is delivered
    tidied(filmed, filmed.clock)
    assert renditions(filmed) == []


@ON_SQLITE
@pytest.mark.parametrize("days", [0, 1])
def test_what_nobody_wants_any_more_goes_like_what_was_delivered(filmed: Site, days: int) -> None:
    """Whoever cancelled by mistake has some time to say so; later it is made again."""
    filmed.environ |= KEPT_FOR_A_DAY | {"MERGER_OUTPUT": str(filmed.folder / "share")}
    filmed.environ["MERGER_KEEP_VIDEOS_DAYS"] = str(days)
    filmed.ask()
    assert filmed.work() == "put off"
    records.cancel(filmed.engine, 1, filmed.clock)
    tidied(filmed, filmed.clock + DAY - MINUTE)
    assert len(renditions(filmed)) == 2
    filmed.clock += DAY + MINUTE
    tidied(filmed, filmed.clock)
    assert (len(renditions(filmed)), segments(filmed)) == (0 if days else 2, set())
    filmed.merged.mkdir()
    records.retry(filmed.engine, 1, filmed.clock)
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)


@ON_SQLITE
def test_what_is_watched_for_late_media_keeps_its_segments(site: Site) -> None:
    """Nothing but they may be left of it, when a library keeps its files for a day."""
    site.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "0"
    site.add_room()
    site.film("speaker")
    site.film("screen", 0, 3, sound=False)
    site.ask()
    assert site.work() == "delivered"
    until = site.row().watched_until
    assert until is not None
    tidied(site, until - MINUTE)
    assert len(segments(site)) == 2
    tidied(site, until + MINUTE)
    assert segments(site) == set()


@ON_SQLITE
def test_a_deleted_record_leaves_nothing_behind(filmed: Site) -> None:
    filmed.ask()
    assert filmed.work() == "delivered"
    writing(filmed.engine, lambda session: session.execute(delete(Record)))
    with reading(filmed.engine) as session:
        assert session.scalar(select(func.count()).select_from(Rendition)) == 0
    tidied(filmed, filmed.clock)
    assert not list(filmed.settings.data.glob("records/*/attempt-*"))
    assert len(list(filmed.merged.iterdir())) == 2  # that is people's


@ON_SQLITE
def test_nothing_is_removed_for_another_database(
    filmed: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An address that was mistyped gives an empty database, to which all files are unknown."""
    filmed.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "0"
    filmed.ask()
    assert filmed.work() == "delivered"
    tidied(filmed, filmed.clock)
    before = sorted(filmed.settings.data.glob("**/*"))
    folder = tmp_path_factory.mktemp("other")
    other = Site(folder, f"sqlite:///{folder / 'other.sqlite'}", environ=dict(filmed.environ))
    other.environ["MERGER_DATA"] = str(filmed.settings.data)
    assert other.command("init-db").returncode == 0
    tidy(other.service, filmed.clock + 300 * DAY)
    other.engine.dispose()
    assert sorted(filmed.settings.data.glob("**/*")) == before
