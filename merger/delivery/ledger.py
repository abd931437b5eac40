"""The ledger of deliveries: what was reserved, begun and done at each destination. Fenced.

One row for each record, destination and kind of rendition, whatever the version: a new version
replaces what an earlier one put there, under the same name.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from merger.i18n import Message
from merger.records import outbox
from merger.records.leases import Lease
from merger.records.queue import add_history, release
from models import Delivery, Event, Record, Rendition


@dataclass(frozen=True)
class Entry:
    """A line of the ledger. state: what the destination keeps to go on after a crash."""

    kind: str
    name: str
    state: Mapping[str, Any]
    status: str
    version: int | None
    sha256: str | None
    link: str | None


def entries(lease: Lease, destination: str) -> dict[str, Entry]:
    """Return what the ledger says about a record at a destination, by kind of rendition."""
    return lease.read(
        lambda session: {
            d.kind: Entry(d.kind, d.name, d.state, d.status, d.version, d.sha256, d.link)
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
    names: Iterator[str],
    is_foreign: Callable[[str], bool],
) -> str:
    """Return the name of a rendition at a destination: the first that nobody else has.

    It is written down before anything is sent there, so that after a crash it is known to be ours.

    Args:
        is_foreign: whether something that is not in the ledger lies under a name.
    """
    ours = entries(lease, destination).get(kind)
    if ours is not None:
        return ours.name
    for name in names:
        if _is_reserved(lease, destination, name) or is_foreign(name):
            continue

        def write(session: Session, row: Record, name: str = name) -> bool:
            if session.scalar(_reservation(destination, name)) is not None:
                return False
            session.add(
                Delivery(
                    record_id=row.id, destination=destination, kind=kind, name=name,
                    name_key=_key(name), state={}, status="pending",
                )
            )  # fmt: skip
            return True

        if lease.write(write):
            return name
    raise AssertionError("there is always another name")


def _key(name: str) -> str:
    # Some file systems take `Math.mp4` and `math.mp4` for one file, and both ways to write `й`.
    same = unicodedata.normalize("NFC", name).casefold()
    return hashlib.sha256(same.encode()).hexdigest()


def _reservation(destination: str, name: str) -> Select[int]:
    return select(Delivery.id).where(
        Delivery.destination == destination, Delivery.name_key == _key(name)
    )


def _is_reserved(lease: Lease, destination: str, name: str) -> bool:
    return lease.read(lambda session: session.scalar(_reservation(destination, name)) is not None)


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


def complete_record(lease: Lease, watched_until: datetime | None, warnings: int) -> None:
    """End a record: all its renditions are where they should be.

    Args:
        watched_until: until when media that comes late makes it again.
        warnings: how many there are.
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
        row.tries = row.lost = 0
        row.progress, row.watched_until = 1.0, watched_until
        session.execute(
            delete(Rendition).where(Rendition.record_id == row.id, Rendition.version != row.version)
        )
        release(row, "delivered", now)

    lease.write_last(write, "delivered", "put_back")


def _delivery_message(version: int, warnings: int) -> Message:
    """Return what the history says of a delivery. Pure."""
    key = "delivered" if version == 1 else "delivered_version"
    if not warnings:
        return Message(f"history.{key}", version=version)
    return Message(f"history.{key}_with_warnings", version=version, count=warnings)
