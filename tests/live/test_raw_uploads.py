"""What cameras sent goes to the folder of the videos once, whatever happens on the way."""

from __future__ import annotations

import fcntl
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from merger.daemon.retention import remove_expired
from merger.db.engine import reading, writing
from merger.errors import Refused, Temporary
from merger.i18n import Message
from merger.live.raw_folder import RawFolder
from merger.live.raw_uploads import upload_raw_segments, waiting_uploads
from merger.ports.destination import RawDestination
from merger.rooms import store
from merger.service import Service
from merger.timeline.clock import utc
from models import Room, Source, Upload
from tests.conftest import START, seconds
from tests.recorders.conftest import digest, state_of
from tests.support.databases import ON_SQLITE
from tests.support.site import ROOT, Site

DAY = timedelta(days=1)
NAME = "2026-11-20_10-00-00_504_speaker"


@pytest.fixture
def recorded(site: Site) -> Site:
    """A service with a room whose segments are uploaded."""
    site.add_room(uploads_raw=True)
    return site


def source_of(site: Site, room: str) -> int:
    """Return the number of the speaker of a room; of one that is no more, one that nobody has."""
    with reading(site.engine) as session:
        wanted = select(Source.id).join(Room).where(Room.name == room, Source.name == "speaker")
        return session.scalar(wanted) or 99


def record(site: Site, at_s: float = 0, room: str = "504", media: bytes = b"media") -> Path:
    """Put a recording of ten seconds where they lie."""
    folder = site.settings.recorded / str(source_of(site, room))
    folder.mkdir(parents=True, exist_ok=True)
    start = utc(START + seconds(at_s))
    local = START + seconds(at_s)
    path = folder / f"{local:%Y-%m-%d_%H-%M-%S}_{room}_speaker.mkv"
    path.write_bytes(media)
    said = {
        "start": start.isoformat(), "end": (start + timedelta(seconds=10)).isoformat(),
        "sha256": digest(media), "room": room, "source": "speaker",
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(said))
    return path


def service(site: Site, *more: RawDestination) -> Service:
    known = site.settings
    folder = RawFolder(known.destination, is_ours=known.output is None)
    return replace(site.service, raw_destinations=more or (folder,))


def uploaded(site: Site) -> dict[str, bytes]:
    """Upload; return what is there, by its name below the folder of the videos."""
    upload_raw_segments(service(site), site.clock)
    there = [path for path in site.merged.rglob("*") if path.is_file()]
    return {str(path.relative_to(site.merged)): path.read_bytes() for path in there}


def rows(site: Site) -> list[tuple[Any, ...]]:
    with reading(site.engine) as session:
        wanted = select(Upload.name, Upload.status, Upload.destination).order_by(Upload.id)
        return [tuple(row) for row in session.execute(wanted)]


DONE = [(f"{NAME}.json", "uploaded", "folder"), (f"{NAME}.mkv", "uploaded", "folder")]


def test_a_segment_and_its_sidecar_go_once(recorded: Site) -> None:
    path = record(recorded)
    where = f"raw/504/2026-11-20/{NAME}"
    there = {
        f"{where}.json": path.with_suffix(".json").read_bytes(), f"{where}.mkv": b"media",
    }  # fmt: skip
    assert uploaded(recorded) == there
    assert rows(recorded) == DONE
    with reading(recorded.engine) as session:
        row = session.scalars(select(Upload).where(Upload.name == f"{NAME}.mkv")).one()
        assert (row.sha256, row.uploaded_at) == (digest(b"media"), recorded.clock)
        assert row.link == str(recorded.merged / f"{where}.mkv") and row.error_message is None
    before = state_of(recorded.merged)
    assert uploaded(recorded) == there and state_of(recorded.merged) == before
    for file in (recorded.merged / "raw").rglob("*.*"):
        file.unlink()  # somebody took it away: it had been there
    assert uploaded(recorded) == {}


