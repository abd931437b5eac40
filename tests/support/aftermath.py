"""What must be true of a service after its records were delivered, whatever happened on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from merger.daemon.retention import clean_destination, remove_expired
from merger.db.engine import reading
from models import Base, Delivery, Rendition, Segment, Source
from tests.render.test_time import check_instants
from tests.support.site import Site
from tests.support.truth import frames_seen
from tests.support.waiting import living, until

WORK = ".merge-work-"
BOTH = ("merge", "backup")
RATE = 25
# What no row knows may be on its way: it is not removed before it is so old.
LATER = timedelta(days=2)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return what lies below a data folder, but not what is in work.

    Which file it is, when it was written, and what is in it. What was collected has a name of its
    own for every content: whoever brings it again changes nothing, and only the content counts.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if WORK not in name and path.is_file():
            status = path.stat()
            which = (0, 0) if name.startswith("segments/") else (status.st_ino, status.st_mtime_ns)
            found[name] = (*which, status.st_size, digest(path))
    return found


def rows(site: Site) -> dict[str, list[Any]]:
    """Return all that the database holds."""
    with site.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in Base.metadata.sorted_tables
        }


def work_folders(site: Site) -> list[Path]:
    return [path for path in site.folder.rglob(f"{WORK}*") if path.is_dir()]


def deliveries(site: Site, record: int) -> dict[str, Delivery]:
    """Return the lines of the ledger about a record, by kind of rendition."""
    with reading(site.engine) as session:
        found = session.scalars(select(Delivery).where(Delivery.record_id == record)).all()
        session.expunge_all()
    assert len({d.kind for d in found}) == len(found)
    return {d.kind: d for d in found}


def has_sidecar(path: Path) -> bool:
    return path.with_suffix(".json").exists()


def check_delivered(
    site: Site,
    record: int,
    start: datetime,
    length_s: float,
    *,
    version: int = 1,
    kinds: Sequence[str] = BOTH,
    codes: tuple[int, int] = (1, 2),
    every: int = 40,
) -> None:
    """Check the row, the ledger and the files of a record.

    codes: of the sources that are to be seen left and right; every: how many frames apart.
    """
    row = site.row(record)
    assert (row.status, row.done, row.processing) == ("delivered", 1, 0), row.error_message
    assert (row.version, row.delivered_version) == (version, version)
    assert (row.error_code, row.error_message, row.claimed_by, row.lease_until) == (None,) * 4
    assert (row.tries, row.lost) == (0, 0)
    told = site.events(record)
    assert told[0] == "asked" and told[-1] == "delivered"
    assert told.count("delivered") == version
    ledger = deliveries(site, record)
    assert set(ledger) == set(kinds)
    with reading(site.engine) as session:
        made = session.scalars(select(Rendition).where(Rendition.record_id == record)).all()
        session.expunge_all()
    assert {r.kind: r.version for r in made} == dict.fromkeys(kinds, version)
    frames = round(length_s * RATE)
    for rendition in made:
        entry = ledger[rendition.kind]
        assert (entry.status, entry.version) == ("delivered", version)
        assert entry.sha256 == rendition.sha256 and rendition.frames == frames
        assert entry.link == str(site.merged / entry.name)
        assert digest(site.merged / entry.name) == rendition.sha256
        assert rendition.path and digest(site.settings.data / rendition.path) == rendition.sha256
    two = "backup" in kinds
    seen = frames_seen(
        site.merged / ledger["merge"].name,
        left_width=None if two else max(r.width for r in made),
        wanted={*range(0, frames, every), frames - 1, frames},
    )
    assert seen[-1].frame == frames - 1
    check_instants(seen, start, both=two)
    for frame in seen:
        found = tuple(clock.source for clock in (frame.left, frame.right) if clock)
        assert found == (codes if two else codes[:1])


def check_only(site: Site, now: datetime) -> None:
    """Check that there is nothing but what rows know, once what is old enough was removed.

    A record that ended well leaves no process, no work folder and nothing half done.
    """
    until(lambda: not living(site.folder))
    assert (site.count("queued"), site.count("running")) == (0, 0)
    for folder in work_folders(site):
        if not any(folder.iterdir()):  # killed before it had its lock: time alone tells that
            long_ago = (now - LATER).timestamp()
            os.utime(folder, (long_ago, long_ago))
    remove_expired(site.service, now + LATER)
    clean_destination(site.service, now + LATER)
    assert work_folders(site) == []
    data = site.settings.data
    with reading(site.engine) as session:
        known = set(session.scalars(select(Segment.path)))
        renditions = session.execute(select(Rendition.record_id, Rendition.path)).all()
        names = session.scalars(select(Delivery.name)).all()
        sources = session.scalars(select(Source.id)).all()
    assert len(set(names)) == len(names)
    known |= {str(Path(path).with_suffix(".json")) for path in known if has_sidecar(data / path)}
    known |= {path for _, path in renditions}
    known |= {f"records/{record}/plan.json" for record, _ in renditions}
    known |= {"pictures/lock", *(f"pictures/{source}.jpg" for source in sources)}
    known |= {"database-id"}
    known |= {key.name for key in data.glob("secret.key")}  # where commands have made one
    known |= {str((site.merged / name).relative_to(data)) for name in names}
    assert {str(p.relative_to(data)) for p in data.rglob("*") if not p.is_dir()} == known


def merge_of(site: Site) -> Path:
    """Return the only merge that people have."""
    [merge] = [path for path in site.merged.glob("*.mp4") if "backup" not in path.name]
    return merge


def next_try(site: Site) -> str | None:
    """Work when it is time for the next try."""
    site.clock = site.row().run_after
    return site.work()
