"""Versions of a record that was delivered: one is begun, and succeeds or fails.

What people have is kept beside the row while another version is made: its wishes, what it was made
of, and its report. When the other fails, the row is again what people have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, undefer

from merger.timeline.files.filenames import VIDEOS, name_key
from models import Chunk, Delivery, Record, RecordMedia, Rendition, Slide

_CHUNK = ("presence", "verdict", "score", "samples", "reasons", "pictures")
ANNOUNCEMENT = "news"  # the kind of deliveries that are announcements, not files


def begin_version(session: Session, row: Record, *, as_wished: bool = False) -> None:
    """Begin another version of a delivered record.

    Args:
        as_wished: it is to be what the last one was to be, which failed.
    """
    wished = (row.delivered_as or {}).get("wished") if as_wished else None
    chunks = session.scalars(
        select(Chunk)
        .where(Chunk.record_id == row.id)
        .options(undefer(Chunk.pictures))
        .order_by(Chunk.start_at)
    )
    row.delivered_as = {
        **_wishes(row),
        "media": row.media,
        "report": row.report,
        "chunks": [
            {
                "start_at": chunk.start_at.isoformat(), "end_at": chunk.end_at.isoformat(),
                **{name: getattr(chunk, name) for name in _CHUNK},
            }
            for chunk in chunks
        ],
    }  # fmt: skip
    row.version += 1
    row.reached = 0.0
    if wished:
        _wish(row, wished)


def end_version(session: Session, row: Record, now: datetime) -> str:
    """Have a record be again what was delivered of it; return its status.

    That is `delivered`, or `queued` where the version that failed had arrived somewhere already:
    there, what was delivered is put back. Or where it got another name meanwhile, to get it.
    """
    assert row.delivered_version is not None
    is_another = row.version != row.delivered_version
    row.version, row.stage, row.progress = row.delivered_version, "deliver", 1.0
    row.reached = 0.0
    # Nobody will deliver what was ready of the other: the housekeeping removes its files.
    delete_other_versions(session, row)
    was, wished = row.delivered_as, _wishes(row)
    if was and "wished" not in was:
        row.delivered_as = None
        _wish(row, was)
        delivered: RecordMedia = was.get("media") or RecordMedia()
        media: RecordMedia = {**delivered}
        media.pop("leave", None)
        if row.media and "late" in row.media:
            media["late"] = row.media["late"]
        if row.media and "leave" in row.media:  # also for what it was to be, if that is tried again
            media["leave"] = row.media["leave"]
        if row.media and "overrules" in row.media:
            media["overrules"] = row.media["overrules"]
        if row.media and "corner" in row.media:  # so that what is encoded of it is found again
            media["corner"] = row.media["corner"]
        row.media = media
        row.report = was.get("report")
        _put_back(session, row, was.get("chunks", ()))
        if wished != _wishes(row):
            row.delivered_as = {"wished": wished}
    is_half = is_another and is_half_replaced(session, row)
    if is_another and not is_half:
        _give_names_back(session, row)
    if is_half or (is_another and row.is_outdated):
        # Once: where that fails as well, it is left to whoever looks into why.
        row.progress, row.run_after, row.tries = 0.0, now, 0
        row.cancel_requested_at = None
        return "queued"
    return "delivered"


def delete_other_versions(session: Session, row: Record) -> None:
    """Delete the rows about videos of a record that are not of its version."""
    session.execute(
        delete(Rendition).where(Rendition.record_id == row.id, Rendition.version != row.version)
    )
    session.execute(delete(Slide).where(Slide.record_id == row.id, Slide.version != row.version))


def _give_names_back(session: Session, row: Record) -> None:
    """Have files that were getting names of another version keep theirs, or get them back."""
    for entry in session.scalars(
        select(Delivery).where(Delivery.record_id == row.id, Delivery.former_names.is_not(None))
    ):
        [name, *others] = entry.former_names or [entry.name]
        if entry.version == row.version and not others and not row.is_outdated:
            # Nothing of the other version has gone there yet.
            entry.name, entry.name_key, entry.former_names = name, name_key(name), None
        else:
            row.is_outdated = True


def is_put_back(row: Record) -> bool:
    """Return whether what is being done for a record is to put back what was delivered."""
    return row.version == row.delivered_version and row.status in ("queued", "running")


def _wishes(row: Record) -> dict[str, str]:
    return {
        "layout": row.layout, "profile": row.profile,
        "start": row.start_at.isoformat(), "end": row.end_at.isoformat(),
    }  # fmt: skip


def _wish(row: Record, wishes: Mapping[str, Any]) -> None:
    row.layout, row.profile = wishes["layout"], wishes["profile"]
    row.start_at, row.end_at = (datetime.fromisoformat(wishes[name]) for name in ("start", "end"))


def _put_back(session: Session, row: Record, chunks: Iterable[Mapping[str, Any]]) -> None:
    session.execute(delete(Chunk).where(Chunk.record_id == row.id))
    for chunk in chunks:
        at = {name: datetime.fromisoformat(chunk[name]) for name in ("start_at", "end_at")}
        session.add(Chunk(record_id=row.id, **at, **{name: chunk[name] for name in _CHUNK}))


def is_half_replaced(session: Session, row: Record) -> bool:
    """Return whether some destination holds files of another version, and ours are still there."""
    ours = session.execute(
        select(Rendition.kind, Rendition.path).where(
            Rendition.record_id == row.id, Rendition.version == row.version
        )
    ).all()
    if any(path is None for _, path in ours):
        return False
    delivered: dict[str, dict[str, int | None]] = {}
    for entry in session.scalars(
        select(Delivery).where(Delivery.record_id == row.id, Delivery.kind != ANNOUNCEMENT)
    ):
        # Of one that is not, a part may have arrived, or all of it.
        version = entry.version if entry.status == "delivered" else None
        delivered.setdefault(entry.destination, {})[entry.kind] = version
    wanted: dict[str, int | None] = {kind: row.version for kind, _ in ours}
    # Captions go where the room says so.
    needed = {kind: version for kind, version in wanted.items() if kind in VIDEOS}
    return any(
        not needed.items() <= kinds.items() <= wanted.items() for kinds in delivered.values()
    )