@ON_SQLITE
def test_a_room_that_got_another_name(recorded: Site) -> None:
    before = uploaded_names(recorded, record(recorded))
    recorder_of = recorded.service.recorder_of
    store.edit_room(recorded.engine, 1, lambda room: replace(room, name="Hall"), recorder_of)
    record(recorded, 10, room="Hall")
    other = f"{NAME[:17]}10_Hall_speaker"
    assert set(uploaded(recorded)) == before | {
        f"raw/Hall/2026-11-20/{other}.json", f"raw/Hall/2026-11-20/{other}.mkv",
    }  # fmt: skip
    late = record(recorded, 20, room="Hall")  # recorded before the name was changed
    for path in (late.with_suffix(".json"), late):
        path.rename(path.with_name(path.name.replace("Hall", "504")))
    assert f"raw/Hall/2026-11-20/{NAME[:17]}20_504_speaker.mkv" in uploaded(recorded)


def uploaded_names(site: Site, path: Path) -> set[str]:
    """Upload, and check that a recording is there; return all that is."""
    there = set(uploaded(site))
    assert path.name in [Path(name).name for name in there]
    return there


@ON_SQLITE
def test_other_rooms_are_left_alone(recorded: Site) -> None:
    recorded.add_room("505")
    record(recorded, room="505")
    record(recorded, room="506")  # that is no more
    path = record(recorded)
    path.with_suffix(".json").unlink()  # what it is of, nobody knows
    growing = path.parent / "raw" / "1.mkv"
    growing.parent.mkdir()
    growing.write_bytes(b"med")
    assert uploaded(recorded) == {} and rows(recorded) == []
    assert waiting_uploads(service(recorded)) == set()


CHILD = """
import os, pickle, signal, sys
from dataclasses import replace
from merger import failpoints
from merger.live.raw_folder import RawFolder
from merger.live.raw_uploads import upload_raw_segments
from tests.support.site import Site

def killed(name):
    if name == place:
        os.kill(os.getpid(), signal.SIGKILL)

folder, url, clock, place = pickle.load(sys.stdin.buffer)
site = Site(folder, url, clock=clock)
failpoints.hook = killed
to = RawFolder(site.settings.destination, is_ours=True)
upload_raw_segments(replace(site.service, raw_destinations=(to,)), clock)
"""


@pytest.mark.parametrize("place", ["raw.reserved", "raw.copied", "raw.sent", "raw.written"])
def test_killed_on_the_way(recorded: Site, place: str) -> None:
    path = record(recorded)
    told = pickle.dumps((recorded.folder, recorded.url, recorded.clock, place))
    command = [sys.executable, "-W", "error", "-c", CHILD]
    for _ in range(2):  # at the sidecar, then at it again or at the media
        ran = subprocess.run(command, cwd=ROOT, input=told, capture_output=True, check=False)
        assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    assert waiting_uploads(service(recorded)) == (set() if place == "raw.written" else {path})
    where = f"raw/504/2026-11-20/{NAME}"
    assert uploaded(recorded) == {
        f"{where}.json": path.with_suffix(".json").read_bytes(), f"{where}.mkv": b"media",
    }  # fmt: skip
    assert rows(recorded) == DONE


