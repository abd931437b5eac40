"""How long recordings are kept: by days, by their share of the disk, and while a record needs them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from merger.daemon.retention import remove_expired
from merger.db.engine import writing
from merger.rooms import store
from merger.timeline.clock import utc
from models import Segment
from tests.conftest import START, seconds
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE
DAY = timedelta(days=1)
SIZE = 1000


@pytest.fixture
def recorded(site: Site) -> Site:
    """A service that keeps recordings for three days, and a record of six seconds that waits."""
    site.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "3"
    site.add_room()
    site.ask()
    return site


def record(site: Site, at_s: float, source: int = 1, name: str = "") -> Path:
    """Put a recording of ten seconds where they lie: of the speaker of room 504, at first."""
    folder = site.settings.recorded / str(source)
    folder.mkdir(parents=True, exist_ok=True)
    start = utc(START + seconds(at_s))
    path = folder / (name or f"{at_s}.mkv")
    path.write_bytes(bytes(SIZE))
    end = start + timedelta(seconds=10)
    said = {"start": start.isoformat(), "end": end.isoformat(), "room": "504"}
    path.with_suffix(".json").write_text(json.dumps(said))
    os.utime(path, (end.timestamp(), end.timestamp()))
    return path


def kept(site: Site, now: datetime, disk_bytes: int | None = None) -> set[str]:
    remove_expired(site.service, now, disk_bytes)
    left = site.settings.recorded.glob("*/*")
    names = {path.name for path in left}
    assert {f"{Path(name).stem}.json" for name in names} <= names
    return {name for name in names if name.endswith(".mkv")}


def test_a_recording_goes_after_some_days_unless_a_record_needs_it(recorded: Site) -> None:
    record(recorded, 0)
    record(recorded, 100)
    record(recorded, 0, source=99, name="other.mkv")  # that is no more
    start = utc(START)
    assert kept(recorded, start + 2 * DAY) == {"0.mkv", "100.mkv", "other.mkv"}
    assert kept(recorded, start + 4 * DAY) == {"0.mkv"}
    assert recorded.said("cancel", "1")["status"] == "cancelled"
    assert kept(recorded, start + 4 * DAY) == set()


def test_what_a_record_needs_stays_whatever_its_room_is_called(recorded: Site) -> None:
    record(recorded, 0)
    store.edit_room(
        recorded.engine, 1, lambda room: replace(room, name="Hall"), recorded.service.recorder_of
    )
    record(recorded, 3, name="later.mkv")
    assert kept(recorded, utc(START) + 4 * DAY) == {"0.mkv", "later.mkv"}


def test_the_oldest_go_sooner_where_they_hold_too_much(recorded: Site) -> None:
    for at_s in (0, 100, 200, 300):
        record(recorded, at_s)
    # Half of the disk is 2500 bytes: two of four may stay, and the first one must.
    assert kept(recorded, utc(START) + DAY, disk_bytes=5000) == {"0.mkv", "300.mkv"}


def test_what_was_collected_is_counted_once(recorded: Site) -> None:
    path = record(recorded, 100)
    segments = recorded.settings.data / "segments" / "1"
    segments.mkdir(parents=True)
    os.link(path, segments / "same.mkv")
    assert kept(recorded, utc(START) + DAY, disk_bytes=3 * SIZE) == {"100.mkv"}


@pytest.mark.parametrize("linked", [0, 2])
def test_what_was_collected_goes_before_what_is_nowhere_else(recorded: Site, linked: int) -> None:
    """Also when it was collected later, and recordings that were collected are the same files."""
    names = [record(recorded, 100 + n).name for n in range(linked)]
    record(recorded, 200)
    segments = recorded.settings.data / "segments" / "1"
    segments.mkdir(parents=True)
    early = utc(START) - 2 * DAY

    def add(session: Session) -> None:
        for n in range(linked + 4):
            path = segments / f"{n}.mkv"
            if n < linked:
                os.link(recorded.settings.recorded / "1" / names[n], path)
            else:
                path.write_bytes(bytes(SIZE))
            session.add(
                Segment(
                    source_id=1, origin=f"{n}", fingerprint="", path=f"segments/1/{n}.mkv",
                    start_at=early, end_at=early, size_bytes=SIZE, collected_at=early,
                )
            )  # fmt: skip

    writing(recorded.engine, add)
    # Half of the disk is what all but two of them hold.
    disk_bytes = 2 * (linked + 3) * SIZE
    assert kept(recorded, utc(START) + DAY / 2, disk_bytes) == {*names, "200.mkv"}
    left = {path.name for path in segments.iterdir()}
    assert left == {f"{n}.mkv" for n in range(linked + 4) if n not in (linked, linked + 1)}


def test_one_without_a_sidecar_goes_by_its_time(recorded: Site) -> None:
    path = record(recorded, 100)
    path.with_suffix(".json").write_text("[]")
    assert kept(recorded, utc(START) + 2 * DAY) == {"100.mkv"}
    assert kept(recorded, utc(START) + 4 * DAY) == set()
