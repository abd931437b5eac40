"""What is kept of segments and finished videos, and for how long."""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from sqlalchemy import delete, func, select

from merger.daemon.retention import remove_expired
from merger.db.engine import reading, writing
from merger.records import actions
from models import Record, Rendition, Segment
from tests.conftest import START
from tests.render.test_time import check_instants
from tests.support.aftermath import merge_of, next_try
from tests.support.databases import ON_SQLITE
from tests.support.filmed import DAY, MINUTE, filmed_room
from tests.support.line import reason
from tests.support.selection import BOTH_DATABASES, rarely
from tests.support.site import LENGTH_S, Site
from tests.support.stumbling import cannot_encode
from tests.support.truth import frames_seen


@pytest.fixture
def filmed(site: Site) -> Site:
    return filmed_room(site)


def segments(site: Site) -> set[str]:
    """Return what was collected and is still there, as rows and as files."""
    with reading(site.engine) as session:
        rows = set(session.scalars(select(Segment.path)))
    data = site.settings.data
    files = {str(p.relative_to(data)) for p in data.glob("segments/*/*") if p.suffix != ".json"}
    assert rows == files
    return rows


def watched(site: Site) -> datetime:
    """Deliver a record that lacks some of its screen; return until when that may still come."""
    site.add_room()
    site.film("speaker")
    site.film("screen", 0, 3, sound=False)
    site.ask()
    assert site.work() == "delivered"
    until = site.row().watched_until
    assert until is not None
    return until


def renditions(site: Site, record: int = 1) -> list[str]:
    """Return the finished videos of a record that are still kept, as rows and as files."""
    with reading(site.engine) as session:
        rows = session.scalars(select(Rendition.path).where(Rendition.record_id == record)).all()
    data = site.settings.data
    files = [str(path.relative_to(data)) for path in data.glob(f"records/{record}/attempt-*/*")]
    assert sorted(path for path in rows if path) == sorted(files)
    return files


def tidied(site: Site, now: datetime, disk_bytes: int | None = None) -> None:
    remove_expired(site.service, now, disk_bytes)
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


@BOTH_DATABASES
@pytest.mark.parametrize(
    ("percent", "room_for"),
    [
        (50, 2), (10, 1),
        *(rarely(*case, why="with other disks") for case in ((50, 3), (50, 1), (100, 2))),
    ],
)  # fmt: skip
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
@pytest.mark.parametrize("days", [1, 20])
def test_what_failed_can_be_made_as_long_as_segments_are_kept(
    filmed: Site, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Nobody has a video of it yet: its media stays though it holds too much of the disk."""
    filmed.ask()
    with monkeypatch.context() as patched:
        cannot_encode(filmed, patched)
        assert filmed.work() == "failed"
    before = segments(filmed)
    tidied(filmed, filmed.clock + days * DAY, disk_bytes=1)
    assert segments(filmed) == (before if days == 1 else set())


@ON_SQLITE
def test_what_is_watched_stays_however_much_it_holds(site: Site) -> None:
    until = watched(site)
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
    assert filmed.work() == "deferred"
    row = filmed.row()
    assert (row.status, row.stage, row.error_code) == ("queued", "deliver", "destination")
    assert "create or mount it" in reason(row)
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
    while outcome == "deferred":
        outcome = next_try(filmed)
    assert outcome == "failed"
    filmed.clock += 300 * DAY
    tidied(filmed, filmed.clock)
    made = {path: (filmed.settings.data / path).stat().st_ino for path in renditions(filmed)}
    assert (len(made), segments(filmed)) == (2, set())
    filmed.merged.mkdir()
    assert filmed.run("retry", "1").returncode == 0
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
    assert filmed.work() == "deferred"
    actions.cancel(filmed.engine, 1, filmed.clock)
    tidied(filmed, filmed.clock + DAY - MINUTE)
    assert len(renditions(filmed)) == 2
    filmed.clock += DAY + MINUTE
    tidied(filmed, filmed.clock)
    assert (len(renditions(filmed)), segments(filmed)) == (0 if days else 2, set())
    filmed.merged.mkdir()
    actions.retry(filmed.engine, 1, filmed.clock)
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)


@ON_SQLITE
def test_what_is_watched_for_late_media_keeps_its_segments(site: Site) -> None:
    """Nothing but they may be left of it, when a library keeps its files for a day."""
    site.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "0"
    until = watched(site)
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
    other.environ["MERGER_SECRET_FILE"] = str(folder / "secret.key")
    assert other.run("init-db").returncode == 0
    remove_expired(other.service, filmed.clock + 300 * DAY)
    other.engine.dispose()
    assert sorted(filmed.settings.data.glob("**/*")) == before