@ON_SQLITE
def test_a_share_that_is_away_is_waited_for(
    recorded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.environ["MERGER_OUTPUT"] = str(recorded.folder / "share")
    for at_s in (0, 10, 20):
        record(recorded, at_s)
    assert uploaded(recorded) == {}
    assert {status for _, status, _ in rows(recorded)} == {"pending"}
    assert caplog.text.count("there is no folder") == 1
    assert len(waiting_uploads(service(recorded))) == 3
    recorded.merged.mkdir()
    assert len(uploaded(recorded)) == 6 and waiting_uploads(service(recorded)) == set()


@ON_SQLITE
def test_a_bad_file_does_not_stop_the_others(recorded: Site) -> None:
    record(recorded, 0).write_bytes(b"Media")  # the disk has changed a bit of it
    foreign = recorded.merged / "raw/504/2026-11-20/2026-11-20_10-00-10_504_speaker.mkv"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody else's")
    record(recorded, 10)
    record(recorded, 20)
    there = uploaded(recorded)
    assert [name.rpartition("/")[2] for name in sorted(there) if name.endswith(".mkv")] == [
        "2026-11-20_10-00-10_504_speaker.mkv", "2026-11-20_10-00-20_504_speaker.mkv",
    ]  # fmt: skip
    assert foreign.read_bytes() == b"somebody else's"
    with reading(recorded.engine) as session:
        wanted = select(Upload.error_message).where(Upload.status == "refused")
        spoilt, foreign_there = session.scalars(wanted.order_by(Upload.id))
    assert spoilt and spoilt.key == "live.not_as_in_sidecar"
    assert str(spoilt.params["file"]).endswith(f"{NAME}.mkv")
    assert foreign_there == Message("live.another_file", file=str(foreign))
    assert waiting_uploads(service(recorded)) == set()


@ON_SQLITE
def test_what_waits_to_be_uploaded_is_kept(recorded: Site) -> None:
    recorded.environ |= {
        "MERGER_KEEP_SEGMENTS_DAYS": "1", "MERGER_OUTPUT": str(recorded.folder / "share"),
    }  # fmt: skip
    path = record(recorded)
    recorded.clock += 3 * DAY
    uploaded(recorded)
    remove_expired(service(recorded), recorded.clock)
    assert path.exists()
    recorded.merged.mkdir()
    uploaded(recorded)
    remove_expired(service(recorded), recorded.clock)
    assert not path.exists() and not path.with_suffix(".json").exists()
    other = record(recorded)
    writing(
        recorded.engine, lambda session: session.execute(update(Room).values(uploads_raw=False))
    )
    remove_expired(service(recorded), recorded.clock)
    assert not other.exists()


@ON_SQLITE
def test_no_room_s_name_leads_elsewhere(recorded: Site) -> None:
    recorded.add_room("..", uploads_raw=True)
    record(recorded, room="..")
    assert {Path(name).parts[:2] for name in uploaded(recorded)} == {("raw", "_..")}


@ON_SQLITE
def test_one_at_a_time(recorded: Site) -> None:
    record(recorded)
    recorded.settings.data.mkdir(exist_ok=True)
    with (recorded.settings.data / "uploads.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert uploaded(recorded) == {}
    assert len(uploaded(recorded)) == 2


@dataclass
class Elsewhere:
    """A destination that keeps something before it is called, and fails at first."""

    name: str = "elsewhere"
    errors: list[Exception] = field(default_factory=list)
    got: list[tuple[str, date, str, Mapping[str, Any]]] = field(default_factory=list)

    def put(
        self,
        path: Path,
        room: str,
        day: date,
        name: str,
        sha256: str,
        state: Mapping[str, Any],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> str:
        assert digest(path.read_bytes()) == sha256
        self.got.append((room, day, name, state))
        keep({"id": name[-4:]})
        if self.errors:
            raise self.errors.pop(0)
        return f"https://elsewhere.example/{name}"


@ON_SQLITE
def test_another_destination_goes_on_from_what_it_kept(recorded: Site) -> None:
    record(recorded)
    away = Temporary("away", "it is away")
    to = Elsewhere(errors=[away, Refused("upload", "it is too long")])
    both = service(recorded, *service(recorded).raw_destinations, to)
    upload_raw_segments(both, recorded.clock)
    upload_raw_segments(both, recorded.clock)
    day = date(2026, 11, 20)
    assert to.got == [
        ("504", day, f"{NAME}.json", {}), ("504", day, f"{NAME}.mkv", {}),
        ("504", day, f"{NAME}.json", {"id": "json"}),
    ]  # fmt: skip
    assert sorted(rows(recorded)) == sorted(
        [
            *DONE,
            (f"{NAME}.json", "uploaded", "elsewhere"),
            (f"{NAME}.mkv", "refused", "elsewhere"),
        ]
    )
    assert waiting_uploads(both) == set()
