"""The ledger of deliveries: what was reserved, begun and done at each destination. Fenced.

One row for each record, destination and kind of rendition, whatever the version: a new version
replaces what an earlier one put there, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from merger.i18n import Message
from merger.records import outbox
from merger.records.processing.jobs import Job
from merger.records.processing.leases import Lease
from merger.records.processing.queue import add_history, queue_update, release
from merger.records.versions import delete_other_versions
from merger.timeline.files.filenames import name_key
from models import Delivery, Event, Record


@dataclass(frozen=True)
class Entry:
    """A line of the ledger.

    Attributes:
        former_names: under which it may still lie.
        state: what the destination keeps to go on after a crash.
    """

    kind: str
    name: str
    former_names: tuple[str, ...]
    state: Mapping[str, Any]
    status: str
    version: int | None
    sha256: str | None
    link: str | None


def entries(lease: Lease, destination: str) -> dict[str, Entry]:
    """Return what the ledger says about a record at a destination, by kind of rendition."""
    return lease.read(
        lambda session: {
            d.kind: Entry(
                d.kind,
                d.name,
                tuple(d.former_names or ()),
                d.state,
                d.status,
                d.version,
                d.sha256,
                d.link,
            )
            for d in session.scalars(
                select(Delivery).where(
                    Delivery.record_id == lease.record, Delivery.destination == destination
                )
            )
        }
    )


def reserve_name(
    lease: Lease,
    destination: str,
    kind: str,
    names: Iterable[str],
    is_foreign: Callable[[str], bool],
    fits: Callable[[str], bool] = lambda _: True,
    foreign: Collection[str] = (),
) -> Entry:
    """Return the line of a rendition at a destination, with a name that nobody else has.

    A name is written down before anything gets it there, so that after a crash it is known to be
    ours. Until it is written down that the file has it, the names before stay reserved as well.

    Args:
        names: of which it gets the first that is free, unless it has a name that fits.
        is_foreign: whether something that is not in the ledger lies under a name.
        fits: whether a name that it has is still good.
        foreign: names that it has, and under which somebody else's files lie.
    """
    ours = entries(lease, destination).get(kind)
    if ours is not None and fits(ours.name) and ours.name not in foreign:
        return ours
    known = {ours.name, *ours.former_names} - {*foreign} if ours is not None else set()
    for name in names:
        if name in foreign or (name not in known and is_foreign(name)):
            continue

        def write(session: Session, row: Record, name: str = name) -> bool:
            if _is_reserved(session, destination, name, but_for=(row.id, kind)):
                return False
            if ours is None:
                entry = Delivery(
                    record_id=row.id, destination=destination, kind=kind, state={}, status="pending"
                )
                session.add(entry)
            else:
                entry = _delivery(session, row.id, destination, kind)
                entry.former_names = sorted(known - {name}) or None
            entry.name, entry.name_key = name, name_key(name)
            return True

        if lease.write(write):
            return entries(lease, destination)[kind]
    raise AssertionError("there is always another name")


def _is_reserved(session: Session, destination: str, name: str, but_for: tuple[int, str]) -> bool:
    """Return whether another file has a name, is getting it, or may still have it."""
    rows = session.execute(
        select(Delivery.record_id, Delivery.kind, Delivery.name, Delivery.former_names).where(
            Delivery.destination == destination,
            or_(Delivery.name_key == name_key(name), Delivery.former_names.is_not(None)),
        )
    )
    return any(
        name_key(name) in map(name_key, (now, *(former or ())))
        for record, kind, now, former in rows
        if (record, kind) != but_for
    )


def save_state(lease: Lease, destination: str, kind: str, state: Mapping[str, Any]) -> None:
    """Write down what a destination needs to go on after a crash."""

    def write(session: Session, row: Record) -> None:
        _delivery(session, row.id, destination, kind).state = dict(state)

    lease.write(write)


def mark_replacing(lease: Lease, destination: str, kind: str, version: int) -> None:
    """Write down that what an earlier version had put there is about to be replaced.

    From then on nobody knows which of the two is there, until one of them is delivered.
    """

    def write(session: Session, row: Record) -> None:
        entry = _delivery(session, row.id, destination, kind)
        if entry.version != version:
            entry.version = None

    lease.write(write)


def mark_delivered(
    lease: Lease, destination: str, kind: str, version: int, sha256: str, link: str
) -> None:
    """Write down that a rendition has arrived."""

    def write(session: Session, row: Record) -> None:
        entry, now = _delivery(session, row.id, destination, kind), lease.now()
        if entry.status == "delivered" and entry.version == version and entry.sha256 == sha256:
            return
        entry.status, entry.version, entry.sha256, entry.link = "delivered", version, sha256, link
        entry.delivered_at = now
        message = Message("history.sent", what=Message(f"rendition.{kind}"), link=link)
        add_history(session, row.id, lease.attempt, now, "sent", message)

    lease.write(write)


def add_note(lease: Lease, message: Message) -> None:
    """Add a line to the history of a record, unless it is there already."""

    def write(session: Session, row: Record) -> None:
        same = select(Event.id).where(
            Event.record_id == row.id, Event.kind == "note", Event.message == message
        )
        if session.scalar(same.limit(1)) is None:
            add_history(session, row.id, lease.attempt, lease.now(), "note", message)

    lease.write(write)


def mark_renamed(lease: Lease, destination: str, kind: str, link: str | None) -> None:
    """Write down that a rendition has its name, or, without a link, that it is gone."""

    def write(session: Session, row: Record) -> None:
        entry = _delivery(session, row.id, destination, kind)
        if entry.former_names is None and link in (None, entry.link):
            return
        entry.former_names = None
        what, where = Message(f"rendition.{kind}"), Message(f"destination.{destination}")
        message = Message("history.not_renamed", what=what, where=where)
        if link is not None:
            entry.link = link
            message = Message("history.file_renamed", what=what, link=link)
        add_history(session, row.id, lease.attempt, lease.now(), "note", message)

    lease.write(write)


def mark_removed(lease: Lease, destination: str, kind: str) -> None:
    """Write down that what an earlier version had put there is gone."""

    def write(session: Session, row: Record) -> None:
        session.delete(_delivery(session, row.id, destination, kind))

    lease.write(write)


def _delivery(session: Session, record: int, destination: str, kind: str) -> Delivery:
    return session.scalars(
        select(Delivery).where(
            Delivery.record_id == record,
            Delivery.destination == destination,
            Delivery.kind == kind,
        )
    ).one()


def complete_record(
    lease: Lease, watched_until: datetime | None, warnings: int, shown: Job | None = None
) -> None:
    """End a record: all its renditions are where they should be.

    Args:
        watched_until: until when media that comes late makes it again.
        warnings: how many there are.
        shown: the record as it was when they went there; None for as it is.
    """

    def write(session: Session, row: Record) -> None:
        now = lease.now()
        if row.delivered_version == row.version:
            # The reason why there is no new version stays.
            kind, message = "put_back", Message("history.put_back", version=row.version)
        else:
            kind, message = "delivered", _delivery_message(row.version, warnings)
            row.delivered_version, row.delivered_at = row.version, now
            row.error_code = row.error_message = row.delivered_as = None
            outbox.add_ready(session, row, now)
        add_history(session, row.id, lease.attempt, now, kind, message)
        row.watched_until = watched_until
        delete_other_versions(session, row)
        _end(row, shown, now)

    lease.write_last(write, "delivered", "put_back")


def complete_update(lease: Lease, shown: Job) -> None:
    """End a record: what was delivered of it shows its texts everywhere.

    Args:
        shown: the record as it was when they went there.
    """

    def write(session: Session, row: Record) -> None:
        now = lease.now()
        add_history(session, row.id, lease.attempt, now, "updated", Message("history.updated"))
        media = row.media or {}
        if media.get("late_transcripts") == shown.media.get("late_transcripts"):
            row.media = {name: value for name, value in media.items() if name != "late_transcripts"}  # type: ignore[assignment]
        _end(row, shown, now)

    lease.write_last(write, "updated")


def _end(row: Record, shown: Job | None, now: datetime) -> None:
    """Have a record be delivered, or queued again where people have changed it meanwhile."""
    row.tries = row.lost = 0
    row.progress = 1.0
    texts = (row.event_name, row.description or "", row.course_code)
    row.is_outdated = shown is not None and shown.shown_texts != texts
    release(row, "delivered", now)
    if row.is_outdated or "late_transcripts" in (row.media or {}):
        queue_update(row, now)


def _delivery_message(version: int, warnings: int) -> Message:
    """Return what the history says of a delivery. Pure."""
    key = "delivered" if version == 1 else "delivered_version"
    if not warnings:
        return Message(f"history.{key}", version=version)
    return Message(f"history.{key}_with_warnings", version=version, count=warnings)
