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

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.db.engine import reading
from merger.i18n import Message
from merger.records import outbox
from merger.records.queue import Claim, LeaseLost, add_history, release, was_released, with_fence
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


def entries(engine: Engine, record: int, destination: str) -> dict[str, Entry]:
    """Return what the ledger says about a record at a destination, by kind of rendition."""
    with reading(engine) as session:
        rows = session.scalars(
            select(Delivery).where(
                Delivery.record_id == record, Delivery.destination == destination
            )
        )
        return {
            d.kind: Entry(d.kind, d.name, d.state, d.status, d.version, d.sha256, d.link)
            for d in rows
        }


def reserve_name(
    engine: Engine,
    held: Claim,
    destination: str,
    kind: str,
    names: Iterator[str],
    is_foreign: Callable[[str], bool],
) -> str:
    """Return the name of a rendition at a destination: the first that nobody else has.

    It is written down before anything is sent there, so that after a crash it is known to be ours.
    is_foreign: whether something that is not in the ledger lies under a name.
    """
    known = entries(engine, held.record, destination)
    if kind in known:
        return known[kind].name
    for name in names:
        if _is_reserved(engine, destination, name) or is_foreign(name):
            continue

        def write(session: Session, row: Record, name: str = name) -> bool:
            if session.scalar(_reserved(destination, name)) is not None:
                return False
            session.add(
                Delivery(
                    record_id=row.id, destination=destination, kind=kind, name=name,
                    name_key=_key(name), state={}, status="pending",
                )
            )  # fmt: skip
            return True

        if with_fence(engine, held, write):
            return name
    raise AssertionError("there is always another name")


def _key(name: str) -> str:
    # Some file systems take `Math.mp4` and `math.mp4` for one file, and both ways to write `й`.
    same = unicodedata.normalize("NFC", name).casefold()
    return hashlib.sha256(same.encode()).hexdigest()


def _reserved(destination: str, name: str) -> Any:
    return select(Delivery.id).where(
        Delivery.destination == destination, Delivery.name_key == _key(name)
    )


def _is_reserved(engine: Engine, destination: str, name: str) -> bool:
    with reading(engine) as session:
        return session.scalar(_reserved(destination, name)) is not None


def save_state(
    engine: Engine, held: Claim, destination: str, kind: str, state: Mapping[str, Any]
) -> None:
    """Write down what a destination needs to go on after a crash."""

    def write(session: Session, row: Record) -> None:
        _delivery(session, row.id, destination, kind).state = dict(state)

    with_fence(engine, held, write)


def mark_replacing(engine: Engine, held: Claim, destination: str, kind: str, version: int) -> None:
    """Write down that what an earlier version had put there is about to be replaced.

    From then on nobody knows which of the two is there, until one of them is delivered.
    """

    def write(session: Session, row: Record) -> None:
        entry = _delivery(session, row.id, destination, kind)
        if entry.version != version:
            entry.version = None

    with_fence(engine, held, write)


def mark_delivered(
    engine: Engine,
    held: Claim,
    destination: str,
    kind: str,
    version: int,
    sha256: str,
    link: str,
    now: datetime,
) -> None:
    """Write down that a rendition has arrived."""

    def write(session: Session, row: Record) -> None:
        entry = _delivery(session, row.id, destination, kind)
        if entry.status == "delivered" and entry.version == version and entry.sha256 == sha256:
            return
        entry.status, entry.version, entry.sha256, entry.link = "delivered", version, sha256, link
        entry.delivered_at = now
        add_history(
            session,
            row.id,
            held.attempt,
            now,
            "sent",
            Message("history.sent", what=Message(f"rendition.{kind}"), link=link),
        )

    with_fence(engine, held, write)


def add_note(engine: Engine, held: Claim, now: datetime, message: Message) -> None:
    """Add a line to the history of a record, unless it is there already."""

    def write(session: Session, row: Record) -> None:
        known = select(Event.id).where(
            Event.record_id == row.id, Event.kind == "note", Event.message == message
        )
        if session.scalar(known.limit(1)) is None:
            add_history(session, row.id, held.attempt, now, "note", message)

    with_fence(engine, held, write)


def mark_removed(engine: Engine, held: Claim, destination: str, kind: str) -> None:
    """Write down that what an earlier version had put there is gone."""

    def write(session: Session, row: Record) -> None:
        session.delete(_delivery(session, row.id, destination, kind))

    with_fence(engine, held, write)


def _delivery(session: Session, record: int, destination: str, kind: str) -> Delivery:
    return session.scalars(
        select(Delivery).where(
            Delivery.record_id == record,
            Delivery.destination == destination,
            Delivery.kind == kind,
        )
    ).one()


def _delivered(version: int, warnings: int) -> Message:
    """Return what the history says of a delivery. Pure."""
    key = "delivered" if version == 1 else "delivered_version"
    if not warnings:
        return Message(f"history.{key}", version=version)
    return Message(f"history.{key}_with_warnings", version=version, count=warnings)


def complete_record(
    engine: Engine, held: Claim, now: datetime, watched_until: datetime | None, warnings: int
) -> None:
    """End a record: all its renditions are where they should be."""

    def write(session: Session, row: Record) -> None:
        if row.delivered_version == row.version:
            # The reason why there is no new version stays.
            add_history(
                session,
                row.id,
                held.attempt,
                now,
                "put_back",
                Message("history.put_back", version=row.version),
            )
        else:
            add_history(
                session, row.id, held.attempt, now, "delivered", _delivered(row.version, warnings)
            )
            row.delivered_version, row.delivered_at = row.version, now
            row.error_code = row.error_message = row.delivered_as = None
            outbox.add_ready(session, row, now)
        row.tries = row.lost = 0
        row.progress, row.watched_until = 1.0, watched_until
        session.execute(
            delete(Rendition).where(Rendition.record_id == row.id, Rendition.version != row.version)
        )
        release(row, "delivered", now)

    try:
        with_fence(engine, held, write)
    except LeaseLost:
        # The answer to the same call may have been lost on its way before.
        if not any(was_released(engine, held, kind) for kind in ("delivered", "put_back")):
            raise
