"""A disk that becomes full while cameras are recorded: nothing is lost but what there was no room for."""

from __future__ import annotations

import re
import resource
import shutil
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import select

from merger.db.engine import reading
from models import Room
from recorders.rtsp.recordings import RAW
from tests.recorders.cameras import CAMERAS, Recorded, camera, looked_at
from tests.recorders.supervisor.test_recorder import (
    RECORDER,
    add_room,
    ask,
    children,
    ended,
    finished,
    folder,
    length_in,
    now,
    pictures_us,
    raw_bytes,
    recorder,
    told,
)
from tests.recorders.test_conformance import tiny_disk
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.waiting import until

pytestmark = [ON_SQLITE, CAMERAS]
MOST_BYTES = 80_000_000  # of the disk: a file is begun where 64 MB are free


@pytest.fixture
def two_cameras(site: Site) -> Site:
    site.environ["MERGER_ALLOW_LOCAL_CAMERAS"] = "yes"
    site.environ["TMPDIR"] = str(site.folder)  # by which `living` finds what records
    return site


def child_of(site: Site, source: str) -> int:
    """Return the process that records a source, known by the file that it writes."""
    for pid in children(site):
        open_files = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
        if any(path.is_relative_to(folder(site, source)) for path in open_files):
            return pid
    raise AssertionError(f"nothing records {source}")


def check_whole(path: Path) -> None:
    """A file has all its pictures, and each of its instant."""
    assert max(map(abs, looked_at(path).errors_ms)) <= 1
    assert np.diff(pictures_us(path)).max() < 50_000


def end_of(seen: Recorded) -> datetime:
    return seen.start + timedelta(milliseconds=40 * seen.frames)


def lost_since(site: Site, outage: str, near: datetime) -> datetime:
    """Return since when there was no media, as the history has it: a time of the room's day."""
    match = re.search(r"from (\d\d:\d\d:\d\d) to", outage)
    assert match
    with reading(site.engine) as session:
        zone = ZoneInfo(session.scalars(select(Room.zone)).one())
    day = near.astimezone(zone).date()
    days = (day + timedelta(days=n) for n in (-1, 0, 1))
    times = (datetime.combine(on, time.fromisoformat(match[1]), zone) for on in days)
    return min(times, key=lambda at: abs(at - near))


def test_a_file_that_cannot_grow_any_more(two_cameras: Site) -> None:
    """As with a full disk, in one process: what is there becomes a file, the next one goes on."""
    site = two_cameras
    with camera("--pitch", "0") as one:
        add_room(site, ("speaker", one.url, None), ("screen", one.url, None))
        ask(site)
        with recorder(site) as process:
            until(lambda: min(raw_bytes(site), raw_bytes(site, "screen")) > 60_000)
            most = raw_bytes(site) + 20_000
            resource.prlimit(child_of(site, "speaker"), resource.RLIMIT_FSIZE, (most, most))
            until(lambda: told(site, "disk_full"))
            full_at = now()
            until(lambda: finished(site))
            until(lambda: raw_bytes(site, since=full_at) > 60_000)
            said = ended(process)
    assert len(finished(site)) == 2
    for path in (*finished(site), *finished(site, "screen")):
        check_whole(path)
    first, second = map(looked_at, finished(site))
    [outage] = told(site, "outage")
    assert abs(lost_since(site, outage, end_of(first)) - end_of(first)) < timedelta(seconds=2)
    assert abs(length_in(outage) - (second.start - end_of(first)).total_seconds()) <= 2
    assert "was full" in outage
    [text] = told(site, "disk_full")
    assert text.startswith("speaker is not being recorded: the disk of ")
    assert str(folder(site)) in text and text.endswith("was full; free some space there")
    assert f"source 'speaker' of room '504': no media: the disk of {folder(site)} was full" in said
    # The other one never noticed.
    assert len(finished(site, "screen")) == 1 and "'screen' of room '504': no media" not in said
    assert not list((folder(site) / RAW).iterdir())


def test_a_disk_that_is_full_for_a_while(two_cameras: Site, tmp_path: Path) -> None:
    site, disk = two_cameras, tiny_disk("80m")
    if not disk:
        pytest.skip("NOT TESTED: no tmpfs can be mounted here, so no disk can be full")
    with camera("--pitch", "0") as one:
        add_room(site, ("speaker", one.url, None), ("screen", one.url, None))
        folder(site).mkdir(parents=True)
        ask(site)
        with site.process(*disk, str(folder(site)), *RECORDER) as process:
            # What only it sees is seen through it.
            small = Path(f"/proc/{process.pid}/root") / folder(site).relative_to("/")

            def growing() -> list[Path]:
                return sorted((small / RAW).glob("*.mkv"))

            def size() -> int:
                return sum(path.stat().st_size for path in growing())

            until(lambda: size() > 60_000 and raw_bytes(site, "screen") > 60_000)
            filler = small / "filler"
            fill(filler)
            until(lambda: told(site, "disk_full"))
            full_at, before = now(), raw_bytes(site, "screen")
            until(lambda: raw_bytes(site, "screen") > before + 200_000)  # the other one goes on
            assert list(small.glob("*.mkv")) == []  # there is no room to finish it
            [kept] = growing()
            filler.unlink()
            # Once its file is there, the raw one is removed.
            until(lambda: list(small.glob("*.mkv")) and not kept.exists() and size() > 60_000)
            assert growing()[-1].name > f"{full_at:%Y%m%dT%H%M%S}"
            [whole] = small.glob("*.mkv")
            for path in (whole, whole.with_suffix(".json")):
                shutil.copy(path, tmp_path / path.name)
            said = ended(process)
    check_whole(tmp_path / whole.name)
    seen = looked_at(tmp_path / whole.name)
    [screen] = finished(site, "screen")
    check_whole(screen)
    assert "speaker is not being recorded" in told(site, "disk_full")[0]
    [outage] = told(site, "outage")
    assert "speaker: no media from" in outage and "free some space there" in outage
    assert abs(lost_since(site, outage, end_of(seen)) - end_of(seen)) < timedelta(seconds=2)
    assert "recordings are not finished yet: " in said
    assert "'speaker' of room '504': no media: " in said and "'screen' of room" not in said


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        try:
            for _ in range(2 * MOST_BYTES // 4096):
                file.write(bytes(4096))
        except OSError:
            return
    raise AssertionError("the disk is never full")
